"""How many stages a cluster is given at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.sweeps.tasks import Room, StageTask
from edgecnn.values.stage import Key
from tests.sweeps.rays import FOUR_CORES
from tests.training.made import stage


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
    room.resize([FOUR_CORES] * 2)
    assert room.has(training)
    room.resize([FOUR_CORES])
    room.give_back(training)
    assert room.has(training)
