"""Boards of sweeps: what a file may say of them, and what becomes of one that fails. Boards are SSH servers of this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgecnn.devices import leases
from edgecnn.devices.leases import Lease
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import data_path_unusable
from edgecnn.errors.hosts import (
    BOARD_TAKEN,
    BOARDS_INVALID,
    NO_BOARD_LEFT,
    NO_SUCH_BOARDS,
    board_busy,
    coordinator_unreachable,
    link_lost,
)
from edgecnn.errors.sweeps import SWEEP_INVALID
from edgecnn.hosts.ssh.link import COMMAND
from edgecnn.render.progress import Quiet
from edgecnn.render.screens.sweep import plan_lines
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Ended, Pool, boards_of, mark_leasable, open_pool
from edgecnn.sweeps.file import Cell, cells_of, read_sweep
from edgecnn.sweeps.plan import SweepPlan
from edgecnn.sweeps.state import fingerprints
from tests.hosts.sshd import loopback, needs_sshd
from tests.store.toys import Ear
from tests.sweeps.written import written

GRID = '[grid]\nmodel.arch = ["lenet-5"]\ntarget.device = ["cpu:onnxruntime", "raspberry-pi-5"]\n'
NOBODY = "ssh -F none -o ConnectTimeout=1 -p 1"
"""A client for which no board is there."""


def board(name: str, device: str = "cpu", host: str = "loopback", **others: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in others.items())
    return f'[[board]]\nname = "{name}"\ndevice = "{device}"\nhost = "{host}"\npython = "{sys.executable}"\n{lines}'


def opened(folder: Path, boards: str, text: str = GRID) -> tuple[Pool, tuple[Cell, ...]]:
    (folder / "boards.toml").write_text(boards, encoding="utf-8")
    sweep = read_sweep(written(folder, f'boards = "boards.toml"\n{text}'))
    cells = cells_of(sweep)
    found = boards_of(sweep, cells)
    assert found is not None
    return open_pool(sweep, found, cells), mark_leasable(sweep, found, cells)


def test_a_build_is_measured_on_a_board_where_one_of_its_device_is_listed(tmp_path: Path) -> None:
    pool, (here, pi) = opened(tmp_path, board("lab-1", "pi5", tags='["fan"]'), f'{GRID}[tags]\nraspberry-pi-5 = ["fan"]')
    assert (pool.has(here), pool.has(pi)) == (False, True)
    assert (here.leased, pi.leased) == (None, ("board", "fan"))


def test_where_boards_come_from_is_part_of_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    store, (here, pi) = Store.open(), opened(tmp_path, board("lab-1", "pi5"))[1]
    before = fingerprints(cells_of(read_sweep(written(tmp_path, GRID))), store, Quiet())
    after = fingerprints((here, pi), store, Quiet())
    assert after[here.name] == before[here.name] and after[pi.name] != before[pi.name]


def test_a_tag_without_a_board_is_an_error_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=NO_SUCH_BOARDS.made) as caught:
        opened(tmp_path, board("lab-1", "pi5") + board("lab-2"), f'{GRID}[tags]\nraspberry-pi-5 = ["fan"]')
    assert caught.value.ref == "no-such-boards"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{GRID}[tags]\nraspberry = ["fan"]', "tags.raspberry is not a device of this sweep; did you mean raspberry-pi-5? "),
        (f'{GRID}[tags]\ncpu = "fan"', "tags.cpu must be an array"),
        (f'{GRID}[hosts]\nraspberry-pi-5 = "pi@x"', "hosts.raspberry-pi-5 names a board, but "),
    ],
)
def test_what_a_sweep_cannot_say_of_boards_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=SWEEP_INVALID.made) as caught:
        opened(tmp_path, board("lab-1", "pi5"), text)
    assert said in caught.value.line()


def test_what_labgrid_does_not_take_is_named_without_asking_it(tmp_path: Path) -> None:
    sweep = read_sweep(written(tmp_path, f'boards = "labgrid://lab:x"\n{GRID}[tags]\ncpu = ["fan"]'))
    with pytest.raises(
        EdgecnnError,
        match=r"has 2 problems: boards 'labgrid://lab:x' is not a coordinator: .*; 'fan' has none",
        check=SWEEP_INVALID.made,
    ):
        boards_of(sweep, cells_of(sweep))
    sweep = read_sweep(written(tmp_path, f'{GRID}[tags]\ncpu = ["fan"]'))
    with pytest.raises(
        EdgecnnError, match=r"\[tags\] need boards: set boards to a file or a coordinator", check=SWEEP_INVALID.made
    ):
        boards_of(sweep, cells_of(sweep))


def test_a_plan_says_from_where_boards_would_come() -> None:
    plan = SweepPlan(
        sweep="s.toml", out="out", cells=(), make_seconds=(0.0, 0.0), unknown=0, measure_seconds=None,
        boards_from="labgrid://lab", boards={"raspberry-pi-5": ("lab-1", "lab-2"), "cpu": ()},
    )  # fmt: skip
    *_, pi, here = plan_lines(plan)
    assert pi.startswith("  raspberry-pi-5: labgrid://lab ") and pi.endswith(": lab-1, lab-2")
    assert here.startswith("  cpu: labgrid://lab ")


def test_a_file_of_boards_may_lie_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home/boards.toml").write_text(board("lab-1", "pi5"), encoding="utf-8")
    sweep = read_sweep(written(tmp_path, f'boards = "~/boards.toml"\n{GRID}'))
    found = boards_of(sweep, cells_of(sweep))
    assert found is not None and found.where == str(tmp_path / "home/boards.toml")


def test_a_damaged_file_of_boards_is_said_by_every_verb(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=BOARDS_INVALID.made):
        opened(tmp_path, board("lab-1", "pi55"))


def test_where_no_board_is_left_each_is_named_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, NOBODY)
    pool, (here, _) = opened(tmp_path, board("lab-1", host="a@127.0.0.1") + board("lab-2", host="b@127.0.0.1"))
    ear = Ear()
    ended = pool.measured(here, never, ear)
    assert ended.code == 3 and ended.error is not None
    assert NO_BOARD_LEFT.made(ended.error)
    assert ended.error.line().startswith("no board is left for cpu: lab-1 failed (a@127.0.0.1 cannot be reached: ")
    assert "; lab-2 failed (b@127.0.0.1 cannot be reached: " in ended.error.line()
    assert [note.partition(":")[0] for note in ear.notes] == ["lab-1 is excluded", "lab-2 is excluded"]


def never(lease: Lease) -> Ended:
    raise AssertionError(f"nothing runs on {lease.board.name}")


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pool, Cell]]:
    """Two boards on which kits can run."""
    monkeypatch.setattr(leases, "FOLDER", str(tmp_path / "far"))
    monkeypatch.setattr(leases, "LOCK", str(tmp_path / "lock"))
    with loopback(tmp_path / "server") as server:
        monkeypatch.setenv(COMMAND, server.client)
        found, (here, _) = opened(tmp_path, board("lab-1") + board("lab-2"))
        yield found, here


def failing(*errors: EdgecnnError | None) -> Callable[[Lease], Ended]:
    """A build's process that ends so on one board after another; None is a report."""
    left = list(errors)

    def build(lease: Lease) -> Ended:
        error = left.pop(0)
        return Ended(0 if error is None else 3, error, lease.board.name)

    return build


