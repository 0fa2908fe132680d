from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.building import BenchClassesDiffer, BenchDeviceUnknown, BenchOptionOfBuild, NoKitRuns

MANY = [f"class-{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            BenchClassesDiffer(data="photos", name="boots", classes=["bag", "boot"]),
            "photos: its classes are not the bundle's: 'boots' is none of the 2 in kit.json's labels — did you mean boot? call "
            "each sub-folder after one of these [bench-classes-differ]",
        ),
        (
            BenchClassesDiffer(data="photos", name="hat", classes=["bag", *MANY]),
            "photos: its classes are not the bundle's: 'hat' is none of the 9 in kit.json's labels — call each sub-folder after "
            "one of these [bench-classes-differ]",
        ),
        (
            BenchOptionOfBuild(option="--soak", bundle="flowers.zip"),
            "--soak is for a finished build, and flowers.zip is benched as a bundle alone — name the build's folder, without "
            "--data and --out [bench-option-of-build]",
        ),
        (
            BenchDeviceUnknown(bundle="flowers.zip", device="kitchen"),
            "flowers.zip was built for kitchen, which has no device file here: figures are filed under a device only where the "
            "machine is seen to be it — --target with its file, or edgecnn devices add NAME --host BOARD and --target NAME "
            "[bench-device-unknown]",
        ),
        (
            NoKitRuns(bundle="flowers.zip", machine="aarch64 with 4 cores", reasons=["onnxruntime-int8: no numpy"]),
            "no kit of flowers.zip runs on aarch64 with 4 cores: onnxruntime-int8: no numpy [no-kit-runs]",
        ),
    ],
)
def test_it_says_what_is_wrong_and_what_to_do(error: EdgecnnError, line: str) -> None:
    assert error.line() == line


def test_a_machine_on_which_nothing_runs_is_missing_something() -> None:
    assert NoKitRuns(bundle="b", machine="m", reasons=[]).exit_code is ExitCode.MISSING
