"""Failures of looking into a network, and of putting networks together, after their builds are finished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode


class NetworkGone(EdgecnnError):
    """Raised when the store no longer has what a finished build was made of."""

    ref = "network-gone"
    exit_code = ExitCode.MISSING

    def __init__(self, *, folder: Path, missing: str, store: Path, command: str) -> None:
        super().__init__(
            what=f"the {missing} of {folder} cannot be had from the store {store}",
            because="it was removed or changed, or the build used another store",
            hint=f"make it again: {command}" if command else "the same build command makes it again",
        )


class NoMaps(EdgecnnError):
    """Raised when nothing in a network is a map of places: there is no channel whose strongest place could be shown."""

    ref = "no-maps"

    def __init__(self, *, network: str) -> None:
        super().__init__(
            what=f"{network} has no maps to look at",
            because="no tensor behind a multiplying layer has channels, rows and columns of more than one position",
            hint="convolutional networks have them, such as --arch resnet-18; nothing is wrong with a build without them",
        )


class OneMember(EdgecnnError):
    """Raised when an ensemble is asked for of fewer than two builds, or of one build twice."""

    ref = "one-member"

    def __init__(self, *, folders: Sequence[Path]) -> None:
        super().__init__(
            what=f"an ensemble is of several builds, not of {', '.join(map(str, folders))}",
            because="one network's answers averaged with themselves are its own",
            hint="name two or more builds: edgecnn ensemble builds/a builds/b",
        )


class MembersDiffer(EdgecnnError):
    """Raised when two builds of an ensemble do not answer the same question about the same pixels."""

    ref = "members-differ"

    def __init__(self, *, folders: tuple[Path, Path], what: str, values: tuple[str, str], hint: str) -> None:
        super().__init__(
            what=f"{folders[0]} and {folders[1]} differ in their {what}",
            because=f"{values[0]} against {values[1]}",
            hint=hint,
        )


class MemberQuantized(EdgecnnError):
    """Raised when a member's custom model came quantized, so that there is no float network of it to put beside others."""

    ref = "member-quantized"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder} cannot be part of an ensemble",
            because="its custom model came quantized, and an ensemble is quantized as a whole",
            hint="build its float network",
        )


class NothingIsRight(EdgecnnError):
    """Raised when an accuracy is asked of a build whose images have no labels, or that kept none for its report."""

    ref = "nothing-is-right"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"no accuracy of {folder} can be had",
            because="it has no labelled images of the role report",
            hint="build it with --data of a sub-folder a class",
        )
