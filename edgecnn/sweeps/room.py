"""What a stage asks of a cluster's machines, and how many stages are given to these at once.

They are given as many as keep them busy, and hardly more: what waits here is begun in the sweep's order, what waits there is not.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from edgecnn.errors.wording import counted, listed
from edgecnn.sweeps.tasks import StageTask
from edgecnn.training.settings import training_threads

_HEAVY: Final = ("train", "transfer", "surgery", "rank", "quantize")
"""Kinds that ask for several cores and for memory; the others ask for one core."""
_CORES: Final = 4
_MEMORY_BYTES: Final = 4 << 30
"""What those ask for; where machines are smaller, all cores and half of the memory of the smallest."""
AHEAD: Final = 1.1
"""Times what the machines bear is given to them, at least one task more: who ends one has the next at hand."""


def training_threads_there() -> int:
    """Threads of a training on a cluster: as many as it asks cores for, where this machine has so many too."""
    return min(_CORES, training_threads())


@dataclass(frozen=True)
class Ask:
    """What one task asks of a machine."""

    cores: int
    memory_bytes: int
    gpus: int

    def __str__(self) -> str:
        """For people: ``4 cores, 4.0 GiB of memory and 1 GPU``."""
        memory = [f"{self.memory_bytes / 2**30:.1f} GiB of memory"] if self.memory_bytes else []
        return listed([counted(self.cores, "core"), *memory, *([counted(self.gpus, "GPU")] if self.gpus else [])])

    def fits(self, machine: Mapping[str, float]) -> bool:
        """Whether the machine has that much when it is idle."""
        has = (machine.get(each, 0) for each in ("CPU", "memory", "GPU"))
        return all(there >= asked for there, asked in zip(has, (self.cores, self.memory_bytes, self.gpus), strict=True))


class Room:
    """How much of a cluster is taken by tasks that were begun."""

    def __init__(self, machines: Collection[Mapping[str, float]]) -> None:
        """``machines``: resources of each as Ray has them, memory in bytes; at least one, each with a core."""
        self._begun = Counter[tuple[bool, int]]()
        self.look(machines)

    def look(self, machines: Collection[Mapping[str, float]]) -> None:
        """Take these for the machines that are there now, each with a core; of none it stays at what it asked for."""
        if machines:
            cores = min(int(each["CPU"]) for each in machines)
            memory = min(int(each.get("memory", 0)) for each in machines)
            self._heavy = min(_CORES, cores), min(_MEMORY_BYTES, memory // 2)
        cores, memory = self._heavy
        self._whole = Counter[str]()
        for each in machines:
            own, bytes_ = int(each["CPU"]), int(each.get("memory", 0))
            heavy = min(own // cores, bytes_ // memory if memory else sys.maxsize)
            self._whole.update(cores=own, heavy=heavy, gpus=int(each.get("GPU", 0)))

    def asked(self, task: StageTask) -> Ask:
        """Of the machine that makes it."""
        return Ask(*(self._heavy if _is_heavy(task) else (1, 0)), task.gpus)

    def has(self, task: StageTask) -> bool:
        """Whether it keeps the machines busy to begin this one too."""
        taken = Counter[str]()
        for (heavy, gpus), number in self._begun.items():
            taken.update({what: number * each for what, each in self._takes(heavy, gpus).items()})
        return all(taken[what] < AHEAD * self._whole[what] for what in self._takes(_is_heavy(task), task.gpus))

    def take(self, task: StageTask) -> None:
        """It begins."""
        self._begun[_is_heavy(task), task.gpus] += 1

    def give_back(self, task: StageTask) -> None:
        """It ended."""
        self._begun[_is_heavy(task), task.gpus] -= 1

    def _takes(self, heavy: bool, gpus: int) -> dict[str, int]:  # noqa: FBT001 - a class of tasks
        found = {"cores": self._heavy[0] if heavy else 1, "heavy": int(heavy), "gpus": gpus}
        return {what: number for what, number in found.items() if number}


def _is_heavy(task: StageTask) -> bool:
    return task.stage.kind in _HEAVY
