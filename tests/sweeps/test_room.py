"""How many stages a cluster is given at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.sweeps.cluster import Cluster
from edgecnn.sweeps.room import Room
from edgecnn.sweeps.tasks import StageTask
from edgecnn.sweeps.terms import Shared, Terms
from edgecnn.sweeps.worker import Made
from edgecnn.values.stage import Key
from tests.data.folders import Heard
from tests.training.made import stage

FOUR_CORES = {"CPU": 4.0, "memory": 16e9}


def begun_on(machines: Sequence[Mapping[str, float]], tasks: Sequence[StageTask]) -> list[StageTask]:
    """Those of the tasks that are begun while none has ended."""
    room, begun = Room(machines), list[StageTask]()
    for task in tasks:
        if room.has(task):
            room.take(task)
            begun.append(task)
    return begun


def test_a_cluster_is_given_what_its_machines_bear_and_one_more() -> None:
    training = StageTask(key=Key("a"), stage=stage(device="cpu"), versions={})
    on_gpu = StageTask(key=Key("b"), stage=stage(device="gpu"), versions={})
    assert len(begun_on([FOUR_CORES] * 3, [training] * 50)) == 4
    assert len(begun_on([FOUR_CORES] * 40, [training] * 90)) == 44
    assert len(begun_on([{"CPU": 16.0, "memory": 8e9}], [training] * 50)) == 3, "its memory bears two"
    six_cores = [{"CPU": 6.0, "memory": 64e9}] * 3
    assert len(begun_on(six_cores, [training] * 50)) == 4, "two cores of each are too few for another"
    a_gpu = [{"CPU": 64.0, "memory": 512e9, "GPU": 1.0}]
    assert begun_on(a_gpu, [on_gpu, on_gpu, on_gpu, training]) == [on_gpu, on_gpu, training]


def test_a_cluster_has_room_again_when_a_task_ends_or_a_machine_comes() -> None:
    training = StageTask(key=Key("a"), stage=stage(device="cpu"), versions={})
    room = Room([FOUR_CORES])
    room.take(training)
    room.take(training)
    assert not room.has(training)
    room.look([FOUR_CORES] * 2)
    assert room.has(training)
    room.look([FOUR_CORES])
    room.give_back(training)
    assert room.has(training)


class Rays:
    """A machine that ends one task at a time, the one that it has had for the longest."""

    def __init__(self, exceptions: object) -> None:
        self.begun, self.most, self.exceptions = list[str](), 0, exceptions

    def remote(self, _: object) -> Any:
        called = SimpleNamespace(remote=lambda task, *_: self._begin(task))
        return SimpleNamespace(options=lambda **_: called)

    def _begin(self, task: StageTask) -> str:
        self.begun.append(task.key)
        return task.key

    def wait(self, running: list[str], **_: object) -> tuple[list[str], list[str]]:
        self.most = max(self.most, len(running))
        return running[:1], running[1:]

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "NodeID": "one", "Resources": FOUR_CORES}]

    def get(self, _: str) -> Made:
        return Made(node="one")


def test_of_a_hundred_trainings_a_cluster_holds_as_many_as_it_has_room_for_in_the_sweep_s_order() -> None:
    ray = pytest.importorskip("ray", reason='pip install "edgecnn[ray]"')
    rays, cluster = Rays(ray.exceptions), object.__new__(Cluster)
    cluster.nodes, cluster._address, cluster._hosts, cluster._ray = {"one": FOUR_CORES}, "ray", {}, rays
    cluster._shared, cluster._sent, cluster._running = Shared(Path("store"), None, "token"), {}, {}
    cluster._room, cluster._terms = Room([FOUR_CORES]), Terms.of(cluster._shared, (), ())
    tasks = {Key(str(each)): StageTask(Key(str(each)), stage(seed=each, device="cpu"), {}) for each in range(100)}
    assert list(cluster.made(tasks, Heard())) == list(tasks) == rays.begun
    assert rays.most == 2 and not cluster._running
