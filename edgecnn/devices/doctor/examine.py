"""The whole examination, in the order in which it is told."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import edgecnn
from edgecnn.devices.doctor.attached import device_facts, gpu_fact
from edgecnn.devices.doctor.facts import DoctorReport, MachineFact, NeedFact, Part, PythonFact, State
from edgecnn.devices.doctor.parts import packages_of, part_names
from edgecnn.devices.doctor.storage import disk_facts, store_fact
from edgecnn.devices.doctor.trying import LEASE_S, Trials
from edgecnn.devices.files import known_devices
from edgecnn.devices.this_machine import LocalFacts, local_facts
from edgecnn.errors.devices import UnknownNeed
from edgecnn.hosts.local import LocalHost
from edgecnn.runner.cgroups import read_limits
from edgecnn.runner.environment import available_cores, read_conditions
from edgecnn.runner.procfs import ROOT
from edgecnn.runner.sensors import gpu_models, observe
from edgecnn.values.stage import Progress


def examine(tell: Progress, needs: Sequence[str] = (), lease_s: float = LEASE_S) -> DoctorReport:
    """Look at this machine and try what is installed. What fails is in the report; nothing is changed, and nothing is kept.

    Args:
        tell: hears which part is being tried.
        needs: names as ``need_names`` has them; each is answered in the report.
        lease_s: how long a part may say nothing before it is taken to hang.

    Raises:
        UnknownNeed: before anything is tried.
    """
    wanted = check_needs(needs)
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
        disks=disk_facts(),
        store=store_fact(tell),
        parts=parts,
        gpu=gpu,
        devices=device_facts(local_facts(), parts, gpu),
        seconds=round(time.monotonic() - began, 1),
    )
    return answered(report, wanted)


def python_fact() -> PythonFact:
    """The running interpreter."""
    return PythonFact(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable,
        in_virtual_environment=sys.prefix != sys.base_prefix,
    )


def machine_fact(root: Path = ROOT) -> MachineFact:
    """The processor and the limits of containers and services on this process.

    Args:
        root: where ``proc``, ``sys`` and ``etc`` are; another folder for recorded trees.
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
    """Everything that can be needed."""
    known = known_devices()
    devices = [name for device in known.devices for name in (device.name, *device.aliases)]
    return (*part_names(), "gpu", "store", "disk", *devices, *known.damaged)


def check_needs(needs: Sequence[str]) -> tuple[str, ...]:
    """The same names, each once, before anything is tried.

    Raises:
        UnknownNeed: one of them is nothing that doctor looks at; names the nearest.
    """
    known = need_names()
    for name in needs:
        if name not in known:
            raise UnknownNeed(name=name, known=known)
    return tuple(dict.fromkeys(needs))


def answered(report: DoctorReport, needs: Sequence[str]) -> DoctorReport:
    """The report with an answer to each need. Only what was tried, and worked, meets one."""
    states = _states(report)
    facts = tuple(_need(name, *states[name]()) for name in needs)
    return report.model_copy(update={"needs": facts})


def _need(name: str, state: State, found: str, hint: str | None) -> NeedFact:
    met = state is State.WORKS
    return NeedFact(name=name, met=met, because=found, hint=None if met else hint)


_NeedState = tuple[State, str, str | None]


def _states(report: DoctorReport) -> Mapping[str, Callable[[], _NeedState]]:
    found: dict[str, Callable[[], _NeedState]] = {
        part.name: lambda part=part: (part.state, part.found, _mending(part, report))  # type: ignore[misc]
        for part in report.parts
    }
    found["gpu"] = lambda: (report.gpu.state, report.gpu.found, report.gpu.hint)
    found["store"] = lambda: (report.store.state, report.store.found, report.store.hint)
    found["disk"] = lambda: _disk(report)
    for device in report.devices:
        for name in (device.name, *device.aliases):
            found[name] = lambda device=device: (device.state, device.found, device.hint)  # type: ignore[misc]
    return found


def _mending(part: Part, report: DoctorReport) -> str | None:
    """What is here and could not be tried lacks a GPU, which no command installs."""
    return report.gpu.hint if part.state is State.UNTRIED else part.addition.command


def _disk(report: DoctorReport) -> _NeedState:
    full = next((disk for disk in report.disks if disk.state is not State.WORKS), None)
    if full is None:
        return State.WORKS, "every place that a build writes to takes files", None
    return full.state, f"{full.path}: {full.found}", full.hint
