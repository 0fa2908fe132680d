"""What the machine was like, in a reader's words: all that a latency hangs on, and what of it could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn.render.page.charts.figure import Table
from edgecnn.values.profile import Environment

_NAMES: Mapping[str, tuple[str, str]] = {
    "cpu": ("processor", ""),
    "isa": ("instruction sets", ""),
    "cores": ("cores used", ""),
    "affinity": ("which cores", ""),
    "cpu_limit": ("container's limit of cores", ""),
    "governor": ("governor", ""),
    "power_mode": ("power mode", ""),
    "clocks": ("clocks may be", ""),
    "frequency_mhz": ("clock then", "MHz"),
    "temperature_c": ("temperature", "°C"),
    "throttled": ("slowed itself down", ""),
    "load_1min": ("load, 1 min", ""),
    "steal_percent": ("stolen by the hypervisor", "%"),
    "others_percent": ("others' share of the processors", "%"),
    "processors_online": ("processors online", ""),
    "memory_total_mib": ("memory", "MiB"),
    "memory_available_mib": ("memory available", "MiB"),
    "memory_limit_mib": ("container's limit of memory", "MiB"),
    "kernel": ("kernel", ""),
    "driver": ("driver", ""),
    "gpu": ("GPU", ""),
    "webgpu_adapter": ("WebGPU adapter", ""),
    "python": ("Python", ""),
    "architecture": ("architecture", ""),
    "model": ("board or machine", ""),
    "cpu_vendor": ("processor's vendor", ""),
    "machine": ("machine, as a digest", ""),
    "energy_meters": ("energy meters", ""),
    "energy_absent": ("no energy meter", ""),
}
_EXPECTED = (
    "cpu", "isa", "cores", "affinity", "cpu_limit", "governor", "frequency_mhz", "temperature_c", "throttled", "load_1min",
    "steal_percent",
)  # fmt: skip
"""What every machine has; a driver, a GPU or a memory limit need not be there at all."""
_RACED = (
    "runtime", "runtime_version", "cores", "affinity", "cpu_limit", "governor", "frequency_mhz", "temperature_c", "throttled",
    "load_1min", "steal_percent", "others_percent", "webgpu_adapter",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Name and value of what was read, and the names of what every machine has and this one does not tell."""

    read: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]


def machine(environment: Environment) -> Machine:
    """One environment, the known names first and in a fixed order."""
    found = {**environment.conditions, **environment.observed}
    known = [(_NAMES[name][0], _value(name, found[name])) for name in _NAMES if name in found]
    other = [(name.replace("_", " "), value) for name, value in found.items() if name not in _NAMES]
    unread = tuple(_NAMES[name][0] for name in _EXPECTED if name not in found) if found else ()
    return Machine(read=(*known, *other), unread=unread)


def raced_under(environments: Mapping[str, tuple[str, Environment]]) -> Table:
    """What held while each candidate raced: candidate to when and under what; what nobody could read has no column."""
    every = {name: {**seen.conditions, **seen.observed} for name, (_, seen) in environments.items()}
    names = [name for name in _RACED if any(name in found for found in every.values())]
    rows = tuple(
        (name, when, *(_value(column, every[name].get(column, "not read")) for column in names))
        for name, (when, _) in environments.items()
    )
    heads = (_NAMES[name][0] if name in _NAMES else name.replace("_", " ") for name in names)
    return Table(caption="Conditions of each race", columns=("candidate", "when", *heads), rows=rows)


def _value(name: str, value: str) -> str:
    unit = _NAMES[name][1] if name in _NAMES else ""
    return f"{value} {unit}" if unit and value[:1].isdigit() else value
