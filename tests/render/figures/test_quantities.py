from __future__ import annotations

import pytest

from edgecnn.render.wording import age_text, duration_text, stored_size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024**2 - 1, "1.0 MiB"), (4_994_797, "4.8 MiB"),
        (167_312_542, "159.6 MiB"), (1024**3 - 1, "1.0 GiB"), (1_288_490_189, "1.2 GiB"), (5 * 1024**4, "5.0 TiB"),
        (5000 * 1024**4, "5,000.0 TiB"),
    ],
)  # fmt: skip
def test_a_size_is_shown_in_the_unit_that_keeps_it_short(count: int, text: str) -> None:
    assert stored_size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"), (59.9, "just now"), (60, "1 min ago"), (3599, "59 min ago"), (3600, "1 h ago"),
        (10_810, "3 h ago"), (47.9 * 3600, "47 h ago"), (48 * 3600, "2 days ago"), (400.7 * 86400, "400 days ago"),
    ],
)  # fmt: skip
def test_an_age_is_told_in_whole_units_that_have_passed(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "<0.1 s"), (0.04, "<0.1 s"), (0.05, "0.1 s"), (9.94, "9.9 s"), (9.96, "10 s"), (48.4, "48 s"), (59.6, "1 min"),
        (185, "3 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min"),
    ],
)  # fmt: skip
def test_a_duration_is_rounded_to_what_it_is_looked_at_for(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
