"""Present runs against recorded ones: the same machine, or a refusal that says what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.comparing.baseline_file import figures_of, imported_baseline, read_baseline, sealed, write_record
from edgecnn.comparing.comparison import CompareRequest, compare
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import BASELINE_ELSEWHERE, DEVICES_DIFFER, LATENCY_BASELINE_UNREADABLE, UNKNOWN_CONDITION
from edgecnn.errors.measuring import RunsUnusable
from edgecnn.judging.gates import exit_code_of, parse_bounds, runs_for
from edgecnn.judging.metrics import exactly
from edgecnn.judging.ratio import MORE_DAYS
from edgecnn.results.shipped import ShippedKit
from edgecnn.values.profile import EMULATED_TIMES, NOT_TIMED, Environment
from edgecnn.values.report import Comparison
from edgecnn.values.verdict import Fidelity, Verdict
from tests.building.bundles import built_at_chance_level, built_for
from tests.building.races import RacingHost, last_days, measured_on_a_device, on_days, racing_lab, two_bundles
from tests.judging.made import a_gate


class Bench:
    """Baselines of BASE at 2 ms, recorded on three days on a quiet machine, and HEAD to be held against them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head, self.base = two_bundles(folder)
        self.files: list[Path] = []
        self.host = RacingHost(head=2.0, base=2.0)

    def record(self, name: str = "then", factors: tuple[float, ...] = (0.998, 1.0, 1.002), **settings: Any) -> None:
        runs = measured_on_a_device(self.host, self.base, self.folder / name, **settings)
        self.files = on_days(imported_baseline(self.base, runs), self.folder, factors)

    def compare(self, **asked: Any) -> Comparison:
        request = CompareRequest(**{"head": self.head, "baselines": tuple(self.files), **asked})
        return compare(request, racing_lab(self.host, self.folder))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path)
    bench.record()
    return bench


@pytest.mark.parametrize(("ms", "verdict", "code"), [(1.9, Verdict.PASS, 0), (2.2, Verdict.FAIL, 1), (2.06, Verdict.UNSURE, 4)])
def test_a_present_race_is_judged_by_the_recorded_runs(bench: Bench, ms: float, verdict: Verdict, code: int) -> None:
    bench.host.ms["head"] = ms
    found = bench.compare()
    assert (found.verdict, exit_code_of(found.gates), found.how, found.rounds) == (verdict, code, "unpaired", 17)
    assert found.latency.runs >= runs_for([a_gate("p50_ms"), a_gate("p99_ms")]).latency
    assert found.base.observed_at == "2026-11-20T09:00:00+00:00"
    assert found.notices[0].startswith("unpaired: BASE ran on {}, {} and {}; ".format(*last_days(3)))


def test_a_build_at_chance_level_passes_nothing(bench: Bench) -> None:
    bench.head = built_at_chance_level(bench.folder / "flowers")
    bench.host.ms["bundle"] = 1.9
    found = bench.compare()
    assert [(gate.gate.stated_by, gate.verdict) for gate in found.gates] == [
        ("chance", Verdict.UNSURE),
        ("default", Verdict.PASS),
    ]
    assert (found.verdict, exit_code_of(found.gates)) == (Verdict.UNSURE, 4)


def test_the_wider_the_days_differ_the_less_is_shown_and_fewer_than_three_show_nothing(bench: Bench) -> None:
    bench.host.ms["head"] = 2.2
    bench.record("wide", (0.95, 1.0, 1.05))
    found = bench.compare()
    assert found.verdict is Verdict.UNSURE
    assert found.gates[0].reason.endswith(MORE_DAYS)
    bench.record("few", (1.0, 1.0))
    found = bench.compare()
    assert (found.verdict, found.ratio) == (Verdict.UNSURE, None)
    assert found.gates[0].reason.startswith("2 recorded days")


def test_files_of_one_day_or_of_two_kits_are_no_days_of_one_kit(bench: Bench) -> None:
    bench.files.append(bench.folder / "again.json")
    bench.files[-1].write_bytes(bench.files[0].read_bytes())
    with pytest.raises(
        EdgecnnError, match=f"it was recorded on {last_days(3)[0]}, as .*day-0.json was", check=LATENCY_BASELINE_UNREADABLE.made
    ):
        bench.compare()
    runs = measured_on_a_device(bench.host, bench.head, bench.folder / "other")
    write_record(imported_baseline(bench.head, runs), bench.files[-1])
    with pytest.raises(EdgecnnError, match="it is of another kit than", check=LATENCY_BASELINE_UNREADABLE.made):
        bench.compare()


