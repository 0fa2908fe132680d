"""Failures of looking at a machine before anything is done with it."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ExitCode


class RecordingUnusable(EdgecnnError):
    """Raised when a machine's Python did not answer what was asked of it."""

    ref = "recording-unusable"
    exit_code = ExitCode.MISSING

    def __init__(self, *, board: str, said: str) -> None:
        super().__init__(
            what=f"{board} could not be asked what it is",
            because=said,
            hint="it takes Python 3.6 or newer there, by the name python3 or the one that --python gives",
        )


class BoardNotReady(EdgecnnError):
    """Raised after the findings were shown, when kits cannot run on a machine as it is."""

    ref = "board-not-ready"
    exit_code = ExitCode.MISSING

    def __init__(self, *, board: str, whats: Sequence[str], hints: Sequence[str]) -> None:
        super().__init__(
            what=f"kits cannot run on {board} as it is",
            because="; ".join(whats),
            hint="; ".join(dict.fromkeys(hints)) or None,
        )


class DeviceFileDisagrees(EdgecnnError):
    """Raised after both were shown, when a machine is not what a device file says of it."""

    ref = "device-file-disagrees"

    def __init__(self, *, device: str, board: str, differences: Sequence[str]) -> None:
        super().__init__(
            what=f"{board} is not the {device} of its device file",
            because="; ".join(differences),
            hint="correct the file, or write another: `edgecnn devices add NAME`",
        )


class DeviceFileThere(EdgecnnError):
    """Raised when a device of that name exists already; nothing is overwritten. ``file`` is the user's; None: it is shipped."""

    ref = "device-file-there"

    def __init__(self, *, name: str, title: str, file: object | None) -> None:
        super().__init__(
            what=f"there is a device {name!r} already",
            because=title if file is None else str(file),
            hint="give it another name" if file is None else "give it another name, or write over it with --force",
        )


class DeviceNameBad(EdgecnnError):
    """Raised when a name cannot be a device's."""

    ref = "device-name-bad"

    def __init__(self, *, name: str, suggestion: str) -> None:
        super().__init__(
            what=f"{name!r} is no name of a device",
            because="a name is lower-case letters, digits and single dashes between them",
            hint=f"such as {suggestion}",
        )


class WheelsNotUnpacked(EdgecnnError):
    """Raised when packages that were sent to a board could not be stored or unpacked there."""

    ref = "wheels-not-unpacked"
    exit_code = ExitCode.MISSING

    def __init__(self, *, board: str, said: str) -> None:
        super().__init__(what=f"{board} could not take the packages that were sent to it", because=said)


class CarryWithoutHost(EdgecnnError):
    """Raised when packages are to be carried to the machine that they would be fetched on."""

    ref = "carry-without-host"

    def __init__(self) -> None:
        super().__init__(
            what="--carry-wheels brings packages to another machine, and none is named",
            hint="add --host, or install what the findings name",
        )
