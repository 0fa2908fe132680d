"""Energy races are asked for where a meter can be read, time nothing, and are joined to an external meter's log by the clock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import METER_LOG_UNREADABLE
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult, energy_request, has_meter, log_of, open_log, race, why_no_meter_here, with_reading
from edgecnn.measure.race_request import RaceOptions
from edgecnn.runner.meters.log import read_log
from edgecnn.store.store import Store
from edgecnn.values.profile import Environment, RunEnergy, Stretch
from edgecnn.values.recipe import RaceChoice
from tests.measure.labs import FakeHost, a_kit, lab_at

ROUNDS = 8
RACE = RaceChoice(rounds=ROUNDS)
START_S = 1_795_161_600.0


@pytest.fixture
def kit(tmp_path: Path) -> KitRef:
    return a_kit(tmp_path / "kits", "fp32")


def measured(host: FakeHost, store: Store, kit: KitRef, log: Path | None = None) -> RaceResult:
    return race(energy_request(RACE, (kit,), RaceOptions(meter=log)), lab_at(host, store))


def environment(**observed: str) -> Environment:
    return Environment(conditions={}, observed=observed)


def test_an_energy_race_times_nothing_and_keeps_every_reading(host: FakeHost, store: Store, kit: KitRef) -> None:
    host.meters = "rapl"
    runs = measured(host, store, kit).profiles[kit.digest].runs
    assert [run.samples_ns for run in runs] == [()] * ROUNDS
    assert [run.energy.readings[0].work_j for run in runs if run.energy] == [40.0] * ROUNDS


def test_every_item_of_its_schedule_says_energy_and_leaves_room_for_both_stretches(
    host: FakeHost, store: Store, kit: KitRef
) -> None:
    host.meters, host.stop_after = "rapl", 0
    with pytest.raises(KeyboardInterrupt):
        measured(host, store, kit)
    (asked,) = store.root.rglob("asked.json")
    schedule = json.loads(asked.read_text())
    assert [(item["energy"], item["max_s"]) for item in schedule["items"]] == [(True, 4.0)] * ROUNDS
    assert schedule["timeout_s"] == 68.0


def test_a_race_for_times_sends_what_older_runners_understand(host: FakeHost, store: Store, kit: KitRef) -> None:
    host.stop_after = 0
    request = energy_request(RACE, (kit,), RaceOptions()).model_copy(update={"purpose": "report"})
    with pytest.raises(KeyboardInterrupt):
        race(request, lab_at(host, store))
    (asked,) = store.root.rglob("asked.json")
    assert "energy" not in json.loads(asked.read_text())["items"][0]


def test_a_stored_energy_race_serves_again_but_not_for_an_external_meter(
    host: FakeHost, store: Store, kit: KitRef, tmp_path: Path
) -> None:
    host.meters = "rapl"
    measured(host, store, kit)
    assert measured(host, store, kit).reused
    log = a_log(tmp_path, seconds=400)
    assert not measured(host, store, kit, log).reused
    assert measured(host, store, kit, log).reused
    with_log = energy_request(RACE, (kit,), RaceOptions(meter=log))
    without = with_log.model_copy(update={"meter_log": None})
    assert with_log.identity != without.identity, "it is the meter that tells them apart, not only the window"


def a_log(folder: Path, *, seconds: int, watts: float = 5.0) -> Path:
    path = folder / "meter.csv"
    path.write_text("timestamp,watts\n" + "".join(f"{START_S - 5 + index},{watts}\n" for index in range(seconds)))
    return path


def test_an_external_meter_is_joined_to_each_run_by_the_clock(host: FakeHost, store: Store, kit: KitRef, tmp_path: Path) -> None:
    runs = measured(host, store, kit, a_log(tmp_path, seconds=400)).profiles[kit.digest].runs
    readings = [run.energy.readings for run in runs if run.energy]
    assert [[each.meter for each in per_run] for per_run in readings] == [["external"]] * ROUNDS
    assert [per_run[0].work_j for per_run in readings] == pytest.approx([75.0] * ROUNDS)
    assert readings[0][0].covers == "the circuit that the external meter measures"


def test_runs_beyond_the_log_have_no_energy_and_say_why(
    host: FakeHost, store: Store, kit: KitRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.measure.race.TIMEOUT_S", 0.0)
    log = a_log(tmp_path, seconds=290)
    monkeypatch.setattr("edgecnn.measure.race.log_of", lambda runs, path: log_of(runs, path, timeout_s=0.0))
    runs = measured(host, store, kit, log).profiles[kit.digest].runs
    assert [len(run.energy.readings) for run in runs if run.energy] == [1] * 7 + [0]
    last = runs[-1].energy
    assert last is not None
    assert last.absent["external"].endswith(
        "meter.csv: the readings do not cover the whole run: the last is 11.0 s before its end"
    )


def test_the_log_is_waited_for_until_it_reaches_the_end(tmp_path: Path) -> None:
    path = a_log(tmp_path, seconds=20)
    run = {"energy": {"work": {"began_unix_ns": int((START_S + 30) * 1e9), "seconds": 15.0, "clock_s": 15.0}}}
    log = log_of([run], path, timeout_s=0.2)
    assert log is not None and log.end_s == START_S + 14
    assert log_of([], None) is None


def test_a_clock_that_was_set_meanwhile_joins_nothing(tmp_path: Path) -> None:
    stretch = Stretch(began_unix_ns=int(START_S * 1e9), seconds=15.0, clock_s=15.0)
    jumped = stretch.model_copy(update={"clock_s": 3615.0})
    energy = RunEnergy(images=1, idle=stretch, work=jumped, readings=(), absent={})
    found = with_reading(energy, read_log(a_log(tmp_path, seconds=60)))
    assert found.readings == ()
    assert found.absent == {"external": "the machine's clock was set by +3600.0 s during the run"}


def test_a_log_that_is_none_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "meter.csv").write_text("1,2\nhot,3\n")
    with pytest.raises(EdgecnnError, check=METER_LOG_UNREADABLE.made) as caught:
        open_log(tmp_path / "meter.csv")
    assert caught.value.fields["what"] == f"{tmp_path / 'meter.csv'}: line 2: 'hot' is not a time"


def test_a_kit_is_metered_where_some_meter_says_something_of_it(kit: KitRef, tmp_path: Path) -> None:
    on_gpu = kit.model_copy(update={"on_gpu": True})
    assert has_meter(kit, environment(energy_meters="rapl"))
    assert not has_meter(kit, environment(energy_meters="nvml"))
    assert has_meter(on_gpu, environment(energy_meters="nvml"))
    assert not has_meter(on_gpu, environment(energy_absent="rapl: none"))
    assert has_meter(kit, environment(), log=tmp_path / "meter.csv")


def test_why_there_is_no_energy_is_the_meters_own_words() -> None:
    assert why_no_meter_here(environment(energy_absent="rapl: this is a virtual machine")) == (
        "no meter can be read here: rapl: this is a virtual machine; pass the log of an external meter with --meter"
    )
    assert "the GPU's meter does not measure a model on the CPU" in why_no_meter_here(environment(energy_meters="nvml"))
