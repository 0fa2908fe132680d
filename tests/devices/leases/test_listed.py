import getpass
import sys
import threading
from pathlib import Path

import pytest

from edgecnn.devices import leases
from edgecnn.devices.leases import Board, Kind, ListedBoards, Wait
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARDS_INVALID
from edgecnn.errors.recipes import NOT_TOML
from edgecnn.hosts.ssh.host import SshHost
from edgecnn.hosts.ssh.link import COMMAND, Address
from edgecnn.render.progress import Quiet
from tests.hosts.sshd import loopback, needs_sshd
from tests.store.toys import Ear, wait_until

TWO = """
[[board]]
name = "lab-1"
device = "pi5"
host = "pi@10.0.0.1"
tags = ["fan"]

[[board]]
name = "lab-2"
device = "raspberry-pi-5"
host = "pi@10.0.0.2"
python = "/opt/edge/bin/python"
"""


def written(folder: Path, text: str = TWO) -> Path:
    path = folder / "boards.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_s_boards_are_found_by_device_however_it_is_spelt_and_by_tags(tmp_path: Path) -> None:
    boards = ListedBoards.read(written(tmp_path))
    one, two = boards.of(Kind("raspberry-pi-5"))
    assert one == Board(name="lab-1", device="raspberry-pi-5", host="pi@10.0.0.1", tags=("fan",))
    assert two.python == "/opt/edge/bin/python"
    assert boards.of(Kind("raspberry-pi-5", ("fan",))) == (one,) and boards.of(Kind("cpu")) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 1 problem: board is missing — "),
        ("board = []", "has 1 problem: it lists no board — "),
        (TWO.replace("host =", "address =", 1), "has 2 problems: board.0.host is missing; board.0.address is not a key"),
        (TWO.replace("lab-2", "lab-1"), "has 1 problem: 2 boards are called lab-1 — "),
        (TWO.replace("pi5", "pi55"), "has 1 problem: board.0: there is no device 'pi55' — "),
        (TWO.replace("pi@10.0.0.2", "-oProxyCommand=x"), "board.1: --host '-oProxyCommand=x' is not an SSH destination — "),
        (TWO.replace("pi@10.0.0.2", "emulated"), "board.1: --host 'emulated' is not an SSH destination — "),
        (TWO.replace('["fan"]', '"fan"'), "has 1 problem: board.0.tags must be an array"),
    ],
)
def test_what_a_file_of_boards_cannot_say_is_named_at_once(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=BOARDS_INVALID.made) as caught:
        ListedBoards.read(written(tmp_path, text))
    assert said in caught.value.line()


def test_what_is_no_toml_is_said_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match="boards.toml", check=NOT_TOML.made):
        ListedBoards.read(written(tmp_path, "[[board"))


@pytest.mark.full  # needs an SSH server
@needs_sshd
def test_a_board_that_somebody_measures_on_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, held = str(tmp_path / "far"), str(tmp_path / "lock")
    monkeypatch.setattr(leases, "FOLDER", folder)
    monkeypatch.setattr(leases, "LOCK", held)
    monkeypatch.setattr(leases, "LOOK_S", 0.2)
    text = f'[[board]]\nname = "lab-1"\ndevice = "cpu"\nhost = "loopback"\npython = "{sys.executable}"\n'
    boards, ear, got = ListedBoards.read(written(tmp_path, text)), Ear(), threading.Event()
    with loopback(tmp_path / "server") as server:
        monkeypatch.setenv(COMMAND, server.client)

        def wait() -> None:
            with boards.reserve(Kind("cpu"), (), Wait(ear)) as lease:
                assert lease.board.name == "lab-1" and lease.lost() is None
                got.set()

        waiting = threading.Thread(target=wait)
        with SshHost.open(Address.of("loopback"), what="their race", python=sys.executable, folder=folder, lock=held):
            waiting.start()
            wait_until(lambda: bool(ear.notes), 20)
            assert ear.notes[0].startswith(f"waiting for a cpu: lab-1: loopback is in use by {getpass.getuser()} for ")
            assert not got.is_set()
        waiting.join(20)
        assert got.is_set()


def test_a_board_that_does_not_answer_is_left_to_who_looks_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, "ssh -F none -p 1")
    boards = ListedBoards.read(written(tmp_path, TWO.replace("10.0.0.1", "127.0.0.1")))
    with boards.reserve(Kind("raspberry-pi-5"), {"lab-2"}, Wait(Quiet())) as lease:
        assert lease.board.name == "lab-1"


def test_two_builds_of_one_sweep_get_two_boards_and_a_third_waits_until_it_is_called_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "busy_error", lambda board: None)
    boards, kind, ear = ListedBoards.read(written(tmp_path, TWO)), Kind("raspberry-pi-5"), Ear()
    wait, ended = Wait(ear), threading.Event()

    def third() -> None:
        with pytest.raises(KeyboardInterrupt), boards.reserve(kind, (), wait):
            pass
        ended.set()

    with boards.reserve(kind, (), wait) as one, boards.reserve(kind, (), wait) as other:
        assert {one.board.name, other.board.name} == {"lab-1", "lab-2"}
        waiting = threading.Thread(target=third)
        waiting.start()
        wait_until(lambda: bool(ear.notes), 20)
        assert ear.notes[0] == (
            "waiting for a raspberry-pi-5: "
            "lab-1 is measuring another build of this sweep; lab-2 is measuring another build of this sweep"
        )
        wait.over.set()
        waiting.join(20)
    assert ended.is_set()
