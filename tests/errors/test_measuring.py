from pathlib import Path

from edgecnn.errors.measuring import PixelsChanged, ShareMisread


def test_pixels_that_changed_are_named_with_the_remedy() -> None:
    assert PixelsChanged(file=Path("/s/report.pixels.npy"), split="report").line() == (
        "/s/report.pixels.npy is not what was prepared for report: its SHA-256 is another one"
        " — edgecnn store verify --repair, then the same command [pixels-changed]"
    )


def test_a_share_without_its_sign_is_refused_with_how_to_write_it() -> None:
    assert ShareMisread(option="--until", text="2", least=0.001, most=0.5).line() == (
        "--until: '2' is no percentage between 0.1% and 50% — write it with its sign, such as --until 2% [share-misread]"
    )
