"""The screens of `devices check` and `doctor`: a board with its problems, and the installed parts of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.devices.doctor.facts import DoctorReport, MachineFact, State
from edgecnn.errors.wording import counted
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import duration_text, sandbox_text, stored_size
from edgecnn.values.board import BoardCheck, BoardFacts, Weight

_HEADS = {
    Weight.STOPS: "kits cannot run until you fix this",
    Weight.DISTORTS: "measurements would understate the board's speed",
    Weight.NOTES: "notes",
}


def board_lines(check: BoardCheck) -> list[str]:
    """Return all findings, the most serious first."""
    return [*_board_lines(check.board, check.facts), *_finding_lines(check), *_device_file_lines(check)]


def _board_lines(name: str, facts: BoardFacts) -> Iterator[str]:
    python = facts.python
    model = facts.models[0] if facts.models else facts.cpu or "processor unknown"
    yield f"{name}: {model}, {facts.system or 'system unknown'}, kernel {facts.kernel}"
    flags = f"; {' '.join(facts.isa)}" if facts.isa else ""
    memory = f", {facts.memory_mib:,} MiB of memory" if facts.memory_mib is not None else ""
    yield f"  {facts.architecture}, {counted(facts.cores, 'core')}{memory}{flags}"
    version, glibc = (".".join(map(str, numbers)) for numbers in (python.version, python.glibc or ()))
    library = f"glibc {glibc}" if glibc else "another C library"
    yield f"  {python.implementation} {version} ({python.bits} bits, {library}): {python.executable}"
    packages = ", ".join(f"{package} {number}" for package, number in sorted(facts.packages.items()))
    yield f"  packages: {packages or 'none that kits need'}"
    conditions = (
        ("governor", facts.governor), ("clocks", facts.clocks), ("power mode", facts.power_mode_name or facts.power_mode),
        ("throttled", facts.throttled), ("JetPack", facts.jetpack), ("CUDA", facts.cuda),
    )  # fmt: skip
    read = [f"{label} {value}" for label, value in conditions if value is not None]
    if read:
        yield f"  {'; '.join(read)}"


def _finding_lines(check: BoardCheck) -> Iterator[str]:
    if not check.findings:
        yield "no problem was found"
    for weight, head in _HEADS.items():
        of_weight = [finding for finding in check.findings if finding.weight is weight]
        if of_weight:
            yield f"{head}:"
        for finding in of_weight:
            yield f"  {finding.what} [{finding.ref}]"
            if finding.remedy is not None:
                yield f"    {finding.remedy}"


def _device_file_lines(check: BoardCheck) -> Iterator[str]:
    if check.recognised_as:
        yield f"recognised as {', '.join(check.recognised_as)}"
    if check.device is not None and not check.differences:
        yield f"the device file {check.device} matches the board"
    if check.differences:
        yield f"the device file {check.device} does not match the board:"
        yield from (f"  {difference}" for difference in check.differences)


DOCTOR_COLUMNS = ("state", "part", "version", "result", "took")
STYLES = {"works": "green", "broken": "bold red", "untried": "yellow", "absent": "dim"}
_MIB = 1024 * 1024


def show_doctor(report: DoctorReport) -> None:
    """Print the summary, this machine, the table of parts, notes, and how to fix or add parts."""
    python = report.python
    place = "a virtual environment" if python.in_virtual_environment else "no virtual environment"
    running = f"edgecnn {report.edgecnn}, {python.implementation} {python.version} in {place}: {python.executable}"
    machine = (_processor_text(report.machine), _memory_text(report.machine), sandbox_text(report.confinement))
    show_lines([_summary(report), *(f"  {line}" for line in (running, *machine))])
    show_rows(DOCTOR_COLUMNS, list(_part_rows(report)), styles=STYLES)
    away = [device.name for device in report.devices if device.state is State.ABSENT]
    attach = [f"not attached: {', '.join(away)}; edgecnn build --target NAME works without the device"] if away else []
    show_lines([*_package_notes(report), *_next_steps(report), *attach])


def _summary(report: DoctorReport) -> str:
    tried = [part for part in report.parts if part.state is not State.ABSENT]
    works = [part for part in tried if part.state is State.WORKS]
    named = [*((part.name, part.state) for part in report.parts), *((name, state) for name, state, _ in _other_parts(report))]
    broken = [
        name for name, state in (*named, *((device.name, device.state) for device in report.devices)) if state is State.BROKEN
    ]
    absent = [part.name for part in report.parts if part.state is State.ABSENT]
    summary = f"{len(works)} of {len(tried)} installed parts work" if tried else "only edgecnn itself is installed"
    summary += f"; broken: {', '.join(broken)}" if broken else "; nothing is broken"
    return f"{summary}; absent: {', '.join(absent)}" if absent else summary


def _processor_text(machine: MachineFact) -> str:
    isa = f"; {' '.join(machine.isa)}" if machine.isa else "; no instructions for fast INT8"
    of = f" of {machine.cores_online}" if machine.cores_online is not None else ""
    limit = f", limited to the CPU time of {machine.cpu_limit:g} cores" if machine.cpu_limit is not None else ""
    unknown = "" if machine.limits_known else ", container limits cannot be read"
    cores = f"{counted(machine.cores_used, 'core')} used{of}{limit}{unknown}"
    return f"{machine.cpu or 'processor unknown'}, {machine.architecture}: {cores}{isa}"


def _memory_text(machine: MachineFact) -> str:
    if machine.memory_mib is None:
        return "memory unknown"
    memory_text = f"{_size_text(machine.memory_mib)} memory"
    memory_text += f", {_size_text(machine.memory_available_mib)} available" if machine.memory_available_mib is not None else ""
    return memory_text + (f", limited to {_size_text(machine.memory_limit_mib)}" if machine.memory_limit_mib is not None else "")


def _part_rows(report: DoctorReport) -> Iterator[tuple[str, ...]]:
    for part in report.parts:
        yield (
            part.state.value,
            part.name,
            part.version or "",
            part.found,
            "" if part.seconds is None else duration_text(part.seconds),
        )
    gpu = report.gpu
    yield gpu.state.value, "gpu", "", "; ".join((*gpu.models, gpu.found)), ""
    store = report.store
    counts = f"{store.artifacts:,} artifacts, {store.profiles:,} profiles, {_size_text(store.mib)}"
    yield store.state.value, "store", "", f"{store.root}: {counts}; {store.found}", ""
    for disk in report.disks:
        yield disk.state.value, f"{disk.use} disk", "", f"{disk.path}: {_size_text(disk.free_mib)} free; {disk.found}", ""
    for device in report.devices:
        if device.state is not State.ABSENT:
            yield device.state.value, device.name, "", device.found, ""


def _package_notes(report: DoctorReport) -> Iterator[str]:
    """Yield packages that are absent or have an untried version, although their part works."""
    groups = [("edgecnn", State.WORKS, report.packages)] + [(part.name, part.state, part.packages) for part in report.parts]
    for name, state, packages in groups:
        for package in packages:
            if state is State.WORKS and not package.fits:
                here = f"{package.version} is installed" if package.version else "it is not installed"
                yield f"note: {name} works, but also needs {package.name}{package.wanted}: {here}"


def _next_steps(report: DoctorReport) -> Iterator[str]:
    for part in report.parts:
        lacking = part.state is State.WORKS and not all(package.fits for package in part.packages)
        if (part.state is State.BROKEN or lacking) and part.addition.command:
            yield f"to fix {part.name}: {part.addition.command}"
    for name, state, hint in _other_parts(report):
        if state is State.BROKEN and hint:
            yield f"to fix {name}: {hint}"
    for part in report.parts:
        if part.state is State.ABSENT and part.addition.command:
            yield f"to add {part.name}: {part.addition.command}"
            addition, cost = part.addition, f"its size was {part.addition.measured}"
            if addition.download_mib is not None and addition.disk_mib is not None:
                disk = f"{_size_text(addition.disk_mib)} on disk in addition to {addition.beyond}"
                cost = f"at most {_size_text(addition.download_mib)} to download, {disk}"
            yield f"  {addition.adds}; {cost}"


def _other_parts(report: DoctorReport) -> Iterator[tuple[str, State, str | None]]:
    yield "gpu", report.gpu.state, report.gpu.hint
    yield "store", report.store.state, report.store.hint
    yield from ((f"{disk.use} disk", disk.state, disk.hint) for disk in report.disks)


def _size_text(mib: float) -> str:
    return stored_size(round(mib * _MIB))
