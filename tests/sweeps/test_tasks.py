"""The order in which stages of a sweep are made, by whatever makes them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import NamedTuple

import pytest

from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.sweeps.boards import Ended
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.run import Children, SweepRun, log_path, run_builds
from edgecnn.sweeps.state import SweepState
from edgecnn.sweeps.tasks import run_in_order
from tests.sweeps.written import cells


class Done(NamedTuple):
    error: str | None = None


class Sweep:
    """Tasks run at random, one or more at a time, at most so many at once."""

    def __init__(
        self, waits_for: Mapping[str, Sequence[str]], fails: Sequence[str] = (), seed: int = 0, at_once: int = 99
    ) -> None:
        self.begun, self.ended, self.most, self.happened = list[str](), list[str](), 0, list[str]()
        self._fails, self._draw = fails, random.Random(seed)
        for key, _ in run_in_order(waits_for, self._begin, self._some, lambda _, running: running < at_once):
            self.ended.append(key)
            self.happened.append(f"{key} ended")

    def _begin(self, key: str) -> str:
        self.begun.append(key)
        self.happened.append(key)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        return key

    def _some(self, running: list[str]) -> list[tuple[str, Done]]:
        chosen = self._draw.sample(running, self._draw.randint(0, len(running)))
        return [(key, Done("broke" if key in self._fails else None)) for key in chosen]


def swept(builds: int) -> dict[str, list[str]]:
    """The tasks of so many builds, whose board measures when ``package`` ended."""
    kinds = ("train", "export", "quantize", "package")
    return {
        f"{kind} {build}": [f"{kinds[place - 1]} {build}"] if place else []
        for build in range(builds)
        for place, kind in enumerate(kinds)
    }


ON_BOARDS = """
[set]
data.path = "absent"
[grid]
model.arch = ["lenet-5"]
train.seed = [0, 1, 2]
target.device = ["raspberry-pi-5:onnxruntime", "raspberry-pi-4:onnxruntime"]
[hosts]
raspberry-pi-5 = "pi@192.0.2.1"
raspberry-pi-4 = "pi@192.0.2.2"
"""
TREE = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c", "stored"], "x": []}


@pytest.mark.parametrize("seed", range(20))
def test_each_is_begun_once_and_after_what_it_waits_for(seed: int) -> None:
    for at_once in (1, 2, 99):
        sweep = Sweep(TREE, seed=seed, at_once=at_once)
        assert sorted(sweep.begun) == sorted(sweep.ended) == sorted(TREE)
        for key, before in TREE.items():
            assert all(each not in TREE or sweep.happened.index(f"{each} ended") < sweep.happened.index(key) for each in before)


@pytest.mark.parametrize("seed", range(20))
def test_the_first_board_measures_before_the_last_training_and_no_more_run_than_there_is_room_for(seed: int) -> None:
    sweep = Sweep(swept(20), seed=seed, at_once=4)
    assert sweep.most == 4
    assert sweep.happened.index("package 0 ended") < sweep.happened.index("train 19")


def test_an_earlier_build_s_task_goes_before_a_later_one_s() -> None:
    assert Sweep(swept(3), at_once=1).begun == list(swept(3))
    assert Sweep({"x": [], **TREE}, at_once=1).begun[0] == "x"


def test_what_has_no_room_lets_later_ones_by_and_is_begun_where_nothing_runs() -> None:
    begun = list[str]()

    def begin(key: str) -> str:
        begun.append(key)
        return key

    waits_for: dict[str, list[str]] = {"cpu 1": [], "gpu 1": [], "gpu 2": [], "cpu 2": []}
    ended = run_in_order(waits_for, begin, lambda running: [(running[-1], Done())], lambda key, _: key.startswith("cpu"))
    assert len(list(ended)) == 4
    assert begun == ["cpu 1", "cpu 2", "gpu 1", "gpu 2"]


def test_what_waits_for_a_failure_is_left_and_the_rest_goes_on() -> None:
    sweep = Sweep(TREE, fails=["b"], at_once=2)
    assert sorted(sweep.ended) == ["a", "b", "c", "x"] and "d" not in sweep.begun
    assert sorted(Sweep(TREE, fails=["a"]).ended) == ["a", "x"]


def test_of_nothing_nothing_is_run() -> None:
    assert Sweep({}).begun == []


def test_all_builds_of_a_training_are_made_before_the_next_training_and_boards_measure_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every, measured, made = cells(tmp_path, ON_BOARDS), Event(), list[str]()

    def start(children: Children, words: Sequence[str], cell: Cell, *_: object) -> Ended:
        log_path(children.out, cell.name).touch()
        if words[0] == "build":
            measured.set()
            return Ended(0)
        made.append(cell.name)
        assert len(made) < 5 or measured.wait(20), "nothing was measured before the last training"
        return Ended(0)

    monkeypatch.setattr(Children, "start", start)
    asked = {cell.name: "asked" for cell in every}
    run = SweepRun(tmp_path / "out", every, asked, Store.open(tmp_path / "store"), total=len(every), cells=every)
    run_builds(run, SweepState(sweep="sweep.toml"), Quiet())
    assert [name[-1] for name in made] == ["0", "0", "1", "1", "2", "2"]
