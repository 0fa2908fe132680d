"""Make the stages of a sweep on the machines of a Ray cluster. Each stage is a task, and artifacts travel through the store.

Ray places the tasks, and repeats a task whose machine was lost. Nothing is measured there, since machines with other work have
no valid latencies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from edgecnn.building.build import PlannedBuild, plan_build
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import CLUSTER_WITHOUT_CORES, CLUSTER_WITHOUT_GPU
from edgecnn.errors.wording import first_line
from edgecnn.store.disk import user_path
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import push
from edgecnn.sweeps.connection import Cluster, away, joined, near
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.plan import request_of
from edgecnn.sweeps.tasks import Demand, Room, StageTask, run_in_order, tasks_of
from edgecnn.sweeps.worker import Shared, TaskOutcome, Terms, make
from edgecnn.values.stage import Key, Progress

_RETRIES: Final = 3
"""Retries of a task whose machine or process was lost."""
_WAIT_S: Final = 10.0
GRACE_S: Final = 300.0
"""Time to wait for a machine when no available one has the resources of a task."""


class Hearer(Progress, Protocol):
    """Receives the progress of a cluster."""

    def ready(self, name: str) -> None:
        """Report a build whose stages are all made."""


def make_on(address: str, cells: Sequence[Cell], out: Path, store: Store, tell: Hearer) -> None:
    """Make the missing stages of builds on the machines of a cluster. A build that cannot be planned is left to its own
    process, which reports why.

    ``address``: ``ray``, or ``ray://HOST:PORT``. ``out``: folder of the sweep's results.

    Raises EdgecnnError: as ``joined``, ``Cluster.check`` and ``push``. CLUSTER_UNUSABLE: the cluster was lost; finished stages
    are in the store.
    """
    with joined(address, store) as cluster:
        planned, paths = dict[str, PlannedBuild](), set[Path]()
        for cell in cells:
            tell.step("sweep: plan", len(planned), len(cells), "builds")
            with suppress(EdgecnnError):
                planned[cell.name] = plan_build(request_of(cell, out), store, tell)
                paths |= _folders(cell)
        tasks, of_build = tasks_of(planned)
        paths |= {path for task in tasks.values() for path in task.sources.values() if not path.is_relative_to(store.root)}
        terms = Terms.of(cluster.shared, (name for task in tasks.values() for name in task.versions), paths)
        if tasks:
            terms = cluster.check(terms)
            _hand_out(tasks, terms.shared, store, tell)
        waiting = dict[Key, list[str]]()
        for name, needs in of_build.items():
            for key in needs:
                waiting.setdefault(key, []).append(name)
            if not needs:
                tell.ready(name)
        work = ClusterWork(cluster, terms, tell)
        try:
            for key in work.made(tasks):
                for name in waiting[key]:
                    of_build[name].discard(key)
                    if not of_build[name]:
                        tell.ready(name)
        except BaseException:
            work.cancel()
            raise


def _folders(cell: Cell) -> set[Path]:
    """The user's own folders of images."""
    stated = [cell.recipe.data.path, *(str(folder) for folder in cell.recipe.synthesis.stated_folders.values())]
    return {path.absolute() for text in stated if (path := user_path(text)).exists()}


def _hand_out(tasks: Mapping[Key, StageTask], shared: Shared, store: Store, tell: Progress) -> None:
    """Push the artifacts that tasks read from this machine's store to the remote store, if it is used. Raises RemoteUnusable."""
    if shared.remote is not None:
        names = {
            f"artifacts/{task.made[role]}/{key}"
            for task in tasks.values()
            for role, key in task.stage.inputs.items()
            if role in task.made and key not in tasks
        }
        push(store, Remote(shared.remote), tell, only=sorted(names))


@dataclass(frozen=True)
class _Attempt:
    """A task that was given to Ray."""

    task: StageTask
    demand: Demand
    away_from: frozenset[str]
    """Machines that must not run it."""
    again: bool


