"""Failures of boards by lease: the file that lists them, the coordinator that hands them out, and leases that end too early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted, shell_word


class BoardsInvalid(EdgecnnError):
    """Raised when a file of boards is TOML but lists none that can be used; names every problem at once."""

    def __init__(self, *, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            what=f"boards {path} has {counted(len(problems), 'problem')}",
            because="; ".join(problems),
            hint="docs/howto/sweep-at-scale.md shows one, docs/schemas/boards.json has every key",
        )


class NoSuchBoards(EdgecnnError):
    """Raised before anything is made, where no board of a kind has the tags that a sweep asks for."""

    def __init__(self, *, where: str, kind: str, others: Sequence[str]) -> None:
        """``others``: boards of the device with the tags that they have."""
        super().__init__(
            what=f"{where} has no board for {kind}",
            because=f"of the device it has {', '.join(others)}" if others else "it has none of the device",
            hint="take the tag out of [tags], or give it to a board",
        )


class LabgridAbsent(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised where boards are to come from a coordinator and its client is not installed."""

    def __init__(self, *, where: str) -> None:
        super().__init__(
            what=f"{where} needs the package labgrid, which is not installed here", hint='pip install "edgecnn[labgrid]"'
        )


class CoordinatorUnreachable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a labgrid coordinator does not answer, or went away while a board was waited for or used."""

    def __init__(self, *, where: str, said: str) -> None:
        address = where.removeprefix("labgrid://")
        super().__init__(
            what=f"{where}: no coordinator answers",
            because=said,
            hint=f"labgrid-client -x {shell_word(address)} places shows whether it runs; then the same command goes on",
        )


class CoordinatorRefused(EdgecnnError):
    """Raised when a labgrid coordinator answers that it does not do what was asked; the reason is its own."""

    def __init__(self, *, where: str, said: str) -> None:
        super().__init__(what=f"{where} refused", because=said)


class BoardWithoutAddress(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised where a place was reserved that no exporter gives an address to."""

    def __init__(self, *, board: str) -> None:
        super().__init__(
            what=f"{board}: it has no NetworkService", because="no exporter has one for this place", hint="start its exporter"
        )


class BoardTaken(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a board stops being ours in the middle: what is measured from then on is not to be believed."""

    def __init__(self, *, board: str, because: str) -> None:
        super().__init__(what=f"{board} was taken from under its lease", because=because)
        self.board = board


class NoBoardLeft(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when every board of a kind was set aside in this call; says why of each."""

    def __init__(self, *, kind: str, reasons: Mapping[str, str]) -> None:
        super().__init__(
            what=f"no board is left for {kind}",
            because="; ".join(f"{board}: {reason}" for board, reason in reasons.items()),
            hint="mend one of them, and the same command goes on",
        )


class BoardsLostToBuild(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when boards were lost one after another while they measured a build, which may be what fails them."""

    def __init__(self, *, build: str, reasons: Mapping[str, str]) -> None:
        super().__init__(
            what=f"{build} lost {counted(len(reasons), 'board')} in a row and is given no other",
            because="; ".join(f"{board}: {reason}" for board, reason in reasons.items()),
            hint="its log has the command, to be run by hand on one of them; the same sweep tries it again",
        )
