"""Failures of leased boards: the file that lists them, the coordinator that leases them, and leases that end too early."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode


class LabgridAbsent(EdgecnnError):
    """The client of the coordinator that leases boards is not installed."""


class CoordinatorUnreachable(EdgecnnError):
    """A labgrid coordinator does not answer, or was lost during a wait or a measurement."""


class BoardTaken(EdgecnnError):
    """A board's lease ended during a measurement; later figures are not valid."""


BOARDS_INVALID = ErrorRow(
    "boards-invalid",
    "boards {path} has {problems:counted problem}",
    "{problems:joined}",
    "docs/howto/sweep-at-scale.md shows an example, and docs/schemas/boards.json lists every key",
)
NO_SUCH_BOARDS = ErrorRow(
    "no-such-boards",
    "{where} has no board for {kind}",
    "its boards for this device are {others:listed}",
    "remove the tag from [tags], or add it to a board",
)
LABGRID_ABSENT = ErrorRow(
    "labgrid-absent",
    "{where} needs the package labgrid, which is not installed here",
    fix='pip install "edgecnn[labgrid]"',
    exit_code=ExitCode.MISSING,
    kind=LabgridAbsent,
)
COORDINATOR_UNREACHABLE = ErrorRow(
    "coordinator-unreachable",
    "the coordinator {where} does not answer",
    "{because}",
    "check with labgrid-client -x {address:word} places that it runs, then rerun the command to continue",
    exit_code=ExitCode.MISSING,
    kind=CoordinatorUnreachable,
)
COORDINATOR_REFUSED = ErrorRow(
    "coordinator-refused",
    "{where} refused the request",
    "{because}",
    "check the tags in the sweep file and the log of the coordinator",
)
BOARD_WITHOUT_ADDRESS = ErrorRow(
    "board-without-address",
    "the board {board} has no NetworkService",
    "no exporter offers a NetworkService for this board",
    "start the board's exporter",
    exit_code=ExitCode.MISSING,
)
BOARD_TAKEN = ErrorRow(
    "board-taken",
    "the lease of {board} ended during the measurement",
    "{because}",
    "check the places of the coordinator with labgrid-client places",
    exit_code=ExitCode.MISSING,
    kind=BoardTaken,
)
NO_BOARD_LEFT = ErrorRow(
    "no-board-left",
    "no board is left for {kind}",
    "{reasons:joined}",
    "repair one of them, then rerun the command to continue",
    exit_code=ExitCode.MISSING,
)
BOARDS_LOST_TO_BUILD = ErrorRow(
    "boards-lost-to-build",
    "{build} lost {reasons:counted board} in a row and was stopped",
    "{reasons:joined}",
    "run the command in the build's log on one of these boards; the next sweep run retries the build",
    exit_code=ExitCode.MISSING,
)


def coordinator_unreachable(where: str, because: str) -> EdgecnnError:
    return COORDINATOR_UNREACHABLE(where=where, because=because, address=where.removeprefix("labgrid://"))


def no_board_left(kind: str, reasons: Mapping[str, str]) -> EdgecnnError:
    return NO_BOARD_LEFT(kind=kind, reasons=[f"{board} failed ({reason})" for board, reason in reasons.items()])


def boards_lost_to_build(build: str, reasons: Mapping[str, str]) -> EdgecnnError:
    return BOARDS_LOST_TO_BUILD(build=build, reasons=[f"{board} failed ({reason})" for board, reason in reasons.items()])
