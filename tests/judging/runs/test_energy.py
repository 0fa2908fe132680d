from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgecnn.judging.gates import Circumstances, StatedBounds, gates_for, judge, parse_bounds
from edgecnn.judging.resources import energy
from edgecnn.values.figures import Energy
from edgecnn.values.profile import EnergyReading, Profile, RunEnergy, Stretch
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_gate, a_race, facts

WATTS = [10.0, 10.2, 9.9, 10.1, 10.0, 10.3, 9.8, 10.0]
STRETCH = Stretch(began_unix_ns=0, seconds=4.0, clock_s=4.0)


def a_reading(watts: float, meter: str = "rapl", idle_w: float = 2.0) -> EnergyReading:
    # The meter's own stretch is a little longer than the run's: power is what joins them.
    return EnergyReading(
        meter=meter, covers=f"what {meter} covers", idle_j=4.4 * idle_w, idle_s=4.4, work_j=4.2 * watts, work_s=4.2
    )


def a_run(*readings: EnergyReading, images: int = 400, **absent: str) -> RunEnergy:
    return RunEnergy(images=images, idle=STRETCH, work=STRETCH, readings=readings, absent=absent)


def an_energy_race(runs: Sequence[RunEnergy | None], **observed: str) -> Profile:
    race = a_race([1.0] * len(runs))
    filled = tuple(run.model_copy(update={"energy": each, "samples_ns": ()}) for run, each in zip(race.runs, runs, strict=True))
    environment = race.environment.model_copy(update={"observed": observed})
    return race.model_copy(update={"runs": filled, "purpose": "energy", "environment": environment})


def eight(**observed: str) -> Profile:
    return an_energy_race([a_run(a_reading(watts)) for watts in WATTS], **observed)


def sixteen(**observed: str) -> Profile:
    return an_energy_race([a_run(a_reading(watts)) for watts in WATTS * 2], **observed)


def test_an_image_costs_power_times_time_and_above_idle_less() -> None:
    found = energy(eight())
    assert found.total_mj is not None and found.above_idle_mj is not None and found.idle_w is not None
    assert (found.total_mj.estimate, found.total_mj.low, found.total_mj.high) == pytest.approx((100.0, 98.0, 103.0))
    assert found.above_idle_mj.estimate == pytest.approx(80.0)
    assert found.idle_w.estimate == pytest.approx(2.0)
    assert (found.meter, found.covers, found.runs, found.images) == ("rapl", "what rapl covers", 8, 3200)
    assert (found.fidelity, found.reason, found.disturbed) == (Fidelity.MEASURED, None, None)


def test_the_meter_that_covers_most_speaks() -> None:
    runs = [a_run(a_reading(watts), a_reading(9 * watts, "external"), a_reading(3 * watts, "nvml")) for watts in WATTS]
    assert energy(an_energy_race(runs)).meter == "external"
    assert energy(an_energy_race([a_run(a_reading(3.0, "rapl"), a_reading(9.0, "nvml"))] * 8)).meter == "nvml"


def test_a_run_that_was_not_read_leaves_it_open_for_all() -> None:
    runs = [a_run(a_reading(watts)) for watts in WATTS[:7]] + [a_run(rapl="it was reset")]
    found = energy(an_energy_race(runs))
    assert (found.total_mj, found.runs, found.reason) == (None, 7, "1 of 8 runs: rapl: it was reset")


def test_without_any_reading_it_is_missing_in_the_meters_words_and_never_zero() -> None:
    found = energy(an_energy_race([a_run(rapl="not allowed", pmic="no Raspberry Pi")] * 8))
    assert (found.total_mj, found.above_idle_mj, found.runs, found.fidelity) == (None, None, 0, Fidelity.MISSING)
    assert (found.reason or "").endswith(": rapl: not allowed; pmic: no Raspberry Pi")
    assert energy(an_energy_race([None] * 8)).reason == "nothing ran"


def test_too_few_runs_show_what_was_seen_and_no_interval() -> None:
    found = energy(an_energy_race([a_run(a_reading(10.0))]))
    assert found.total_mj is None and "100.00 mJ" in (found.reason or "")


def test_a_meter_that_cannot_tell_work_from_waiting_is_shown_as_it_is() -> None:
    found = energy(an_energy_race([a_run(a_reading(2.0 + step, idle_w=2.0)) for step in (-0.1, 0.1) * 4]))
    assert found.above_idle_mj is not None
    assert found.above_idle_mj.low < 0 < found.above_idle_mj.high


def test_a_gate_holds_the_total_against_its_bound() -> None:
    row = facts(energy=energy(sixteen()))
    verdicts = [judge(a_gate("energy_mj", bound), row).verdict for bound in (104, 100, 97)]
    assert verdicts == [Verdict.PASS, Verdict.UNSURE, Verdict.FAIL]
    assert "rapl" in judge(a_gate("energy_mj", 104), row).reason


def test_other_work_draws_power_too_and_fails_nobody() -> None:
    result = judge(a_gate("energy_mj", 50), facts(energy=energy(sixteen(others_percent="40"))))
    assert result.verdict is Verdict.UNSURE
    assert "40 %" in result.reason


def test_a_gate_on_what_was_not_measured_is_missing() -> None:
    nothing = Energy(reason="no meter", machine="here")
    result = judge(a_gate("energy_mj", 50), facts(energy=nothing))
    assert (result.verdict, result.reason) == (Verdict.MISSING, "no meter")
    assert judge(a_gate("energy_mj", 50), facts()).verdict is Verdict.MISSING
    few = judge(a_gate("energy_mj", 50), facts(energy=energy(an_energy_race([a_run(a_reading(10.0))]))))
    assert few.verdict is Verdict.UNSURE and "100.00 mJ" in few.reason


def test_energy_on_a_device_that_is_not_at_hand_is_required_when_measured() -> None:
    (gate,) = gates_for(StatedBounds(parse_bounds(["energy_mj=50"], [])), Circumstances(device_usually_attached=False))
    assert gate.required == "when-measured"
