from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runner.messages import RunnerError
from edgecnn.runner.runs.schedule import bench
from tests.house.child import child
from tests.runner.conftest import CopyKit
from tests.runner.processes import CRASH, HANG, edit, misbehave, processes_about, runner, schedule_of, wait_until


def runs(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(out.glob("run-*.json"))]


def test_each_item_is_one_run_with_every_raw_sample(onnx_kit: Path, openvino_kit: Path, tmp_path: Path) -> None:
    result = bench(schedule_of(tmp_path / "s.json", onnx_kit, openvino_kit), tmp_path / "out")
    assert (result["items"], result["failed"]) == (2, [])
    first, second = runs(tmp_path / "out")
    assert [len(run["samples_ns"]) for run in (first, second)] == [20, 20]
    assert min(first["samples_ns"]) > 0 and first["load_ns"] > 0 and first["first_ns"] > 0 and first["warmup_ns"]
    assert first["environment"]["conditions"]["runtime"] == "onnxruntime"
    assert second["environment"]["conditions"]["runtime"] == "openvino"
    assert first["kit"] != second["kit"] and (first["position"], second["position"]) == (0, 1)


def test_runs_of_one_kit_compute_the_same_in_every_process(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit, onnx_kit), tmp_path / "out")
    first, second = runs(tmp_path / "out")
    assert first["output_sha256"] == second["output_sha256"]


def test_a_crash_costs_its_own_item_and_says_the_signal(copy_kit: CopyKit, onnx_kit: Path, tmp_path: Path) -> None:
    kit = copy_kit()
    misbehave(kit, CRASH)
    result = bench(schedule_of(tmp_path / "s.json", onnx_kit, kit, onnx_kit), tmp_path / "out")
    assert result["failed"] == [1]
    good, bad, after = runs(tmp_path / "out")
    assert "error" not in good and "error" not in after
    assert bad["error"]["ref"] == "worker-crashed" and "SIGSEGV" in bad["error"]["because"]
    assert bad["kit"] is not None, "an error is filed under the kit that failed"


def test_a_hang_is_killed_at_the_time_out_and_the_schedule_goes_on(copy_kit: CopyKit, onnx_kit: Path, tmp_path: Path) -> None:
    kit = copy_kit("hanging")
    misbehave(kit, "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(601)'])\n" + HANG)
    begin = time.monotonic()
    result = bench(schedule_of(tmp_path / "s.json", kit, onnx_kit, timeout_s=4), tmp_path / "out")
    assert time.monotonic() - begin < 30
    assert result["failed"] == [0]
    assert runs(tmp_path / "out")[0]["error"]["because"] == "it was killed after 4 s"
    assert wait_until(lambda: not processes_about("time.sleep(601)"), 5), "what the worker had started outlived it"


def test_kits_of_a_round_open_together_and_are_timed_one_after_another(
    copy_kit: CopyKit, onnx_kit: Path, openvino_kit: Path, tmp_path: Path
) -> None:
    crashing = copy_kit("crashing")
    misbehave(crashing, CRASH)
    result = bench(schedule_of(tmp_path / "s.json", onnx_kit, crashing, openvino_kit, together=True), tmp_path / "out")
    assert (result["items"], result["failed"]) == (3, [1])
    first, bad, last = runs(tmp_path / "out")
    assert [len(run["samples_ns"]) for run in (first, last)] == [20, 20]
    assert bad["error"]["ref"] == "worker-crashed"
    # beside others nobody's opening is a figure
    assert {run[name] for run in (first, last) for name in ("load_ns", "process_ns")} == {None}
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.suffix in (".opened", ".turn")]


def test_whoever_waits_for_a_turn_does_not_run_before_it(onnx_kit: Path, tmp_path: Path) -> None:
    """Their spans of timing, by the machine's one clock, do not overlap."""
    kits = (onnx_kit, onnx_kit, onnx_kit)
    bench(schedule_of(tmp_path / "s.json", *kits, together=True, samples=10**6, max_s=0.5), tmp_path / "out")
    written = [(tmp_path / "out" / f"run-{index:05d}.json").stat().st_mtime for index in range(3)]
    assert [later - sooner > 0.5 for sooner, later in zip(written, written[1:], strict=False)] == [True, True]


def test_one_that_hangs_before_its_turn_costs_its_own_item(copy_kit: CopyKit, onnx_kit: Path, tmp_path: Path) -> None:
    kit = copy_kit("hanging")
    misbehave(kit, HANG)
    assert bench(schedule_of(tmp_path / "s.json", kit, onnx_kit, timeout_s=4, together=True), tmp_path / "out")["failed"] == [0]
    assert runs(tmp_path / "out")[0]["error"]["ref"] == "worker-timed-out"


@pytest.mark.slow  # waits
def test_waiting_longer_than_the_time_out_ends_nobody_whose_turn_comes(onnx_kit: Path, tmp_path: Path) -> None:
    """Six turns of a second each, where a process may live for four seconds without a word."""
    kits, out = [onnx_kit] * 6, tmp_path / "out"
    path = schedule_of(tmp_path / "s.json", *kits, timeout_s=4, together=True, samples=10**6, max_s=1.0)
    assert bench(path, out)["failed"] == []


def test_no_more_than_six_are_open_at_once(onnx_kit: Path, tmp_path: Path) -> None:
    from edgecnn.runner.runs.items import read_schedule
    from edgecnn.runner.runs.schedule import _waves

    items = read_schedule(schedule_of(tmp_path / "s.json", *[onnx_kit] * 8, together=True)).items
    assert [len(wave) for wave in _waves(items)] == [6, 2]
    alone = read_schedule(schedule_of(tmp_path / "alone.json", *[onnx_kit] * 2)).items
    assert [len(wave) for wave in _waves(alone)] == [1, 1]


