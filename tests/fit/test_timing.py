"""Members timed before anything is learned, on a machine that is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices.machine import this_machine
from edgecnn.fit import timing
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult
from edgecnn.measure.race_request import RaceRequest
from edgecnn.planning.candidates import BASELINE
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.profile import Environment
from tests.building.resolutions import INT8
from tests.fit.made import timed


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return this_machine().lab(Store.open(tmp_path / "store"), Quiet(), "cpu")


def kits(name: str) -> list[KitRef]:
    return [
        KitRef(candidate=each, folder=Path("kit"), digest=f"{name}-{each.id}", runtime="onnxruntime") for each in (BASELINE, INT8)
    ]


class Machine:
    """Runs that take so many ms by the kit's digest, one race of them beside other work."""

    def __init__(self, lab: Lab, ms: dict[str, float], busy: int = -1, paces: tuple[float, ...] = ()) -> None:
        self.lab, self.ms, self.busy, self.paces, self.asked = lab, ms, busy, paces, list[RaceRequest]()

    def race(self, request: RaceRequest, lab: Lab) -> RaceResult:
        busy = len(self.asked) == self.busy
        slow = 10.0 if busy else (*self.paces[len(self.asked) :], 1.0)[0]
        self.asked.append(request)
        seen = {"others_percent": "60.0"} if busy else {}
        environment = Environment(conditions=lab.environment.conditions, observed=seen)
        ran = [kit for kit in request.kits if kit.digest in self.ms]
        profiles = {kit.entrant: timed(lab, kit, environment, int(1e6 * self.ms[kit.digest] * slow), rounds=3) for kit in ran}
        failed = {kit.entrant: "it was killed" for kit in request.kits if kit not in ran}
        return RaceResult(race="r", observed_at="2026-11-01T00:00:00+00:00", profiles=profiles, failed=failed, reused=False)


def test_a_member_takes_what_its_faster_candidate_takes_and_one_that_does_not_run_says_why(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(lab, {f"a-{BASELINE.id}": 3.0, f"a-{INT8.id}": 2.0})
    monkeypatch.setattr(timing, "race", machine.race)
    found = timing.time_kits({"a": kits("a"), "b": kits("b")}, lab)
    assert {name: each.estimate for name, each in found.times.items()} == {"a": pytest.approx(2.0)}
    assert found.failed == {"b": "it was killed"}
    assert len(machine.asked) == 1


def test_times_that_were_taken_beside_other_work_are_taken_again_and_not_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(lab, {f"a-{BASELINE.id}": 3.0, f"a-{INT8.id}": 2.0}, busy=0)
    monkeypatch.setattr(timing, "race", machine.race)
    assert timing.time_kits({"a": kits("a")}, lab).times["a"].estimate == pytest.approx(2.0)
    assert [each.max_age_h for each in machine.asked] == [timing.MAX_AGE_H, 0.0]


@pytest.mark.parametrize(("paces", "races", "seen"), [((1.2,), 1, 1.2), ((2.0, 1.0), 2, 1.0), ((2.0, 2.0), 2, 2.0)])
def test_a_machine_that_is_slower_than_its_table_is_asked_again_and_what_it_takes_then_is_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, paces: tuple[float, ...], races: int, seen: float
) -> None:
    known = kits("known")[0]
    machine = Machine(lab, {f"a-{BASELINE.id}": 3.0, known.digest: 0.5}, paces=paces)
    monkeypatch.setattr(timing, "race", machine.race)
    found = timing.time_kits({"a": kits("a")}, lab, timing.Yardstick(known, 0.5))
    assert found.pace == pytest.approx(seen)
    assert found.times["a"].estimate == pytest.approx(3.0 * seen)
    assert [each.max_age_h for each in machine.asked] == [timing.MAX_AGE_H, 0.0][:races]
    assert found.times.keys() == {"a"}
