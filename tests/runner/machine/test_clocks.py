from __future__ import annotations

from pathlib import Path

from edgecnn.runner.machine.sensors import clock_limits, cpu_mhz, emc_mhz, gpu_mhz
from tests.runner.trees import tree

ORIN = {
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "729600\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1510400\n",
    "sys/devices/system/cpu/cpu4/cpufreq/scaling_min_freq": "729600\n",
    "sys/devices/system/cpu/cpu4/cpufreq/scaling_max_freq": "1510400\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1344000\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "624750000\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/15480000.nvdec/min_freq": "1\n",
    "sys/class/devfreq/15480000.nvdec/max_freq": "2\n",
    "sys/kernel/nvpmodel_clk_cap/emc": "2133000000\n",
    "sys/kernel/debug/bpmp/debug/clk/emc/rate": "2133000000\n",
}


def test_a_jetsons_limits_are_those_of_processor_gpu_and_memory(tmp_path: Path) -> None:
    root = tree(tmp_path, ORIN)
    assert clock_limits(root) == "cpu 730-1510 MHz; gpu 306-625 MHz; emc at most 2133 MHz"
    assert (cpu_mhz(root), gpu_mhz(root), emc_mhz(root)) == ("1344", "306", "2133")


def test_locking_the_clocks_changes_the_condition(tmp_path: Path) -> None:
    free = clock_limits(tree(tmp_path, ORIN))
    locked = clock_limits(tree(tmp_path, {"sys/class/devfreq/17000000.gpu/min_freq": "624750000\n"}))
    assert free != locked == "cpu 730-1510 MHz; gpu 625-625 MHz; emc at most 2133 MHz"


def test_unlike_cores_are_both_named(tmp_path: Path) -> None:
    little = {"sys/devices/system/cpu/cpu4/cpufreq/scaling_max_freq": "1113600\n"}
    assert clock_limits(tree(tmp_path, ORIN | little)) == "cpu 730-1114 730-1510 MHz; gpu 306-625 MHz; emc at most 2133 MHz"


def test_no_cap_on_memory_is_not_a_cap_of_nothing(tmp_path: Path) -> None:
    assert clock_limits(tree(tmp_path, {"sys/kernel/nvpmodel_clk_cap/emc": "0\n"})) is None


def test_a_virtual_machine_says_nothing_of_its_clocks(tmp_path: Path) -> None:
    assert (clock_limits(tmp_path), cpu_mhz(tmp_path), gpu_mhz(tmp_path), emc_mhz(tmp_path)) == (None,) * 4
