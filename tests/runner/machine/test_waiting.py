"""A run records how long its threads waited for a processor, where the kernel counts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.runner.machine.waiting import ABSENT, WaitingWatch, thread_times
from edgecnn.runner.runs.schedule import bench
from tests.runner.processes import schedule_of
from tests.runner.trees import tree

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


def counts(busy: int, **threads: tuple[int, int, int]) -> dict[str, str]:
    files = {"proc/stat": f"cpu {busy} 0 0 5000 0 0 0 0 0 0\n"}
    for name, (ran, waited, switched) in threads.items():
        files[f"proc/self/task/{name[1:]}/schedstat"] = f"{ran} {waited} 7\n"
        files[f"proc/self/task/{name[1:]}/status"] = f"voluntary_ctxt_switches:\t9\nnonvoluntary_ctxt_switches:\t{switched}\n"
    return files


def test_the_counts_are_those_of_all_threads_since_the_watch_began(tmp_path: Path) -> None:
    root = tree(tmp_path, counts(100, t1=(1_000, 50, 2), t2=(3_000, 0, 0)))
    watch = WaitingWatch(root)
    tree(root, counts(103, t1=(6_000, 450, 5), t2=(4_000, 7, 1), t3=(500, 3, 1)))  # the third thread began meanwhile
    facts = watch.facts()
    assert (facts["ran_ns"], facts["waited_ns"], facts["switched"]) == (6_500, 410, 5)
    assert facts["others_ns"] == 3 * TICK_NS - 6_500
    assert facts["wall_ns"] > 0


def test_a_kernel_that_does_not_count_gives_the_reason(tmp_path: Path) -> None:
    assert WaitingWatch(tree(tmp_path, {"proc/stat": "cpu 1 0 0 1 0 0 0 0 0 0\n"})).facts() == {"absent": ABSENT}


def test_without_the_machines_time_the_time_of_others_is_absent(tmp_path: Path) -> None:
    files = {name: text for name, text in counts(1, t1=(1, 1, 1)).items() if name != "proc/stat"}
    assert "others_ns" not in WaitingWatch(tree(tmp_path, files)).facts()


SHARED = """
import json, os, threading, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from edgecnn.runner.machine.waiting import WaitingWatch
if os.fork() == 0:
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        pass
    os._exit(0)
watch, end = WaitingWatch(), time.monotonic() + 0.6
while time.monotonic() < end:
    pass
print(json.dumps(watch.facts()))
os.wait()
"""


@pytest.mark.skipif(not thread_times(), reason="this kernel does not count how long a thread waits")
def test_a_process_that_shares_its_processor_waits_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["waited_ns"] > 0.2 * facts["wall_ns"]
    assert facts["ran_ns"] < 0.8 * facts["wall_ns"]
    assert facts["switched"] > 0 and facts["others_ns"] > 0


def test_a_run_file_holds_the_counts_of_its_timing(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit), tmp_path / "out")
    waiting = json.loads((tmp_path / "out/run-00000.json").read_text())["waiting"]
    assert set(waiting) in ({"wall_ns", "ran_ns", "waited_ns", "switched", "others_ns"}, {"absent"})


def test_a_run_that_measures_energy_times_nothing_and_counts_nothing(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit, energy=True, max_s=0.1), tmp_path / "out")
    assert "waiting" not in json.loads((tmp_path / "out/run-00000.json").read_text())
