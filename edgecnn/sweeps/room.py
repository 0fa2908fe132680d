"""What a stage asks of a cluster's machines, and how many stages are given to these at once.

They are given as many as keep them busy, and hardly more: what waits here is begun in the sweep's order, what waits there is not.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from edgecnn.sweeps.tasks import StageTask

_HEAVY: Final = ("train", "transfer", "surgery", "rank", "quantize")
"""Kinds that ask for several cores and for memory; the others ask for one core."""
_CORES: Final = 4
_MEMORY_BYTES: Final = 4 << 30
"""What those ask for; where machines are smaller, all cores and half of the memory of the smallest."""
AHEAD: Final = 1.1
"""Times what the machines bear is given to them, at least one task more: who ends one has the next at hand."""


class Room:
    """How much of a cluster is taken by tasks that were begun."""

    def __init__(self, machines: Collection[Mapping[str, float]]) -> None:
        """``machines``: resources of each as Ray has them, memory in bytes; at least one, each with a core."""
        cores = min(int(each["CPU"]) for each in machines)
        memory = min(int(each.get("memory", 0)) for each in machines)
        self._heavy = min(_CORES, cores), min(_MEMORY_BYTES, memory // 2)
        self._taken = Counter[str]()
        self.look(machines)

    def look(self, machines: Collection[Mapping[str, float]]) -> None:
        """Take these for the machines that are there now."""
        cores, memory = self._heavy
        self._whole = Counter[str]()
        for each in machines:
            own, bytes_ = int(each.get("CPU", 0)), int(each.get("memory", 0))
            heavy = min(own // cores, bytes_ // memory if memory else sys.maxsize)
            self._whole.update(cores=own, heavy=heavy, gpus=int(each.get("GPU", 0)))

    def asked(self, task: StageTask) -> tuple[int, int]:
        """Cores, and bytes of memory."""
        return self._heavy if task.stage.kind in _HEAVY else (1, 0)

    def has(self, task: StageTask) -> bool:
        """Whether it keeps the machines busy to begin this one too."""
        return all(self._taken[what] < AHEAD * self._whole[what] for what in self._takes(task))

    def take(self, task: StageTask) -> None:
        """It begins."""
        self._taken.update(self._takes(task))

    def give_back(self, task: StageTask) -> None:
        """It ended."""
        self._taken.subtract(self._takes(task))

    def _takes(self, task: StageTask) -> dict[str, int]:
        found = {"cores": self.asked(task)[0], "heavy": int(task.stage.kind in _HEAVY), "gpus": task.gpus}
        return {what: number for what, number in found.items() if number}
