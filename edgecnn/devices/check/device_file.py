"""Write a machine's facts as a device file. Facts that the machine reported are marked, and other facts keep their source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

import edgecnn
from edgecnn.devices.check.board import ReachedBoard
from edgecnn.devices.check.findings import installed_runtime_version, require_none, stopping_findings
from edgecnn.devices.files import NAME, device_named, load_devices, own_folder
from edgecnn.devices.this_machine import match_closeness, matches
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import OUTPUT_UNWRITABLE
from edgecnn.errors.devices import DEVICE_NAME_BAD, device_file_there
from edgecnn.runtimes.processor import multiplies_bf16
from edgecnn.runtimes.registry import series_for, versions_taken
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.board import BoardFacts, Finding
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.device import Accelerator, Device, Match, Memory, Processor, RuntimeFacts, Support
from edgecnn.values.toml import toml_value

_GENERAL = "cpu"
"""The shipped device whose facts about runtimes are valid for every processor."""


def closest_shipped_device(facts: BoardFacts) -> Device | None:
    """Return the shipped device that matches the machine most closely, without the general ``cpu``, or None."""
    candidates = (
        device
        for device in load_devices().values()
        if matches(device, facts) and device.runtimes and device.role == "target" and not device.is_a_browser
    )
    return max((device for device in candidates if device.name != _GENERAL), key=match_closeness, default=None)


def device_of(name: str, facts: BoardFacts, attached: bool, day: str) -> Device:
    """Describe a machine as a device.

    ``day``: date of the examination, such as 2026-11-21. ``attached``: whether builds run on the machine.
    """
    like = closest_shipped_device(facts)
    read = f"read from the machine on {day}: "
    memory = f", {facts.memory_mib:,} MiB" if facts.memory_mib else ""
    architecture: Literal["aarch64", "x86_64"] = "aarch64" if facts.architecture == "aarch64" else "x86_64"
    stated_model = facts.models[0] if facts.models else facts.cpu_model
    model = stated_model or facts.cpu or facts.architecture
    runtimes = dict(_runtimes(facts, like, read))
    if not any(runtime.by_default for runtime in runtimes.values()):
        runtimes = {name: runtime.model_copy(update={"by_default": True}) for name, runtime in runtimes.items()}
    return Device(
        name=name,
        title=f"{model}{memory} ({facts.system or facts.kernel})",
        usually_attached=attached,
        match=Match(architecture=architecture, cpu_vendor=facts.cpu_vendor, model_is=stated_model, isa=facts.isa),
        processor=Processor(
            architecture=architecture,
            model=facts.cpu_model or facts.cpu or facts.architecture,
            cores=facts.cores,
            isa=facts.isa,
            source=f"{read}/proc/cpuinfo, and the cores that a process may use",
        ),
        accelerator=_accelerator(facts, like, read),
        memory=_memory(facts, like, read),
        runtimes=runtimes,
        notes=tuple(_notes(facts, like, day)),
    )


def device_toml(device: Device) -> str:
    """Return the text of the device file. Reading the file gives the same device."""
    fields = device.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    runtimes = fields.pop("runtimes", {})
    parts = ("match", "processor", "accelerator", "memory")
    tables: dict[str, Any] = {"match": {}, **{name: fields.pop(name) for name in parts if name in fields}}
    lines = [f"# {device.title}", *_key_lines({**fields, "usually_attached": device.usually_attached})]
    tables |= {f"runtimes.{name}": table for name, table in runtimes.items()}
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_key_lines(table)]
    return "\n".join(lines) + "\n"


def _key_lines(table: Mapping[str, Any]) -> Iterator[str]:
    ordered = sorted(table.items(), key=lambda item: item[0] == "source")
    return (f"{name} = {toml_value(value)}" for name, value in ordered)


def _accelerator(facts: BoardFacts, like: Device | None, read: str) -> Accelerator | None:
    if like is not None and like.accelerator is not None:
        return like.accelerator
    gpu = facts.gpus[0] if facts.gpus else None
    if gpu is None or gpu.compute_capability is None:
        return None
    capability, memory = gpu.compute_capability, gpu.memory_mib
    return Accelerator(
        model=gpu.model, vendor="nvidia", compute_capability=capability, memory_mib=memory, source=f"{read}nvidia-smi"
    )


def _memory(facts: BoardFacts, like: Device | None, read: str) -> Memory | None:
    if facts.memory_mib is None:
        return None if like is None else like.memory
    shared = like.memory.shared if like is not None and like.memory is not None else False
    return Memory(mib=facts.memory_mib, shared=shared, source=f"{read}/proc/meminfo")


def _runtimes(facts: BoardFacts, like: Device | None, read: str) -> Iterator[tuple[Runtime, RuntimeFacts]]:
    runtimes = device_named(_GENERAL).runtimes if like is None else like.runtimes
    for runtime, stated in runtimes.items():
        version = installed_runtime_version(facts, runtime)
        if runtime is Runtime.TENSORRT and version is not None and version not in SpecifierSet(stated.versions):
            continue  # the stated precisions and limits are those of other versions
        if runtime is Runtime.OPENVINO and version is None and like is None:
            continue  # OpenVINO is optional on a general processor
        major, minor = facts.python.version[:2]
        origin = f"{read}Python and {runtime.value} {version}" if version is not None else f"{read}Python"
        python = f">={major}.{minor},<{major}.{minor + 1}"
        versions = _versions(facts, runtime, version, stated)
        changed = {"versions": versions, "python": python, "source": f"{origin}. {stated.source}"}
        yield runtime, stated.model_copy(update={**changed, "precisions": _precisions(facts, runtime, stated)})


def _precisions(facts: BoardFacts, runtime: Runtime, stated: RuntimeFacts) -> Mapping[Precision, Support]:
    """Return the stated precisions, with bf16 in OpenVINO if the processor's instructions multiply bf16.

    The shipped file states only what every processor of its class supports.
    """
    general = device_named(_GENERAL).runtimes.get(runtime)
    if runtime is not Runtime.OPENVINO or general is None or not multiplies_bf16(facts.isa):
        return stated.precisions
    return {**stated.precisions, Precision.BF16: general.precisions[Precision.BF16]}


def _versions(facts: BoardFacts, runtime: Runtime, version: str | None, stated: RuntimeFacts) -> str:
    """Return the range of the installed minor version, or the newest version that kits support on this Python."""
    if version is not None:
        release = Version(version.partition(".nv")[0])
        return f">={release.major}.{release.minor},<{release.major}.{release.minor + 1}"
    series = series_for(runtime, facts.python.version[:2])
    if series is None or series.newest is None:
        return stated.versions if runtime is Runtime.TENSORRT else versions_taken(runtime)
    return f"=={series.newest}"


def _notes(facts: BoardFacts, like: Device | None, day: str) -> Iterator[str]:
    yield f"Written by edgecnn {edgecnn.__version__} devices add on {day}, from facts that the machine reported."
    yield f"Precisions and limits of its runtimes are those of the shipped device {_GENERAL if like is None else like.name}."
    if facts.jetpack or facts.l4t:
        yield f"JetPack {facts.jetpack or 'unknown'}, {facts.l4t or 'release unknown'}."
    version = installed_runtime_version(facts, Runtime.TENSORRT)
    stated = None if like is None else like.runtimes.get(Runtime.TENSORRT)
    if version is not None and (stated is None or version not in SpecifierSet(stated.versions)):
        yield f"TensorRT {version} is installed and ignored: no device file states the limits of that version on this board."


_NO_DEVICE = ("userland-32-bit", "architecture-unknown")
"""Findings that make every build for the machine impossible."""


def check_name(name: str, force: bool) -> Path:
    """Return the path of the device file for this name, before any machine is examined.

    Raises DEVICE_NAME_BAD: the name is not valid. DEVICE_FILE_THERE: a shipped device has the name, or the user has such a
    file and ``force`` is not set.
    """
    if not NAME.fullmatch(name):
        raise DEVICE_NAME_BAD(name=name, suggestion=re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "my-board")
    for device in load_devices().values():
        if name in (device.name, *device.aliases):
            raise device_file_there(name=name, title=device.title, file=None)
    path = own_folder() / f"{name}.toml"
    if path.exists() and not force:
        raise device_file_there(name=name, title="", file=path)
    return path


def add_device(path: Path, reached: ReachedBoard, findings: tuple[Finding, ...]) -> Device:
    """Write the device file of this machine, and return the device.

    Raises BOARD_NOT_READY: no build is possible for its processor or its programs. OUTPUT_UNWRITABLE: the file cannot be
    written.
    """
    require_none(reached.name, [finding for finding in stopping_findings(findings) if finding.ref in _NO_DEVICE])
    device = device_of(path.stem, reached.facts, reached.link is None, datetime.now(UTC).date().isoformat())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, device_toml(device))
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=path, because=system_reason(error)) from error
    return device
