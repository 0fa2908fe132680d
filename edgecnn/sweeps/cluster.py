"""Make the stages of a sweep on the machines of a Ray cluster. Each stage is a task, and artifacts travel through the store.

Ray places the tasks, and repeats a task whose machine was lost. Nothing is measured there, since machines with other work have
no valid latencies.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from edgecnn.building.build import PlannedBuild, plan_build
from edgecnn.errors.base import EdgecnnError, ErrorRow, system_reason
from edgecnn.errors.sweeps import (
    CLUSTER_DISCONNECTED,
    CLUSTER_TOO_SLOW,
    CLUSTER_UNUSABLE,
    CLUSTER_WITHOUT_CORES,
    CLUSTER_WITHOUT_GPU,
    WORKERS_DIFFER,
)
from edgecnn.errors.wording import first_line
from edgecnn.store.disk import user_path
from edgecnn.store.failures import named_failures
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import push
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.plan import request_of
from edgecnn.sweeps.tasks import Demand, Room, StageTask, run_in_order, tasks_of
from edgecnn.sweeps.worker import Shared, TaskOutcome, Terms, make
from edgecnn.values.stage import Key, Progress

_FAILURES: Final = 2
"""Failures of a machine, such as a full disk, after which it gets no work. It fails so fast that it would get all other tasks."""


class Nodes:
    """The cluster's machines, by the ids that Ray gives them. A machine that joins again has a new id."""

    def __init__(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """``listed``: machines as Ray lists them."""
        self.available = dict[str, Mapping[str, float]]()
        """Resources of the available machines with a core, as Ray reports them."""
        self._names, self._failures = dict[str, str](), Counter[str]()
        self.look(listed)

    def look(self, listed: Iterable[Mapping[str, Any]]) -> list[str]:
        """Update the available machines from Ray's list, and return the names of those that are lost."""
        alive = [node for node in listed if node["Alive"]]
        self.available = {node["NodeID"]: node["Resources"] for node in alive if node["Resources"].get("CPU", 0) >= 1}
        before, self._names = self._names, {
            node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})" for node in alive
        }  # fmt: skip
        return [name for node, name in before.items() if node not in self._names]

    @property
    def avoided(self) -> frozenset[str]:
        """Machines that have failed, as long as there are others."""
        failing = frozenset(node for node in self.available if self._failures[node] >= _FAILURES)
        return failing if self.available.keys() - failing else frozenset()

    @property
    def working(self) -> list[Mapping[str, float]]:
        """Resources of the machines that get work."""
        return [resources for node, resources in self.available.items() if node not in self.avoided]

    def name(self, node: str) -> str:
        """Return the machine's name for messages."""
        return self._names.get(node, "a machine that is lost")

    def failed(self, node: str) -> bool:
        """Count a failure of a machine; return whether it is avoided from now on."""
        self._failures[node] += 1
        return self._failures[node] == _FAILURES and node in self.avoided

    def can_run(self, demand: Demand, away_from: Collection[str] = ()) -> bool:
        """Whether a machine, other than the named ones, has the demanded resources when it is idle."""
        return any(demand.fits(resources) for node, resources in self.available.items() if node not in away_from)


HERE, AFAR = "ray", "ray://"
"""Addresses of a cluster: the cluster of this machine, or the start of an address that Ray's client reaches."""
_NO_CLIENT_SERVER: Final = re.compile(r"Starting Ray client server failed|Proxy failed to Connect")
_ANSWERS_S: Final = 10.0
_LOOK_S: Final = 120.0


