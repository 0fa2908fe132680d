"""Facts of this machine, and whether it is a device."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from edgecnn.runner.machine.environment import available_cores
from edgecnn.runner.machine.sensors import gpu_models
from edgecnn.values.board import LocalFacts
from edgecnn.values.device import Device, Match, Memory
from edgecnn.values.profile import Environment
from edgecnn.values.resolved import Attachment

ISA_FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "asimdhp", "i8mm", "bf16")
"""CPU flags, in Linux's spelling, that decide a quantization scheme or whether a precision is computed natively."""


def matches(device: Device, facts: LocalFacts) -> bool:
    """Whether a machine with these facts is the device: every field of the device's ``[match]`` fits."""
    match = device.match
    if device.processor.architecture != "any" and match == Match():
        return False  # without [match], a device fits no machine
    models = facts.models if facts.cpu_model is None else (*facts.models, facts.cpu_model)
    return (
        (match.architecture is None or match.architecture == facts.architecture)
        and (match.cpu_vendor is None or match.cpu_vendor == facts.cpu_vendor)
        and _is_named(match, models)
        and (not match.compatible or not set(match.compatible).isdisjoint(facts.compatible))
        and (not match.cpu_part or (bool(facts.cpu_parts) and set(facts.cpu_parts) <= set(match.cpu_part)))
        and set(match.isa) <= set(facts.isa)
        and not set(match.lacks_isa) & set(facts.isa)
    )


def _is_named(match: Match, models: Sequence[str]) -> bool:
    contained = match.model_contains is None or any(match.model_contains in model for model in models)
    return contained and (match.model_is is None or match.model_is in models)


def match_closeness(device: Device) -> tuple[bool, int]:
    """Return the sort key of devices that match a machine. A model name is more specific than any number of instructions."""
    match = device.match
    return (match.model_is or match.model_contains) is not None, len(match.model_dump(exclude_defaults=True)) + len(match.isa)


def complete_device(device: Device, facts: LocalFacts) -> Device:
    """Fill in the processor and memory that a device file leaves open with ``architecture = "any"``.

    The ISA flags, cores and memory come from ``facts``. Other devices are returned unchanged.
    """
    if device.processor.architecture != "any" or facts.architecture not in ("x86_64", "aarch64"):
        return device
    source = "read from this machine: /proc/cpuinfo, /proc/meminfo"
    processor = device.processor.model_copy(
        update={"architecture": facts.architecture, "isa": facts.isa, "cores": facts.cores, "source": source}
    )
    memory = Memory(mib=facts.memory_mib, source=source) if facts.memory_mib else device.memory
    return device.model_copy(update={"processor": processor, "memory": memory})


def local_facts(root: Path = Path("/"), *, architecture: str | None = None, cores: int | None = None) -> LocalFacts:
    """Read the facts of this machine, or of a machine whose files are below ``root``. Unreadable facts are absent.

    ``root``: the parent folder of ``proc``. ``cores``: number of cores that a process may use; None: of this process.
    """
    described = _cpuinfo_cores(_text_or_empty(root / "proc/cpuinfo"))
    memory = (line for line in _text_or_empty(root / "proc/meminfo").splitlines() if line.startswith("MemTotal:"))
    flags = [set((core.get("flags") or core.get("Features") or "").split()) for core in described]
    common = set.intersection(*flags) if flags else set()
    first = described[0] if described else {}
    board = _text_or_empty(root / "proc/device-tree/model").rstrip("\0").strip()
    return LocalFacts(
        architecture=architecture or platform.machine(),
        cpu_vendor=first.get("vendor_id") or first.get("CPU implementer"),
        models=(*filter(None, [board]), *gpu_models(root)),
        isa=tuple(flag for flag in ISA_FLAGS if flag in common),
        cores=cores or available_cores(),
        memory_mib=next((int(line.split()[1]) // 1024 for line in memory), None),
        cpu_model=first.get("model name"),
        cpu_parts=tuple(sorted({core["CPU part"] for core in described if "CPU part" in core})),
        compatible=tuple(filter(None, _text_or_empty(root / "proc/device-tree/compatible").strip().split("\0"))),
    )


def _cpuinfo_cores(cpuinfo: str) -> list[dict[str, str]]:
    """Return one table for each core. Blocks without flags, such as ARM's board lines, do not describe cores."""
    blocks = [
        {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in block.splitlines()) if colon}
        for block in cpuinfo.split("\n\n")
    ]
    return [block for block in blocks if "flags" in block or "Features" in block]


def _text_or_empty(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # an absent file is itself a fact
        return ""


def attachment_of(device: Device, facts: LocalFacts, board: str | None = None) -> Attachment:
    """Return whether a machine with these facts is the device, with the reason. ``board``: its name; None: this machine."""
    attached = matches(device, facts)
    here = f"{board or 'this machine'} is {facts.describe()}"
    return Attachment(attached=attached, why=f"{here}, which {'is' if attached else 'is not'} {device.title}")


def contradiction(device: Device, ran: Environment) -> str | None:
    """Return why a machine with this environment cannot be the device, or None.

    ``device``: as its file states it. ``ran``: the environment of a run.
    """
    observed = ran.observed
    ran_on, architecture = observed.get("architecture"), device.processor.architecture
    if architecture != "any" and ran_on not in (None, architecture):
        return f"they were made on {ran_on}; {device.name} is {architecture}"
    vendor = observed.get("cpu_vendor")
    if device.match.cpu_vendor is not None and vendor not in (None, device.match.cpu_vendor):
        return f"they were made on a processor of {vendor}; {device.name} has one of {device.match.cpu_vendor}"
    if "emulator" in ran.conditions:
        models = names = [ran.conditions["emulator"]]
    else:
        models = [model for name in ("model", "gpu") for model in observed.get(name, "").split("; ") if model]
        names = [*models, ran.conditions.get("cpu", "").partition(" (")[0]]
    if models and not _is_named(device.match, names):
        named = device.match.model_is or device.match.model_contains
        return f"they were made on {', '.join(models)}; {device.name} identifies itself as {named}"
    return None
