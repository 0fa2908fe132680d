"""What changes from minute to minute. A sensor that is absent is left out; nothing stands in for it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from .procfs import ROOT, cpuinfo, read_text


class CpuTicks(NamedTuple):
    """Of /proc/stat since boot: ticks of all processors; of these stolen by the hypervisor, busy, and of this process."""

    total: int
    stolen: int
    busy: int
    own: int


def observe(root: Path = ROOT, since: Optional[CpuTicks] = None) -> Dict[str, str]:
    """Load, stolen time, temperature, frequency and memory, and what kind of machine this is.

    Args:
        root: where ``proc`` and ``sys`` are.
        since: an earlier reading, so that ``steal_percent`` is of the time since then; without it, since boot.
    """
    found = {
        "architecture": platform.machine(),
        "cpu_vendor": cpuinfo(root).get("vendor_id"),
        "model": read_text(root / "proc/device-tree/model") or read_text(root / "sys/class/dmi/id/product_name"),
        "gpu": "; ".join(gpu_models(root)) or None,
        "load_1min": (read_text(root / "proc/loadavg") or "").partition(" ")[0],
        "steal_percent": _steal(root, since),
        "others_percent": _others(root, since),
        "temperature_c": _hottest(root),
        "frequency_mhz": _frequency(root),
        "memory_total_mib": _memory(root, "MemTotal"),
        "memory_available_mib": _memory(root, "MemAvailable"),
    }
    return {name: value for name, value in found.items() if value}


def cpu_ticks(root: Path = ROOT) -> Optional[CpuTicks]:
    """The first line of /proc/stat, or None where there is none."""
    fields = (read_text(root / "proc/stat") or "").split("\n", 1)[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None
    ticks = [int(field) for field in fields[1:9]]  # user nice system idle iowait irq softirq steal
    spent = os.times()
    own = (spent.user + spent.system) * os.sysconf("SC_CLK_TCK")
    return CpuTicks(sum(ticks), ticks[7], sum(ticks) - ticks[3] - ticks[4], int(own))


def _steal(root: Path, since: Optional[CpuTicks]) -> Optional[str]:
    now = cpu_ticks(root)
    before = since or CpuTicks(0, 0, 0, 0)
    if now is None or now.total <= before.total:
        return None
    return "{:.2f}".format(100.0 * (now.stolen - before.stolen) / (now.total - before.total))


def _others(root: Path, since: Optional[CpuTicks]) -> Optional[str]:
    """Share of all processors that something else kept busy while this process ran: what makes a latency a matter of luck."""
    now = cpu_ticks(root)
    if now is None or since is None or now.total <= since.total:
        return None
    others = (now.busy - since.busy) - (now.own - since.own)
    return "{:.1f}".format(max(0.0, 100.0 * others / (now.total - since.total)))


def _hottest(root: Path) -> Optional[str]:
    degrees: List[float] = []
    for path in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")):
        text = read_text(path)
        if text and text.lstrip("-").isdigit():
            degrees.append(int(text) / 1000.0)
    return "{:.1f}".format(max(degrees)) if degrees else None


def _frequency(root: Path) -> Optional[str]:
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    kilohertz = [int(text) for text in map(read_text, files) if text and text.isdigit()]
    if kilohertz:
        return "{:.0f}".format(sum(kilohertz) / len(kilohertz) / 1000.0)
    return cpuinfo(root).get("cpu MHz")


def _memory(root: Path, field: str) -> Optional[str]:
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith(field + ":"):
            return str(int(line.split()[1]) // 1024)
    return None


def gpu_models(root: Path = ROOT) -> List[str]:
    """NVIDIA GPUs by the names that their driver lists, in the order of their PCI addresses."""
    models = []
    for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        for line in (read_text(path) or "").splitlines():
            if line.startswith("Model:"):
                models.append(line.partition(":")[2].strip())
    return models
