"""Limits and present frequencies of processor, GPU and memory.

The limits are a condition of every latency: ``cpupower``, ``nvpmodel`` and ``jetson_clocks`` set them. A kernel that throttles
through a cooling device lowers the same upper limit, so runs from before and after do not join. The present frequencies change
with load and heat, and are only observed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, List, Optional

from .procfs import ROOT, cpuinfo, listed, read_text

_TEGRA_GPU = re.compile(r"gpu|ga10b|gv11b|gp10b|gm20b")
"""Names of a Jetson's GPU in /sys/class/devfreq, from Nano to Orin."""
_EMC_CAP = "sys/kernel/nvpmodel_clk_cap/emc"
_EMC_RATE = "sys/kernel/debug/bpmp/debug/clk/emc/rate"
"""The limit that nvpmodel sets for a Jetson's memory controller, and its rate, which only root may read. In hertz."""


def clock_limits(root: Path = ROOT) -> Optional[str]:
    """Return the readable limits, such as ``cpu 600-2400 MHz; gpu 306-918 MHz; emc at most 3199 MHz``, of all policies."""
    limits = []
    policies = listed(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq")
    cpu = [_range(folder / "scaling_min_freq", folder / "scaling_max_freq", 1e3) for folder in policies]
    gpu = [_range(folder / "min_freq", folder / "max_freq", 1e6) for folder in _gpus(root)]
    for name, ranges in (("cpu", cpu), ("gpu", gpu)):
        texts = sorted({text for text in ranges if text is not None})
        if texts:
            limits.append("{} {} MHz".format(name, " ".join(texts)))
    cap = _number(root / _EMC_CAP)
    if cap:  # 0 is no cap
        limits.append("emc at most {:.0f} MHz".format(cap / 1e6))
    return "; ".join(limits) or None


def cpu_mhz(root: Path = ROOT) -> Optional[str]:
    """Return the present frequency, the mean of all cores."""
    files = listed(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_cur_freq")
    return _mean_mhz(files, 1e3) or cpuinfo(root).get("cpu MHz")


def gpu_mhz(root: Path = ROOT) -> Optional[str]:
    """Return the present frequency of a Jetson's GPU."""
    return _mean_mhz([folder / "cur_freq" for folder in _gpus(root)], 1e6)


def emc_mhz(root: Path = ROOT) -> Optional[str]:
    """Return the present frequency of a Jetson's memory."""
    return _mean_mhz([root / _EMC_RATE], 1e6)


def _gpus(root: Path) -> Iterator[Path]:
    return (folder for folder in listed(root / "sys/class/devfreq", "*") if _TEGRA_GPU.search(folder.name))


def _range(least: Path, most: Path, unit: float) -> Optional[str]:
    low, high = _number(least), _number(most)
    return None if low is None or high is None else "{:.0f}-{:.0f}".format(low / unit, high / unit)


def _mean_mhz(files: List[Path], unit: float) -> Optional[str]:
    numbers = [number for number in map(_number, files) if number is not None]
    return "{:.0f}".format(sum(numbers) / len(numbers) / unit) if numbers else None


def _number(path: Path) -> Optional[int]:
    text = read_text(path)
    return int(text) if text and text.isdigit() else None
