"""Where a board is, and the command that goes there: the user's OpenSSH with the user's configuration."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.errors.board import BadAddress

COMMAND = "EDGECNN_SSH"
"""A variable with the client and its options, such as ``ssh -F boards.conf``; without it, ``ssh``."""
_SETTINGS = (
    "BatchMode=yes",  # a question nobody sees is never asked
    "StrictHostKeyChecking=yes",  # whatever the user's file says: an unknown key is the user's to accept
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ConnectTimeout=15",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
)


@dataclass(frozen=True)
class Address:
    """One destination, as ``ssh`` understands it: ``user@board``, a name of ssh_config, or ``ssh://user@board:port``."""

    destination: str
    client: tuple[str, ...] = ("ssh",)

    @classmethod
    def of(cls, text: str) -> Address:
        """The destination that a user named.

        Raises:
            BadAddress: it is empty, has a space in it, or begins like an option.
        """
        if not text or text.startswith("-") or any(not each.isprintable() or each.isspace() for each in text):
            raise BadAddress(text=text)
        return cls(text, tuple(shlex.split(os.environ.get(COMMAND, ""))) or ("ssh",))

    def command(self, socket: str, *, options: Sequence[str] = (), remote: str | None = None) -> list[str]:
        """The client's words.

        Args:
            socket: of the connection that all commands share.
            options: before the destination.
            remote: one line for the login shell there.
        """
        settings = [word for each in _SETTINGS for word in ("-o", each)]
        words = [*self.client, *settings, "-a", "-x", "-T", "-S", socket, *options, "--", self.destination]
        return words if remote is None else [*words, remote]
