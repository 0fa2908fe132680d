from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.runner.machine.memory import MemoryWatch, resident_peak
from edgecnn.runner.runs.schedule import bench
from tests.runner.nvml_library import built_library
from tests.runner.processes import schedule_of
from tests.runner.trees import tree

PEAK = """
from edgecnn.runner.machine.memory import MemoryWatch
watch = MemoryWatch()
block = bytearray(80 << 20)
block[::4096] = b"x" * len(block[::4096])
del block
import json
print(json.dumps(watch.facts()))
"""


def test_the_peak_is_kept_after_the_memory_was_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["source"] == "VmHWM"
    assert 79 < facts["peak_mib"] - facts["baseline_mib"] < 90


def test_a_recorded_status_is_read(tmp_path: Path) -> None:
    assert resident_peak(tree(tmp_path, {"proc/self/status": "VmPeak:\t 900 kB\nVmHWM:\t   65536 kB\n"})) == (64.0, "VmHWM")


def test_without_proc_the_systems_own_account_stands_in(tmp_path: Path) -> None:
    peak, source = resident_peak(tmp_path)
    assert source == "ru_maxrss" and peak is not None and 5 < peak < 10_000


def test_where_neither_is_to_be_had_it_is_absent_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert MemoryWatch(root=tmp_path).facts() == {"absent": "this system has neither /proc/self/status nor getrusage"}


def test_a_run_holds_the_runtimes_baseline_and_the_models_peak(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit), tmp_path / "out")
    memory = json.loads((tmp_path / "out/run-00000.json").read_text())["memory"]
    assert set(memory) == {"baseline_mib", "peak_mib", "source"}, "a CPU kit says nothing of a GPU"
    assert 20 < memory["baseline_mib"] < memory["peak_mib"] < 1000


def test_gpu_memory_is_what_the_process_came_to_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = built_library(tmp_path)
    monkeypatch.setenv("FAKE_NVML_PID", str(os.getpid()))
    watch = MemoryWatch(gpu=True, libraries=[library])
    monkeypatch.setenv("FAKE_NVML", f"1 0 {300 << 20} 0")
    assert watch.facts()["gpu_mib"] == 300.0


def test_a_process_that_is_listed_before_it_opened_anything_is_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = built_library(tmp_path)
    monkeypatch.setenv("FAKE_NVML_PID", str(os.getpid()))
    monkeypatch.setenv("FAKE_NVML", f"1 0 {300 << 20} 0")
    facts = MemoryWatch(gpu=True, libraries=[library]).facts()
    assert facts["gpu_absent"] == f"the driver lists another process with number {os.getpid()}, as in a container"
    assert "gpu_mib" not in facts and facts["peak_mib"] > 0


def test_a_process_that_is_never_listed_has_no_gpu_memory_to_show(tmp_path: Path) -> None:
    facts = MemoryWatch(gpu=True, libraries=[built_library(tmp_path)]).facts()
    assert facts["gpu_absent"] == f"the driver does not list process {os.getpid()}, as in a container"


def test_without_the_library_gpu_memory_is_absent_with_the_reason() -> None:
    facts = MemoryWatch(gpu=True, libraries=["libnvidia-ml-of-nobody.so.1"]).facts()
    assert facts["gpu_absent"].startswith("libnvidia-ml-of-nobody.so.1 cannot be loaded")
