"""Under which names a server answers.

A site may turn its own name to this machine's address once its page is loaded (DNS rebinding). To the browser the page here is
then of the same origin, and only the name in the Host header tells that it is not. An address, ``localhost`` and this machine's
own names cannot be turned so; any other name is accepted only where the user gave it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import cached_property
from typing import Final

_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?")
"""Of a Host header: an address of IPv6 in brackets, or a name or an address of IPv4; and a port."""
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def is_host_name(text: str) -> bool:
    """Whether it is a name, or an address of IPv4, as it stands in a Host header: without a scheme and a port."""
    return _NAME.fullmatch(text) is not None


class HostNames:
    """Names with any port, which may be another outside of a container or before a proxy.

    ``allowed``: those that the user gave. ``reached``: whether others reach this machine's server, which then has addresses and
    the machine's own names too.
    """

    def __init__(self, allowed: Iterable[str], *, reached: bool) -> None:
        self._reached = reached
        self._names = {_plain(each) for each in allowed}
        if reached:
            machine = _plain(socket.gethostname())
            self._names |= {"localhost", machine, f"{machine.partition('.')[0]}.local"}
        self._names.discard("")

    def hold(self, host: str) -> bool:
        """Whether a Host header says one of them."""
        found = _AUTHORITY.fullmatch(host.lower())
        if found is None:
            return False
        name = _plain(found[1])
        return name in self._names or (self._reached and (_is_address(name) or name == self._full_name))

    @cached_property
    def _full_name(self) -> str:
        """The machine's, for which the network may be asked, and slow to answer: not before a request makes it necessary."""
        return _plain(socket.getfqdn())


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
