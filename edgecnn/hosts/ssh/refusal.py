"""Why OpenSSH made no connection, from its own words: it has one exit status for everything.

The sentences are those of OpenSSH's ``sshconnect.c`` and ``sshconnect2.c``; one that is not known is passed on as it is.
"""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.board import BoardKeyChanged, BoardUnknown, BoardUnreachable, LoginRefused


def refused(board: str, said: str) -> EdgecnnError:
    """The error that these words stand for."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return BoardKeyChanged(board=board)
    if "Host key verification failed" in said or "host key is known for" in said:
        return BoardUnknown(board=board)
    if "Permission denied (" in said or "Too many authentication failures" in said:
        return LoginRefused(board=board, said=last_line(said))
    return BoardUnreachable(board=board, said=last_line(said))


def last_line(said: str) -> str:
    """The last line that is not empty."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""
