"""The order in which stages of a sweep are made, by whatever makes them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

from edgecnn.errors.sweeps import ClusterUnusable
from edgecnn.sweeps.cluster import Cluster
from edgecnn.sweeps.tasks import StageTask, run_in_order
from edgecnn.values.stage import Key
from tests.data.folders import Heard
from tests.training.made import stage


class Done(NamedTuple):
    error: str | None = None


def run(waits_for: Mapping[str, Sequence[str]], fails: Sequence[str] = (), seed: int = 0) -> tuple[list[str], list[str]]:
    """Tasks in the order in which they were begun, and in that in which they ended: at random, one or more at a time."""
    begun, draw = list[str](), random.Random(seed)

    def begin(key: Key) -> str:
        begun.append(key)
        return key

    def some(running: list[str]) -> list[tuple[str, Done]]:
        chosen = draw.sample(running, draw.randint(0, len(running)))
        return [(key, Done("broke" if key in fails else None)) for key in chosen]

    needs = {Key(key): [Key(each) for each in before] for key, before in waits_for.items()}
    ended = [str(key) for key, _ in run_in_order(needs, begin, some)]
    return begun, ended


TREE = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c", "stored"], "x": []}


@pytest.mark.parametrize("seed", range(20))
def test_each_is_begun_once_and_after_what_it_waits_for(seed: int) -> None:
    begun, ended = run(TREE, seed=seed)
    assert sorted(begun) == sorted(ended) == sorted(TREE)
    for key, before in TREE.items():
        assert all(each not in TREE or begun.index(each) < begun.index(key) for each in before)


def test_the_longest_way_is_begun_first() -> None:
    assert run(TREE)[0][0] == "a"
    assert run({"x": [], **TREE})[0][0] == "a"


def test_what_waits_for_a_failure_is_left_and_the_rest_goes_on() -> None:
    begun, ended = run(TREE, fails=["b"])
    assert sorted(ended) == ["a", "b", "c", "x"] and "d" not in begun
    assert sorted(run(TREE, fails=["a"])[1]) == ["a", "x"]


def test_of_nothing_nothing_is_run() -> None:
    assert run({}) == ([], [])


@pytest.mark.parametrize(("device", "refused"), [("gpu", True), ("cpu", False)])
def test_a_training_for_a_gpu_does_not_wait_for_one_that_no_machine_of_a_cluster_has(device: str, refused: bool) -> None:
    cluster = object.__new__(Cluster)
    cluster.nodes, cluster._address = {"one": {"CPU": 4.0, "memory": 8e9}}, "ray"
    asked = stage(device=device)
    task = StageTask(key=Key("a"), stage=asked, versions={})
    assert task.gpus == int(refused)
    if not refused:
        return
    with pytest.raises(ClusterUnusable) as caught:
        list(cluster.made({task.key: task}, Heard()))
    assert caught.value.line() == (
        "the cluster ray cannot be used: a GPU of this machine would train, and none of the cluster's has one — "
        "--set train.device=cpu [cluster-unusable]"
    )
