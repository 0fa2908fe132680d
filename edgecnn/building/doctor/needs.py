"""What a call says it needs, against what was found: by the names of parts, devices, and what every build wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgecnn.building.devices import known_devices
from edgecnn.building.doctor.parts import part_names
from edgecnn.errors.doctor import UnknownNeed
from edgecnn.values.doctor import DoctorReport, NeedFact, Part, State


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
    standing = _standing(report)
    facts = tuple(_need(name, *standing[name]()) for name in needs)
    return report.model_copy(update={"needs": facts})


def _need(name: str, state: State, found: str, hint: str | None) -> NeedFact:
    met = state is State.WORKS
    return NeedFact(name=name, met=met, because=found, hint=None if met else hint)


_Standing = tuple[State, str, str | None]


def _standing(report: DoctorReport) -> Mapping[str, Callable[[], _Standing]]:
    found: dict[str, Callable[[], _Standing]] = {
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


def _disk(report: DoctorReport) -> _Standing:
    full = next((disk for disk in report.disks if disk.state is not State.WORKS), None)
    if full is None:
        return State.WORKS, "every place that a build writes to takes files", None
    return full.state, f"{full.path}: {full.found}", full.hint
