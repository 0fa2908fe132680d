from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecnn.runner.machine.environment import EMULATOR, available_cores, read_conditions, read_environment
from edgecnn.runner.machine.procfs import sorted_glob
from edgecnn.runner.machine.sensors import Baseline, CpuTicks, cpu_ticks, observe, read_baseline
from edgecnn.runner.machine.throttling import Throttles
from edgecnn.values.profile import CONDITIONS_THAT_MUST_MATCH, Environment
from edgecnn.values.verdict import Fidelity
from tests.runner.trees import tree

PI = {
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/serial-number": "10000000deadbeef\0",
    "proc/meminfo": "MemTotal:        8245824 kB\nMemAvailable:    7000064 kB\n",
    "sys/devices/system/cpu/online": "0-3\n",
    "proc/loadavg": "0.52 0.58 0.59 1/389 12345\n",
    "sys/class/thermal/thermal_zone0/temp": "51200\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
}


def test_conditions_are_named_as_profiles_compare_them() -> None:
    conditions = read_conditions("onnxruntime")
    assert set(conditions) <= set(CONDITIONS_THAT_MUST_MATCH)
    assert {"machine", "cores", "kernel", "python", "runtime", "runtime_version"} <= set(conditions)
    Environment.model_validate(read_environment())


def test_a_recorded_raspberry_pi_is_read(tmp_path: Path) -> None:
    root = tree(tmp_path, PI)
    conditions, observed = read_conditions(root=root), observe(root)
    assert conditions["cpu"] == "arm implementer 0x41 part 0xd0b"
    assert conditions["isa"] == "asimd asimddp asimdhp"
    assert conditions["governor"] == "ondemand"
    assert observed["model"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert (observed["temperature_c"], observed["frequency_mhz"]) == ("51.2", "1950")
    assert (observed["memory_total_mib"], observed["memory_available_mib"]) == ("8052", "6836")
    assert (observed["load_1min"], observed["processors_online"]) == ("0.52", "0-3")


def test_a_recorded_jetson_shows_its_power_mode_and_driver(tmp_path: Path) -> None:
    root = tree(tmp_path, {"var/lib/nvpmodel/status": "pmode:0002\n", "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3\n"})
    conditions = read_conditions(root=root)
    assert conditions["power_mode"] == "pmode:0002"
    assert conditions["driver"] == "R36 (release), REVISION: 4.3"


def test_what_cannot_be_read_is_absent_and_not_invented(tmp_path: Path) -> None:
    conditions, observed = read_conditions(root=tmp_path), observe(tmp_path)
    read = {"cpu", "isa", "governor", "power_mode", "clocks", "affinity", "cpu_limit", "driver", "runtime"}
    assert not read & set(conditions)
    assert set(observed) == {"architecture"}


def test_one_serial_number_is_one_machine_and_cannot_be_read_back(tmp_path: Path) -> None:
    one = read_conditions(root=tree(tmp_path / "one", PI))["machine"]
    other = read_conditions(root=tree(tmp_path / "two", PI | {"proc/device-tree/serial-number": "2"}))["machine"]
    assert one == read_conditions(root=tmp_path / "one")["machine"] != other
    assert "deadbeef" not in one and len(one) == 16


def test_stolen_time_is_of_the_interval(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/stat": "cpu  100 0 50 800 0 0 0 50 0 0\n"})
    assert observe(root)["steal_percent"] == "5.00"
    before = Baseline(CpuTicks(total=900, stolen=0, busy=50, own=0), Throttles(None, {}, None))
    assert observe(root, since=before)["steal_percent"] == "50.00"


def test_a_control_groups_quota_limits_the_cores(tmp_path: Path) -> None:
    everyone = len(os.sched_getaffinity(0))
    assert available_cores(tmp_path) == everyone
    assert available_cores(tree(tmp_path / "two", {"sys/fs/cgroup/cpu.max": "150000 100000\n"})) == 1
    assert available_cores(tree(tmp_path / "one", {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n"})) == everyone


def test_what_somebody_set_is_a_condition(tmp_path: Path) -> None:
    conditions = read_conditions(
        root=tree(
            tmp_path,
            {
                "proc/self/status": "Name:\tpython\nCpus_allowed:\tf0f\nCpus_allowed_list:\t0-3,8-11\n",
                "sys/fs/cgroup/cpu.max": "150000 100000\n",
                "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
                "sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference": "balance_power\n",
                "proc/driver/nvidia/version": "NVRM version: UNIX Open Kernel Module for x86_64  570.86.15  Release\n",
            },
        )
    )
    assert (conditions["affinity"], conditions["cpu_limit"]) == ("0-3,8-11", "1.50")
    assert conditions["power_mode"] == "no_turbo:1 epp:balance_power"
    assert conditions["driver"] == "nvidia 570.86.15"


def test_groups_that_limit_nothing_are_told_from_groups_that_cannot_be_read(tmp_path: Path) -> None:
    assert read_conditions(root=tree(tmp_path / "free", {"proc/self/cgroup": "0::/user.slice\n"}))["cpu_limit"] == "none"
    assert "cpu_limit" not in read_conditions(root=tmp_path / "nothing")


def test_the_processors_own_sensor_counts_where_it_has_no_thermal_zone(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/temp": "27800\n",
        "sys/class/hwmon/hwmon0/name": "nvme\n",
        "sys/class/hwmon/hwmon0/temp1_input": "90000\n",
        "sys/class/hwmon/hwmon1/name": "k10temp\n",
        "sys/class/hwmon/hwmon1/temp1_input": "61250\n",
    }
    assert observe(tree(tmp_path, files))["temperature_c"] == "61.2"


def test_throttling_is_of_the_interval(tmp_path: Path) -> None:
    counter = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    before = read_baseline(tree(tmp_path, {counter: "41\n"}))
    assert observe(tmp_path, since=before)["throttled"] == "no"
    tree(tmp_path, {counter: "43\n"})
    assert observe(tmp_path, since=before)["throttled"] == "too hot (2 times)"
    assert observe(tmp_path)["throttled"] == "no", "since boot is not now"


def test_info_needs_no_kit(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn.runner", "info", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["ok"] is True and "onnxruntime" in last["runtimes"] and "kit" not in last


def test_a_folder_that_may_not_be_looked_into_holds_nothing(tmp_path: Path) -> None:
    closed = tree(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "50000\n"}) / "sys/class"
    assert sorted_glob(closed, "*/thermal_zone*") == [closed / "thermal/thermal_zone0"]
    assert sorted_glob(closed / ("x" * 300), "*") == sorted_glob(tmp_path / "nothing", "*") == []


def test_a_recorded_gpu_is_a_condition(tmp_path: Path) -> None:
    information = "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 129\nGPU UUID: \t GPU-00000000\n"
    root = tree(
        tmp_path,
        {"proc/driver/nvidia/gpus/0000:01:00.0/information": information, "sys/module/nvidia/version": "570.86.15\n"},
    )
    conditions = read_conditions(root=root)
    assert (conditions["gpu"], conditions["driver"]) == ("NVIDIA GeForce RTX 4090", "nvidia 570.86.15")


def test_whoever_emulates_this_processor_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "emulator" not in read_conditions()
    monkeypatch.setenv(EMULATOR, "QEMU user mode, cortex-a76")
    environment = Environment.model_validate(read_environment())
    assert environment.conditions["emulator"] == "QEMU user mode, cortex-a76"
    assert environment.fidelity is Fidelity.EMULATED


def test_what_this_process_started_is_no_other_work() -> None:
    """A browser's processes are children of children; they count while they live, and what was waited for counts after."""
    before = cpu_ticks()
    busy = "import time\nbegin = time.process_time()\nwhile time.process_time() - begin < 0.5: pass\ninput()"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    with subprocess.Popen([sys.executable, "-c", inner], stdin=subprocess.PIPE) as child:
        assert before is not None
        until, wanted = time.monotonic() + 60, before.own + 0.5 * os.sysconf("SC_CLK_TCK")
        while (now := cpu_ticks()) is not None and now.own < wanted:
            assert time.monotonic() < until, "the work of a grandchild is somebody else's"
            time.sleep(0.1)
        child.kill()
