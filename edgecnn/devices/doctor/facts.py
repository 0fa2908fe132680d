"""Results of `edgecnn doctor`: facts of this machine, working and failing parts, and fixes."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.profile import Environment
from edgecnn.values.sandbox import Confinement


class State(StrEnum):
    """State of a part. A part works only if its trial succeeded."""

    WORKS = "works"
    BROKEN = "broken"
    """It is installed, and its trial failed."""
    UNTRIED = "untried"
    """It is installed, and could not be tried here."""
    ABSENT = "absent"


class PackageFact(Value):
    """A package that edgecnn or one of its extras requires."""

    name: str
    wanted: str
    """A PEP 440 range; empty: any version."""
    version: str | None
    """None: not installed."""
    fits: bool
    """Whether it is installed in this range."""


class Addition(Value):
    """Effects of installing a missing part, and its sizes. Unmeasured sizes are None."""

    adds: str
    command: str | None
    """The shell command that installs it; None if nothing can be installed."""
    download_mib: float | None = None
    disk_mib: float | None = None
    beyond: str | None = None
    """Install to which the sizes are added; parts that share packages with installed ones are smaller."""
    measured: str | None = None
    """Method of the measurement of the sizes, or the reason why they were not measured."""


class Part(Value):
    """A runtime, or another extra of edgecnn."""

    name: str
    kind: Literal["runtime", "builder", "extra"]
    version: str | None
    """Version of its main package; None: not installed."""
    state: State
    found: str
    """The trial and its result, in one sentence."""
    seconds: float | None = None
    """Duration of the trial with the start of Python; None without a trial."""
    packages: tuple[PackageFact, ...]
    addition: Addition
    """Installation or repair of the part."""


class GpuFact(Value):
    """All GPUs; ``models`` as the driver lists them, or as torch does."""

    state: State
    models: tuple[str, ...]
    found: str
    hint: str | None = None


class DeviceFact(Value):
    """A known device, and whether this machine is it."""

    name: str
    aliases: tuple[str, ...]
    title: str
    state: State
    """works: this machine matches its file, and one of its runtimes ran here; broken: a runtime failed, or the user's file is not
    valid; untried: no runtime is installed; absent: another machine."""
    found: str
    hint: str | None = None


class PythonFact(Value):
    """The interpreter that runs edgecnn and every kit here."""

    version: str
    implementation: str
    executable: str
    in_virtual_environment: bool


class MachineFact(Value):
    """Resources that this process may use; None: not readable, or not limited."""

    architecture: str
    cpu: str | None
    isa: tuple[str, ...]
    """Flags that every core has, and on which a quantization scheme or a precision depends."""
    cores_online: int | None
    cores_allowed: int
    """Cores that the affinity of this process allows."""
    cpu_limit: float | None
    """CPU time that control groups grant, in cores."""
    cores_used: int
    """Number of threads that a runtime gets here."""
    memory_mib: int | None
    memory_available_mib: int | None
    memory_limit_mib: int | None
    """Limit of the control groups."""
    limits_known: bool
    """False if no control group could be read, so there may be unknown limits."""


class DiskFact(Value):
    """A folder that a build writes to."""

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
    """Total of the artifacts with a readable record."""
    damaged: tuple[str, ...]
    """Damaged entries, each with the reason."""
    found: str
    hint: str | None = None


class NeedFact(Value):
    """The answer to one ``--need``."""

    name: str
    met: bool
    because: str
    hint: str | None = None
    away: bool = Field(default=False, exclude_if=lambda away: not away)
    """Whether it is a device that is not this machine, so that doctor cannot check it."""


class DoctorReport(Value):
    """`edgecnn doctor --json`, schema edgecnn.doctor/1."""

    schema_: Literal["edgecnn.doctor/1"] = Field(default="edgecnn.doctor/1", alias="schema")
    edgecnn: str
    made_at: str
    python: PythonFact
    packages: tuple[PackageFact, ...]
    """Packages that every install of edgecnn requires."""
    machine: MachineFact
    environment: Environment
    """The environment as every run records it."""
    confinement: Confinement
    """The sandbox for kits, models and data from elsewhere."""
    disks: tuple[DiskFact, ...]
    store: StoreFact
    parts: tuple[Part, ...]
    gpu: GpuFact
    devices: tuple[DeviceFact, ...]
    needs: tuple[NeedFact, ...] = ()
    seconds: float
