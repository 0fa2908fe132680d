"""Facts about one machine, and their effect on running kits there."""

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
    """Whether the system blocks pip (PEP 668)."""
    ensurepip: bool
    """False: Debian without python3-venv."""
    glibc: tuple[int, int] | None
    """None: another C library, for which runtimes have no wheels."""


class BoardGpu(Value):
    """A GPU, as NVIDIA's driver reports it."""

    model: str
    compute_capability: str | None = None
    memory_mib: int | None = None


class LocalFacts(Value):
    """A machine's own description, as far as it identifies devices and decides schemes."""

    architecture: str
    """``platform.machine()``: x86_64, aarch64, …"""
    cpu_vendor: str | None
    """``vendor_id`` of /proc/cpuinfo (GenuineIntel, AuthenticAMD), or ``CPU implementer`` (0x41) on ARM."""
    models: tuple[str, ...]
    """The board's name from its device tree, the names of NVIDIA GPUs, and the emulator, if any."""
    isa: tuple[str, ...]
    """Flags that decide a scheme or a precision, if every core has them."""
    cores: int
    """Cores available to a process."""
    memory_mib: int | None
    cpu_model: str | None = None
    """``model name`` of /proc/cpuinfo, which identifies x86 processors, not boards."""
    cpu_parts: tuple[str, ...] = ()
    """``CPU part`` of /proc/cpuinfo for each kind of core, which identifies Arm cores."""
    compatible: tuple[str, ...] = ()
    """Lines of the device tree's ``compatible``, starting with the board's."""

    def describe(self) -> str:
        """Describe the machine in a few words for use in a sentence."""
        processor = " ".join(part for part in (self.cpu_vendor, self.architecture) if part)
        return ", ".join((f"{processor} with {counted(self.cores, 'core')}", *self.models))


class BoardFacts(LocalFacts):
    """Everything that was read. None or empty means that it could not be read; nothing is guessed."""

    system: str | None
    """Name from /etc/os-release."""
    kernel: str
    page_kib: int
    cpu: str | None
    memory_available_mib: int | None
    disk_free_mib: int
    disk_noexec: bool
    python: BoardPython
    packages: Mapping[str, str]
    """Versions of the packages that kits need, for that Python."""
    governor: str | None
    clocks: str | None
    power_mode: str | None
    power_mode_name: str | None
    """Name of the power mode from ``nvpmodel -q``."""
    temperature_c: float | None
    throttled: str | None
    """``no``, or the current cause of throttling."""
    throttled_since_boot: tuple[str, ...]
    """A Raspberry Pi's flags."""
    l4t: str | None
    """A Jetson's release line."""
    jetpack: str | None
    cuda: str | None
    gpus: tuple[BoardGpu, ...]
    nodes: Mapping[str, bool]
    """Device files of accelerators, and whether the user may access them."""
    refused_meters: Mapping[str, str]
    """Energy counters that exist but cannot be read."""

    @property
    def is_jetson(self) -> bool:
        """Whether a release file or the name identifies a Jetson."""
        return self.l4t is not None or any("Jetson" in model for model in self.models)

    @property
    def is_raspberry_pi(self) -> bool:
        """Whether the name identifies a Raspberry Pi."""
        return any("Raspberry Pi" in model for model in self.models)


class Weight(StrEnum):
    """Effect of a finding."""

    STOPS = "stops"
    """Kits cannot run until it is fixed."""
    DISTORTS = "distorts"
    """Kits run, but measurements do not show the machine's full speed."""
    NOTES = "notes"
    """For information; related figures still count."""


class Finding(Value):
    """One problem or fact, and how to fix it."""

    ref: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    weight: Weight
    what: str
    remedy: str | None
    """A command for the machine's shell; None if nothing needs to be done."""


class BoardCheck(Value):
    """A machine, its problems, and whether it matches a device file; schema edgecnn.board/1."""

    schema_: Literal["edgecnn.board/1"] = Field(default="edgecnn.board/1", alias="schema")
    board: str
    """The user's name for it."""
    facts: BoardFacts
    findings: tuple[Finding, ...]
    device: str | None
    """The device that it was compared with; None if none was named and no file of the user's matches."""
    file: str | None
    """Path of that device file, if it is the user's own."""
    recognised_as: tuple[str, ...]
    """Devices whose ``[match]`` fits."""
    differences: tuple[str, ...]
    """Differences between the file and the machine."""


EMULATED = "emulated"
"""The value of ``--host`` for the emulated 64-bit Arm machine."""


class HostRequest(Value):
    """A board, or the emulated machine, as a command names it."""

    address: str
    """Destination for ssh; otherwise ``emulated``."""
    python: str | None = None
    """The interpreter with the runtimes. None: ``python3``, or the one that ``--carry-wheels`` made."""
    clean: bool = False
    """Whether to remove all files of edgecnn from the board afterwards."""
    carry_wheels: bool = False
    """Whether to download missing packages here and unpack them there."""

    @property
    def emulated(self) -> bool:
        """Whether it is the emulated machine, not a board."""
        return self.address == EMULATED


class RecordedPython(Value):
    """The interpreter that kits would run with."""

    version: tuple[int, int, int]
    implementation: str
    executable: str
    bits: int
    """Pointer size in bits: 32 if a 64-bit kernel runs 32-bit programs."""
    in_environment: bool
    managed: bool
    """Whether the system blocks pip (PEP 668)."""
    ensurepip: bool
    packages: Mapping[str, str]
    glibc: str
    """Such as ``2.36``; empty for another C library."""


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
    """Device files, relative to the root, and whether the user may access them."""
    commands: Mapping[str, str]
    files: Mapping[str, str] = Field(max_length=10_000)
    """Texts by path relative to the root."""
    refused: Mapping[str, str]
    """Paths that exist but cannot be read, and why."""
    emulator: str = ""
    """The emulator; empty if there is none."""
