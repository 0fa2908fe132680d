"""Leases of a real labgrid coordinator. Its places have addresses at which nobody listens: nothing is measured here."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.devices import labgrid
from edgecnn.devices.labgrid import LabgridBoards, labgrid_problems
from edgecnn.devices.leases import Board, Kind, Wait
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    LABGRID_ABSENT,
    NO_BOARD_LEFT,
    BoardBusy,
    BoardTaken,
    CoordinatorUnreachable,
    board_busy,
)
from edgecnn.render.progress import Quiet
from tests.devices.leases.lab import Lab, lab, needs_labgrid
from tests.house.child import child
from tests.store.toys import Ear, wait_until

PI = Kind("raspberry-pi-5")
HOLDS = """
import sys, time
from edgecnn.devices.labgrid import LabgridBoards
from edgecnn.devices.leases import Kind, Wait
from edgecnn.render.progress import Quiet
with LabgridBoards(sys.argv[1]).reserve(Kind("raspberry-pi-5", tuple(sys.argv[2:])), (), Wait(Quiet())) as lease:
    print(lease.board.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path / "lab", {"lab-1": 2201, "lab-2": 2202}) as found:
        for number in ("1", "2"):
            found.place(f"lab-{number}", device="raspberry-pi-5", lab=number)
        yield found


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_a_place_is_found_by_device_and_tags_with_the_address_of_its_service(two: Lab) -> None:
    boards = LabgridBoards(two.where)
    assert [(each.name, each.host, each.tags) for each in boards.of(PI)] == [
        ("lab-1", "ssh://pi@127.0.0.1:2201", ("lab=1",)), ("lab-2", "ssh://pi@127.0.0.1:2202", ("lab=2",)),
    ]  # fmt: skip
    assert [each.name for each in boards.of(Kind("raspberry-pi-5", ("lab=2",)))] == ["lab-2"]
    assert boards.of(Kind("jetson-orin-nano")) == () and boards.of(Kind("raspberry-pi-5", ("lab=9",))) == ()


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_a_reserved_place_is_nobody_else_s_and_is_free_again_after_any_ending(two: Lab) -> None:
    boards = LabgridBoards(two.where)
    with pytest.raises(KeyboardInterrupt), boards.reserve(Kind("raspberry-pi-5", ("lab=1",)), (), Wait(Quiet())) as lease:
        assert lease.board.name == "lab-1" and lease.lost() is None
        assert "Place lab-1 was not reserved for desk/bob" in two.client("-p", "lab-1", "acquire")
        raise KeyboardInterrupt
    assert two.client("reservations") == ""
    assert "acquired place lab-1" in two.client("-p", "lab-1", "acquire")


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_who_waits_hears_how_many_are_before_and_who_has_the_boards(two: Lab) -> None:
    two.client("-p", "lab-1", "acquire")
    two.client("reserve", "device=raspberry-pi-5", "lab=1")
    ear, got = Ear(), threading.Event()

    def wait() -> None:
        with LabgridBoards(two.where).reserve(Kind("raspberry-pi-5", ("lab=1",)), (), Wait(ear)):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: bool(ear.notes), 20)
    assert ear.notes[0] == "waiting for a raspberry-pi-5 with lab=1: 1 earlier reservation; lab-1 is in use by desk/bob"
    token = two.client("reservations").split("'")[1]
    two.client("cancel-reservation", token)
    wait_until(lambda: ear.notes[-1].endswith("0 earlier reservations; lab-1 is in use by desk/bob"), 20)
    two.client("-p", "lab-1", "release")
    waiting.join(20)
    assert got.is_set()


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_boards_that_are_not_wanted_are_passed_by(two: Lab) -> None:
    with LabgridBoards(two.where).reserve(PI, {"lab-1"}, Wait(Quiet())) as lease:
        assert lease.board.name == "lab-2"
        assert two.client("reservations").count("Reservation '") == 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Boards whose own lock somebody has, who came by another way than the lab."""
    names = set[str]()

    def busy_error(board: Board) -> BoardBusy | None:
        return board_busy(board="pi", owner="alice", since_s=None, what="bench") if board.name in names else None

    monkeypatch.setattr(labgrid, "busy_error", busy_error)
    monkeypatch.setattr(labgrid, "LOOK_S", 0.2)
    return names


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
@pytest.mark.parametrize(("busy", "free"), [("lab-1", "lab-2"), ("lab-2", "lab-1")])
def test_a_board_on_which_an_outsider_measures_is_passed_by(busy: str, free: str, two: Lab, held: set[str]) -> None:
    held.add(busy)
    with LabgridBoards(two.where).reserve(PI, (), Wait(Quiet())) as lease:
        assert lease.board.name == free and lease.lost() is None
        assert two.client("reservations").count("Reservation '") == 1
    assert two.client("reservations") == ""


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
@pytest.mark.parametrize("free", ["lab-1", "lab-2"])
def test_of_boards_that_an_outsider_and_the_lab_have_the_one_that_is_free_first_is_had(
    free: str, two: Lab, held: set[str]
) -> None:
    held.add("lab-1")
    two.client("-p", "lab-2", "acquire")
    ear, got = Ear(), list[str]()

    def wait() -> None:
        with LabgridBoards(two.where).reserve(PI, (), Wait(ear)) as lease:
            got.append(lease.board.name)

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: bool(ear.notes), 20)
    assert ear.notes == [
        "waiting for a raspberry-pi-5: 0 earlier reservations; lab-2 is in use by desk/bob; lab-1: pi is in use by alice"
    ]
    if free == "lab-1":
        held.clear()
    else:
        two.client("-p", "lab-2", "release")
    waiting.join(20)
    assert got == [free]


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_a_place_that_is_deleted_when_it_is_given_out_was_taken(two: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecnn.devices.labgrid_coordinator import Coordinator

    known = Coordinator.allocated

    def allocated(self: Coordinator, tokens: list[str]) -> dict[str, str]:
        two.client("-p", "lab-1", "delete")
        return known(self, tokens)

    monkeypatch.setattr(Coordinator, "allocated", allocated)
    boards = LabgridBoards(two.where)
    with (
        pytest.raises(BoardTaken),
        boards.reserve(Kind("raspberry-pi-5", ("lab=1",)), (), Wait(Quiet())),
    ):
        pass


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_a_reservation_whose_place_is_deleted_while_it_is_kept_was_taken(two: Lab, held: set[str]) -> None:
    held.update(("lab-1", "lab-2"))
    ear, said = Ear(), list[str]()

    def wait() -> None:
        with pytest.raises(BoardTaken) as caught, LabgridBoards(two.where).reserve(PI, (), Wait(ear)):
            pass
        said.append(caught.value.line())

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: bool(ear.notes), 20)
    two.client("-p", "lab-1", "delete")
    waiting.join(40)
    assert said and "[board-taken]" in said[0]


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_where_the_last_place_that_is_wanted_was_deleted_no_other_is_handed_out(two: Lab) -> None:
    two.client("-p", "lab-2", "delete")
    with (
        pytest.raises(
            EdgecnnError,
            match=f"raspberry-pi-5: {two.where}: the last place that was wanted was deleted — ",
            check=NO_BOARD_LEFT.made,
        ),
        LabgridBoards(two.where).reserve(PI, {"lab-1"}, Wait(Quiet())),
    ):
        pass


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_who_waits_for_a_place_that_is_then_deleted_waits_no_more(two: Lab) -> None:
    two.client("reserve", "device=raspberry-pi-5", "lab=1")
    ear, said = Ear(), list[str]()

    def wait() -> None:
        with (
            pytest.raises(EdgecnnError, check=NO_BOARD_LEFT.made) as caught,
            LabgridBoards(two.where).reserve(PI, {"lab-2"}, Wait(ear)),
        ):
            pass
        said.append(caught.value.line())

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: bool(ear.notes), 20)
    two.client("-p", "lab-1", "delete")
    waiting.join(20)
    assert said and said[0].startswith(f"no board is left for raspberry-pi-5: {two.where}: ")


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_a_board_that_is_taken_away_is_said_with_who_has_it(two: Lab) -> None:
    with LabgridBoards(two.where).reserve(Kind("raspberry-pi-5", ("lab=1",)), (), Wait(Quiet())) as lease:
        two.client("cancel-reservation", lease.token)  # type: ignore[attr-defined]
        wait_until(lambda: lease.lost() is not None, 10)
        assert isinstance(lease.lost(), BoardTaken)
        two.client("-p", "lab-1", "acquire")
        wait_until(lambda: "desk/bob acquired it" in str(lease.lost()), 10)


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_a_coordinator_that_dies_is_said_at_once_and_one_that_is_not_there_before_anything(two: Lab) -> None:
    boards = LabgridBoards(two.where)
    with boards.reserve(PI, (), Wait(Quiet())) as lease:
        two.kill("coordinator")
        wait_until(lambda: lease.lost() is not None, 10)
        assert isinstance(lease.lost(), CoordinatorUnreachable)
    began = time.monotonic()
    with pytest.raises(CoordinatorUnreachable):
        boards.of(PI)
    assert time.monotonic() - began < 30


@pytest.mark.full  # needs the extra labgrid
@pytest.mark.slow  # the coordinator drops a reservation a minute after nobody asked about it any more
@needs_labgrid
def test_a_process_that_is_killed_gives_its_board_back(two: Lab) -> None:
    with child([sys.executable, "-c", HOLDS, two.where, "lab=1"]) as running:
        assert running.stdout is not None and running.stdout.readline() == "lab-1\n"
        time.sleep(75)
        assert "was not reserved for" in two.client("-p", "lab-1", "acquire"), "a lease is kept for as long as it is used"
        running.kill()
    wait_until(lambda: "acquired place lab-1" in two.client("-p", "lab-1", "acquire"), 100)


def test_without_labgrid_the_line_that_installs_it_is_said() -> None:
    program = (
        "import sys; sys.modules['labgrid'] = None\n"
        "from edgecnn.devices.labgrid import LabgridBoards; from edgecnn.devices.leases import Kind, Wait\n"
        "from edgecnn.errors.hosts import LabgridAbsent\n"
        "try: LabgridBoards('labgrid://lab').of(Kind('cpu'))\n"
        "except LabgridAbsent as error: print(error.line())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == LABGRID_ABSENT(where="labgrid://lab").line() + "\n"


@pytest.mark.parametrize("where", ["labgrid://", "labgrid://lab:port", "labgrid://-x:1", "labgrid://a b"])
def test_what_is_no_coordinator_is_said_before_it_is_asked(where: str) -> None:
    assert labgrid_problems(where, ["lab=1", "fast"]) == [
        f"boards {where!r} is not a coordinator: write labgrid://HOST or labgrid://HOST:PORT",
        "labgrid's tags have values, such as lab=2; 'fast' has none",
    ]
    assert labgrid_problems("labgrid://lab.example:20408", []) == []
