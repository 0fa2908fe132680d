"""Makes the stages of a sweep on the machines of a Ray cluster: each is a task, and what it made goes through the store.

Ray decides where a task runs, and repeats one whose machine was lost. Nothing is measured there: a machine that does other work
shows no latency.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from edgecnn.building.build import PlannedBuild, plan_build
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.sweeps import ClusterUnusable, WorkersDiffer
from edgecnn.store.failures import named_failures
from edgecnn.store.store import Store
from edgecnn.sweeps.apart import GO_ON
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.plan import request_of
from edgecnn.sweeps.room import Room
from edgecnn.sweeps.tasks import StageTask, run_in_order, tasks_of
from edgecnn.sweeps.terms import Shared, Terms
from edgecnn.sweeps.worker import Made, make
from edgecnn.values.stage import Key, Progress

HERE, AFAR = "ray", "ray://"
"""How a cluster is named: the one that this machine is part of, or one that is reached by Ray's client."""
_START: Final = (
    "`ray start --head` starts one, and `ray start --address=HOST:6379` takes a further machine into it; one that asks for a "
    "token is reached with RAY_AUTH_MODE=token"
)
_RETRIES: Final = 3
"""Of a task whose machine or process was lost."""
_ANSWERS_S: Final = 10.0
_LOOK_S: Final = 120.0
_WAIT_S: Final = 10.0


class Hearer(Progress, Protocol):
    """Who hears how far a cluster is."""

    def ready(self, name: str) -> None:
        """Of this build everything is made."""


def make_on(address: str, cells: Sequence[Cell], out: Path, store: Store, tell: Hearer) -> None:
    """Make what these builds lack on the machines of a cluster; a build that cannot be planned is left to say so itself.

    ``address``: ``ray``, or ``ray://HOST:PORT``. ``out``: folder of the sweep's results.

    Raises EdgecnnError: as ``joined`` and ``Cluster.check``; ClusterUnusable: it went away. What was finished is in the store.
    """
    with joined(address, store) as cluster:
        planned, paths = dict[str, PlannedBuild](), set[Path]()
        for cell in cells:
            tell.step("sweep: plan", len(planned), len(cells), "builds")
            with suppress(EdgecnnError):
                planned[cell.name] = plan_build(request_of(cell, out), store, tell)
                paths |= _folders(cell)
        tasks, of_build = tasks_of(planned)
        outside = {path for task in tasks.values() for path in task.sources.values() if not path.is_relative_to(store.root)}
        if tasks:
            cluster.check({name for task in tasks.values() for name in task.versions}, paths | outside)
        waiting = dict[Key, list[str]]()
        for name, needs in of_build.items():
            for key in needs:
                waiting.setdefault(key, []).append(name)
            if not needs:
                tell.ready(name)
        try:
            for key in cluster.made(tasks, tell):
                for name in waiting[key]:
                    of_build[name].discard(key)
                    if not of_build[name]:
                        tell.ready(name)
        except BaseException:
            cluster.cancel()
            raise


def _folders(cell: Cell) -> set[Path]:
    """Of photographs, as far as they are the user's own."""
    stated = [cell.recipe.data.path, *(str(each) for each in cell.recipe.synthesis.stated_folders.values())]
    return {path.absolute() for each in stated if (path := Path(each).expanduser()).exists()}