@pytest.mark.slow  # waits
def test_nothing_of_one_that_did_not_open_lives_while_the_others_are_timed(
    copy_kit: CopyKit, onnx_kit: Path, tmp_path: Path
) -> None:
    kit = copy_kit("hanging")
    misbehave(kit, "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(602)'])\n" + HANG)
    path = schedule_of(tmp_path / "s.json", kit, onnx_kit, timeout_s=5, together=True, samples=10**6, max_s=3.0)
    with ThreadPoolExecutor(1) as pool:
        benching = pool.submit(bench, path, tmp_path / "out")
        assert wait_until(lambda: (tmp_path / "out/run-00001.turn").exists(), 30)
        assert not processes_about("time.sleep(602)")
        assert benching.result()["failed"] == [0]


def test_a_kit_that_refuses_is_recorded_in_its_own_words(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    (kit / "model.onnx").write_bytes(b"")
    bench(schedule_of(tmp_path / "s.json", kit), tmp_path / "out")
    assert runs(tmp_path / "out")[0]["error"]["ref"] == "kit-file-changed"


def test_a_kit_that_is_not_there_is_recorded(tmp_path: Path) -> None:
    assert bench(schedule_of(tmp_path / "s.json", tmp_path / "nowhere"), tmp_path / "out")["failed"] == [0]
    assert runs(tmp_path / "out")[0]["error"]["ref"] == "worker-not-started"


def test_finished_runs_are_kept_and_failed_ones_tried_again(copy_kit: CopyKit, onnx_kit: Path, tmp_path: Path) -> None:
    kit = copy_kit()
    module = kit / "runner/sessions/onnxruntime_cpu.py"
    good = module.read_text()
    misbehave(kit, CRASH)
    schedule = schedule_of(tmp_path / "s.json", onnx_kit, kit)
    bench(schedule, tmp_path / "out")
    kept = (tmp_path / "out/run-00000.json").read_bytes()
    misbehave(kit, "")  # hashes the kit anew
    module.write_text(good)
    misbehave(kit, "")
    result = bench(schedule, tmp_path / "out")
    assert (result["ran_now"], result["failed"]) == (1, [])
    assert (tmp_path / "out/run-00000.json").read_bytes() == kept


def test_a_folder_of_another_schedule_is_refused(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit), tmp_path / "out")
    with pytest.raises(RunnerError) as caught:
        bench(schedule_of(tmp_path / "s.json", onnx_kit, samples=21), tmp_path / "out")
    assert caught.value.ref == "other-schedule"


def test_timing_ends_when_its_seconds_are_used_up(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit, samples=10_000_000, max_s=0.2), tmp_path / "out")
    (run,) = runs(tmp_path / "out")
    assert 1 <= len(run["samples_ns"]) < 10_000_000
    assert sum(run["samples_ns"]) < 1_000_000_000


def test_a_traced_item_names_its_folder(openvino_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", openvino_kit, trace=True), tmp_path / "out")
    (run,) = runs(tmp_path / "out")
    assert run["trace"] == "trace-00000"
    assert json.loads((tmp_path / "out/trace-00000/layers.json").read_text())


def test_knobs_reach_the_runtime(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit, knobs={"graph_optimization_level": "none"}), tmp_path / "out")
    assert "graph_optimization_level = 'none'" in runs(tmp_path / "out")[0]["error"]["what"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"samples": 0}, "items[0].samples is 0"),
        ({"sample": 5}, "items[0].sample is not a field of an item"),
        ({"kit": "here"}, "items[0].kit is 'here', not an absolute path"),
        ({"max_s": -1}, "items[0].max_s is -1"),
        ({"knobs": {"threads": 2}}, "items[0].knobs must hold texts only"),
    ],
)
def test_a_schedule_that_is_wrong_says_where(onnx_kit: Path, tmp_path: Path, settings: dict[str, Any], text: str) -> None:
    schedule = schedule_of(tmp_path / "s.json", onnx_kit, **settings)
    with pytest.raises(RunnerError) as caught:
        bench(schedule, tmp_path / "out")
    assert caught.value.what == f"{schedule}: {text}"


def test_workers_die_with_the_process_that_started_them(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    edit(
        kit,
        "runner/sessions/onnxruntime_cpu.py",
        "        return dict(zip(",
        "        import time; time.sleep(300)\n        return dict(zip(",
    )
    schedule, out = schedule_of(tmp_path / "s.json", kit, timeout_s=200), tmp_path / "out"
    command = [sys.executable, "-B", "-m", "runner", "bench", "--schedule", str(schedule), "--out", str(out)]
    with child(command, cwd=kit, piped=False):
        assert wait_until(lambda: bool(processes_about(f"runner.runs.worker --schedule {out}")))
    assert wait_until(lambda: not processes_about(str(out)), 5)


def test_the_lease_ends_a_runner_whose_host_fell_silent(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    misbehave(kit, HANG)
    command = [sys.executable, "-B", "-m", "runner", "--lease-s", "1.5", "selftest"]
    with child(command, cwd=kit, stdin=subprocess.PIPE, start_new_session=True, piped=False) as process:
        assert process.wait(20) == -9


def test_the_command_line_reports_progress_and_a_result(onnx_kit: Path, tmp_path: Path) -> None:
    status, last = runner(
        onnx_kit, "bench", "--schedule", str(schedule_of(tmp_path / "s.json", onnx_kit)), "--out", str(tmp_path / "o")
    )
    assert status == 0 and last["bench"]["items"] == 1