class ClusterWork:
    """The tasks of a cluster: running and pending ones."""

    def __init__(self, cluster: Cluster, terms: Terms, tell: Progress) -> None:
        self._cluster, self._terms, self._tell = cluster, terms, tell
        self._ray, self._nodes = cluster.ray, cluster.nodes
        self._room = Room(self._nodes.working)
        self._sent, self._where = dict[Path, Any](), dict[Key, str]()
        self._running = dict[Any, _Attempt]()
        self._since = dict[tuple[Demand, frozenset[str]], float]()
        """Time since which no machine, other than the excluded ones, has the demanded resources."""

    def made(self, tasks: Mapping[Key, StageTask]) -> Iterator[Key]:
        """Make all tasks, each when its inputs are made, and yield each finished one. A task runs where one of its inputs was
        made, if that machine is free.

        Earlier tasks start first, and only as many as keep the machines busy. A failed task is noted, and left with its
        dependants to the builds.

        Raises CLUSTER_UNUSABLE: the cluster was lost. CLUSTER_WITHOUT_CORES: all its machines were. CLUSTER_WITHOUT_GPU: a
        training needs one.
        """
        machines = self._nodes.available.values()
        if any(task.gpus for task in tasks.values()) and not any(machine.get("GPU", 0) >= 1 for machine in machines):
            raise CLUSTER_WITHOUT_GPU(address=self._cluster.address)
        waits_for = {key: tuple(task.stage.inputs.values()) for key, task in tasks.items()}
        doing, done = f"sweep: make on {len(machines)} machines", 0
        self._tell.step(doing, 0, len(tasks), "stages")
        for key, ended in run_in_order(
            waits_for,
            begin=lambda key: self._begin(tasks[key]),
            some_ended=lambda _: self._ended(),
            has_room=lambda key, _: self._room.has(tasks[key]),
        ):
            self._where[key], done = ended.node, done + 1
            self._tell.step(doing, done, len(tasks), "stages")
            if ended.error is None:
                yield key
            else:
                self._tell.note(f"{tasks[key].name} failed and is left to the builds that need it: {ended.error}")

    def cancel(self) -> None:
        """Interrupt running tasks; those that can be resumed keep their state."""
        for ref in self._running:
            self._cancel(ref)

    def _cancel(self, ref: Any) -> None:
        with suppress(self._ray.exceptions.RayError, ConnectionError):
            self._ray.cancel(ref)

    def _begin(self, task: StageTask, failed_on: str | None = None) -> Key:
        """Give a task to Ray. ``failed_on``: the machine on which it failed once, which must not run it again."""
        demand, away_from = self._room.demand(task), self._nodes.avoided | ({failed_on} if failed_on else set())
        places = (self._where[key] for key in task.stage.inputs.values() if key in self._where)
        inside = {role: path for role, path in task.sources.items() if path.is_relative_to(self._cluster.shared.root)}
        remote = self._ray.remote(_make_in_task).options(
            num_cpus=demand.cores,
            num_gpus=demand.gpus,
            memory=demand.memory_bytes or None,
            max_retries=_RETRIES,
            name=task.name,
            label_selector=away(away_from),
            scheduling_strategy=near(next((node for node in places if node not in away_from), None), soft=True),
        )
        with self._cluster.reached():
            ref = remote.remote(task, self._terms, tuple(inside), *(self._content(path) for path in inside.values()))
        self._running[ref] = _Attempt(task, demand, away_from, again=failed_on is not None)
        self._room.take(task)
        return task.key

    def _content(self, path: Path) -> Any:
        """Put a file of this machine's store once into Ray's store, which every machine can read."""
        if path not in self._sent:
            self._sent[path] = self._ray.put(path.read_bytes())
        return self._sent[path]

    def _ended(self) -> Iterator[tuple[Key, TaskOutcome]]:
        with self._cluster.reached():
            finished = self._ray.wait(list(self._running), num_returns=1, timeout=_WAIT_S)[0]
            lost = self._nodes.look(self._ray.nodes())
        for name in lost:
            self._tell.note(f"{name} is lost; its stages are started again on another machine")
        if not finished and not self._nodes.available:
            raise CLUSTER_WITHOUT_CORES(address=self._cluster.address)
        self._room.resize(self._nodes.working)
        for ref in finished:
            attempt = self._finished_attempt(ref)
            outcome = self._result(ref)
            if not (outcome.elsewhere and self._retry_elsewhere(attempt, outcome)):
                yield attempt.task.key, outcome
        yield from self._given_up()

    def _finished_attempt(self, ref: Any) -> _Attempt:
        attempt = self._running.pop(ref)
        self._room.give_back(attempt.task)
        return attempt

    def _result(self, ref: Any) -> TaskOutcome:
        failures = self._ray.exceptions
        lost = failures.WorkerCrashedError, failures.NodeDiedError, failures.OutOfMemoryError, failures.ObjectLostError
        with self._cluster.reached():
            try:
                outcome: TaskOutcome = self._ray.get(ref)
            except lost as error:
                return TaskOutcome(error=f"{type(error).__name__} in each of {_RETRIES + 1} attempts")
            except failures.RayTaskError as error:  # edgecnn is missing there, or too old for the task
                return TaskOutcome(error=f"a machine cannot start it: {type(error.cause).__name__}: {first_line(error.cause)}")
        return outcome

    def _retry_elsewhere(self, attempt: _Attempt, outcome: TaskOutcome) -> bool:
        """Start a task once more on another machine if its machine was at fault; return whether it was started."""
        name, task = self._nodes.name(outcome.node), attempt.task
        if self._nodes.failed(outcome.node):
            self._tell.note(f"{name} gets no more stages while there are other machines: {outcome.error}")
            self._room.resize(self._nodes.working)
        if attempt.again or not self._nodes.can_run(self._room.demand(task), self._nodes.avoided | {outcome.node}):
            return False
        self._tell.note(f"{task.name} failed on {name} and is started once more on another machine: {outcome.error}")
        self._begin(task, outcome.node)
        return True

    def _given_up(self) -> Iterator[tuple[Key, TaskOutcome]]:
        """Cancel tasks that waited too long for a machine. If the remaining machines are smaller but sufficient, start them
        there."""
        now = time.monotonic()
        for ref, attempt in list(self._running.items()):
            needs = attempt.demand, attempt.away_from
            if self._nodes.can_run(*needs):
                self._since.pop(needs, None)
            elif now - self._since.setdefault(needs, now) >= GRACE_S:
                self._cancel(ref)
                task = self._finished_attempt(ref).task
                if self._nodes.can_run(self._room.demand(task), self._nodes.avoided):
                    self._begin(task)
                else:
                    yield task.key, TaskOutcome(error=f"no machine of the cluster has {attempt.demand} any longer")


def _make_in_task(*arguments: Any) -> TaskOutcome:
    """Run ``make`` in a task of Ray."""
    import ray

    return make(*arguments, node=ray.get_runtime_context().get_node_id())
