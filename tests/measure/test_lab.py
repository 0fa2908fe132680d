"""What a lab says of the machine behind its host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from edgecnn.hosts.protocol import Host, Task
from edgecnn.measure.evaluate import evaluate
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.store.store import Store
from edgecnn.values.profile import Purpose
from edgecnn.values.stage import Progress
from tests.building.scenes import HERE
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.measure.test_evaluate import pixels_at
from tests.store.toys import Ear


def lab_of(host: Host, folder: Path) -> Lab:
    return Lab(host=host, store=Store.open(folder), tell=Ear(), device="cpu", machine="a machine", environment=HERE)


class SayingHost(FakeHost):
    """A runner names its own command, whatever it runs for."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        tell.step("evaluate kit" if task.argv()[0] == "evaluate" else "bench", 3, 16, "runs")
        return super().run(task, lease_s=lease_s, tell=tell)


@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_progress_of_every_race_says_what_it_is_for(tmp_path: Path, purpose: Purpose) -> None:
    kits = (a_kit(tmp_path, "kit"),)
    said = RaceRequest(kits=kits, purpose=purpose, rounds=1, samples=1, max_age_h=0.0).title
    assert said and "bench" not in said


def test_a_race_for_the_choice_and_an_evaluation_are_told_as_such(tmp_path: Path) -> None:
    kit, ear, store = a_kit(tmp_path / "kits", "fp32"), Ear(), Store.open(tmp_path / "store")
    lab = lab_at(SayingHost(), store, ear)
    race(RaceRequest(kits=(kit,), purpose="select", rounds=2, samples=5, max_age_h=0.0), lab)
    evaluate(kit, pixels_at(tmp_path), lab)
    names = [step[0] for step in ear.steps]
    assert names == ["first race", f"evaluate {kit.candidate.id} on {pixels_at(tmp_path).split}"]
