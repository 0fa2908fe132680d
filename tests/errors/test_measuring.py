from pathlib import Path

from edgecnn.errors.measuring import PixelsChanged


def test_pixels_that_changed_are_named_with_the_remedy() -> None:
    assert PixelsChanged(file=Path("/s/report.pixels.npy"), split="report").line() == (
        "/s/report.pixels.npy is not what was prepared for report: its SHA-256 is another one"
        " — edgecnn store verify --repair, then the same command [pixels-changed]"
    )
