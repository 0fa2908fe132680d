"""Examine the installation: its parts, the folders that a build writes to, the stored entries, the GPU and the devices."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import edgecnn
from edgecnn.devices.desktop_gpu import local_gpu
from edgecnn.devices.doctor.facts import (
    DeviceFact,
    DiskFact,
    DoctorReport,
    GpuFact,
    MachineFact,
    NeedFact,
    Part,
    PythonFact,
    State,
    StoreFact,
)
from edgecnn.devices.doctor.parts import PARTS, packages_of
from edgecnn.devices.doctor.trying import LEASE_S, Trials
from edgecnn.devices.files import build_targets, known_devices
from edgecnn.devices.this_machine import local_facts, matches
from edgecnn.errors.base import FULL_ERRNOS, system_reason
from edgecnn.errors.devices import unknown_need
from edgecnn.errors.store import StoreFull, StoreUnusable
from edgecnn.errors.wording import counted
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.sandbox import confinement
from edgecnn.runner.machine.environment import available_cores, read_conditions
from edgecnn.runner.machine.procfs import ROOT, read_limits
from edgecnn.runner.machine.sensors import gpu_models, observe
from edgecnn.runner.packages import installed_version
from edgecnn.store.disk import bytes_of, nearest_existing, temporary_folder
from edgecnn.store.entry import Damage, trusted_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.profiles import read_profile
from edgecnn.store.store import Store, default_root
from edgecnn.values.artifact import Artifact
from edgecnn.values.board import LocalFacts
from edgecnn.values.device import Device
from edgecnn.values.stage import Progress

MIB = 1024 * 1024
PROBE_BYTES = MIB
"""Size of the file that is written as a trial, because a quota may be lower than the reported free space."""
_VERIFY = "`edgecnn store verify` reads every byte"
_HINTS = {
    "store": "run `edgecnn store gc`, or set EDGECNN_STORE=FOLDER to a folder on another disk",
    "results": "free space there, or build with --out FOLDER on another disk",
    "temporary": "free space there, or set TMPDIR=FOLDER to a folder on another disk",
}


def disk_facts() -> tuple[DiskFact, ...]:
    """Return facts of the disks that hold the store, the results and temporary files."""
    store = default_root()
    return (disk_fact("store", store), disk_fact("results", Path.cwd()), disk_fact("temporary", temporary_folder()))


def disk_fact(use: Literal["store", "results", "temporary"], path: Path) -> DiskFact:
    """Return the free space at a path or its nearest existing parent, and whether a file can be written there."""
    free, total, state = 0, 0, State.BROKEN
    hint: str | None = _HINTS[use]
    try:
        place = nearest_existing(path)
        usage = shutil.disk_usage(place)
        free, total = usage.free, usage.total
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        why = system_reason(error)
        full = error.errno in FULL_ERRNOS
        finding = f"{PROBE_BYTES // MIB} MiB could not be written: {why}" if full else f"files cannot be written: {why}"
    else:
        state, finding, hint = State.WORKS, "writable", None
    return DiskFact(
        use=use,
        path=str(path),
        state=state,
        free_mib=round(free / MIB, 1),
        total_mib=round(total / MIB, 1),
        found=finding,
        hint=hint,
    )


def store_fact(tell: Progress) -> StoreFact:
    """Check every stored entry as a build does: by its stamp if the index has it, otherwise by its bytes."""
    try:
        return _examine_store(Store.open(), tell)
    except (StoreUnusable, StoreFull) as error:
        root, why = str(default_root()), error.because or error.what
        return StoreFact(root=root, state=State.BROKEN, artifacts=0, profiles=0, mib=0, damaged=(), found=why, hint=error.hint)


def _examine_store(store: Store, tell: Progress) -> StoreFact:
    with named_failures(store.root, "examining it"):
        names, folders = list(store.artifacts.names()), list(store.profiles.folders())
        damaged, size = [], 0
        for done, (kind, key) in enumerate(names, start=1):
            entry = trusted_entry(store.layout, kind, key)
            if isinstance(entry, Damage):
                damaged.append(f"artifacts/{kind}/{key}: {entry.why}")
            elif isinstance(entry, Artifact):
                size += bytes_of(entry.record.files)
            tell.step("checking the store", done, len(names), "entries")
        for folder in folders:
            profile = read_profile(folder)
            if isinstance(profile, Damage):
                damaged.append(f"{folder.relative_to(store.root).as_posix()}: {profile.why}")
    summary = f"no damage; {_VERIFY}" if names or folders else "the store is empty"
    return StoreFact(
        root=str(store.root),
        state=State.BROKEN if damaged else State.WORKS,
        artifacts=len(names),
        profiles=len(folders),
        mib=round(size / MIB, 1),
        damaged=tuple(damaged),
        found=f"{counted(len(damaged), 'damaged entry', 'damaged entries')}, first {damaged[0]}" if damaged else summary,
        hint="edgecnn store verify --repair" if damaged else None,
    )


def examine(tell: Progress, needs: Sequence[str] = (), lease_s: float = LEASE_S) -> DoctorReport:
    """Examine this machine and try the installed parts. Failures are in the report; nothing is changed or kept.

    ``lease_s``: a part hangs if it prints nothing for so many seconds.

    Raises UNKNOWN_NEED: doctor does not know a need. Nothing was tried.
    """
    checked_needs = check_needs(needs)
    began = time.monotonic()
    listed = tuple(gpu_models())
    trials = Trials(tell, listed, lease_s)
    parts = trials.parts()
    gpu = gpu_fact(listed, trials.torch_gpus, parts)
    report = DoctorReport(
        edgecnn=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        python=python_fact(),
        packages=packages_of(),
        machine=machine_fact(),
        environment=LocalHost().identify(),
        confinement=confinement(),
        disks=disk_facts(),
        store=store_fact(tell),
        parts=parts,
        gpu=gpu,
        devices=device_facts(local_facts(), parts, gpu),
        seconds=round(time.monotonic() - began, 1),
    )
    return answer_needs(report, checked_needs)


def python_fact() -> PythonFact:
    """Return facts of the running interpreter."""
    return PythonFact(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable,
        in_virtual_environment=sys.prefix != sys.base_prefix,
    )


def machine_fact(root: Path = ROOT) -> MachineFact:
    """Return facts of the processor, and the limits that containers and services set for this process.

    ``root``: the parent folder of ``proc``, ``sys`` and ``etc``.
    """
    facts: LocalFacts = local_facts(root)
    limits, observed = read_limits(root), observe(root)
    available = observed.get("memory_available_mib")
    return MachineFact(
        architecture=facts.architecture,
        cpu=read_conditions(root=root).get("cpu"),
        isa=facts.isa,
        cores_online=os.cpu_count(),
        cores_allowed=facts.cores,
        cpu_limit=limits.cores,
        cores_used=available_cores(root),
        memory_mib=facts.memory_mib,
        memory_available_mib=None if available is None else int(available),
        memory_limit_mib=limits.memory_mib,
        limits_known=limits.known,
    )


def need_names() -> tuple[str, ...]:
    """Return all names that ``--need`` accepts."""
    known = known_devices()
    devices = [name for device in known.devices for name in (device.name, *device.aliases)]
    return (*(row.name for row in PARTS), "gpu", "store", "disk", *devices, *known.damaged)


def check_needs(needs: Sequence[str]) -> tuple[str, ...]:
    """Return the needs without duplicates.

    Raises UNKNOWN_NEED: doctor does not know a name; the error names the nearest.
    """
    known = need_names()
    for name in needs:
        if name not in known:
            raise unknown_need(name=name, known=known)
    return tuple(dict.fromkeys(needs))


def answer_needs(report: DoctorReport, needs: Sequence[str]) -> DoctorReport:
    """Add the answer to each need. A need is met only if its trial succeeded."""
    states, devices = _need_states(report), {name for device in report.devices for name in (device.name, *device.aliases)}
    facts = []
    for name in needs:
        state, finding, hint = states[name]
        met, away = state is State.WORKS, state is State.ABSENT and name in devices
        facts.append(NeedFact(name=name, met=met, because=finding, hint=None if met else hint, away=away))
    return report.model_copy(update={"needs": tuple(facts)})


def _need_states(report: DoctorReport) -> Mapping[str, tuple[State, str, str | None]]:
    states: dict[str, tuple[State, str, str | None]] = {}
    for part in report.parts:  # an untried part lacks a GPU, which no command installs
        hint = report.gpu.hint if part.state is State.UNTRIED else part.addition.command
        states[part.name] = (part.state, part.found, hint)
    for name, fact in (("gpu", report.gpu), ("store", report.store)):
        states[name] = (fact.state, fact.found, fact.hint)
    states["disk"] = (State.WORKS, "every folder that a build writes to is writable", None)
    if (full := next((disk for disk in report.disks if disk.state is not State.WORKS), None)) is not None:
        states["disk"] = (full.state, f"{full.path}: {full.found}", full.hint)
    for device in report.devices:
        states |= dict.fromkeys((device.name, *device.aliases), (device.state, device.found, device.hint))
    return states


_NO_GPU = "you need an NVIDIA GPU with its driver; check with `nvidia-smi`, and start a container with `--gpus all`"


def gpu_fact(listed: Sequence[str], torch_gpus: Sequence[Mapping[str, Any]], parts: Sequence[Part]) -> GpuFact:
    """Return facts of the GPUs, and whether a trial ran on one.

    ``torch_gpus``: ``model`` and ``why`` of each GPU that torch found; ``why`` is None if a training step ran on it.
    """
    models = tuple(listed) or tuple(gpu["model"] for gpu in torch_gpus)
    if not models:
        finding = (
            "the NVIDIA driver lists no GPU, and torch finds none" if _works(parts, "train") else "the NVIDIA driver lists no GPU"
        )
        return GpuFact(state=State.ABSENT, models=(), found=finding, hint=_NO_GPU)
    ran = [f"torch trained a step on {gpu['model']}" for gpu in torch_gpus if gpu["why"] is None]
    ran += ["TensorRT ran the tiny network"] if _works(parts, "tensorrt") else []
    if ran:
        return GpuFact(state=State.WORKS, models=models, found="; ".join(ran))
    failed = [f"{gpu['model']}: {gpu['why']}" for gpu in torch_gpus]
    train = next(part for part in parts if part.name == "train")
    if not failed and train.state is not State.WORKS:
        finding = f"no installed part could try it: {train.found}"
        return GpuFact(state=State.UNTRIED, models=models, found=finding, hint=train.addition.command)
    local = local_gpu(models, {name: installed_version(name) for name in ("torch", "torchvision")})
    finding = "; ".join(failed) or (local and local.unusable) or "the driver lists a GPU, but torch cannot use it"
    return GpuFact(state=State.BROKEN, models=models, found=finding, hint="check it with nvidia-smi")


def device_facts(facts: LocalFacts, parts: Sequence[Part], gpu: GpuFact) -> tuple[DeviceFact, ...]:
    """Return facts of every known device: the user's invalid files, the user's devices, and the shipped devices."""
    known = known_devices()
    rows = []
    for name, error in known.damaged.items():
        finding = f"{error.what}: {error.because}" if error.because else error.what
        about = {"title": "your own device file", "state": State.BROKEN, "hint": error.hint}
        rows.append(DeviceFact(name=name, aliases=(), found=finding, **about))
    for device in known.devices:
        if device.facts_only is not None:
            state, finding = State.ABSENT, f"no build is possible: {device.facts_only.why}"
            hint: str | None = device.facts_only.instead
        elif matches(device, facts):
            state, finding, hint = _state_here(device, parts, gpu)
        else:
            state, finding, hint = State.ABSENT, "this computer is another machine", _build_hint(device)
        rows.append(
            DeviceFact(name=device.name, aliases=device.aliases, title=device.title, state=state, found=finding, hint=hint)
        )
    return tuple(rows)


def _state_here(device: Device, parts: Sequence[Part], gpu: GpuFact) -> tuple[State, str, str | None]:
    if device.role == "baseline":
        return gpu.state, f"this machine's GPU; {gpu.found}", gpu.hint
    named = {part.name: part for part in parts}
    has = [named[runtime.value] for runtime in device.runtimes if runtime.value in named]
    ran = [part.name for part in has if part.state is State.WORKS]
    if ran:
        return State.WORKS, f"this machine; {', '.join(ran)} ran here", None
    whys = "; ".join(part.found for part in has)
    state = State.BROKEN if any(part.state is State.BROKEN for part in has) else State.UNTRIED
    return state, f"this machine, but none of its runtimes ran: {whys}", has[0].addition.command if has else None


def _build_hint(device: Device) -> str | None:
    target = next(iter(build_targets(device)), None)
    if device.role == "baseline" or target is None:  # a user's file may list no runtime that builds support
        return None
    check = f"edgecnn devices check --host USER@{device.name} checks the device over SSH"
    return f"{check}; edgecnn build --target {target} builds without it, and prints the command that measures on it"


def _works(parts: Sequence[Part], name: str) -> bool:
    return any(part.name == name and part.state is State.WORKS for part in parts)