def test_a_regression_says_what_changed_since_the_recording(bench: Bench) -> None:
    bench.host.ms["head"] = 2.2
    (line,) = bench.compare().changed
    assert line.startswith("model: ")


def test_another_machine_is_refused_before_anything_runs_with_all_that_differs(bench: Bench) -> None:
    ran = len(bench.host.ran)
    bench.host.conditions.update(machine="m2", governor="powersave")
    with pytest.raises(EdgecnnError, check=BASELINE_ELSEWHERE.made) as refused:
        bench.compare()
    assert len(bench.host.ran) == ran
    assert "machine was m1 then and is m2 now; governor was performance then and is powersave now" in refused.value.line()
    assert refused.value.line().endswith("--allow-different machine --allow-different governor [baseline-elsewhere]")


def test_a_machine_that_cannot_time_the_kit_leaves_the_ratio_missing_with_the_command(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.host.conditions.update(machine="m2", isa="of another processor")
    monkeypatch.setattr(ShippedKit, "not_timed_here", lambda _, command: f"not measured; run {command}")
    found = bench.compare()
    assert (found.verdict, found.ratio) == (Verdict.MISSING, None)
    assert "run edgecnn baseline compare " in found.gates[0].reason


def test_what_is_allowed_to_differ_may_and_is_said(bench: Bench) -> None:
    bench.host.versions["onnxruntime"] = "1.32.0"
    with pytest.raises(EdgecnnError, check=BASELINE_ELSEWHERE.made):
        bench.compare()
    found = bench.compare(allow_different=("runtime_version",))
    assert found.verdict in (Verdict.PASS, Verdict.UNSURE)
    assert "allowed to differ: runtime_version" in found.notices


def test_a_condition_that_nobody_records_cannot_be_allowed(bench: Bench) -> None:
    with pytest.raises(EdgecnnError, match="did you mean runtime_version", check=UNKNOWN_CONDITION.made):
        bench.compare(allow_different=("runtime-version",))


def test_what_a_board_measured_now_is_judged_without_racing_here(bench: Bench) -> None:
    bench.host.ms["head"] = 2.2
    runs = measured_on_a_device(bench.host, bench.head, bench.folder / "now")
    calls = len(bench.host.calls)
    found = bench.compare(runs=runs)
    assert (found.verdict, found.rounds, len(bench.host.calls)) == (Verdict.FAIL, 8, calls)


def test_what_a_board_measured_in_another_state_is_refused(bench: Bench) -> None:
    bench.host.conditions["governor"] = "powersave"
    runs = measured_on_a_device(bench.host, bench.head, bench.folder / "now")
    with pytest.raises(EdgecnnError, check=BASELINE_ELSEWHERE.made):
        bench.compare(runs=runs)


def test_no_times_of_an_emulator_are_recorded_or_judged(bench: Bench) -> None:
    """Whether they are a board's files, a race that would be run here, or a baseline of before this was looked at."""
    bench.host.conditions["emulator"] = "QEMU user mode 10.1"
    runs = measured_on_a_device(bench.host, bench.base, bench.folder / "emulated")
    for use in (lambda: imported_baseline(bench.base, runs), lambda: bench.compare(runs=runs, head=bench.base)):
        with pytest.raises(RunsUnusable, match="QEMU user mode 10.1"):
            use()
    calls = len(bench.host.ran)
    found = bench.compare(allow_different=("emulator",))
    assert (found.verdict, exit_code_of(found.gates), len(bench.host.ran)) == (Verdict.MISSING, 3, calls)
    assert found.gates[0].reason == NOT_TIMED
    baseline = read_baseline(bench.files[0])
    conditions = {**baseline.environment.conditions, "emulator": "QEMU user mode 10.1"}
    old = baseline.model_copy(update={"environment": Environment(conditions=conditions, observed={})})
    write_record(sealed(old), bench.files[0])
    assert figures_of(old).fidelity is Fidelity.EMULATED
    with pytest.raises(EdgecnnError, match=EMULATED_TIMES, check=LATENCY_BASELINE_UNREADABLE.made):
        bench.compare(allow_different=("emulator",))


def test_a_busy_present_fails_nothing_and_a_busy_past_passes_nothing(bench: Bench) -> None:
    bench.host.ms["head"], bench.host.others["head"] = 2.2, "40.0"
    assert bench.compare().verdict is Verdict.UNSURE
    bench.host.others = {"base": "40.0"}
    bench.record("busy")
    bench.host.ms["head"] = 1.5
    found = bench.compare()
    assert found.verdict is Verdict.UNSURE
    assert any(notice.endswith("nothing passes against it") for notice in found.notices)


def test_a_present_run_is_as_long_as_a_recorded_one(bench: Bench) -> None:
    bench.host.ms = {"head": 200.0, "base": 200.0}
    bench.record("slow", max_s=20.0)
    found = bench.compare()
    assert (found.base_latency.samples // 8, found.latency.samples // 17) == (50, 50), "5 s would have held 25 of 200 ms"


def test_what_ran_between_the_recorded_processes_and_not_between_the_present_ones_is_said(bench: Bench) -> None:
    assert not any("between" in notice for notice in bench.compare().notices)
    both = bench.folder / "both"
    measured_on_a_device(bench.host, bench.base, both)
    other = measured_on_a_device(bench.host, bench.head, bench.folder / "other")
    for number, run in enumerate(sorted(other.glob("run-*.json"))):
        run.rename(both / f"run-{100 + number:05d}.json")
    bench.files = on_days(imported_baseline(bench.base, both), bench.folder)
    (said,) = [notice for notice in bench.compare().notices if "between" in notice]
    assert "1 other kit between" in said and "0 other kits" in said
    assert not any("between" in notice for notice in bench.compare(runs=both, head=bench.base).notices)


def test_an_open_latency_of_a_device_s_own_runs_names_the_device_s_option(bench: Bench) -> None:
    runs = measured_on_a_device(bench.host, bench.head, bench.folder / "now")
    found = bench.compare(runs=runs, gates=parse_bounds(["p50_ms=2.02"], [], compared=True))
    assert "(python3 -m runner measure ../.. --rounds " in found.gates[1].reason
    assert "rounds (--rounds " in bench.compare(gates=parse_bounds(["p50_ms=2.01"], [], compared=True)).gates[1].reason


@pytest.mark.parametrize("brought", [True, False])
def test_the_recorded_kit_itself_differs_in_nothing_by_definition(bench: Bench, brought: bool) -> None:
    """Whether it would run here or a board's runs are brought, and however far the machine drifted meanwhile."""
    bench.host.ms["base"] = 2.4
    runs = measured_on_a_device(bench.host, bench.base, bench.folder / "now") if brought else None
    ran = len(bench.host.ran)
    found = bench.compare(head=bench.base, runs=runs, gates=parse_bounds(["drop_pp=1", "latency_ratio=1"], [], compared=True))
    assert (found.verdict, found.identical, len(bench.host.ran)) == (Verdict.PASS, True, ran)
    assert (found.ratio, found.drop_pp, found.rounds) == (exactly(1.0), exactly(0.0), 8 if brought else 0)


def test_the_recorded_kit_in_another_environment_is_measured(bench: Bench) -> None:
    bench.host.versions["onnxruntime"], bench.host.ms["base"] = "1.32.0", 2.4
    found = bench.compare(head=bench.base, allow_different=("runtime_version",))
    assert (found.verdict, found.identical, found.rounds) == (Verdict.FAIL, False, 17)


def test_accuracy_cannot_be_had_from_a_latency_baseline(bench: Bench) -> None:
    found = bench.compare(gates=parse_bounds(["drop_pp=1"], [], compared=True))
    assert (found.gates[1].verdict, exit_code_of(found.gates)) == (Verdict.MISSING, 3)
    assert found.gates[1].reason == found.drop_absent and "edgecnn judge HEAD --against BASE" in found.gates[1].reason


def test_a_kit_that_cannot_run_here_is_missing(bench: Bench) -> None:
    bench.host.refuses["head"] = "missing-package"
    found = bench.compare()
    assert (found.verdict, exit_code_of(found.gates)) == (Verdict.MISSING, 3)
    assert "[missing-package]" in found.gates[0].reason


def test_a_kit_that_fails_its_own_test_passes_nothing(bench: Bench) -> None:
    bench.host.refuses["head"], bench.host.lacks_something = "golden-mismatch", False
    found = bench.compare(gates=parse_bounds(["size_mib=16"], [], compared=True))
    assert [(gate.verdict, gate.kit_failed) for gate in found.gates] == [(Verdict.MISSING, True), (Verdict.PASS, True)]


def test_a_build_for_another_device_than_the_recorded_one_is_refused(bench: Bench) -> None:
    runs = measured_on_a_device(bench.host, bench.base, bench.folder / "board")
    recorded = imported_baseline(bench.base, runs)
    shipped = recorded.shipped.model_copy(update={"device": "raspberry-pi-5"})
    files = on_days(recorded.model_copy(update={"shipped": shipped}), bench.folder)
    ran = len(bench.host.ran)
    with pytest.raises(EdgecnnError, check=DEVICES_DIFFER.made):
        bench.compare(head=built_for("cpu", bench.folder / "built", width=4), baselines=tuple(files))
    assert len(bench.host.ran) == ran
