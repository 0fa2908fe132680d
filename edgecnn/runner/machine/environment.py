"""The machine's conditions, which decide whether runs may be compared, and its observations, which do not.

A condition that cannot be read is absent, never guessed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from pathlib import Path
from typing import Dict, List, Optional

from ..meters.kinds import open_meters
from ..packages import installed_version
from .procfs import ROOT, cpuinfo, listed, read_limits, read_text
from .sensors import clock_limits, gpu_models, observe

_ISA = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16",
    "neon", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
"""Flags of /proc/cpuinfo that decide a runtime's kernels."""
EMULATOR = "EDGECNN_EMULATOR"
"""The name of the emulator of this processor. Its user sets it, since the emulated side cannot detect it."""


def read_environment(runtime: Optional[str] = None, root: Path = ROOT) -> Dict[str, Dict[str, str]]:
    """Return ``{"conditions": …, "observed": …}``. The observations include the readable energy meters, or why there are none.

    Args:
        runtime: adds ``runtime`` and ``runtime_version``.
        root: the folder of ``proc``, ``sys`` and ``etc``; another folder for recorded trees.
    """
    observed = observe(root)
    meters = open_meters(gpu=True, root=root)
    meters.close()
    if meters.opened:
        observed["energy_meters"] = " ".join(meter.name for meter in meters.opened)
    else:
        observed["energy_absent"] = "; ".join("{}: {}".format(name, why) for name, why in meters.absent.items())
    return {"conditions": read_conditions(runtime, root), "observed": observed}


def read_conditions(runtime: Optional[str] = None, root: Path = ROOT) -> Dict[str, str]:
    """Return the conditions that must be equal before two runs are joined.

    ``machine`` is the first 16 hexadecimal digits of SHA-256 over the host name and the board's serial number, or else
    /etc/machine-id. A short serial with a common host name can be found by brute force, so a record that is sent has another
    name. ``cores`` is the number of cores that this process may use, ``affinity`` lists them, ``cpu_limit`` is the time that its
    control groups grant, in cores (``none``: no limit).
    """
    governors = listed(root / "sys/devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_governor")
    conditions: Dict[str, Optional[str]] = {
        "machine": _machine_id(root),
        "cpu": _cpu(root),
        "isa": _isa(root),
        "cores": str(available_cores(root)),
        "affinity": _affinity(root),
        "cpu_limit": _cpu_limit(root),
        "kernel": platform.release(),
        "governor": " ".join(sorted({text for text in map(read_text, governors) if text})),
        "power_mode": _power_mode(root),
        "clocks": clock_limits(root),
        "python": platform.python_version(),
        "driver": _driver(root),
        "gpu": "; ".join(gpu_models(root)) or None,
        "emulator": os.environ.get(EMULATOR),
    }
    if runtime is not None:
        conditions["runtime"] = runtime
        conditions["runtime_version"] = installed_version(runtime)
    return {name: value for name, value in conditions.items() if value}


def available_cores(root: Path = ROOT) -> int:
    """Return the number of cores that this process may use: its affinity, or its quota rounded down to at least 1 if lower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = read_limits(root).cores
    return cores if quota is None else max(1, min(cores, int(quota)))


def _machine_id(root: Path) -> Optional[str]:
    serial = read_text(root / "proc/device-tree/serial-number") or read_text(root / "etc/machine-id")
    name = "{}\n{}".format(serial or "", platform.node())
    return hashlib.sha256(name.encode("utf-8")).hexdigest()[:16] if serial or platform.node() else None


def _cpu(root: Path) -> Optional[str]:
    fields = cpuinfo(root)
    if "model name" in fields:
        numbers = [fields[name] for name in ("cpu family", "model", "stepping") if name in fields]
        return "{} ({})".format(fields["model name"], "/".join(numbers)) if numbers else fields["model name"]
    if "CPU part" in fields:  # arm64 states the core's designer and its number
        return "arm implementer {} part {}".format(fields.get("CPU implementer", "?"), fields["CPU part"])
    return None


def _isa(root: Path) -> Optional[str]:
    fields = cpuinfo(root)
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return " ".join(flag for flag in _ISA if flag in flags) or None


def _affinity(root: Path) -> Optional[str]:
    """Return the cores as the kernel lists them: ``0-3,8``."""
    for line in (read_text(root / "proc/self/status") or "").splitlines():
        if line.startswith("Cpus_allowed_list:"):
            return line.partition(":")[2].strip()
    return None


def _cpu_limit(root: Path) -> Optional[str]:
    limits = read_limits(root)
    if limits.cores is not None:
        return "{:.2f}".format(limits.cores)
    return "none" if limits.known else None


def _power_mode(root: Path) -> Optional[str]:
    # A Jetson has nvpmodel's mode; laptops have a platform profile and a preference (epp) for the governor. Turbo may be off.
    sources = (
        ("", "var/lib/nvpmodel/status"),
        ("profile:", "sys/firmware/acpi/platform_profile"),
        ("no_turbo:", "sys/devices/system/cpu/intel_pstate/no_turbo"),
        ("boost:", "sys/devices/system/cpu/cpufreq/boost"),
        ("epp:", "sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference"),
    )
    modes = [(label, read_text(root / path)) for label, path in sources]
    return " ".join(label + text for label, text in modes if text) or None


def _driver(root: Path) -> Optional[str]:
    drivers: List[str] = []
    version = read_text(root / "sys/module/nvidia/version")
    if version is None:  # as in containers without /sys/module
        first = (read_text(root / "proc/driver/nvidia/version") or "").partition("\n")[0]
        match = re.search(r"\b\d+\.\d+(\.\d+)?\b", first)
        version = match.group(0) if match else None
    if version:
        drivers.append("nvidia " + version)
    tegra = read_text(root / "etc/nv_tegra_release")
    if tegra:
        drivers.append(tegra.splitlines()[0].lstrip("# "))
    return "; ".join(drivers) or None
