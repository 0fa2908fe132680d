"""Our side on its way to a board: only a whole one is ever begun with, however the sending ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARD_FAILED
from edgecnn.hosts.ssh import far
from edgecnn.hosts.ssh.board import Board
from edgecnn.hosts.ssh.link import Address, Answer, Link

WHOLE = Path(far.__file__).read_bytes()


class Shell(Link):
    """The shell of this machine as a board's, which may see the end of what is sent too early."""

    def __init__(self, reaches: int | None = None) -> None:
        self.address, self.reaches = Address.of("nano"), reaches

    @property
    def alive(self) -> bool:
        """A cut is noticed later than its consequences."""
        return True

    def ended(self) -> bool:
        return False

    def command(self, remote: str) -> list[str]:
        return ["sh", "-c", remote]

    def ask(self, remote: str, *, stdin: bytes = b"", timeout_s: float = 60.0, doing: str = "a command") -> Answer:
        return super().ask(remote, stdin=stdin[: self.reaches], timeout_s=timeout_s, doing=doing)


def board(link: Link, folder: Path) -> Board:
    return Board(link, python=sys.executable, folder=str(folder / "a far place"))


def test_an_end_in_the_middle_publishes_no_half(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=BOARD_FAILED.made) as caught:
        board(Shell(reaches=1000), tmp_path).hello()
    assert caught.value.fields == {"board": "nano", "doing": "making the private folder", "because": "the file is incomplete"}
    assert list((tmp_path / "a far place").iterdir()) == []
    assert board(Shell(), tmp_path).hello()["folder"] == str(tmp_path / "a far place")


def test_a_half_that_lies_there_is_replaced_and_a_whole_one_is_not_sent_again(tmp_path: Path) -> None:
    board(Shell(), tmp_path).hello()
    (there,) = (tmp_path / "a far place").glob("far-*.py")
    there.write_bytes(WHOLE[:1000])
    board(Shell(), tmp_path).hello()
    assert there.read_bytes() == WHOLE
    assert board(Shell(reaches=0), tmp_path).hello()["ok"] is True
