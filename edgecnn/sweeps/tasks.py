"""The stages that a sweep's builds lack, each once, with what each waits for; and how many are given to a cluster at once.

A cluster is given as many as keep its machines busy, and hardly more: what waits here begins in the sweep's order.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

from edgecnn.building.build import PlannedBuild
from edgecnn.building.execute import TRUNK
from edgecnn.errors.wording import counted, listed
from edgecnn.planning.plan import Plan
from edgecnn.planning.trunk import Step
from edgecnn.training.settings import NetworkSettings, training_threads
from edgecnn.values.stage import Key, Role, Stage

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
class Demand:
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
        has = (machine.get(resource, 0) for resource in ("CPU", "memory", "GPU"))
        return all(there >= needed for there, needed in zip(has, (self.cores, self.memory_bytes, self.gpus), strict=True))


class Room:
    """How much of a cluster is taken by tasks that were begun."""

    def __init__(self, machines: Collection[Mapping[str, float]]) -> None:
        """``machines``: resources of each as Ray has them, memory in bytes; at least one, each with a core."""
        self._begun = Counter[tuple[bool, int]]()
        self.resize(machines)

    def resize(self, machines: Collection[Mapping[str, float]]) -> None:
        """Take these for the machines that are there now, each with a core; of none it stays at what it demand for."""
        if machines:
            cores = min(int(machine["CPU"]) for machine in machines)
            memory = min(int(machine.get("memory", 0)) for machine in machines)
            self._heavy = min(_CORES, cores), min(_MEMORY_BYTES, memory // 2)
        cores, memory = self._heavy
        self._capacity = Counter[str]()
        for machine in machines:
            own, bytes_ = int(machine["CPU"]), int(machine.get("memory", 0))
            heavy = min(own // cores, bytes_ // memory if memory else sys.maxsize)
            self._capacity.update(cores=own, heavy=heavy, gpus=int(machine.get("GPU", 0)))

    def demand(self, task: StageTask) -> Demand:
        """Of the machine that makes it."""
        return Demand(*(self._heavy if _is_heavy(task) else (1, 0)), task.gpus)

    def has(self, task: StageTask) -> bool:
        """Whether it keeps the machines busy to begin this one too."""
        used = Counter[str]()
        for (heavy, gpus), number in self._begun.items():
            used.update({what: number * amount for what, amount in self._takes(heavy, gpus).items()})
        return all(used[what] < AHEAD * self._capacity[what] for what in self._takes(_is_heavy(task), task.gpus))

    def take(self, task: StageTask) -> None:
        """It begins."""
        self._begun[_is_heavy(task), task.gpus] += 1

    def give_back(self, task: StageTask) -> None:
        """It ended."""
        self._begun[_is_heavy(task), task.gpus] -= 1

    def _takes(self, heavy: bool, gpus: int) -> dict[str, int]:  # noqa: FBT001 - a class of tasks
        takes = {"cores": self._heavy[0] if heavy else 1, "heavy": int(heavy), "gpus": gpus}
        return {what: number for what, number in takes.items() if number}


def _is_heavy(task: StageTask) -> bool:
    return task.stage.kind in _HEAVY


KINDS = (*TRUNK, "surgery", "rank", "quantize", "package")
"""What may be made anywhere; engines are made on their device."""


@dataclass(frozen=True)
class StageTask:
    """One stage to be made, by whoever has its inputs."""

    key: Key
    stage: Stage
    versions: Mapping[str, str]
    """Of the distributions that bind its bytes."""
    made: Mapping[Role, str] = field(default_factory=dict)
    """Inputs that are entries of the store, by kind: the stage names their keys."""
    sources: Mapping[Role, Path] = field(default_factory=dict)
    """Inputs that no stage makes, such as the list of photographs."""

    @property
    def name(self) -> str:
        """For people: ``quantize 1a2b3c4d5e6f``."""
        return f"{self.stage.kind} {self.key[:12]}"

    @property
    def gpus(self) -> int:
        """That it needs."""
        return int(isinstance(self.stage, NetworkSettings) and self.stage.device == "gpu")

    @property
    def entry(self) -> str:
        """Its name in a store."""
        return f"artifacts/{self.stage.kind}/{self.key}"


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """What every build of this plan makes: the ladder's later rungs, which it may never climb, are left out."""
    first = {None, *(candidate.id for candidate in plan.resolved.candidates)}
    return tuple(step for step in plan.steps if step.candidate in first)


