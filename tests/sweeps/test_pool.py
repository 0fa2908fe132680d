"""What becomes of boards that fail builds, of builds that fail boards, and how long a build took. The lab is told here."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edgecnn.devices.leases import Board, Kind, Lease, Wait
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    BOARD_TAKEN,
    BUILDER_UNFIT,
    NO_BOARD_LEFT,
    OWN_ANSWER_UNUSABLE,
    CoordinatorUnreachable,
    RunnerFailed,
    board_disk_full,
    board_lacks_builder,
    board_not_ready,
    coordinator_unreachable,
    link_lost,
)
from edgecnn.render.progress import Quiet
from edgecnn.results.folder import REPORT, report_text
from edgecnn.store.store import Store
from edgecnn.sweeps import boards
from edgecnn.sweeps.boards import Ended, Pool, boards_line
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.run import Children, SweepRun, run_builds
from edgecnn.sweeps.state import SweepState, build_folder
from edgecnn.sweeps.sweep import open_sweep, run_sweep
from tests.render.reports import a_report
from tests.store.toys import Ear
from tests.sweeps.written import cells, written

TWO = """[grid]
model.arch = ["lenet-5"]
target.device = ["raspberry-pi-5:litert", "raspberry-pi-5:onnxruntime"]
"""
PI = Kind("raspberry-pi-5")
BUILDER = RunnerFailed(ref="builder-missing", what="it has no TensorRT", because=None, hint=None)


@dataclass
class ToldLease:
    board: Board

    def lost(self) -> EdgecnnError | None:
        return None


@dataclass
class ToldLab:
    """Boards that nobody else has. ``gone``: those that are deleted when they are reserved."""

    names: list[str]
    gone: list[str] = field(default_factory=list)
    wait_s: float = 0.0
    where: str = "labgrid://lab"
    away: CoordinatorUnreachable | None = None

    def of(self, kind: Kind) -> tuple[Board, ...]:
        if self.away is not None:
            raise self.away
        return tuple(Board(name=name, device=kind.device, host=f"pi@{name}") for name in self.names)

    @contextmanager
    def reserve(self, kind: Kind, without: Collection[str], wait: Wait) -> Iterator[Lease]:
        time.sleep(self.wait_s)
        board = next(each for each in self.of(kind) if each.name not in without)
        if board.name in self.gone:
            self.names.remove(board.name)
            raise BOARD_TAKEN(board=board.name, because="the place was deleted")
        yield ToldLease(board)


def pool_of(*names: str, gone: tuple[str, ...] = (), wait_s: float = 0.0) -> Pool:
    lab = ToldLab(list(names), list(gone), wait_s)
    return Pool(lab, {PI: lab.of(PI)})


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Cell, Cell]:
    """A build for LiteRT and one for ONNX Runtime, of boards that are ready for both."""
    monkeypatch.setattr(boards, "check_board", lambda board, cell: None)
    litert, onnxruntime = cells(tmp_path, TWO)
    return litert, onnxruntime


def failing(*errors: EdgecnnError | None) -> Callable[[Lease], Ended]:
    """A build's process that ends so on one board after another; None is a report."""
    left = list(errors)

    def build(lease: Lease) -> Ended:
        error = left.pop(0)
        return Ended(0 if error is None else 3, error, lease.board.name)

    return build


