"""Clocks, and readings that change from minute to minute. A missing sensor has no reading.

The limits of frequencies are a condition of every latency: ``cpupower``, ``nvpmodel`` and ``jetson_clocks`` set them. A kernel
that throttles through a cooling device lowers the same upper limit, so runs from before and after do not join. The present
frequencies change with load and heat, and are only observed.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

from .nvml import driver_models
from .procfs import ROOT, cpuinfo, listed, read_count, read_limits, read_text
from .throttling import Throttles, read_throttles, throttled

_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Names in /sys/class/hwmon of sensors in processors. Some of them have no thermal zone."""


class CpuTicks(NamedTuple):
    """Ticks since boot in /proc/stat: of all processors, stolen by the hypervisor, busy, and of this process and its children."""

    total: int
    stolen: int
    busy: int
    own: int


class Baseline(NamedTuple):
    """Readings before a run, so that later readings can cover only the run."""

    ticks: Optional[CpuTicks]
    throttles: Throttles


def read_baseline(root: Path = ROOT) -> Baseline:
    """Take the readings before a run."""
    return Baseline(cpu_ticks(root), read_throttles(root))


def observe(root: Path = ROOT, since: Optional[Baseline] = None) -> Dict[str, str]:
    """Return load, stolen time, temperature, throttling, frequencies, memory, processors and the machine's model.

    Args:
        root: the folder of ``proc`` and ``sys``.
        since: an earlier reading; ``steal_percent`` and ``throttled`` then cover the time since it. None: ``steal_percent``
            covers the time since boot, ``throttled`` this moment.
    """
    now, before = cpu_ticks(root), since.ticks if since is not None else None
    limit_mib = read_limits(root).memory_mib
    readings = {
        "architecture": platform.machine(),
        "cpu_vendor": cpuinfo(root).get("vendor_id"),
        "model": read_text(root / "proc/device-tree/model") or read_text(root / "sys/class/dmi/id/product_name"),
        "gpu": "; ".join(gpu_models(root)) or None,
        "load_1min": (read_text(root / "proc/loadavg") or "").partition(" ")[0],
        "steal_percent": _steal_percent(now, before),
        "others_percent": _others_percent(now, before),
        "processors_online": (read_text(root / "sys/devices/system/cpu/online") or "").strip(),
        "temperature_c": _highest_temperature(root),
        "throttled": throttled(read_throttles(root), since.throttles if since is not None else None),
        "frequency_mhz": cpu_mhz(root),
        "gpu_frequency_mhz": gpu_mhz(root),
        "emc_frequency_mhz": emc_mhz(root),
        "memory_limit_mib": str(limit_mib) if limit_mib is not None else None,
        "memory_total_mib": _memory_mib(root, "MemTotal"),
        "memory_available_mib": _memory_mib(root, "MemAvailable"),
    }
    return {name: value for name, value in readings.items() if value}


