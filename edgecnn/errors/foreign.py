"""Failures of bringing a foreign machine's files here: Debian packages, wheels, and the emulator that runs them."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ExitCode


class ForeignCommandMissing(EdgecnnError):
    """Raised when a program that unpacks or runs a foreign machine's files is not installed."""

    ref = "foreign-command-missing"
    exit_code = ExitCode.MISSING

    def __init__(self, *, command: str, needed_for: str, package: str) -> None:
        super().__init__(
            what=f"{needed_for} needs {command}, which is not installed", hint=f"on Debian: apt-get install {package}"
        )


class DebianTreeFailed(EdgecnnError):
    """Raised when Debian's packages for another machine could not be fetched or unpacked; nothing half-done is kept."""

    ref = "debian-tree-failed"
    exit_code = ExitCode.MISSING

    def __init__(self, *, suite: str, architecture: str, packages: Sequence[str], said: str) -> None:
        super().__init__(
            what=f"Debian {suite}'s packages for {architecture} ({', '.join(packages)}) could not be fetched",
            because=said,
            hint="look at the network, then run it again",
        )


class WheelsNotFound(EdgecnnError):
    """Raised when no wheel of a package exists for a board's Python, processor and C library."""

    ref = "wheels-not-found"
    exit_code = ExitCode.MISSING

    def __init__(self, *, packages: Sequence[str], board: str, said: str) -> None:
        super().__init__(what=f"no wheels of {', '.join(packages)} for {board} could be downloaded", because=said)


class NothingToEmulateOn(EdgecnnError):
    """Raised where no emulator is to be had for this machine."""

    ref = "nothing-to-emulate-on"
    exit_code = ExitCode.MISSING

    def __init__(self, *, machine: str, has: Sequence[str]) -> None:
        super().__init__(
            what=f"an Arm machine is emulated on {', '.join(has)}, and this is {machine}",
            hint="on a 64-bit Arm machine nothing needs emulating: --target cpu" if machine == "aarch64" else None,
        )
