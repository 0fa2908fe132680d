"""The machines of a cluster: which are there, and which of them are given work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from edgecnn.sweeps.room import Ask

_FAILURES: Final = 2
"""Of a machine's own, such as a full disk, after which it is avoided: it fails so fast that it would be given all the rest."""


class Nodes:
    """By the ids that Ray gives them, anew each time that one comes."""

    def __init__(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """``listed``: as Ray lists them."""
        self.there = dict[str, Mapping[str, float]]()
        """Resources of those that are there and have a core, as Ray has them."""
        self._names, self._failures = dict[str, str](), Counter[str]()
        self.look(listed)

    def look(self, listed: Iterable[Mapping[str, Any]]) -> list[str]:
        """Take those that Ray lists for the ones that are there now; names of those that were there before and are lost."""
        alive = [each for each in listed if each["Alive"]]
        self.there = {each["NodeID"]: each["Resources"] for each in alive if each["Resources"].get("CPU", 0) >= 1}
        before, self._names = self._names, {
            each["NodeID"]: f"{each['NodeManagerHostname']} ({each['NodeManagerAddress']})" for each in alive
        }  # fmt: skip
        return [name for node, name in before.items() if node not in self._names]

    @property
    def avoided(self) -> frozenset[str]:
        """Those that failed, while there are others."""
        failing = frozenset(node for node in self.there if self._failures[node] >= _FAILURES)
        return failing if self.there.keys() - failing else frozenset()

    @property
    def at_work(self) -> list[Mapping[str, float]]:
        """Resources of those that are given work."""
        return [resources for node, resources in self.there.items() if node not in self.avoided]

    def name(self, node: str) -> str:
        """For people."""
        return self._names.get(node, "a machine that is lost")

    def failed(self, node: str) -> bool:
        """Count a failure of the machine's own; whether it is avoided from now on because of it."""
        self._failures[node] += 1
        return self._failures[node] == _FAILURES and node in self.avoided

    def bear(self, ask: Ask, away_from: Collection[str] = ()) -> bool:
        """Whether one of them, none of those named, can have what is asked for, now or when it is idle."""
        return any(ask.fits(resources) for node, resources in self.there.items() if node not in away_from)