@contextmanager
def joined(address: str, store: Store) -> Iterator[Cluster]:
    """A cluster, connected to while the block runs; what of ours still runs there in the end is cancelled.

    ``address``: ``ray``, or ``ray://HOST:PORT``.

    Raises:
        ClusterUnusable: there is none, or it does not answer.
        StoreFull, StoreUnusable: the store cannot be written.
    """
    import ray

    shared = Shared.of(store, f"work/cluster/{secrets.token_hex(8)}")
    token = store.root / shared.token
    with _reached(address, _START):
        _answering(os.environ.get("RAY_ADDRESS", "") if address == HERE else address)
        ray.init("auto" if address == HERE else address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        with named_failures(store.root, "joining a cluster"):
            token.parent.mkdir(parents=True, exist_ok=True)
            token.touch()
        yield Cluster(address, shared)
    finally:
        with suppress(OSError):
            token.unlink()
        ray.shutdown()


class Cluster:
    """A Ray cluster to which this process is connected."""

    def __init__(self, address: str, shared: Shared) -> None:
        """Raises ClusterUnusable: it has no machine with a core."""
        import ray

        self._ray, self._address, self._shared = ray, address, shared
        with _reached(address, GO_ON):
            alive = [node for node in ray.nodes() if node["Alive"]]
        self.nodes = {node["NodeID"]: node["Resources"] for node in alive if node["Resources"].get("CPU", 0) >= 1}
        self._hosts = {node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})" for node in alive}
        if not self.nodes:
            raise ClusterUnusable(address=address, because="none of its machines has a core to give", hint=_START)
        self._room = Room(self.nodes.values())
        self._sent = dict[Path, Any]()
        self._running = dict[Any, StageTask]()

    def check(self, distributions: Iterable[str], paths: Iterable[Path]) -> None:
        """Ask every machine whether it is as this one, before the first task.

        Raises:
            WorkersDiffer: versions are others than here, files cannot be read there, or there is no store that all share.
            ClusterUnusable: a machine does not answer.
        """
        self._terms = terms = Terms.of(self._shared, distributions, paths)
        with _reached(self._address, GO_ON):
            asked = [
                self._ray.remote(Terms.unmet).options(num_cpus=0, scheduling_strategy=near(node, soft=False)).remote(terms)
                for node in self.nodes
            ]
            found: list[tuple[str, ...]] = self._ray.get(asked, timeout=_LOOK_S)
        if problems := dict.fromkeys(said for each in found for said in each):
            raise WorkersDiffer(problems=list(problems))

    def made(self, tasks: Mapping[Key, StageTask], tell: Progress) -> Iterator[Key]:
        """Make all, each when its inputs are there, and where one of them was made if that machine is free; give what is made.

        Those that stand first are begun first, and no more at once than keep the machines busy. What failed is told and left,
        with what needs it, to the builds.

        Raises ClusterUnusable: it went away, or has no GPU where one should train.
        """
        if any(task.gpus for task in tasks.values()) and not any(each.get("GPU", 0) >= 1 for each in self.nodes.values()):
            because = "a GPU of this machine would train, and none of the cluster's has one"
            raise ClusterUnusable(address=self._address, because=because, hint="--set train.device=cpu")
        waits_for = {key: tuple(task.stage.inputs.values()) for key, task in tasks.items()}
        where, doing, done = dict[Key, str](), f"sweep: make on {len(self.nodes)} machines", 0
        tell.step(doing, 0, len(tasks), "stages")
        for key, ended in run_in_order(
            waits_for,
            begin=lambda key: self._begun(tasks[key], where),
            some_ended=lambda running: self._ended(running, tell),
            has_room=lambda key, _: self._room.has(tasks[key]),
        ):
            where[key], done = ended.node, done + 1
            tell.step(doing, done, len(tasks), "stages")
            if ended.error is None:
                yield key
            else:
                tell.note(f"{tasks[key].name} is left to the builds that need it: {ended.error}")

    def cancel(self) -> None:
        """Interrupt what runs; what can be resumed keeps what it has."""
        for ref in self._running:
            with suppress(self._ray.exceptions.RayError, ConnectionError):
                self._ray.cancel(ref)

    def _begun(self, task: StageTask, where: Mapping[Key, str]) -> Any:
        cores, memory = self._room.asked(task)
        beside = next((where[key] for key in task.stage.inputs.values() if key in where), None)
        inside = {role: path for role, path in task.sources.items() if path.is_relative_to(self._shared.root)}
        remote = self._ray.remote(_made_there).options(
            num_cpus=cores,
            num_gpus=task.gpus,
            memory=memory or None,
            max_retries=_RETRIES,
            name=task.name,
            scheduling_strategy=near(beside, soft=True),
        )
        with _reached(self._address, GO_ON):
            ref = remote.remote(task, self._terms, tuple(inside), *(self._content(path) for path in inside.values()))
        self._running[ref] = task
        self._room.take(task)
        return ref

    def _content(self, path: Path) -> Any:
        """A file of this machine's store, put once where every machine can take it from."""
        if path not in self._sent:
            self._sent[path] = self._ray.put(path.read_bytes())
        return self._sent[path]

    def _ended(self, running: list[Any], tell: Progress) -> Iterator[tuple[Any, Made]]:
        with _reached(self._address, GO_ON):
            done = self._ray.wait(running, num_returns=1, timeout=_WAIT_S)[0]
            alive = [node for node in self._ray.nodes() if node["Alive"]]
        for lost in self._hosts.keys() - {node["NodeID"] for node in alive}:
            tell.note(f"{self._hosts.pop(lost)} is lost: what it was making is begun again on another machine")
        if not done and not any(node["Resources"].get("CPU", 0) >= 1 for node in alive):
            raise ClusterUnusable(address=self._address, because="no machine with a core to give is left", hint=GO_ON)
        self._room.look([node["Resources"] for node in alive])
        for ref in done:
            self._room.give_back(self._running.pop(ref))
            yield ref, self._result(ref)

    def _result(self, ref: Any) -> Made:
        lost = self._ray.exceptions
        with _reached(self._address, GO_ON):
            try:
                made: Made = self._ray.get(ref)
            except (lost.WorkerCrashedError, lost.NodeDiedError, lost.OutOfMemoryError, lost.ObjectLostError) as error:
                return Made(error=f"{type(error).__name__} in each of {_RETRIES + 1} attempts")
        return made


def _made_there(*given: Any) -> Made:
    """``make`` in a task of Ray's."""
    import ray

    return make(*given, node=ray.get_runtime_context().get_node_id())


def near(node: str | None, *, soft: bool) -> Any:
    """A strategy of Ray's: on that machine; ``soft``: or on another where it is busy or gone."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # `soft` alone would queue a task at a busy machine while others idle
    return "DEFAULT" if node is None else NodeAffinitySchedulingStrategy(node, soft=soft, _spill_on_unavailable=soft)


def _answering(address: str) -> None:
    """Whether anybody listens there, for which Ray itself waits many minutes. Raises OSError."""
    host, _, port = address.removeprefix(AFAR).rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_S).close()


@contextmanager
def _reached(address: str, hint: str) -> Iterator[None]:
    """Around what Ray is asked. Raises ClusterUnusable: it cannot be reached."""
    import ray

    try:
        yield
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        said = system_reason(error) if isinstance(error, OSError) else str(error)
        said = next((line.strip().rstrip(":") for line in said.splitlines() if line.strip()), "")
        raise ClusterUnusable(address=address, because=said or type(error).__name__, hint=hint) from error
