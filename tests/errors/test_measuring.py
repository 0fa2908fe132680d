from pathlib import Path

from edgecnn.errors.measuring import BatchesMisread, DurationMisread, PixelsChanged, RunsUnusable, ShareMisread


def test_pixels_that_changed_are_named_with_the_remedy() -> None:
    assert PixelsChanged(file=Path("/s/test.pixels.npy"), split="test").line() == (
        "/s/test.pixels.npy is not what was prepared for the test split: its SHA-256 is another one"
        " — edgecnn store verify --repair, then the same command [pixels-changed]"
    )


def test_runs_that_cannot_be_used_say_why_and_how_to_measure_again() -> None:
    assert RunsUnusable(folder=Path("measured"), because="run-00000.json is no edgecnn.run/1").line() == (
        "measured holds no runs that can be used: run-00000.json is no edgecnn.run/1 — measure again on the device, in the kit's"
        " folder: python3 -m runner measure ../.. --out NEW_FOLDER [runs-unusable]"
    )


def test_a_share_without_its_sign_is_refused_with_how_to_write_it() -> None:
    assert ShareMisread(option="--until", text="2", least=0.001, most=0.5).line() == (
        "--until: '2' is no percentage between 0.1% and 50% — write it with its sign, such as --until 2% [share-misread]"
    )


def test_batches_that_cannot_be_are_refused_with_how_to_write_them() -> None:
    assert BatchesMisread(text="0,many", largest=64).line() == (
        "--batches: '0,many' is no list of numbers of images from 1 to 64, or best"
        " — write it with commas, such as --batches 1,8,best [batches-misread]"
    )


def test_a_duration_without_a_unit_is_refused_with_how_to_write_it() -> None:
    assert DurationMisread(option="--soak", text="60", least_s=30.0, most_s=1800.0).line() == (
        "--soak: '60' is no duration between 30s and 30min — a number with its unit in that range, such as --soak 60s"
        " [duration-misread]"
    )
