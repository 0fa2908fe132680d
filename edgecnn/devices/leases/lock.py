"""The lock that lies on a board itself: whoever measures there has it, from wherever the board was reached."""

from __future__ import annotations

from typing import Final

from edgecnn.devices.leases.protocol import Board
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts.board import BoardBusy
from edgecnn.hosts.ssh.board import FOLDER, PYTHON
from edgecnn.hosts.ssh.host import LOCK, SshHost
from edgecnn.hosts.ssh.link import Address, Link

LOOK_S: Final = 5.0
"""Between two looks at a lock that somebody has."""


def in_use(board: Board) -> BoardBusy | None:
    """Who has it; None where its lock is free. Whatever else is amiss with it is left to who looks at it next."""
    try:
        link, python = Link.open(Address.of(board.host or "")), board.python or PYTHON
        with SshHost.over(link, what="edgecnn sweep", python=python, folder=FOLDER, lock=LOCK):
            return None
    except BoardBusy as error:
        return error
    except EdgecnnError:
        return None
