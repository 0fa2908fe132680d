"""What `edgecnn doctor` found: what this machine is, what works on it, what does not, and what would mend that."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.profile import Environment


class State(StrEnum):
    """How one thing fares. Only what was tried works."""

    WORKS = "works"
    BROKEN = "broken"
    """It is here, and failed when it was tried."""
    UNTRIED = "untried"
    """It is here, and nothing here could try it."""
    ABSENT = "absent"


class PackageFact(Value):
    """One distribution that edgecnn, or one of its extras, asks for."""

    name: str
    wanted: str
    """A PEP 440 range; empty: any version."""
    version: str | None
    """None where it is not installed."""
    fits: bool
    """Installed, in the range."""


class Addition(Value):
    """What a missing part would bring, and what it costs on top of ``beyond``. Sizes are None where nobody measured them."""

    adds: str
    command: str | None
    """What installs it, as a shell takes it; None where nothing can be installed."""
    download_mib: float | None = None
    disk_mib: float | None = None
    beyond: str | None = None
    """What the sizes come on top of; parts that share packages with what is here cost less."""
    measured: str | None = None
    """How the sizes were measured, or why they were not."""


class Part(Value):
    """A runtime, or another extra of edgecnn."""

    name: str
    kind: Literal["runtime", "builder", "extra"]
    version: str | None
    """Of the distribution that it stands or falls with; None where that is not installed."""
    state: State
    found: str
    """One sentence: what was tried and what came of it."""
    seconds: float | None = None
    """That trying it took, starting Python included; None where nothing was tried."""
    packages: tuple[PackageFact, ...]
    addition: Addition
    """How to get it, or get it right."""


class GpuFact(Value):
    """The GPUs together; ``models`` as the driver lists them, else as torch does."""

    state: State
    models: tuple[str, ...]
    found: str
    hint: str | None = None


class DeviceFact(Value):
    """One known device, shipped or the user's own, and whether this machine is it."""

    name: str
    aliases: tuple[str, ...]
    title: str
    state: State
    """works: this machine matches its file, and one of its runtimes ran here; broken: one failed, or the user's file is no
    device; untried: none is installed. absent: another machine, not attached."""
    found: str
    hint: str | None = None


class PythonFact(Value):
    """The interpreter that runs edgecnn and every kit here."""

    version: str
    implementation: str
    executable: str
    in_virtual_environment: bool


class MachineFact(Value):
    """What this process may use; None where it could not be read, or where nothing limits it."""

    architecture: str
    cpu: str | None
    isa: tuple[str, ...]
    """Flags that every core has and that decide a quantization scheme or a precision."""
    cores_online: int | None
    cores_allowed: int
    """By affinity."""
    cpu_limit: float | None
    """Cores' worth of time that control groups grant."""
    cores_used: int
    """How many threads a runtime is given here."""
    memory_mib: int | None
    memory_available_mib: int | None
    memory_limit_mib: int | None
    """Of the control groups."""
    limits_known: bool
    """False where no control group could be read: there may be limits that nobody sees."""


class DiskFact(Value):
    """One place that a build writes to."""

    use: Literal["store", "results", "temporary"]
    path: str
    state: State
    free_mib: float
    total_mib: float
    found: str
    hint: str | None = None


class StoreFact(Value):
    """The store of finished work."""

    root: str
    state: State
    artifacts: int
    profiles: int
    mib: float
    """Of the artifacts whose record can be read."""
    damaged: tuple[str, ...]
    """Entry and what is wrong with it."""
    found: str
    hint: str | None = None


class NeedFact(Value):
    """One thing that the call said it needs."""

    name: str
    met: bool
    because: str
    hint: str | None = None


class DoctorReport(Value):
    """`edgecnn doctor --json`, schema edgecnn.doctor/1."""

    schema_: Literal["edgecnn.doctor/1"] = Field(default="edgecnn.doctor/1", alias="schema")
    edgecnn: str
    made_at: str
    python: PythonFact
    packages: tuple[PackageFact, ...]
    """What every install of edgecnn asks for."""
    machine: MachineFact
    environment: Environment
    """As every run records it."""
    disks: tuple[DiskFact, ...]
    store: StoreFact
    parts: tuple[Part, ...]
    gpu: GpuFact
    devices: tuple[DeviceFact, ...]
    needs: tuple[NeedFact, ...] = ()
    seconds: float
