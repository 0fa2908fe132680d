"""The link to a board, over a real OpenSSH server on this machine."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts import (
    BOARD_FAILED,
    BOARD_KEY_CHANGED,
    BOARD_LACKS_PYTHON,
    BOARD_UNKNOWN,
    LINK_LOST,
    LOGIN_REFUSED,
    BoardBusy,
)
from edgecnn.hosts.ssh.board import Board
from edgecnn.hosts.ssh.link import COMMAND, Address, Link
from tests.hosts.sshd import Loopback, needs_sshd
from tests.runner.processes import wait_until

pytestmark = [pytest.mark.full, needs_sshd]
LOOPBACK = "loopback"


def board_of(link: Link, folder: Path) -> Board:
    return Board(link, python=sys.executable, folder=str(folder / "far"))


def test_a_command_answers_over_one_shared_connection(board: Loopback) -> None:
    with Link.open(Address.of(LOOPBACK)) as link:
        first = link.ask("printf '%s ' one two; cat; exit 3", stdin=b"three")
        assert (first.text, first.status) == ("one two three", 3)
        assert link.ask("cat", stdin=b"\x00\xff").stdout == b"\x00\xff"
        assert len(board.sessions()) == 1
    assert wait_until(lambda: not board.sessions(), 5), "the connection ended with the link"


def test_the_connection_ends_with_the_process_that_opened_it(board: Loopback, tmp_path: Path) -> None:
    code = (
        "from edgecnn.hosts.ssh.link import Link; from edgecnn.hosts.ssh.link import Address; import os, signal\n"
        f"Link.open(Address.of({LOOPBACK!r})); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, COMMAND: board.client, "TMPDIR": str(tmp_path)}, check=False)
    assert wait_until(lambda: not board.sessions(), 5)


def test_an_unknown_key_is_refused_whatever_the_users_configuration_says(board: Loopback, tmp_path: Path) -> None:
    config = tmp_path / "client"
    careless = (board.folder / "client").read_text().replace(str(board.folder / "known"), str(tmp_path / "nothing"))
    config.write_text(f"{careless}  StrictHostKeyChecking no\n")
    with pytest.raises(EdgecnnError, check=BOARD_UNKNOWN.made) as caught:
        Link.open(Address(LOOPBACK, ("ssh", "-F", str(config))))
    assert caught.value.ref == "board-unknown"
    assert not (tmp_path / "nothing").exists(), "and no key was written down"


def test_another_key_than_before_is_refused(board: Loopback, tmp_path: Path) -> None:
    key = (board.folder / "user.pub").read_text().split()[:2]
    (tmp_path / "known").write_text(f"[127.0.0.1]:{board.port} {' '.join(key)}\n")
    config = tmp_path / "client"
    config.write_text((board.folder / "client").read_text().replace(str(board.folder / "known"), str(tmp_path / "known")))
    with pytest.raises(EdgecnnError, check=BOARD_KEY_CHANGED.made) as caught:
        Link.open(Address(LOOPBACK, ("ssh", "-F", str(config))))
    assert caught.value.ref == "board-key-changed"


def test_a_key_that_is_not_accepted_is_one_line(board: Loopback, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    config = tmp_path / "client"
    config.write_text((board.folder / "client").read_text().replace(str(board.folder / "user"), str(tmp_path / "other")))
    with pytest.raises(EdgecnnError, check=LOGIN_REFUSED.made) as caught:
        Link.open(Address(LOOPBACK, ("ssh", "-F", str(config))))
    assert caught.value.line().endswith("— run ssh-copy-id loopback, so that ssh needs no password [login-refused]")
    assert caught.value.exit_code is ExitCode.MISSING


def test_a_connection_that_is_cut_is_said_to_be_lost(board: Loopback, tmp_path: Path) -> None:
    with Link.open(Address.of(LOOPBACK)) as link:
        there = board_of(link, tmp_path)
        there.hello()
        assert board.cut() == 1
        assert wait_until(lambda: not link.alive, 5)
        with pytest.raises(EdgecnnError, check=LINK_LOST.made) as caught:
            there.ask("have", sha256=[])
        assert caught.value.ref == "link-lost"


def test_contents_are_kept_by_what_they_are_and_nothing_is_sent_twice(board: Loopback, tmp_path: Path) -> None:
    content = b"weights" * 1000
    name = sha256(content).hexdigest()
    with Link.open(Address.of(LOOPBACK)) as link:
        there = board_of(link, tmp_path)
        folder = Path(there.hello()["folder"])
        assert there.ask("have", sha256=[name])["missing"] == [name]
        assert there.ask("put", stdin=_tar({name: content}))["put"] == 1
        assert there.ask("have", sha256=[name])["missing"] == []
        with pytest.raises(EdgecnnError, match="000000000000 was changed on the way", check=BOARD_FAILED.made):
            there.ask("put", stdin=_tar({"0" * 64: content}))
        kit = Path(there.ask("lay", folder="kits/k", files={"a/model.onnx": name}, fresh=True)["path"])
        assert (kit / "a/model.onnx").read_bytes() == content
    assert (folder.stat().st_mode & 0o777) == 0o700


def test_a_second_user_is_told_who_measures_and_for_how_long(board: Loopback, tmp_path: Path) -> None:
    lock = str(tmp_path / "lock")
    with Link.open(Address.of(LOOPBACK)) as link:
        there = board_of(link, tmp_path)
        there.hello()
        holder = there.start("hold", lock=lock, what="edgecnn bench bundle")
        assert holder.stdout is not None
        assert json.loads(holder.stdout.readline())["held"]
        with pytest.raises(BoardBusy):
            there.ask("hold", lock=lock, what="another")
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait(10)
        free = there.start("hold", lock=lock, what="another")
        assert free.stdout is not None
        assert json.loads(free.stdout.readline())["held"]
        free.communicate()


def test_a_python_that_is_not_there_is_one_line(board: Loopback, tmp_path: Path) -> None:
    with Link.open(Address.of(LOOPBACK)) as link, pytest.raises(EdgecnnError, check=BOARD_LACKS_PYTHON.made) as caught:
        Board(link, python="/nowhere/python3", folder=str(tmp_path / "far")).hello()
    assert caught.value.ref == "board-lacks-python"


def test_our_side_there_leaves_its_folder_for_nobody(board: Loopback, tmp_path: Path) -> None:
    with Link.open(Address.of(LOOPBACK)) as link:
        there = board_of(link, tmp_path)
        there.hello()
        for request in ({"folder": "../x"}, {"folder": "/etc"}, {"folder": "kits/../../x"}):
            with pytest.raises(Exception, match="is not a folder for kits or results"):
                there.ask("list", **request)


def _tar(contents: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream
