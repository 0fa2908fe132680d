from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgecnn.judging.gates import Circumstances, StatedBounds, gates_for, judge, parse_bounds
from edgecnn.judging.resources import memory
from edgecnn.render.sentences import error_rates
from edgecnn.values.figures import Memory
from edgecnn.values.profile import Profile, RunMemory
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_gate, a_latency, a_race, an_interval, facts

PEAKS = [81.0, 80.5, 82.0, 80.9, 81.1, 81.0, 80.8, 81.3]


def a_race_with(held: Sequence[RunMemory | None]) -> Profile:
    race = a_race([1.0] * len(held))
    runs = tuple(run.model_copy(update={"memory": each}) for run, each in zip(race.runs, held, strict=True))
    return race.model_copy(update={"runs": runs})


def runs_text(peaks: Sequence[float], baseline: float = 60.0) -> list[RunMemory | None]:
    return [RunMemory(baseline_mib=baseline, peak_mib=peak, source="VmHWM") for peak in peaks]


def test_the_peak_and_the_runtimes_own_part_are_both_given() -> None:
    found = memory(a_race_with(runs_text(PEAKS)))
    assert found.peak_mib is not None and found.baseline_mib is not None and found.above_baseline_mib is not None
    assert (found.peak_mib.estimate, found.peak_mib.low, found.peak_mib.high) == (81.0, 80.5, 82.0)
    assert found.baseline_mib.estimate == 60.0 and found.above_baseline_mib.estimate == 21.0
    assert (found.runs, found.fidelity, found.reason, found.machine) == (8, Fidelity.MEASURED, None, "AMD EPYC")


def test_too_few_runs_show_what_was_seen_and_no_interval() -> None:
    found = memory(a_race_with(runs_text(PEAKS[:1])))
    assert found.peak_mib is None and "81.0 MiB" in (found.reason or "")


def test_a_run_without_the_figure_leaves_it_open_for_all() -> None:
    held = runs_text(PEAKS)
    held[3] = RunMemory(absent="no getrusage")
    found = memory(a_race_with(held))
    assert found.peak_mib is None
    assert found.reason == "1 of 8 runs: no getrusage"


@pytest.mark.parametrize("held", [None, RunMemory(absent="no account")])
def test_runs_that_recorded_nothing_are_missing_and_not_zero(held: RunMemory | None) -> None:
    found = memory(a_race_with([held] * 8))
    assert (found.peak_mib, found.runs, found.fidelity) == (None, 0, Fidelity.MISSING)
    assert held is None or found.reason == held.absent


def test_gpu_memory_has_an_interval_or_a_reason() -> None:
    seen = [each.model_copy(update={"gpu_mib": 300.0}) for each in runs_text(PEAKS) if each]
    found = memory(a_race_with(seen))
    assert found.gpu_mib is not None and (found.gpu_mib.estimate, found.gpu_reason) == (300.0, None)
    unseen = [each.model_copy(update={"gpu_absent": "not listed"}) for each in runs_text(PEAKS) if each]
    assert (memory(a_race_with(unseen)).gpu_mib, memory(a_race_with(unseen)).gpu_reason) == (None, "not listed")


def test_a_gate_bounds_the_largest_peak_of_all_runs() -> None:
    row = facts(memory=memory(a_race_with(runs_text(PEAKS))))
    verdicts = [judge(a_gate("peak_memory_mib", bound), row).verdict for bound in (83, 82, 81)]
    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]


def test_the_largest_peak_seen_is_no_exact_figure_and_has_no_error_rate() -> None:
    result = judge(a_gate("peak_memory_mib", 83), facts(memory=memory(a_race_with(runs_text(PEAKS)))))
    size = judge(a_gate("size_mib", 83), facts(size_mib=1.0))
    assert result.figure is not None and result.figure.confidence == 0
    rates = error_rates([result, size])
    assert rates is not None and "α" not in rates


def test_the_error_rate_of_latency_is_of_the_machine_as_it_was_in_the_race() -> None:
    result = judge(a_gate("p50_ms", 20), facts(latency=a_latency(an_interval(1.0))))
    assert "(α) 0.781 %" in (error_rates([result]) or "")


def test_one_run_in_forty_that_needs_more_than_the_device_has_breaks_the_gate() -> None:
    row = facts(memory=memory(a_race_with(runs_text([81.0] * 39 + [140.0]))))
    assert row.memory is not None and row.memory.peak_mib is not None and row.memory.peak_mib.high == 81.0
    result = judge(a_gate("peak_memory_mib", 128), row)
    assert (result.verdict, result.figure.estimate if result.figure else None) == (Verdict.FAIL, 140.0)


def test_a_gate_on_what_was_not_measured_is_missing_and_one_on_too_little_unsure() -> None:
    nothing = Memory(reason="no board", machine="raspberry-pi-5")
    result = judge(a_gate("peak_memory_mib", 100), facts(memory=nothing))
    assert (result.verdict, result.reason) == (Verdict.MISSING, "no board")
    assert judge(a_gate("peak_memory_mib", 100), facts()).verdict is Verdict.MISSING
    few = judge(a_gate("peak_memory_mib", 100), facts(memory=memory(a_race_with(runs_text(PEAKS[:2])))))
    assert few.verdict is Verdict.UNSURE and "81.0 MiB" in few.reason


def test_memory_on_a_device_that_is_not_at_hand_is_required_when_measured() -> None:
    asked = parse_bounds(["peak_memory_mib=100"], [])
    (gate,) = gates_for(StatedBounds(asked), Circumstances(device_usually_attached=False))
    assert gate.required == "when-measured"
    (gate,) = gates_for(StatedBounds(asked), Circumstances())
    assert gate.required == "always"
