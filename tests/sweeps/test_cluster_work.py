"""What a cluster is given when, and what becomes of tasks whose machines are lost, too small, or fail through their own fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import CLUSTER_WITHOUT_GPU
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.sweeps.cluster import GRACE_S, _push_inputs
from edgecnn.sweeps.tasks import StageTask
from edgecnn.sweeps.worker import Shared, TaskOutcome
from edgecnn.values.stage import Key
from tests.data.folders import Heard
from tests.store.toys import VERSIONS, Prepare, Train, obtain
from tests.sweeps.rays import FOUR_CORES, Rays, work_on
from tests.training.made import stage

ONE, TWO, THREE = ("1" * 56, "2" * 56, "3" * 56)
FULL = "no space left for the store /cache [store-full]"


def trainings(number: int, device: str = "cpu") -> dict[Key, StageTask]:
    keys = [Key(f"{each:064x}") for each in range(number)]
    return {key: StageTask(key, stage(seed=seed, device=device), {}) for seed, key in enumerate(keys)}


def left(task: StageTask, error: str) -> str:
    return f"{task.name} failed and is left to the builds that need it: {error}"


def test_of_a_hundred_trainings_a_cluster_holds_as_many_as_it_has_room_for_in_the_sweep_s_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rays, tasks = Rays({ONE: FOUR_CORES}), trainings(100)
    assert list(work_on(rays, Heard(), monkeypatch).made(tasks)) == list(tasks) == [each.task.key for each in rays.begun]
    assert rays.most == 2


@pytest.mark.parametrize(("device", "refused"), [("gpu", True), ("cpu", False)])
def test_a_training_for_a_gpu_does_not_wait_for_one_that_no_machine_of_a_cluster_has(
    device: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, tasks = work_on(Rays({ONE: FOUR_CORES}), Heard(), monkeypatch), trainings(1, device)
    if not refused:
        assert list(work.made(tasks)) == list(tasks)
        return
    with pytest.raises(EdgecnnError, check=CLUSTER_WITHOUT_GPU.made) as caught:
        list(work.made(tasks))
    assert caught.value.fields == {"address": "ray"}


def test_trainings_for_a_gpu_are_left_to_the_builds_when_its_machine_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    rays, heard, tasks = Rays({ONE: FOUR_CORES, TWO: {**FOUR_CORES, "GPU": 1.0}}), Heard(), trainings(3, "gpu")

    def lost(_: StageTask, node: str) -> TaskOutcome:
        del rays.machines[TWO]
        return TaskOutcome(node)

    rays.answer = lost
    first, second, third = tasks.values()
    assert list(work_on(rays, heard, monkeypatch).made(tasks)) == [first.key]
    assert GRACE_S <= rays.now < GRACE_S + 60, "the third is not waited for once more"
    assert rays.cancelled == [1, 2]
    error = "no machine of the cluster has 4 cores, 4.0 GiB of memory and 1 GPU any longer"
    assert heard.notes == [
        f"{TWO} (192.0.2.1) is lost; its stages are started again on another machine",
        left(second, error),
        left(third, error),
    ]


def test_a_gpu_that_comes_back_in_time_trains_on(monkeypatch: pytest.MonkeyPatch) -> None:
    a_gpu = {**FOUR_CORES, "GPU": 1.0}
    rays, tasks = Rays({ONE: FOUR_CORES, TWO: a_gpu}), trainings(3, "gpu")

    def lost(_: StageTask, node: str) -> TaskOutcome:
        rays.machines.pop(TWO, None)
        return TaskOutcome(node)

    def back(now: float) -> None:
        if now >= GRACE_S - 20:
            rays.machines[THREE] = a_gpu

    rays.answer, rays.at = lost, back
    assert list(work_on(rays, Heard(), monkeypatch).made(tasks)) == list(tasks) and rays.cancelled == []


def test_machines_that_are_replaced_by_smaller_ones_are_asked_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    rays, heard, tasks = Rays({ONE: FOUR_CORES}), Heard(), trainings(6)

    def lost(_: StageTask, node: str) -> TaskOutcome:
        rays.machines = {TWO: {"CPU": 2.0, "memory": 4e9}}
        return TaskOutcome(node)

    rays.answer = lost
    assert sorted(work_on(rays, heard, monkeypatch).made(tasks)) == sorted(tasks)
    assert [each.options["num_cpus"] for each in rays.begun] == [4, 4, 4, 2, 2, 2, 2, 2]
    assert rays.cancelled == [1, 2] and len(heard.notes) == 1


def test_a_task_that_failed_through_its_machine_s_fault_is_begun_once_more_on_another_and_the_second_time_that_is_avoided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rays, heard, tasks = Rays({ONE: FOUR_CORES, TWO: FOUR_CORES}), Heard(), trainings(8)
    rays.answer = lambda _, node: TaskOutcome(node, FULL, elsewhere=True) if node == ONE else TaskOutcome(node)
    assert sorted(work_on(rays, heard, monkeypatch).made(tasks)) == sorted(tasks)
    again = [
        f"{task.name} failed on {ONE} (192.0.2.1) and is started once more on another machine: {FULL}" for task in tasks.values()
    ]
    avoided = f"{ONE} (192.0.2.1) gets no more stages while there are other machines: {FULL}"
    assert heard.notes == [again[0], avoided, again[1], again[2]], "the third was begun before"
    assert all(each.options["label_selector"] == {"ray.io/node-id": f"!in({ONE})"} for each in rays.begun[4:])


def test_a_store_that_is_full_for_all_machines_is_left_to_the_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    rays, heard, tasks = Rays({ONE: FOUR_CORES, TWO: FOUR_CORES}), Heard(), trainings(8)
    rays.answer = lambda _, node: TaskOutcome(node, FULL, elsewhere=True)
    assert list(work_on(rays, heard, monkeypatch).made(tasks)) == []
    assert [note for note in heard.notes if "is left" in note] == [left(task, FULL) for task in tasks.values()]
    assert len(rays.begun) <= 2 * len(tasks) and rays.now == 0


def test_what_a_machine_cannot_even_begin_does_not_end_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason='pip install "edgecnn[ray]"')
    rays, heard, tasks = Rays({ONE: FOUR_CORES}), Heard(), trainings(2)
    first, second = tasks.values()

    def answer(task: StageTask, node: str) -> TaskOutcome:
        if task is first:
            raise ray.exceptions.RayTaskError("train", "…", RuntimeError("No module named 'edgecnn'")).as_instanceof_cause()
        return TaskOutcome(node)

    rays.answer = answer
    assert list(work_on(rays, heard, monkeypatch).made(tasks)) == [second.key]
    assert heard.notes == [left(first, "a machine cannot start it: RuntimeError: No module named 'edgecnn'")]


def test_what_tasks_read_of_the_asking_machine_s_store_goes_before_them_to_the_store_afar(tmp_path: Path) -> None:
    store, remote = Store.open(tmp_path / "store"), (tmp_path / "afar").as_uri()
    (found, _), (other, _) = obtain(store, Prepare(inputs={})), obtain(store, Prepare(inputs={}, epochs=2))
    first = Train(inputs={"images": found.key})
    second = Train(inputs={"network": first.key(VERSIONS), "images": found.key})
    tasks = [
        StageTask(first.key(VERSIONS), first, VERSIONS, made={"images": "prepare"}),
        StageTask(second.key(VERSIONS), second, VERSIONS, made={"images": "prepare", "network": "train"}),
    ]
    _push_inputs({task.key: task for task in tasks}, Shared(store.root, None, "token"), store, Heard())
    assert not (tmp_path / "afar").exists()
    _push_inputs({task.key: task for task in tasks}, Shared(store.root, remote, "token"), store, Heard())
    assert Remote(remote).names() == {f"artifacts/prepare/{found.key}"} and other.key != found.key
