"""A cold start is what a person waits for, and nothing that only a measurement does."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from edgecnn.runner.runs.parent import SPAWNED, ColdStart, spawn_variable
from edgecnn.runner.runs.schedule import bench
from tests.runner.conftest import CopyKit
from tests.runner.processes import IMPORT, edit, schedule_of


def test_it_counts_from_the_parents_clock() -> None:
    start = ColdStart(spawn_variable())
    time.sleep(0.02)
    answered = start.elapsed_ns()
    assert answered is not None and 20e6 <= answered < 1e9


def test_what_only_the_measurement_does_is_left_out() -> None:
    start = ColdStart(spawn_variable())
    with start.excluded():
        time.sleep(0.2)
    answered = start.elapsed_ns()
    assert answered is not None and answered < 180e6


@pytest.mark.parametrize("environ", [{}, {SPAWNED: ""}, {SPAWNED: "soon"}])
def test_where_nobody_said_when_the_process_began_there_is_none(environ: dict[str, str]) -> None:
    assert ColdStart(environ).elapsed_ns() is None


def test_a_run_records_its_whole_start(onnx_kit: Path, tmp_path: Path) -> None:
    begin = time.monotonic_ns()
    bench(schedule_of(tmp_path / "s.json", onnx_kit), tmp_path / "out")
    took = time.monotonic_ns() - begin
    run = json.loads((tmp_path / "out/run-00000.json").read_text())
    assert run["load_ns"] + run["first_ns"] < run["process_ns"] < took


def test_a_slow_import_is_part_of_it(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    edit(kit, "runner/sessions/onnxruntime_cpu.py", IMPORT, f"import time\ntime.sleep(1.0)\n{IMPORT}")
    bench(schedule_of(tmp_path / "s.json", kit), tmp_path / "out")
    run = json.loads((tmp_path / "out/run-00000.json").read_text())
    assert run["process_ns"] > 1e9 > run["load_ns"] + run["first_ns"]
