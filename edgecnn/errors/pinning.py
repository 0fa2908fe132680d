"""Failures of pinning a build in a repository, and of finding the pinned one again."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ExitCode

PIN = "edgecnn baseline pin BUILD --out FILE writes one"


class PinUnreadable(EdgecnnError):
    """Raised when a file is no record of a pinned build, is truncated, or was edited since it was written."""

    ref = "pin-unreadable"

    def __init__(self, *, where: str, because: str, hint: str = PIN) -> None:
        super().__init__(what=f"{where} cannot be read as the record of a pinned build", because=because, hint=hint)


class PinnedKitMissing(EdgecnnError):
    """Raised when the store does not hold the kit that a record pins, unharmed."""

    ref = "pinned-kit-missing"
    exit_code = ExitCode.MISSING

    def __init__(self, *, where: str, kit: str, because: str, command: str, tools: Sequence[str]) -> None:
        others = f"; it was built with {', '.join(tools)}" if tools else ""
        super().__init__(what=f"the kit {kit[:12]}… that {where} pins is not here", because=f"{because}{others}", hint=command)


class RevisionMisspelt(EdgecnnError):
    """Raised when ``git:`` is not followed by a revision and a path."""

    ref = "revision-misspelt"

    def __init__(self, *, text: str, because: str) -> None:
        super().__init__(
            what=f"--against {text} names no record at a revision",
            because=because,
            hint="write git:REVISION:PATH, such as git:origin/main:gates/base.json; a folder of that name is ./git:…",
        )


class GitFailed(EdgecnnError):
    """Raised when git cannot give a file as it stood at a revision."""

    ref = "git-failed"

    def __init__(self, *, text: str, because: str, hint: str | None) -> None:
        super().__init__(what=f"{text} cannot be read", because=because, hint=hint)
