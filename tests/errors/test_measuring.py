from pathlib import Path

from edgecnn.errors.measuring import PixelsChanged, RunsUnusable


def test_pixels_that_changed_are_named_with_the_remedy() -> None:
    assert PixelsChanged(file=Path("/s/report.pixels.npy"), split="report").line() == (
        "/s/report.pixels.npy is not what was prepared for report: its SHA-256 is another one"
        " — edgecnn store verify --repair, then the same command [pixels-changed]"
    )


def test_runs_that_cannot_be_used_say_why_and_how_to_measure_again() -> None:
    assert RunsUnusable(folder=Path("measured"), because="run-00000.json is no edgecnn.run/1").line() == (
        "measured holds no runs that can be used: run-00000.json is no edgecnn.run/1 — measure again on the device, in the kit's"
        " folder: python3 -m runner measure ../.. --out NEW_FOLDER [runs-unusable]"
    )
