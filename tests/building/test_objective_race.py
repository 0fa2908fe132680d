"""The races that choose where throughput or energy is the objective, on a machine that is made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.building.build import _check_objective
from edgecnn.building.measuring import Observer, race_for_choice, require_meter, result_to_choose_by
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import KNOBS_BY_LATENCY, NO_METER_FOR_OBJECTIVE
from edgecnn.judging.choice import Contest
from edgecnn.measure.race_request import RaceOptions
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import plan
from edgecnn.runner.files import write_json
from edgecnn.runner.runs.items import Item, run_file
from edgecnn.store.store import Store
from edgecnn.values.profile import Environment
from edgecnn.values.recipe import Objective
from tests.building.resolutions import INT8, resolved
from tests.measure.labs import FakeHost, a_kit, lab_at

NAMES = (BASELINE.id, INT8.id)


class UnequalHost(FakeHost):
    """On which kits differ, by the name of their folder: in how long an image takes, alone and among others, and in energy."""

    image_ns: Mapping[str, int] = {BASELINE.id: 4_000_000, INT8.id: 5_000_000}
    saved: Mapping[str, float] = {BASELINE.id: 0.5, INT8.id: 0.1}
    """What of that time one image costs in a call of sixteen."""
    unread: frozenset[str] = frozenset()
    """Kits whose runs the meter cannot be read beside."""
    joules: Mapping[str, float] = {BASELINE.id: 10.0, INT8.id: 6.0}

    def _run_one(self, index: int, item: Item, out: Path) -> None:
        super()._run_one(index, item, out)
        path, name = run_file(out, index), item.kit.name
        run = json.loads(path.read_text())
        if "error" in run:
            return
        each = self.image_ns[name] * (item.batch if item.batch < 16 else 16 * self.saved[name])
        run["samples_ns"] = [round(each)] * len(run["samples_ns"])
        if name in self.unread and run.get("energy"):
            run["energy"] = None
        if run.get("energy"):
            for reading in run["energy"]["readings"]:
                reading["work_j"] = self.joules[name]
        write_json(path, run)


class Stand:
    def __init__(self, folder: Path, meters: str = "rapl") -> None:
        self.host = UnequalHost()
        self.host.meters = meters
        self.observer = Observer(Subject.from_build(resolved(), lab=lab_at(self.host, Store.open(folder / "store"))))
        self.observer.subject.kits = {name: a_kit(folder / "kits", name) for name in NAMES}
        self.observer.subject.answering = dict(self.observer.subject.kits)
        self.observer.time_all((), RaceOptions())

    def contest(self, objective: Objective) -> Contest | None:
        race_for_choice(self.observer, NAMES, objective, RaceOptions())
        self.observer.subject.objective = objective
        return result_to_choose_by(self.observer.subject)

    @property
    def seen(self) -> Subject:
        return self.observer.subject


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def test_each_candidate_races_with_its_own_best_number_of_images(stand: Stand) -> None:
    found = stand.contest("throughput")
    assert found is not None
    assert {name: (shown.batch, shown.runs) for name, shown in found.shown.items()} == {BASELINE.id: (16, 3), INT8.id: (16, 3)}
    ratio = found.ratio(INT8.id, BASELINE.id)
    assert ratio is not None and ratio.estimate == pytest.approx(4.0, rel=1e-3), "slower alone, and four times as many in a call"


def test_what_was_only_screened_is_reported_of_nobody(stand: Stand) -> None:
    stand.contest("throughput")
    assert stand.observer.subject.throughput == [] and stand.observer.subject.batch_screens == {}


def test_energy_is_raced_in_paired_rounds(stand: Stand) -> None:
    found = stand.contest("energy")
    assert found is not None and found.meter == "rapl"
    ratio = found.ratio(INT8.id, BASELINE.id)
    assert ratio is not None and ratio.estimate == pytest.approx(10 / 6, rel=1e-3)
    digest = stand.observer.subject.kits[INT8.id].digest
    purposes = {each.profile.purpose for each in stand.observer.subject.lab.store.profiles.of(digest, "race")}
    assert purposes == {"select", "select-energy"}, "what is reported is measured again, in a race of another purpose"


def test_where_no_meter_reads_them_all_the_choice_says_so_and_not_that_nothing_was_raced(stand: Stand) -> None:
    stand.host.unread = frozenset({INT8.id})
    found = stand.contest("energy")
    assert found is not None and found.shown == {}
    assert (found.missing or "").startswith("no meter ")


def test_a_stored_race_serves_the_same_choice_again(stand: Stand) -> None:
    stand.contest("energy")
    before = len(stand.host.calls)
    stand.contest("energy")
    assert len(stand.host.calls) == before


def test_a_kit_that_breaks_in_it_is_no_candidate_of_the_race_and_the_report_says_so(stand: Stand) -> None:
    stand.host.broken[stand.observer.subject.kits[INT8.id].digest] = "the process was killed"
    found = stand.contest("energy")
    assert found is not None and set(found.shown) == {BASELINE.id}
    assert f"select-energy race of {INT8.id} failed: the process was killed" in stand.observer.subject.notes


@pytest.mark.parametrize("objective", ["latency", "size"])
def test_other_objectives_race_nothing_here(stand: Stand, objective: Any) -> None:
    before = len(stand.host.calls)
    found = stand.contest(objective)
    assert (found.objective if found else None) == (objective if objective == "latency" else None)
    assert len(stand.host.calls) == before


def test_energy_without_a_meter_is_refused_with_what_would_give_one(tmp_path: Path) -> None:
    here = Environment(conditions={}, observed={"energy_absent": "rapl: this is a virtual machine"})
    with pytest.raises(EdgecnnError, check=NO_METER_FOR_OBJECTIVE.made) as raised:
        require_meter(here, (BASELINE, INT8), None)
    assert (raised.value.ref, raised.value.fields["because"]) == ("no-meter-for-objective", "rapl: this is a virtual machine")
    assert raised.value.exit_code == 3
    require_meter(here, (BASELINE,), tmp_path / "meter.csv")
    require_meter(Environment(conditions={}, observed={"energy_meters": "rapl"}), (BASELINE,), None)


def test_a_meter_of_the_gpu_says_nothing_of_candidates_on_the_processor() -> None:
    with pytest.raises(EdgecnnError, check=NO_METER_FOR_OBJECTIVE.made):
        require_meter(Environment(conditions={}, observed={"energy_meters": "nvml"}), (BASELINE, INT8), None)


def test_knobs_are_refused_where_they_may_harm_what_is_asked_for() -> None:
    usual = resolved()
    recipe = usual.recipe.model_copy(
        update={
            "choice": usual.recipe.choice.model_copy(update={"objective": "throughput"}),
            "race": usual.recipe.race.model_copy(update={"knobs": True}),
        }
    )
    planned = plan(usual.model_copy(update={"recipe": recipe}))
    with pytest.raises(EdgecnnError, check=KNOBS_BY_LATENCY.made) as refused:
        _check_objective(planned, Environment(conditions={}, observed={}), SimpleNamespace(goal="judge", meter=None))  # type: ignore[arg-type]
    assert refused.value.fields["objective"] == "throughput"
