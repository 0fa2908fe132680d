from __future__ import annotations

from pathlib import Path

from edgecnn.errors.data import (
    cutouts_unusable,
)

CUT = Path("cut")


def test_pictures_that_are_no_cut_outs_are_named_together() -> None:
    broken = [(f"hat/{number}.jpg", "it has no alpha channel") for number in range(6)]
    because = cutouts_unusable(folder="cut", broken=broken, checked=9).because or ""
    assert because.endswith("hat/4.jpg: it has no alpha channel and 1 more")