def tasks_of(builds: Mapping[str, PlannedBuild]) -> tuple[dict[Key, StageTask], dict[str, set[Key]]]:
    """What the store lacks of all these, each stage once, inputs before what reads them; and of each build which of these.

    What reads a folder of this machine's store by itself, such as a teacher's, is left to the build.
    """
    tasks, skipped, needed_by = dict[Key, StageTask](), set[Key](), dict[str, set[Key]]()
    for name, build in builds.items():
        lacking, own = {step.key for step in build.steps if step.missing is not None}, needed_by.setdefault(name, set())
        for task in _lacking(build.plan, lacking):
            folders = [path for path in task.sources.values() if path.is_dir()]
            if folders or skipped & set(task.stage.inputs.values()):
                skipped.add(task.key)
            else:
                tasks.setdefault(task.key, task)
                own.add(task.key)
    return tasks, needed_by


def _lacking(plan: Plan, lacking: set[Key]) -> Iterator[StageTask]:
    for trunk in (plan, *(fold.trunk for fold in plan.folds)):
        versions, sources = trunk.resolved.versions, trunk.resolved.sources
        kinds = {step.key: step.stage.kind for step in trunk.steps}
        for step in steps_of(trunk):
            if step.key in lacking and step.stage.kind in KINDS:
                read = step.stage.inputs.items()
                yield StageTask(
                    key=step.key,
                    stage=step.stage,
                    versions={name: versions[name] for name in step.stage.tools},
                    made={role: kinds[key] for role, key in read if key in kinds},
                    sources={role: Path(sources[key]) for role, key in read if key not in kinds},
                )


class Ended(Protocol):
    """What a task left, as far as what waits for it is concerned."""

    @property
    def error(self) -> object | None:
        """Why there is nothing; None where it is made."""


Task = TypeVar("Task", bound=Hashable)
Running = TypeVar("Running")
Result = TypeVar("Result", bound=Ended)


def run_in_order(
    waits_for: Mapping[Task, Sequence[Task]],
    begin: Callable[[Task], Running],
    some_ended: Callable[[list[Running]], Iterable[tuple[Running, Result]]],
    has_room: Callable[[Task, int], bool],
) -> Iterator[tuple[Task, Result]]:
    """Begin every task when what it waits for is made and there is room, and give each as it ends.

    Of those that could begin, the one that stands first in ``waits_for`` goes first: where a build's tasks stand together, the
    first builds are made while the last have not begun. What waits for a task that failed is never begun, nor given.

    ``waits_for``: task to those before it; of others than these nothing is waited for. ``some_ended``: of those that run, which
    ended meanwhile; may be none. ``has_room``: whether a task may begin beside so many that run; one that may not lets later
    ones by. Where none runs, the first begins unasked.
    """
    before = {key: {need for need in needs if need in waits_for} for key, needs in waits_for.items()}
    after = dict[Task, list[Task]]()
    for key, needs in before.items():
        for follower in needs:
            after.setdefault(follower, []).append(key)
    place = {key: number for number, key in enumerate(waits_for)}
    ready = [key for key, needs in before.items() if not needs]
    running = dict[Running, Task]()
    while ready or running:
        able, ready = sorted(ready, key=place.__getitem__), []
        for key in able:
            if not running or has_room(key, len(running)):
                running[begin(key)] = key
            else:
                ready.append(key)
        for handle, result in some_ended(list(running)):
            key = running.pop(handle)
            yield key, result
            if result.error is not None:
                continue
            for follower in after.get(key, ()):
                before[follower].discard(key)
                ready += [] if before[follower] else [follower]
