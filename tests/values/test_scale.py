from __future__ import annotations

import re

import pytest

from edgecnn.values.scale import CompoundScale, Inheritance, Multipliers, ScaledNetwork


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("phi=1.5", "phi=1.5"),
        (" width=0.75 , depth=1.20 ", "depth=1.2,width=0.75"),
        ("resolution=192,depth=2", "depth=2,resolution=192"),
        ("phi=-2", "phi=-2"),
        ("phi=0", "phi=0"),
    ],
)
def test_a_text_comes_back_in_its_shortest_form(text: str, kept: str) -> None:
    assert CompoundScale.from_text(text).text() == kept
    assert CompoundScale.from_text(kept) == CompoundScale.from_text(text)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("phi", "'phi' is not KEY=NUMBER"),
        ("", "'' is not KEY=NUMBER"),
        ("phi=1,", "'' is not KEY=NUMBER"),
        ("wdth=2", "wdth is not a key, the nearest is width"),
        ("q=2", "q is not a key, it takes phi, depth, width, resolution"),
        ("depth=2,depth=3", "depth is given twice"),
        ("phi=x", "phi must be a number, not 'x'"),
        ("width=nan", "width must be a finite number, not nan"),
        ("phi=1,width=2", "phi sets depth, width and resolution at once, and width too"),
        ("phi=12", "phi must be between -11 and 11, not 12"),
        ("width=0", "width=0 leaves no channel"),
        ("depth=-1", "depth=-1 leaves no block"),
        ("resolution=0", "resolution=0 leaves no pixel"),
        ("resolution=64.5", "resolution must be a whole number of pixels up to 2048, not 64.5"),
        ("resolution=4096", "resolution must be a whole number of pixels up to 2048, not 4096"),
        ("width=8.1", "width must be at most 8, not 8.1"),
        ("depth=0.00001", "depth must be at least 0.0001, not 0.00001"),
    ],
)
def test_what_is_no_scale_says_why(text: str, because: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(because)}$"):
        CompoundScale.from_text(text)


def test_a_width_is_never_rounded_more_than_a_tenth_down() -> None:
    assert Multipliers(width=0.35).channels(32) == 16  # 11.2 would round to 8
    for width in (16, 24, 40, 112, 320):
        for share in range(20, 300, 7):
            channels = Multipliers(width=share / 100).channels(width)
            assert channels % 8 == 0
            assert channels >= 0.9 * width * share / 100


def test_a_depth_is_rounded_up_but_not_by_a_binary_fraction() -> None:
    assert [Multipliers(depth=1.2).repeats(count) for count in (1, 2, 3, 5)] == [2, 3, 4, 6]  # 5 · 1.2 is 6 and not 7
    assert Multipliers(depth=1.1).repeats(10) == 11  # 11.000000000000002 in binary
    assert Multipliers(depth=0.1).repeats(1) == 1


def test_what_was_scaled_is_one_sentence_with_the_share_that_was_inherited() -> None:
    inheritance = Inheritance(parameters=3_820_616, inherited=0)
    scaled = ScaledNetwork(base="efficientnet-lite0", asked="width=0.75", depth=1, width=0.75, inheritance=inheritance)
    assert scaled.sentence() == (
        "efficientnet-lite0 with depth × 1, width × 0.75 (asked: width=0.75); 0.0 % of its 3,820,616 parameters were inherited"
    )