def test_a_board_without_one_runtime_measures_builds_of_the_other(
    two: tuple[Cell, Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_board(board: Board, cell: Cell) -> None:
        if cell.runtime == "litert":
            raise board_not_ready(board=str(board.host), whats=["ai-edge-litert is not installed"], hints=[])

    monkeypatch.setattr(boards, "check_board", check_board)
    litert, onnxruntime = two
    pool = pool_of("lab-1")
    ended = pool.measured(litert, failing(), Quiet())
    assert ended.error is not None and ended.error.line().startswith(
        "no board is left for raspberry-pi-5: lab-1 failed (kits cannot run on pi@lab-1 yet: ai-edge-litert is not installed)"
    )
    assert pool.measured(onnxruntime, failing(None), Quiet()) == Ended(0, None, "lab-1")
    assert pool.set_aside == {
        "lab-1 for raspberry-pi-5:litert": "kits cannot run on pi@lab-1 yet: ai-edge-litert is not installed"
    }


@pytest.mark.parametrize(
    "error",
    [
        board_lacks_builder(board="pi", error=BUILDER),
        BUILDER_UNFIT(board="pi", package="tensorrt", version="8.5", wanted=">=10"),
        board_disk_full(board="pi", folder="/far", needed_bytes=None, free_bytes=0),
    ],
    ids=lambda error: error.ref,
)
def test_what_one_target_s_kits_lack_keeps_no_other_build_from_a_board(error: EdgecnnError, two: tuple[Cell, Cell]) -> None:
    litert, onnxruntime = two
    pool = pool_of("lab-1", "lab-2", "lab-3")
    assert pool.measured(litert, failing(error, error, None), Quiet()).board == "lab-3", "nothing was lost to it"
    assert pool.measured(litert, failing(None), Quiet()).board == "lab-3"
    assert pool.measured(onnxruntime, failing(None), Quiet()).board == "lab-1"


def test_a_build_that_loses_two_boards_is_given_no_third(two: tuple[Cell, Cell]) -> None:
    litert, onnxruntime = two
    pool = pool_of("lab-1", "lab-2", "lab-3")
    lost = [link_lost(board=f"pi@lab-{number}", doing="race") for number in (1, 2)]
    ended = pool.measured(litert, failing(*lost), Quiet())
    assert (ended.code, ended.board) == (3, None)
    assert ended.error is not None and ended.error.ref == "boards-lost-to-build"
    assert list(pool.set_aside) == ["lab-1", "lab-2"]
    assert pool.measured(onnxruntime, failing(None), Quiet()).board == "lab-3"


def test_an_answer_of_this_machine_that_cannot_be_used_costs_no_board(two: tuple[Cell, Cell]) -> None:
    pool, error = pool_of("lab-1"), OWN_ANSWER_UNUSABLE(doing="selftest", because="no JSON")
    assert pool.measured(two[0], failing(error), Quiet()) == Ended(3, error, "lab-1")
    assert pool.set_aside == {}


def test_a_board_that_is_deleted_before_it_is_had_is_passed_by(two: tuple[Cell, Cell]) -> None:
    pool = pool_of("lab-1", "lab-2", gone=("lab-1",))
    assert pool.measured(two[0], failing(None), Quiet()).board == "lab-2"
    assert pool.set_aside == {"lab-1": BOARD_TAKEN(board="lab-1", because="the place was deleted").sentence()}


def test_of_a_board_that_the_lab_has_no_longer_that_is_the_reason(two: tuple[Cell, Cell]) -> None:
    pool, wait = pool_of("lab-1"), Wait(Quiet())
    with (
        pytest.raises(
            EdgecnnError,
            match=r"^no board is left for raspberry-pi-5: lab-9 failed \(labgrid://lab ",
            check=NO_BOARD_LEFT.made,
        ),
        pool.leased(two[0], wait, "lab-9"),
    ):
        pass
    pool.boards.names.clear()  # type: ignore[attr-defined]
    with (
        pytest.raises(EdgecnnError, match=r"raspberry-pi-5: lab-1 failed \(labgrid://lab ", check=NO_BOARD_LEFT.made),
        pool.leased(two[0], wait),
    ):
        pass


def test_a_build_for_which_the_lab_had_no_board_is_open_again_once_it_has_one(
    two: tuple[Cell, Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(
        children: Children, words: Sequence[str], cell: Cell, threads: int | None = None, lease: Lease | None = None
    ) -> Ended:
        if words[0] == "build":
            build_folder(children.out, cell.name).mkdir(parents=True, exist_ok=True)
            (build_folder(children.out, cell.name) / REPORT).write_text(report_text(a_report()), encoding="utf-8")
        return Ended(0)

    def run() -> tuple[list[str | None], list[str]]:
        ear, given = Ear(), replace(open_sweep(file, tmp_path / "out", Store.open(tmp_path / "store"), Quiet()), boards=lab)
        ended = run_sweep(given, 1, ear).state.outcomes.values()
        return [each.board for each in ended], [note for note in ear.notes if "began" not in note]

    monkeypatch.setattr(Children, "start", start)
    lab, file = ToldLab([]), written(tmp_path, f'boards = "labgrid://lab"\n{TWO}')
    without = boards_line("raspberry-pi-5", "labgrid://lab", ())
    assert [run()[0], run()[0]] == [[None, None]] * 2
    assert run()[1] == [without], "nothing is built again as long as there is none"
    lab.away = coordinator_unreachable(where=lab.where, because="the connection ended")
    assert run() == ([None, None], [lab.away.line()]), "nothing else is open"
    lab.away, lab.names = None, ["lab-1"]
    assert run()[0] == ["lab-1", "lab-1"]
    assert run() == (["lab-1", "lab-1"], [])


def test_seconds_of_a_build_are_not_those_that_it_waited_for_a_board(
    two: tuple[Cell, Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(children: Children, words: object, cell: Cell, threads: int | None = None, lease: Lease | None = None) -> Ended:
        (children.out / "logs" / f"{cell.name}.log").write_text("there is no folder photos [no-data]\n")
        time.sleep(0.3)
        return Ended(3)

    monkeypatch.setattr(Children, "start", start)
    cell, store = two[0], Store.open(tmp_path / "store")
    run = SweepRun(tmp_path / "out", [cell], {cell.name: "asked"}, store, total=1, pool=pool_of("lab-1", wait_s=2), cells=[cell])
    outcome = run_builds(run, SweepState(sweep="sweep.toml"), Quiet()).outcomes[cell.name]
    assert 0.6 <= outcome.seconds < 2, "its kits are made, and it is measured"