@contextmanager
def join_cluster(address: str, store: Store) -> Iterator[Cluster]:
    """Connect to a cluster for the block. Tasks that still run at the end are cancelled.

    ``address``: ``ray``, or ``ray://HOST:PORT``.

    Raises:
        CLUSTER_UNUSABLE, CLUSTER_TOO_SLOW: there is no cluster, or it does not answer.
        StoreFull, StoreUnusable: the store cannot be written.
    """
    import ray

    shared = Shared.of(store, f"work/cluster/{secrets.token_hex(8)}")
    token = store.root / shared.token
    with reached(address, CLUSTER_UNUSABLE):
        host, _, port = (os.environ.get("RAY_ADDRESS", "") if address == HERE else address).removeprefix(AFAR).rpartition(":")
        if host and port.isdigit():  # Ray itself waits many minutes for an answer
            socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_S).close()
        ray.init("auto" if address == HERE else address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        with named_failures(store.root, "joining a cluster"):
            token.parent.mkdir(parents=True, exist_ok=True)
            token.touch()
        yield Cluster(address, shared, ray)
    finally:
        with suppress(OSError):
            token.unlink()
        ray.shutdown()


class Cluster:
    """A Ray cluster to which this process is connected."""

    def __init__(self, address: str, shared: Shared, ray: Any) -> None:
        """Raises CLUSTER_DISCONNECTED: the cluster does not answer. CLUSTER_WITHOUT_CORES: no machine has a core."""
        self.address, self.shared, self.ray = address, shared, ray
        with self.reached():
            self.nodes = Nodes(ray.nodes())
        if not self.nodes.available:
            raise CLUSTER_WITHOUT_CORES(address=address)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Convert Ray's errors in the block. Raises CLUSTER_DISCONNECTED: the cluster is lost."""
        with reached(self.address, CLUSTER_DISCONNECTED):
            yield

    def check(self, terms: Terms) -> Terms:
        """Ask every machine whether it meets the terms, before the first task. Return the terms that all meet.

        They omit the remote store if all machines see this machine's store.

        Raises:
            WORKERS_DIFFER: versions differ, files cannot be read there, or no store is shared.
            CLUSTER_DISCONNECTED: a machine does not answer.
        """
        alone = replace(terms, shared=replace(terms.shared, remote=None))
        for tried in (alone, terms) if terms.shared.remote else (terms,):
            if not (problems := self._unmet(tried)):
                return tried
        raise WORKERS_DIFFER(problems=problems)

    def _unmet(self, terms: Terms) -> list[str]:
        with self.reached():
            requests = [
                self.ray.remote(Terms.unmet).options(num_cpus=0, scheduling_strategy=place_near(node, soft=False)).remote(terms)
                for node in self.nodes.available
            ]
            answers: list[tuple[str, ...]] = self.ray.get(requests, timeout=_LOOK_S)
        return list(dict.fromkeys(problem for problems in answers for problem in problems))


def place_near(node: str | None, *, soft: bool) -> Any:
    """Return Ray's strategy that places a task on a machine. ``soft``: or on another one if it is busy or lost."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # `soft` alone would queue a task at a busy machine while others idle
    return "DEFAULT" if node is None else NodeAffinitySchedulingStrategy(node, soft=soft, _spill_on_unavailable=soft)


def exclude_nodes(nodes: Collection[str]) -> dict[str, str] | None:
    """Return Ray's label selector that excludes these machines."""
    return {"ray.io/node-id": f"!in({', '.join(sorted(nodes))})"} if nodes else None


@contextmanager
def reached(address: str, row: ErrorRow) -> Iterator[None]:
    """Convert Ray's errors in the block to errors of the row. Raises CLUSTER_TOO_SLOW: its server for clients did not start."""
    import ray

    try:
        yield
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else str(error)
        lines = [line.strip().rstrip(":") for line in reason.splitlines() if line.strip()] or [type(error).__name__]
        late = [line.removeprefix("RuntimeError: ") for line in lines if _NO_CLIENT_SERVER.search(line)]
        if late:
            raise CLUSTER_TOO_SLOW(address=address, because=late[-1]) from error
        raise row(address=address, because=lines[0]) from error


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
    """Make the missing stages of builds on the machines of a cluster.

    A build that cannot be planned is left to its own process, which reports why.

    ``address``: ``ray``, or ``ray://HOST:PORT``. ``out``: folder of the sweep's results.

    Raises EdgecnnError: as ``join_cluster``, ``Cluster.check`` and ``push``. CLUSTER_DISCONNECTED: the cluster was lost, and
    finished stages are in the store.
    """
    with join_cluster(address, store) as cluster:
        planned, paths = dict[str, PlannedBuild](), set[Path]()
        for cell in cells:
            tell.step("sweep: plan", len(planned), len(cells), "builds")
            with suppress(EdgecnnError):
                planned[cell.name] = plan_build(request_of(cell, out), store, tell)
                images = [cell.recipe.data.path, *map(str, cell.recipe.synthesis.stated_folders.values())]
                paths |= {path.absolute() for text in images if (path := user_path(text)).exists()}
        tasks, of_build = tasks_of(planned)
        paths |= {path for task in tasks.values() for path in task.sources.values() if not path.is_relative_to(store.root)}
        terms = Terms.of(cluster.shared, (name for task in tasks.values() for name in task.versions), paths)
        if tasks:
            terms = cluster.check(terms)
            _push_inputs(tasks, terms.shared, store, tell)
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


def _push_inputs(tasks: Mapping[Key, StageTask], shared: Shared, store: Store, tell: Progress) -> None:
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
        """Make all tasks, each when its inputs are made, and yield each finished one.

        A task runs where one of its inputs was made, if that machine is free. Earlier tasks start first, and only as many as
        keep the machines busy. A failed task is noted, and left with its dependants to the builds.

        Raises CLUSTER_DISCONNECTED: the cluster was lost. CLUSTER_WITHOUT_CORES: all its machines were lost. CLUSTER_WITHOUT_GPU:
        a training needs a GPU.
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
            some_ended=lambda _: self._ended_tasks(),
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
            label_selector=exclude_nodes(away_from),
            scheduling_strategy=place_near(next((node for node in places if node not in away_from), None), soft=True),
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

    def _ended_tasks(self) -> Iterator[tuple[Key, TaskOutcome]]:
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
            outcome = self._outcome_of(ref)
            if not (outcome.elsewhere and self._retry_elsewhere(attempt, outcome)):
                yield attempt.task.key, outcome
        yield from self._give_up_waiting()

    def _finished_attempt(self, ref: Any) -> _Attempt:
        attempt = self._running.pop(ref)
        self._room.give_back(attempt.task)
        return attempt

    def _outcome_of(self, ref: Any) -> TaskOutcome:
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

    def _give_up_waiting(self) -> Iterator[tuple[Key, TaskOutcome]]:
        """Cancel tasks that waited too long for a machine, and yield them.

        A task that the remaining, smaller machines can run is started there instead.
        """
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
