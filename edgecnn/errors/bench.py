"""Failures of measuring a finished build where it runs."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError


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

    def __init__(self, *, folder: object, device: str, built_for: str, station: str, here: str) -> None:
        super().__init__(
            what=f"{folder} was built for {device} as it was then, {built_for}, and {station} is {here}",
            because="schemes are chosen for a processor, and figures of two processors do not go under one device's name",
            hint="build for the board's device file, or write one: edgecnn devices add NAME --host BOARD",
        )


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
