"""Compare boards of a kind: one build is raced on every board that measured builds of its device, to find a slow board.

Each race is on another day, and a board's own time varies from day to day. The spread among the other boards is therefore
taken as the possible effect of the day on one board.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from edgecnn.bench.bundle import REPORTED
from edgecnn.bench.facts import BundleBench
from edgecnn.devices.leases.protocol import Board
from edgecnn.judging.gates import DEFAULT_LATENCY_RATIO
from edgecnn.judging.intervals import DAYS_NEEDED, LATENCY_CONFIDENCE, day_ratio_interval
from edgecnn.judging.stopping import look_confidence
from edgecnn.results.folder import report_or_none
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import DOCUMENT_BYTES_MAX
from edgecnn.sweeps.boards import words_of
from edgecnn.sweeps.file import Cell, file_name
from edgecnn.sweeps.state import CellOutcome, build_folder
from edgecnn.values.base import Value
from edgecnn.values.report import CandidateFacts, Latency
from edgecnn.values.verdict import Interval

BOARDS_NEEDED: Final = DAYS_NEEDED + 1
"""Number of boards of a kind for which the spread of the others is known."""
BOARDS: Final = "boards"
"""Folder of a sweep's results with the comparison races, by board."""


class KinBoard(Value):
    """One board of a kind, and its time for the common kit."""

    board: str
    p50_ms: Interval | None
    disturbed: str | None
    """Cause that slowed its race, so that the board may be faster."""
    observed_at: str = ""
    """Start of its race."""
    slower: Interval | None = None
    """Ratio of its p50 to that of the other boards, if it is shown to be slower. All compared boards share one error rate."""

    @property
    def uncompared(self) -> str | None:
        """Why the board is not compared, or None."""
        return self.disturbed or ("it has no median" if self.p50_ms is None else None)


class KinRace(Value):
    """One build on every board that measured builds of its device."""

    device: str
    build: str
    candidate: str
    """The shipped candidate, which ran on each board."""
    boards: tuple[KinBoard, ...]

    @property
    def compared(self) -> tuple[KinBoard, ...]:
        """Boards that are compared with each other."""
        return tuple(board for board in self.boards if board.uncompared is None)


def kin_of(cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome], out: Path) -> tuple[KinRace, ...]:
    """Return the comparison for each device whose builds several boards measured. Boards without a race are absent."""
    return tuple(race for cell in _common_builds(cells, outcomes) if len((race := _race(cell, cells, outcomes, out)).boards) > 1)


def unraced(cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome], out: Path) -> Iterator[tuple[Cell, str]]:
    """Yield the common build of each device, with each board that has not raced its kit yet."""
    for cell in _common_builds(cells, outcomes):
        raced = {board.board for board in _race(cell, cells, outcomes, out).boards}
        yield from ((cell, board) for board in _boards_of_device(cell.device, cells, outcomes) if board not in raced)


def bench_words(cell: Cell, board: Board, out: Path) -> tuple[str, ...]:
    """The command that races a build's kits on a board, without changing the build."""
    folder = str(_folder(out, board.name, cell))
    return ("bench", str(build_folder(out, cell.name)), "--fresh", *words_of(board), "--out", folder)


def _folder(out: Path, board: str, cell: Cell) -> Path:
    return out / BOARDS / file_name(board) / cell.name


def _boards_of_device(device: str, cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome]) -> tuple[str, ...]:
    """Boards that measured builds of a device, in the order of the builds."""
    ended = (outcomes.get(cell.name) for cell in cells if cell.device == device)
    return tuple(dict.fromkeys(outcome.board for outcome in ended if outcome is not None and outcome.board is not None))


def _common_builds(cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome]) -> Iterator[Cell]:
    """The first build with a board, for each device whose builds several boards measured."""
    for device in dict.fromkeys(cell.device for cell in cells):
        if len(used := _boards_of_device(device, cells, outcomes)) > 1:
            yield next(cell for cell in cells if cell.device == device and _board(cell, outcomes) == used[0])


def _board(cell: Cell, outcomes: Mapping[str, CellOutcome]) -> str | None:
    outcome = outcomes.get(cell.name)
    return None if outcome is None else outcome.board


def _race(cell: Cell, cells: Sequence[Cell], outcomes: Mapping[str, CellOutcome], out: Path) -> KinRace:
    report = report_or_none(build_folder(out, cell.name))
    ships = None if report is None else report.shipped
    if ships is None:
        return KinRace(device=cell.device, build=cell.name, candidate="", boards=())
    first, boards = _board(cell, outcomes), list[KinBoard]()
    for board in _boards_of_device(cell.device, cells, outcomes):
        latency = ships.latency if board == first else _benched_latency(_folder(out, board, cell), ships)
        if latency is not None and not latency.selecting:
            figures = {name: getattr(latency, name) for name in ("p50_ms", "disturbed", "observed_at")}
            boards.append(KinBoard(board=board, **figures))
    return KinRace(device=cell.device, build=cell.name, candidate=ships.candidate.id, boards=compared(boards))


def _benched_latency(folder: Path, ships: CandidateFacts) -> Latency | None:
    """Latency of the shipped kit in a comparison race."""
    try:
        bench = BundleBench.model_validate_json(bounded_content(folder / REPORTED, DOCUMENT_BYTES_MAX))
    except (OSError, ValidationError):
        return None
    return next((row.latency for row in bench.candidates if row.kit == ships.kit), None)


def compared(boards: Sequence[KinBoard]) -> tuple[KinBoard, ...]:
    """Add to each board that is shown to be slower than the others by how much.

    A board's race is one more board-day, compared with those of the others by Student's t (``day_ratio_interval``). The
    confidence is such that all comparisons together name a wrong board once in a hundred sweeps, if the times of board-days
    are log-normal with one spread. A board is named if even the lower bound is above ``DEFAULT_LATENCY_RATIO``.
    """
    usable = [board for board in boards if board.uncompared is None]
    confidence = look_confidence(max(len(usable), 1), LATENCY_CONFIDENCE)

    def slower(board: KinBoard) -> Interval | None:
        if board.p50_ms is None or board.uncompared is not None:
            return None
        others = [other.p50_ms.estimate for other in usable if other is not board and other.p50_ms]
        ratio = day_ratio_interval(board.p50_ms.estimate, others, confidence)
        return ratio if ratio is not None and ratio.low > DEFAULT_LATENCY_RATIO else None

    return tuple(board.model_copy(update={"slower": slower(board)}) for board in boards)
