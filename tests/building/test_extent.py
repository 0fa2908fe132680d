from __future__ import annotations

import pytest

from edgecnn.building.extent import share_of
from edgecnn.errors.measuring import ShareMisread


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), (" 0.5 % ", 0.005), ("50%", 0.5), ("0.1%", 0.001)])
def test_a_percentage_is_a_share(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["2", "0.02", "two%", "", "%", "-2%", "0%", "0.05%", "51%", "nan%", "1e1%"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ShareMisread):
        share_of(text)
