"""Failures of measuring a finished build where it runs."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ExitCode


class BenchTargetDiffers(EdgecnnError):
    """Raised when a build is to be measured as another device than it was built for."""

    ref = "bench-target-differs"

    def __init__(self, *, folder: object, built_for: str, target: str) -> None:
        super().__init__(
            what=f"{folder} was built for {built_for}, and --target says {target}",
            because="what a device runs fast, and in which scheme, was decided when it was built",
            hint=f"edgecnn build … --target {target} --host …, or leave --target out",
        )


class BenchProcessorDiffers(EdgecnnError):
    """Raised when a build for whatever processor made it is to be measured on another, under the same device name."""

    ref = "bench-processor-differs"

    def __init__(self, *, folder: object, device: str, built_for: str, machine: str, here: str) -> None:
        super().__init__(
            what=f"{folder} was built for {device} as it was then, {built_for}, and {machine} is {here}",
            because="schemes are chosen for a processor, and figures of two processors do not go under one device's name",
            hint="build for the board's device file, or write one: edgecnn devices add NAME --host BOARD",
        )


class BenchClassesDiffer(EdgecnnError):
    """Raised when a bundle is to be shown images of other classes than it tells apart."""

    ref = "bench-classes-differ"

    def __init__(self, *, data: object, found: Sequence[str], classes: Sequence[str]) -> None:
        lacks, more = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
        sides = (("lack", lacks), ("have besides", more))
        super().__init__(
            what=f"{data}: its classes are not the bundle's",
            because="; ".join(f"they {verb} {_few(names)}" for verb, names in sides if names),
            hint="a sub-folder for each class of kit.json's labels, called the same",
        )


class BenchOptionOfBuild(EdgecnnError):
    """Raised when a bundle alone is asked for what only a build's folder has the settings of."""

    ref = "bench-option-of-build"

    def __init__(self, *, option: str, bundle: object) -> None:
        super().__init__(
            what=f"{option} is for a finished build, and {bundle} is benched as a bundle alone",
            hint="name the build's folder, without --data and --out",
        )


class BenchDeviceUnknown(EdgecnnError):
    """Raised when a bundle was built for a device that has no file here."""

    ref = "bench-device-unknown"

    def __init__(self, *, bundle: object, device: str) -> None:
        super().__init__(
            what=f"{bundle} was built for {device}, which has no device file here",
            because="figures are filed under a device only where the machine is seen to be it",
            hint="--target with its file, or edgecnn devices add NAME --host BOARD and --target NAME",
        )


class NoKitRuns(EdgecnnError):
    """Raised when none of a bundle's kits runs on the machine."""

    ref = "no-kit-runs"
    exit_code = ExitCode.MISSING

    def __init__(self, *, bundle: object, machine: str, reasons: Sequence[str]) -> None:
        super().__init__(what=f"no kit of {bundle} runs on {machine}", because="; ".join(reasons))


class HostOfNothing(EdgecnnError):
    """Raised when a verb that measures nothing is given a board."""

    ref = "host-of-nothing"

    def __init__(self, *, verb: str) -> None:
        super().__init__(what=f"edgecnn {verb} runs no kit, so --host has nothing to do", hint="build, profile and bench take it")


class HostOptionWithoutHost(EdgecnnError):
    """Raised when an option of a board is given, and no board."""

    ref = "host-option-without-host"

    def __init__(self, *, option: str) -> None:
        super().__init__(what=f"{option} is about a board, and none was named", hint="add --host user@board")


def _few(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
