"""An energy run on machines whose meters are files: what is counted, what is said where nothing can be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgecnn.runner.machine.environment import read_environment
from edgecnn.runner.runs.schedule import bench
from edgecnn.runner.runs.worker import EnergyRun
from tests.runner.meters.recorded import CHIP, LAPTOP, ORIN_NANO, machine
from tests.runner.nvml_library import built_library
from tests.runner.processes import schedule_of
from tests.runner.trees import tree

NO_LIBRARY = ["libnvidia-ml-of-nobody.so.1"]


class Supply:
    """Lets the laptop's package count on in real time, at the power that is set."""

    def __init__(self, root: Path, watts: float) -> None:
        self.root, self.watts = root, watts
        self.path = root / "sys/class/powercap/intel-rapl:0/energy_uj"

    @contextmanager
    def on(self) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._count, args=(done,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _count(self, done: threading.Event) -> None:
        last = time.monotonic()
        energy_uj = 5_000_000.0
        while not done.wait(0.002):
            now = time.monotonic()
            energy_uj += self.watts * 1e6 * (now - last)
            last = now
            new = self.path.with_name("energy_uj.new")
            new.write_text(f"{int(energy_uj)}\n")
            new.replace(self.path)


def test_idle_and_work_are_both_measured_and_images_counted(tmp_path: Path) -> None:
    supply = Supply(machine(tmp_path, LAPTOP), watts=10.0)
    run = EnergyRun(gpu=False, window_s=0.6, root=tmp_path, libraries=NO_LIBRARY)
    calls = []
    with supply.on():
        run.idle()
        supply.watts = 30.0
        run.work(lambda: (calls.append(1), time.sleep(0.01)))
    facts = run.facts()
    (reading,) = facts["readings"]
    assert reading["meter"] == "rapl" and reading["covers"] == "the processor's packages, without memory, disk and power supply"
    assert reading["idle_j"] / reading["idle_s"] == pytest.approx(10.0, rel=0.1)
    assert reading["work_j"] / reading["work_s"] == pytest.approx(30.0, rel=0.1)
    assert facts["images"] == len(calls) > 10
    assert facts["work"]["seconds"] == pytest.approx(0.6, abs=0.1)
    assert facts["idle"]["began_unix_ns"] < facts["work"]["began_unix_ns"] <= time.time_ns()
    assert set(facts["absent"]) == {"ina3221", "pmic"}


def test_a_network_slower_than_the_window_is_run_once(tmp_path: Path) -> None:
    run = EnergyRun(gpu=False, window_s=0.05, root=tmp_path, libraries=NO_LIBRARY)
    run.idle()
    run.work(lambda: time.sleep(0.2))
    facts = run.facts()
    assert facts["images"] == 1 and facts["work"]["seconds"] >= 0.2


def test_a_counter_reset_within_the_run_leaves_no_reading_but_its_reason(tmp_path: Path) -> None:
    root = machine(tmp_path, LAPTOP | {"sys/class/powercap/intel-rapl:0/energy_uj": "90000000000\n"})
    run = EnergyRun(gpu=False, window_s=0.05, root=root, libraries=NO_LIBRARY)
    counter = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    bump = threading.Timer(0.07, lambda: counter.write_text("90000100000\n"))
    bump.start()
    run.idle()
    run.work(lambda: counter.write_text("17\n"))
    facts = run.facts()
    assert facts["readings"] == []
    assert facts["absent"]["rapl"].startswith("package-0 was reset: it went from 90000100000 to 17 uJ")


def test_a_chip_that_is_unplugged_within_the_run_leaves_no_reading(tmp_path: Path) -> None:
    root = tree(tmp_path, ORIN_NANO)
    run = EnergyRun(gpu=False, window_s=0.8, root=root, libraries=NO_LIBRARY)
    run.idle()
    (root / f"{CHIP}/in1_input").unlink()
    run.work(lambda: time.sleep(0.01))
    facts = run.facts()
    assert facts["readings"] == []
    assert facts["absent"]["ina3221"] == f"/{CHIP}/in1_input cannot be read: No such file or directory"


def test_a_jetsons_supply_is_sampled_in_both_stretches(tmp_path: Path) -> None:
    root = tree(tmp_path, ORIN_NANO)
    run = EnergyRun(gpu=True, window_s=0.8, root=root, libraries=NO_LIBRARY)
    run.idle()
    run.work(lambda: time.sleep(0.01))
    (reading,) = run.facts()["readings"]
    assert reading["idle_j"] / reading["idle_s"] == pytest.approx(5.064)
    assert reading["work_j"] / reading["work_s"] == pytest.approx(5.064)


def test_a_gpu_is_asked_only_beside_a_model_that_runs_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("FAKE_NVML", "1 500 0 0")
    library = built_library(tmp_path)
    for gpu in (True, False):
        run = EnergyRun(gpu=gpu, window_s=0.05, root=tmp_path, libraries=[library])
        run.idle()
        run.work(lambda: None)
        readings = run.facts()["readings"]
        assert [(reading["meter"], reading["work_j"]) for reading in readings] == ([("nvml", 0.5)] if gpu else [])


def test_where_no_meter_can_be_read_every_one_says_why(tmp_path: Path) -> None:
    run = EnergyRun(gpu=True, window_s=0.05, root=tmp_path, libraries=NO_LIBRARY)
    run.idle()
    run.work(lambda: None)
    facts = run.facts()
    assert facts["readings"] == [] and set(facts["absent"]) == {"rapl", "ina3221", "pmic", "nvml"}
    assert all(facts["absent"].values())


def test_an_energy_item_times_nothing(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit, energy=True, max_s=0.2), tmp_path / "out")
    run = json.loads((tmp_path / "out/run-00000.json").read_text())
    assert run["samples_ns"] == [] and run["first_ns"] > 0 and run["memory"]["peak_mib"] > 0
    assert run["energy"]["images"] > 0 and {"idle", "work", "readings", "absent"} <= set(run["energy"])


def test_a_timed_item_opens_no_meter(onnx_kit: Path, tmp_path: Path) -> None:
    bench(schedule_of(tmp_path / "s.json", onnx_kit), tmp_path / "out")
    assert "energy" not in json.loads((tmp_path / "out/run-00000.json").read_text())


def test_the_environment_says_which_meters_can_be_read_or_why_none(tmp_path: Path) -> None:
    observed = read_environment(root=machine(tmp_path / "laptop", LAPTOP))["observed"]
    assert observed["energy_meters"].split()[0] == "rapl" and "energy_absent" not in observed
    nothing = read_environment(root=tmp_path / "nothing")["observed"]
    if "energy_meters" not in nothing:  # a GPU's board is no file, and may really be here
        assert nothing["energy_absent"].startswith("rapl: /sys/class/powercap has no package")