LOST = link_lost(board="loopback", doing="bench")
BUSY = board_busy(board="loopback", owner="bob", since_s=3.0, what="their race")


@pytest.mark.full  # needs an SSH server
@needs_sshd
def test_a_build_whose_link_was_lost_goes_to_the_next_board(pool: tuple[Pool, Cell]) -> None:
    boards, cell = pool
    assert boards.measured(cell, failing(LOST, None), Quiet()) == Ended(0, None, "lab-2")
    assert boards.set_aside == {"lab-1": LOST.sentence()}
    assert boards.measured(cell, failing(None), Quiet()).board == "lab-2", "for the rest of the call"


@pytest.mark.full  # needs an SSH server
@needs_sshd
def test_a_build_that_fails_by_itself_costs_no_board(pool: tuple[Pool, Cell]) -> None:
    boards, cell = pool
    error = data_path_unusable(path="photos", because="it does not exist")
    assert boards.measured(cell, failing(error), Quiet()) == Ended(3, error, "lab-1")
    assert boards.set_aside == {}


@pytest.mark.full  # needs an SSH server
@needs_sshd
def test_a_board_that_somebody_was_quicker_to_hold_is_waited_for_again(
    pool: tuple[Pool, Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    boards, cell = pool
    monkeypatch.setattr("edgecnn.sweeps.boards._AGAIN_S", 0.01)
    assert boards.measured(cell, failing(BUSY, None), Quiet()).board == "lab-1"
    assert boards.measured(cell, failing(BUSY, BUSY, BUSY, None), Quiet()).board == "lab-1", "waited for, and never set aside"
    assert boards.set_aside == {}


@pytest.mark.full  # needs an SSH server
@needs_sshd
def test_a_board_that_was_taken_away_is_set_aside_and_a_coordinator_that_went_away_fails_the_build(
    pool: tuple[Pool, Cell],
) -> None:
    boards, cell = pool
    lost = coordinator_unreachable(where="labgrid://lab", because="the connection ended")

    def build(lease: Lease) -> Ended:
        raise BOARD_TAKEN(board="lab-1", because="bob acquired it") if lease.board.name == "lab-1" else lost

    assert boards.measured(cell, build, Quiet()) == Ended(3, lost)
    assert boards.set_aside == {"lab-1": "the lease of lab-1 ended during the measurement: bob acquired it"}
