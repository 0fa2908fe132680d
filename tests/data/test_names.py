from __future__ import annotations

import time

import pytest

from edgecnn.data.inspection import name_slips

SAME, PLURAL, LETTER = (
    "they differ only in case, blanks or punctuation",
    "they differ only by an s",
    "they differ by one letter",
)


@pytest.mark.parametrize(
    "one, other, why",
    [
        ("cat", "Cat", SAME),
        ("cat", "cat ", SAME),
        ("t-shirt", "t_shirt", SAME),
        ("t-shirt", "T Shirt", SAME),
        ("caf\u00e9", "cafe\u0301", SAME),
        ("boot", "boots", PLURAL),
        ("Sneakers", "sneaker", PLURAL),
        ("labrador", "labradro", LETTER),
        ("labrador", "labradorr", LETTER),
        ("labrador", "labradar", LETTER),
    ],
)
def test_a_slip_is_told_with_its_reason(one: str, other: str, why: str) -> None:
    assert [(slip.one, slip.other, slip.why) for slip in name_slips(["zebra", one, "quagga", other])] == [(one, other, why)]


@pytest.mark.parametrize(
    "names",
    [
        ["shirt", "skirt", "t-shirt", "shorts", "shoes"],
        ["cat", "bat", "rat"],
        [str(number) for number in range(200)],
        [f"class_{number}" for number in range(200)],
        [f"n{number:08}" for number in range(100, 400)],
        ["bus", "bu"],
        ["---", "___"],
    ],
)
def test_names_that_differ_on_purpose_are_no_slips(names: list[str]) -> None:
    assert name_slips(names) == ()


def test_two_thousand_names_take_no_time() -> None:
    names = [f"species-{number:x}-{number * 7919:x}" for number in range(2000)]
    began = time.process_time()
    name_slips(names)
    assert time.process_time() - began < 2
