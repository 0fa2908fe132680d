from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.runner.meters.meter import MeterAbsent, counted_uj, read_number
from tests.runner.trees import tree

RANGE = 262_143_328_850


def why(*arguments: object) -> str:
    with pytest.raises(MeterAbsent) as caught:
        counted_uj(*arguments)  # type: ignore[arg-type]
    return caught.value.why


def test_a_counter_that_rose_says_by_how_much() -> None:
    assert counted_uj("package-0", 1_000_000, 41_000_000, 4.0, RANGE) == 40_000_000


def test_a_counter_that_went_round_goes_on_from_its_range() -> None:
    assert counted_uj("package-0", RANGE - 10_000_000, 30_000_000, 4.0, RANGE) == 40_000_000


def test_a_counter_that_was_reset_is_not_taken_for_one_that_went_round() -> None:
    assert why("package-0", 90_000_000_000, 5_000_000, 4.0, RANGE) == (
        "package-0 was reset: it went from 90000000000 to 5000000 uJ in 4.0 s"
    )


def test_a_counter_without_a_range_that_fell_was_reset() -> None:
    assert why("the GPU's counter", 90_000, 5_000, 4.0) == "the GPU's counter was reset: it went from 90000 to 5000 uJ in 4.0 s"


def test_a_counter_that_stands_still_is_no_zero() -> None:
    assert why("package-0", 7, 7, 4.0, RANGE) == "package-0 did not change in 4.0 s"


def test_a_stretch_in_which_a_counter_may_go_round_twice_is_refused() -> None:
    assert why("dram", 1, 2, 60.0, 65_712_999_613) == "dram may wrap more than once in 60 s"


def test_a_file_says_why_it_holds_no_number(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/a": "twelve\n", "sys/b": "12\n"})
    assert read_number(root / "sys/b", root) == 12
    for name, text in (
        ("a", "/sys/a holds 'twelve', which is not a number"),
        ("c", "/sys/c cannot be read: No such file or directory"),
    ):
        with pytest.raises(MeterAbsent) as caught:
            read_number(root / "sys" / name, root)
        assert caught.value.sentence == text