def cpu_ticks(root: Path = ROOT) -> Optional[CpuTicks]:
    """Read the first line of /proc/stat; None if there is none."""
    fields = (read_text(root / "proc/stat") or "").split("\n", 1)[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None
    ticks = [int(field) for field in fields[1:9]]  # user nice system idle iowait irq softirq steal
    return CpuTicks(sum(ticks), ticks[7], sum(ticks) - ticks[3] - ticks[4], _own_ticks(root))


def _own_ticks(root: Path) -> int:
    spent = os.times()
    own = int((spent.user + spent.system + spent.children_user + spent.children_system) * os.sysconf("SC_CLK_TCK"))
    children: Dict[str, List[str]] = {}
    ticks: Dict[str, int] = {}
    for path in listed(root / "proc", "[0-9]*/stat"):
        fields = (read_text(path) or "").rpartition(")")[2].split()  # a program's name may hold anything
        if len(fields) > 14:
            children.setdefault(fields[1], []).append(path.parent.name)
            ticks[path.parent.name] = sum(map(int, fields[11:15]))  # utime stime cutime cstime
    waiting = list(children.get(str(os.getpid()), ()))
    while waiting:
        pid = waiting.pop()
        own += ticks[pid]
        waiting += children.get(pid, ())
    return own


def _steal_percent(now: Optional[CpuTicks], since: Optional[CpuTicks]) -> Optional[str]:
    before = since or CpuTicks(0, 0, 0, 0)
    if now is None or now.total <= before.total:
        return None
    return "{:.2f}".format(max(0.0, 100.0 * (now.stolen - before.stolen) / (now.total - before.total)))


def _others_percent(now: Optional[CpuTicks], since: Optional[CpuTicks]) -> Optional[str]:
    """Return the percentage of all processors' time that other programs used during a run, which makes latency unreliable."""
    if now is None or since is None or now.total <= since.total:
        return None
    others = (now.busy - since.busy) - (now.own - since.own)
    return "{:.1f}".format(max(0.0, 100.0 * others / (now.total - since.total)))


def _highest_temperature(root: Path) -> Optional[str]:
    """Return the highest temperature of all thermal zones and processor sensors."""
    files = listed(root / "sys/class/thermal", "thermal_zone*/temp")
    for folder in listed(root / "sys/class/hwmon", "hwmon*"):
        files += listed(folder, "temp*_input") if read_text(folder / "name") in _CPU_SENSORS else []
    degrees: List[float] = []
    for path in files:
        text = read_text(path)
        if text and text.lstrip("-").isdigit():
            degrees.append(int(text) / 1000.0)
    return "{:.1f}".format(max(degrees)) if degrees else None


def _memory_mib(root: Path, field: str) -> Optional[str]:
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith(field + ":"):
            return str(int(line.split()[1]) // 1024)
    return None


def gpu_models(root: Path = ROOT) -> List[str]:
    """Return the names of NVIDIA GPUs in the order of their PCI addresses.

    Under WSL and in sandboxes only the driver's library lists them.
    """
    models = []
    for path in listed(root / "proc/driver/nvidia/gpus", "*/information"):
        for line in (read_text(path) or "").splitlines():
            if line.startswith("Model:"):
                models.append(line.partition(":")[2].strip())
    return models or (driver_models() if root == ROOT else [])


_TEGRA_GPU = re.compile(r"gpu|ga10b|gv11b|gp10b|gm20b")
"""Names of a Jetson's GPU in /sys/class/devfreq, from Nano to Orin."""
_EMC_CAP = "sys/kernel/nvpmodel_clk_cap/emc"
_EMC_RATE = "sys/kernel/debug/bpmp/debug/clk/emc/rate"
"""The limit that nvpmodel sets for a Jetson's memory controller, and its rate, which only root may read. In hertz."""


def clock_limits(root: Path = ROOT) -> Optional[str]:
    """Return the readable limits, such as ``cpu 600-2400 MHz; gpu 306-918 MHz; emc at most 3199 MHz``, of all policies."""
    limits = []
    policies = listed(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq")
    cpu = [_mhz_range(folder / "scaling_min_freq", folder / "scaling_max_freq", 1e3) for folder in policies]
    gpu = [_mhz_range(folder / "min_freq", folder / "max_freq", 1e6) for folder in _jetson_gpus(root)]
    for name, ranges in (("cpu", cpu), ("gpu", gpu)):
        texts = sorted({text for text in ranges if text is not None})
        if texts:
            limits.append("{} {} MHz".format(name, " ".join(texts)))
    cap = read_count(root / _EMC_CAP)
    if cap:  # 0 is no cap
        limits.append("emc at most {:.0f} MHz".format(cap / 1e6))
    return "; ".join(limits) or None


def cpu_mhz(root: Path = ROOT) -> Optional[str]:
    """Return the present frequency, the mean of all cores."""
    files = listed(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_cur_freq")
    return _mean_mhz(files, 1e3) or cpuinfo(root).get("cpu MHz")


def gpu_mhz(root: Path = ROOT) -> Optional[str]:
    """Return the present frequency of a Jetson's GPU."""
    return _mean_mhz([folder / "cur_freq" for folder in _jetson_gpus(root)], 1e6)


def emc_mhz(root: Path = ROOT) -> Optional[str]:
    """Return the present frequency of a Jetson's memory."""
    return _mean_mhz([root / _EMC_RATE], 1e6)


def _jetson_gpus(root: Path) -> Iterator[Path]:
    return (folder for folder in listed(root / "sys/class/devfreq", "*") if _TEGRA_GPU.search(folder.name))


def _mhz_range(least: Path, most: Path, unit: float) -> Optional[str]:
    low, high = read_count(least), read_count(most)
    return None if low is None or high is None else "{:.0f}-{:.0f}".format(low / unit, high / unit)


def _mean_mhz(files: List[Path], unit: float) -> Optional[str]:
    numbers = [number for number in map(read_count, files) if number is not None]
    return "{:.0f}".format(sum(numbers) / len(numbers) / unit) if numbers else None
