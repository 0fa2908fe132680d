"""From what a machine said of itself to facts, by the readers that every run's conditions come from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgecnn.devices.this_machine import LocalFacts, local_facts
from edgecnn.hosts.recording import unfold
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.runner.machine.sensors import observe
from edgecnn.runner.machine.throttling import PI_FLAGS, SINCE_BOOT, read_throttles
from edgecnn.values.board import BoardFacts, BoardGpu, BoardPython, RecordedPython, Recording

_METERS = ("sys/class/powercap/", "sys/bus/i2c/drivers/ina3221")


def facts_of(recording: Recording) -> BoardFacts:
    """Facts of the recorded machine; nothing of this one enters."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-recording-") as place:
        return _read(recording, unfold(recording, Path(place)))


def as_local(facts: BoardFacts) -> LocalFacts:
    """By which devices are told apart."""
    return LocalFacts(
        architecture=facts.architecture,
        cpu_vendor=facts.cpu_vendor,
        models=facts.models,
        isa=facts.isa,
        cores=facts.cores,
        memory_mib=facts.memory_mib,
        cpu_model=facts.cpu_model,
    )


def _read(recording: Recording, root: Path) -> BoardFacts:
    known = local_facts(root, architecture=recording.machine, cores=recording.cores)
    conditions, observed = read_conditions(root=root), observe(root)
    flags = read_throttles(root).flags or 0
    available, temperature = observed.get("memory_available_mib"), observed.get("temperature_c")
    return BoardFacts(
        architecture=recording.machine,
        system=_system(recording.files.get("etc/os-release", "")),
        kernel=recording.kernel,
        page_kib=recording.page_bytes // 1024,
        models=known.models,
        cpu=conditions.get("cpu"),
        cpu_model=known.cpu_model,
        cpu_vendor=known.cpu_vendor,
        isa=known.isa,
        cores=recording.cores,
        memory_mib=known.memory_mib,
        memory_available_mib=None if available is None else int(available),
        disk_free_mib=recording.disk.free_mib,
        disk_noexec=recording.disk.noexec,
        python=_python(recording.python),
        packages=recording.python.packages,
        governor=conditions.get("governor"),
        clocks=conditions.get("clocks"),
        power_mode=conditions.get("power_mode"),
        power_mode_name=_mode_name(recording.commands.get("nvpmodel", "")),
        temperature_c=None if temperature is None else float(temperature),
        throttled=observed.get("throttled"),
        throttled_since_boot=tuple(name for bit, name in enumerate(PI_FLAGS) if flags >> (bit + SINCE_BOOT) & 1),
        l4t=_l4t(recording.files.get("etc/nv_tegra_release", "")),
        jetpack=recording.commands.get("jetpack") or None,
        cuda=_cuda(recording.files),
        gpus=tuple(_gpus(recording, known.models)),
        nodes=recording.nodes,
        refused_meters={name: why for name, why in recording.refused.items() if name.startswith(_METERS)},
    )


def _python(said: RecordedPython) -> BoardPython:
    glibc = tuple(int(part) for part in said.glibc.split(".")[:2] if part.isdigit())
    return BoardPython(
        version=said.version,
        implementation=said.implementation,
        executable=said.executable,
        bits=said.bits,
        in_environment=said.in_environment,
        managed=said.managed,
        ensurepip=said.ensurepip,
        glibc=(glibc[0], glibc[1]) if len(glibc) > 1 else None,
    )


def _system(release: str) -> str | None:
    fields = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    return fields.get("PRETTY_NAME", "").strip("\"'") or None


def _mode_name(said: str) -> str | None:
    """``NV Power Mode: MAXN`` and, on the next line, its number."""
    lines = [line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("NV Power Mode")]
    return lines[0] if lines and lines[0] else None


def _l4t(release: str) -> str | None:
    first = release.splitlines()[0].lstrip("# ") if release.strip() else ""
    return ",".join(first.split(",")[:2]) or None


def _cuda(files: Mapping[str, str]) -> str | None:
    try:
        return str(json.loads(files["usr/local/cuda/version.json"])["cuda"]["version"])
    except (KeyError, TypeError, ValueError):
        text = files.get("usr/local/cuda/version.txt", "")
        return text.replace("CUDA Version", "").strip() or None


def _gpus(recording: Recording, models: tuple[str, ...]) -> Iterator[BoardGpu]:
    rows = [line.split(",") for line in recording.commands.get("nvidia-smi", "").splitlines()]
    asked = [[cell.strip() for cell in row] for row in rows if len(row) == len(("name", "capability", "memory"))]
    for model, capability, memory in asked:
        number = int(memory) if memory.isdigit() else None
        yield BoardGpu(model=model, compute_capability=capability if "." in capability else None, memory_mib=number)
    if not asked:
        board = recording.files.get("proc/device-tree/model", "").strip("\0 \n")
        yield from (BoardGpu(model=model) for model in models if model != board)
