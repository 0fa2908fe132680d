"""List the missing stages of a sweep's builds, each once, and start them in order.

A cluster gets just enough tasks to keep its machines busy; the others start later in the sweep's order.
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
from edgecnn.planning.plan import Plan, Step
from edgecnn.training.settings import NetworkSettings, training_threads
from edgecnn.values.stage import Key, Role, Stage

_HEAVY: Final = ("train", "transfer", "surgery", "rank", "quantize")
"""Kinds of stages that need several cores and memory; the others need one core."""
_CORES: Final = 4
_MEMORY_BYTES: Final = 4 << 30
"""Memory of a heavy stage. On smaller machines: all cores and half of the memory of the smallest."""
AHEAD: Final = 1.1
"""Load of the machines, relative to their capacity, up to which tasks are started. A free machine has its next task at once."""


def training_threads_there() -> int:
    """Return the threads of a training on a cluster: the cores that it demands, but not more than this machine has."""
    return min(_CORES, training_threads())


@dataclass(frozen=True)
class Demand:
    """Resources that one task needs."""

    cores: int
    memory_bytes: int
    gpus: int

    def __str__(self) -> str:
        """Return the resources in words: ``4 cores, 4.0 GiB of memory and 1 GPU``."""
        memory = [f"{self.memory_bytes / 2**30:.1f} GiB of memory"] if self.memory_bytes else []
        return listed([counted(self.cores, "core"), *memory, *([counted(self.gpus, "GPU")] if self.gpus else [])])

    def fits(self, machine: Mapping[str, float]) -> bool:
        """Whether an idle machine has these resources."""
        has = (machine.get(resource, 0) for resource in ("CPU", "memory", "GPU"))
        return all(there >= needed for there, needed in zip(has, (self.cores, self.memory_bytes, self.gpus), strict=True))


class Room:
    """The capacity of a cluster that started tasks use."""

    def __init__(self, machines: Collection[Mapping[str, float]]) -> None:
        """``machines``: resources of each as Ray reports them, memory in bytes; at least one, each with a core."""
        self._begun = Counter[tuple[bool, int]]()
        self.resize(machines)

    def resize(self, machines: Collection[Mapping[str, float]]) -> None:
        """Set the available machines, each with a core. Without machines, the demands do not change."""
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
        """Return the resources that a task needs."""
        return Demand(*(self._heavy if _is_heavy(task) else (1, 0)), task.gpus)

    def has(self, task: StageTask) -> bool:
        """Whether there is capacity to start this task."""
        used = Counter[str]()
        for (heavy, gpus), number in self._begun.items():
            used.update({resource: number * amount for resource, amount in self._takes(heavy, gpus).items()})
        return all(used[resource] < AHEAD * self._capacity[resource] for resource in self._takes(_is_heavy(task), task.gpus))

    def take(self, task: StageTask) -> None:
        """Count a started task."""
        self._begun[_is_heavy(task), task.gpus] += 1

    def give_back(self, task: StageTask) -> None:
        """Count a finished task."""
        self._begun[_is_heavy(task), task.gpus] -= 1

    def _takes(self, heavy: bool, gpus: int) -> dict[str, int]:  # noqa: FBT001 - a class of tasks
        takes = {"cores": self._heavy[0] if heavy else 1, "heavy": int(heavy), "gpus": gpus}
        return {resource: number for resource, number in takes.items() if number}


def _is_heavy(task: StageTask) -> bool:
    return task.stage.kind in _HEAVY


KINDS = (*TRUNK, "surgery", "rank", "quantize", "package")
"""Kinds of stages that any machine can make; engines are made on their device."""


@dataclass(frozen=True)
class StageTask:
    """One missing stage, to be made on any machine that has its inputs."""

    key: Key
    stage: Stage
    versions: Mapping[str, str]
    """Versions of the packages on which its bytes depend."""
    made: Mapping[Role, str] = field(default_factory=dict)
    """Inputs that are artifacts of the store, with their kinds; the stage holds their keys."""
    sources: Mapping[Role, Path] = field(default_factory=dict)
    """Inputs that no stage makes, such as the list of images."""

    @property
    def name(self) -> str:
        """Kind and key, such as ``quantize 1a2b3c4d5e6f``."""
        return f"{self.stage.kind} {self.key[:12]}"

    @property
    def gpus(self) -> int:
        """Number of GPUs that it needs."""
        return int(isinstance(self.stage, NetworkSettings) and self.stage.device == "gpu")

    @property
    def entry(self) -> str:
        """Its name in a store."""
        return f"artifacts/{self.stage.kind}/{self.key}"


def first_rung_steps(plan: Plan) -> tuple[Step, ...]:
    """Return the steps that every build of this plan makes, without later rungs of the ladder, which a build may never need."""
    first = {None, *(candidate.id for candidate in plan.resolved.candidates)}
    return tuple(step for step in plan.steps if step.candidate in first)


def tasks_of(builds: Mapping[str, PlannedBuild]) -> tuple[dict[Key, StageTask], dict[str, set[Key]]]:
    """Return the missing stages of all builds, each once and after its inputs, and the keys that each build needs.

    A stage that reads a folder of this machine's store, such as a teacher's, is left to its build.
    """
    tasks, skipped, needed_by = dict[Key, StageTask](), set[Key](), dict[str, set[Key]]()
    for name, build in builds.items():
        lacking, own = {step.key for step in build.steps if step.missing is not None}, needed_by.setdefault(name, set())
        for task in _missing_tasks(build.plan, lacking):
            folders = [path for path in task.sources.values() if path.is_dir()]
            if folders or skipped & set(task.stage.inputs.values()):
                skipped.add(task.key)
            else:
                tasks.setdefault(task.key, task)
                own.add(task.key)
    return tasks, needed_by


def _missing_tasks(plan: Plan, lacking: set[Key]) -> Iterator[StageTask]:
    for trunk in (plan, *(fold.trunk for fold in plan.folds)):
        versions, sources = trunk.resolved.versions, trunk.resolved.sources
        kinds = {step.key: step.stage.kind for step in trunk.steps}
        for step in first_rung_steps(trunk):
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
    """The outcome of a task."""

    @property
    def error(self) -> object | None:
        """Why the task failed, or None."""


Task = TypeVar("Task", bound=Hashable)
Running = TypeVar("Running")
Result = TypeVar("Result", bound=Ended)


def run_in_order(
    waits_for: Mapping[Task, Sequence[Task]],
    begin: Callable[[Task], Running],
    some_ended: Callable[[list[Running]], Iterable[tuple[Running, Result]]],
    has_room: Callable[[Task, int], bool],
) -> Iterator[tuple[Task, Result]]:
    """Start every task when its dependencies are made and there is room, and yield each finished task.

    Among tasks that can start, the first in ``waits_for`` starts first. If a build's tasks are adjacent, the first builds are
    finished before the last ones start. Tasks that depend on a failed one are never started or yielded.

    ``waits_for``: task to its dependencies; unknown ones are ignored.

    ``some_ended``: yields running tasks that have ended, perhaps none.

    ``has_room``: whether a task may start next to this number of running ones; otherwise later tasks may pass it. If no task
    runs, the first one starts without this check.
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
