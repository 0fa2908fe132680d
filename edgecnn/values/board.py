"""One machine as it was found, and what that means for running kits on it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import Field

from edgecnn.errors.wording import counted
from edgecnn.values.base import Value


class BoardPython(Value):
    """The interpreter that kits would run with."""

    version: tuple[int, int, int]
    implementation: str
    executable: str
    bits: int
    in_environment: bool
    managed: bool
    """The system keeps pip out of it (PEP 668)."""
    ensurepip: bool
    """False: Debian without python3-venv."""
    glibc: tuple[int, int] | None
    """None: another C library, for which the runtimes have no wheels."""


class BoardGpu(Value):
    """As NVIDIA's driver has it."""

    model: str
    compute_capability: str | None = None
    memory_mib: int | None = None


class LocalFacts(Value):
    """What a machine says of itself, as far as devices are told apart and schemes chosen by it."""

    architecture: str
    """``platform.machine()``: x86_64, aarch64, …"""
    cpu_vendor: str | None
    """``vendor_id`` of /proc/cpuinfo (GenuineIntel, AuthenticAMD), or ``CPU implementer`` (0x41) on ARM."""
    models: tuple[str, ...]
    """The board's name from its device tree, those of NVIDIA GPUs that the driver lists, and what emulates it, if anything."""
    isa: tuple[str, ...]
    """Those flags that decide a scheme or a precision, and that every core has."""
    cores: int
    """Cores that a process may use."""
    memory_mib: int | None
    cpu_model: str | None = None
    """``model name`` of /proc/cpuinfo, which tells x86 processors apart; it is no board's."""
    cpu_parts: tuple[str, ...] = ()
    """``CPU part`` of /proc/cpuinfo, which tells Arm's cores apart: of each kind of core."""
    compatible: tuple[str, ...] = ()
    """The lines of the device tree's ``compatible``, of the board first."""

    def describe(self) -> str:
        """The machine in a few words, as a sentence may contain them."""
        processor = " ".join(part for part in (self.cpu_vendor, self.architecture) if part)
        return ", ".join((f"{processor} with {counted(self.cores, 'core')}", *self.models))


class BoardFacts(LocalFacts):
    """Everything that was read. None and empty mean that it could not be: nothing is guessed."""

    system: str | None
    """As /etc/os-release names it."""
    kernel: str
    page_kib: int
    cpu: str | None
    memory_available_mib: int | None
    disk_free_mib: int
    disk_noexec: bool
    python: BoardPython
    packages: Mapping[str, str]
    """Of what kits need: distribution to version, for that Python."""
    governor: str | None
    clocks: str | None
    power_mode: str | None
    power_mode_name: str | None
    """What ``nvpmodel -q`` calls it."""
    temperature_c: float | None
    throttled: str | None
    """``no``, or what slows it down at this moment."""
    throttled_since_boot: tuple[str, ...]
    """A Raspberry Pi's flags."""
    l4t: str | None
    """A Jetson's release line."""
    jetpack: str | None
    cuda: str | None
    gpus: tuple[BoardGpu, ...]
    nodes: Mapping[str, bool]
    """Device files of accelerators, and whether the user may use them."""
    refused_meters: Mapping[str, str]
    """Counters of energy that are there and may not be read."""

    @property
    def is_jetson(self) -> bool:
        """By its release file, or by its name."""
        return self.l4t is not None or any("Jetson" in model for model in self.models)

    @property
    def is_raspberry_pi(self) -> bool:
        """By its name."""
        return any("Raspberry Pi" in model for model in self.models)


class Weight(StrEnum):
    """What a finding means."""

    STOPS = "stops"
    """Kits cannot run until it is mended."""
    DISTORTS = "distorts"
    """They run, and what is measured is not what the machine can do."""
    NOTES = "notes"
    """Worth knowing; a figure that belongs to it still counts."""


class Finding(Value):
    """One thing that stands in the way, or should be known, and what mends it."""

    ref: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    weight: Weight
    what: str
    remedy: str | None
    """A command for the machine's own shell where there is one; None: nothing to do."""


class BoardCheck(Value):
    """What a machine is, what stands in the way, and whether it is the device that a file describes; schema edgecnn.board/1."""

    schema_: Literal["edgecnn.board/1"] = Field(default="edgecnn.board/1", alias="schema")
    board: str
    """As the user named it."""
    facts: BoardFacts
    findings: tuple[Finding, ...]
    device: str | None
    """Which it was held against; None: none was named, and none of the user's own."""
    file: str | None
    """Of that device, where it is the user's own."""
    recognised_as: tuple[str, ...]
    """Devices whose ``[match]`` holds."""
    differences: tuple[str, ...]
    """What the file says otherwise than the machine."""


EMULATED = "emulated"
"""What ``--host`` calls the 64-bit Arm machine that is emulated on this one."""


class HostRequest(Value):
    """A board, or the emulated machine, as a command names it."""

    address: str
    """What ssh connects to; else ``emulated``."""
    python: str | None = None
    """The interpreter there that has the runtimes. None: ``python3``, or the one that ``--carry-wheels`` made there."""
    clean: bool = False
    """Whether everything of ours is removed from the board afterwards."""
    carry_wheels: bool = False
    """Whether packages that it lacks are fetched here and unpacked there."""

    @property
    def emulated(self) -> bool:
        """Whether it is the emulated machine, and no board."""
        return self.address == EMULATED


class RecordedPython(Value):
    """The interpreter that kits would run with."""

    version: tuple[int, int, int]
    implementation: str
    executable: str
    bits: int
    """Of a pointer: 32 where a 64-bit kernel carries 32-bit programs."""
    in_environment: bool
    managed: bool
    """The system keeps pip out of it (PEP 668)."""
    ensurepip: bool
    packages: Mapping[str, str]
    glibc: str
    """As ``2.36``; empty: another C library."""


class RecordedDisk(Value):
    """The file system of the home folder."""

    free_mib: int = Field(ge=0)
    noexec: bool


class Recording(Value):
    """One machine at one moment."""

    machine: str
    """``uname -m``."""
    kernel: str
    page_bytes: int = Field(ge=1)
    cores: int = Field(ge=1, le=100_000)
    user: int
    python: RecordedPython
    disk: RecordedDisk
    nodes: Mapping[str, bool]
    """Device files, relative to the root, and whether the user may use them."""
    commands: Mapping[str, str]
    files: Mapping[str, str] = Field(max_length=10_000)
    """Texts by path relative to the root."""
    refused: Mapping[str, str]
    """Paths that are there and may not be read, and why."""
    emulator: str = ""
    """What plays it; empty: nothing does."""
