"""Compare a machine with the requirements of kits: Python, packages, accelerators, clocks, power, processor, disk, memory."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgecnn.errors.hosts import board_not_ready
from edgecnn.errors.wording import listed, plural
from edgecnn.runner.meters.kinds import KINDS
from edgecnn.runner.packages import DISTRIBUTIONS, distribution_of, install_command_for
from edgecnn.runtimes.registry import backend_for, oldest_glibc, pythons_with_wheels, series_for, versions_taken
from edgecnn.values.artifact import Unavailable
from edgecnn.values.board import BoardFacts, Finding, LocalFacts, Weight
from edgecnn.values.candidate import Runtime
from edgecnn.values.device import Device

OWN_PACKAGES = ("numpy", "pillow")
"""Packages that the runner needs in addition to a runtime."""
OLDEST_PYTHON = (3, 8)
DISK_MIB = 1024
"""Required disk space. Unpacked for aarch64, onnxruntime 1.31, NumPy and Pillow take 134 MiB. Kits, an engine, pixels and logits
need the rest."""
MEMORY_MIB = 512
"""Required memory, estimated and not measured. With less memory a board swaps, and latencies depend on its memory card."""


class Needs(NamedTuple):
    """Requirements of a set of kits."""

    runtimes: Mapping[Runtime, str]
    """Runtime to the PEP 440 range of its distribution."""
    optional: frozenset[Runtime] = frozenset()
    """Runtimes that the user did not name. If the machine lacks one of them, its kits are skipped."""
    machines: tuple[str, ...] = ("x86_64", "aarch64")
    disk_mib: int = DISK_MIB
    memory_mib: int = MEMORY_MIB


def needs_of(device: Device | None, runtimes: Collection[Runtime] | None = None) -> Needs:
    """Return the requirements of kits for a board.

    ``device``: None: unknown, so each runtime may have any version that its backend supports. ``runtimes``: those of the kits;
    None: all of the device, or ONNX Runtime, which every 64-bit board supports.
    """
    if device is None:
        known = runtimes or (Runtime.ONNXRUNTIME,)
        return Needs({runtime: versions_taken(runtime) for runtime in known})
    chosen = device.built_for(None) if runtimes is None else [runtime for runtime in device.runtimes if runtime in runtimes]
    reference = device.runtimes.get(Runtime.ONNXRUNTIME)
    if len(chosen) > 1 and reference is not None and not reference.by_default:  # a board with a GPU may lack it
        chosen = [runtime for runtime in chosen if runtime is not Runtime.ONNXRUNTIME]
    named = chosen if runtimes is not None or not _NEVER_OPTIONAL.intersection(chosen) else _NEVER_OPTIONAL
    optional = frozenset(runtime for runtime in chosen if runtime not in named)
    return Needs({runtime: device.runtimes[runtime].versions for runtime in chosen}, optional)


_NEVER_OPTIONAL = frozenset({Runtime.ONNXRUNTIME, Runtime.TENSORRT})
"""Runtimes that every build needs if its target names none: accuracy drops refer to ONNX Runtime, and TensorRT runs on the
GPU."""
_NO_ENSUREPIP = "sudo apt-get install python3-venv"


class RuntimeStatus(NamedTuple):
    """One runtime that kits need, compared with a machine."""

    runtime: Runtime
    requirement: str
    """The requirement as pip takes it."""
    is_installed: bool
    """Whether the machine has it in a version that kits support."""
    no_wheel: Finding | None
    """Why pip has no suitable wheel; None if it has one, or the runtime is installed."""
    optional: bool = False

    @property
    def is_lacking(self) -> bool:
        """Whether pip has to install it. TensorRT belongs to JetPack on a Jetson, and a browser is not a package."""
        return not self.is_installed and backend_for(self.runtime).pip_installs


class PackageStatus(NamedTuple):
    """The packages that kits need, compared with a machine."""

    runtimes: tuple[RuntimeStatus, ...]
    own: tuple[str, ...]
    """The missing packages of ``OWN_PACKAGES``."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Requirements that pip must install before kits run: absent packages, and versions that kits refuse."""
        return (*(status.requirement for status in self.runtimes if status.is_lacking and not status.optional), *self.own)

    @property
    def options(self) -> tuple[str, ...]:
        """Requirements of optional runtimes for which that Python has wheels."""
        optional = (status for status in self.runtimes if status.optional and status.no_wheel is None)
        return tuple(status.requirement for status in optional if status.is_lacking)


def package_status(facts: BoardFacts, needs: Needs) -> PackageStatus:
    """Compare the packages that kits need with those of a machine."""
    runtimes = (
        _runtime_status(facts, runtime, range_)._replace(optional=runtime in needs.optional)
        for runtime, range_ in needs.runtimes.items()
    )
    return PackageStatus(tuple(runtimes), tuple(name for name in OWN_PACKAGES if name not in facts.packages))


def _runtime_status(facts: BoardFacts, runtime: Runtime, versions: str) -> RuntimeStatus:
    version, series = installed_runtime_version(facts, runtime), series_for(runtime, facts.python.version[:2])
    here = version is not None and SpecifierSet(versions).contains(version, prereleases=True)
    newest = None if series is None else series.newest
    requirement = f"{distribution_of(runtime)}{versions if newest is None else f'=={newest}'}"
    return RuntimeStatus(runtime, requirement, here, None if here else _no_wheel(facts, runtime, versions))


def python_findings(facts: BoardFacts, packages: PackageStatus) -> Iterator[Finding]:
    """Yield findings about Python and its packages."""
    python = facts.python
    version = f"{python.version[0]}.{python.version[1]}"
    if python.version[:2] < OLDEST_PYTHON:
        what = f"Python is {version}; kits need 3.8 or newer"
        remedy = "install a newer Python and select it with --python python3.8 (on Ubuntu 18.04: sudo apt-get install python3.8)"
        yield Finding(ref="python-too-old", weight=Weight.STOPS, what=what, remedy=remedy)
        return
    if python.implementation != "CPython":
        what = f"Python is {python.implementation}; the runtimes have packages only for CPython"
        remedy = "pass --python with the path to a CPython interpreter"
        yield Finding(ref="python-is-another", weight=Weight.STOPS, what=what, remedy=remedy)
        return
    missing, options = packages.missing, packages.options
    unfit = [status.no_wheel for status in packages.runtimes if status.no_wheel is not None and not status.optional]
    yield from unfit
    for status in packages.runtimes:
        if status.no_wheel is not None and status.optional:
            yield status.no_wheel.model_copy(update={"weight": Weight.NOTES, "remedy": None})
    yield from _environment_findings(facts, missing)
    if missing and not unfit:
        what = f"{listed(missing)} {plural(len(missing), 'is', 'are')} missing for Python {version}"
        yield Finding(ref="packages-missing", weight=Weight.STOPS, what=what, remedy=install_line(facts, (*missing, *options)))
    elif options:
        verb = plural(len(options), "is", "are")
        what = (
            f"{listed(options)} {verb} missing for Python {version}: builds skip their kits unless the target names the runtime"
        )
        yield Finding(ref="runtime-missing", weight=Weight.NOTES, what=what, remedy=install_line(facts, options))


def missing_on_board(facts: LocalFacts, runtime: Runtime, versions: str) -> Unavailable | None:
    """Return why kits of a runtime cannot run on a board, with the fix; None if they can, or if the machine is this one.

    ``versions``: the supported versions.
    """
    if not isinstance(facts, BoardFacts) or not (status := _runtime_status(facts, runtime, versions)).is_lacking:
        return None
    if status.no_wheel is not None:
        return Unavailable(why=f"on the board, {status.no_wheel.what}")
    version = ".".join(map(str, facts.python.version[:2]))
    why = f"{status.requirement} is missing for the board's Python {version}"
    return Unavailable(why=why, command=install_line(facts, [status.requirement]))


def install_line(facts: BoardFacts, requirements: Sequence[str]) -> str:
    """Return the command for the board's shell that installs these requirements."""
    python = facts.python
    command = install_command_for(requirements, managed=python.managed, python="python3")
    if python.managed:
        return command if python.ensurepip else f"{_NO_ENSUREPIP} && {command}"
    command = f"{python.executable} -m {command}"
    return command if "pip" in facts.packages else f"sudo apt-get install python3-pip && {command}"


def installed_runtime_version(facts: BoardFacts, runtime: Runtime) -> str | None:
    """Return the version of an installed package that satisfies this runtime's requirement, or None."""
    names = DISTRIBUTIONS.get(runtime.value, (runtime.value,))
    return next((facts.packages[name] for name in names if name in facts.packages), None)


def is_in_range(version: str, versions: str) -> bool:
    """Whether a version is inside a PEP 440 range. NVIDIA's suffix ``.nv…`` is ignored."""
    try:
        return SpecifierSet(versions).contains(Version(version.partition(".nv")[0]), prereleases=True)
    except InvalidVersion:
        return False


def _no_wheel(facts: BoardFacts, runtime: Runtime, versions: str) -> Finding | None:
    pythons = pythons_with_wheels(runtime, versions)
    if pythons is None:
        return None
    here, (first, last) = facts.python.version[:2], pythons
    if not first <= here <= last:
        version = ".".join(map(str, here))
        what = f"{runtime.value} {versions} has packages for Python {_dotted(first)} to {_dotted(last)}; this is Python {version}"
        remedy = f"name another Python: --python python{_dotted(last)}, or remove {runtime.value} from the target"
        return Finding(ref="no-wheel-for-python", weight=Weight.STOPS, what=what, remedy=remedy)
    needed, has = oldest_glibc(runtime, facts.architecture), facts.python.glibc
    if needed is None or (has is not None and has >= needed):
        return None
    shown = "the system has no GNU C library" if has is None else f"the system has glibc {_dotted(has)}"
    what = f"{runtime.value} {versions} has packages for glibc {_dotted(needed)} or newer; {shown}"
    remedy = "install a newer release of the operating system, or remove the runtime from the target"
    return Finding(ref="no-wheel-for-glibc", weight=Weight.STOPS, what=what, remedy=remedy)


def _environment_findings(facts: BoardFacts, missing: Sequence[str]) -> Iterator[Finding]:
    if not facts.python.managed:
        return
    what = "pip is not allowed to install into the system's Python (PEP 668); packages need a virtual environment"
    if facts.python.ensurepip:
        yield Finding(ref="python-managed", weight=Weight.NOTES, what=what, remedy=None)
    elif missing:
        what += ", but the venv module is incomplete"
        yield Finding(ref="venv-missing", weight=Weight.STOPS, what=what, remedy=_NO_ENSUREPIP)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


_RELEASES = {
    "R32": "JetPack 4",
    "R34": "JetPack 5",
    "R35": "JetPack 5",
    "R36": "JetPack 6",
    "R38": "JetPack 7",
    "R39": "JetPack 7",
}
"""https://developer.nvidia.com/embedded/jetpack-archive"""
_TENSORRT_APT = "sudo apt-get install nvidia-jetpack, then run kits with the system's own python3"


def accelerator_findings(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    """Yield findings about the GPU, its software, and permissions to use it and the power meters."""
    if Runtime.TENSORRT in needs.runtimes:
        yield from _tensorrt_findings(facts, needs.runtimes[Runtime.TENSORRT])
    closed = sorted(name for name, usable in facts.nodes.items() if not usable)
    if closed:
        what = f"this user has no permission to use /{', /'.join(closed)}, so kits cannot use the GPU or NPU"
        remedy = "sudo usermod -aG render,video $USER, then log in again"
        yield Finding(ref="accelerator-closed", weight=Weight.NOTES, what=what, remedy=remedy)
    for kind in KINDS:
        files = [name for name in facts.refused_meters if any(fnmatchcase(name, pattern) for pattern in kind.files)]
        if files and kind.closed is not None:
            remedy = kind.closed.remedy.format(folder=PurePosixPath(files[0]).parent)
            yield Finding(ref=kind.closed.ref, weight=Weight.NOTES, what=kind.closed.what, remedy=remedy)


def _tensorrt_findings(facts: BoardFacts, versions: str) -> Iterator[Finding]:
    version = installed_runtime_version(facts, Runtime.TENSORRT)
    if version is None:
        yield _missing_tensorrt(facts, versions)
    elif not is_in_range(version, versions):
        what = f"TensorRT is {version}{_jetpack_suffix(facts)}; kits need {versions}"
        remedy = "flash a JetPack with that version, or build for this one: `edgecnn devices add NAME` writes its device file"
        yield Finding(ref="tensorrt-version", weight=Weight.STOPS, what=what, remedy=remedy if facts.is_jetson else None)
    if facts.is_jetson and facts.cuda is None:
        what = "there is no CUDA in /usr/local/cuda; TensorRT needs libcudart from it"
        yield Finding(ref="cuda-missing", weight=Weight.STOPS, what=what, remedy="sudo apt-get install nvidia-jetpack")


def _missing_tensorrt(facts: BoardFacts, versions: str) -> Finding:
    if not facts.is_jetson:
        return Finding(
            ref="tensorrt-missing", weight=Weight.STOPS, what="TensorRT is missing", remedy=f"pip install 'tensorrt{versions}'"
        )
    if facts.python.in_environment:
        what = (
            "this Python does not find TensorRT: JetPack installs it for the system's Python, and a virtual environment hides it"
        )
        remedy = "pass --python /usr/bin/python3, or make the environment with --system-site-packages"
        return Finding(ref="tensorrt-hidden", weight=Weight.STOPS, what=what, remedy=remedy)
    what = f"TensorRT is missing{_jetpack_suffix(facts)}: the system was flashed without its libraries"
    return Finding(ref="tensorrt-missing", weight=Weight.STOPS, what=what, remedy=_TENSORRT_APT)


def _jetpack_suffix(facts: BoardFacts) -> str:
    if facts.jetpack is not None:
        return f" (JetPack {facts.jetpack})"
    release = (facts.l4t or "").partition(" ")[0]
    return f" ({_RELEASES[release]})" if release in _RELEASES else ""


_RANGE = re.compile(r"\b(cpu|gpu) ([^;]*?) MHz")
_HOT_C = 80.0
"""A Raspberry Pi slows down from 80 °C, a Jetson at a slightly higher temperature:
https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#frequency-management-and-thermal-control"""
_SUPPLY = "use the power supply that the manufacturer recommends (Raspberry Pi 5: 27 W, 5 V 5 A) and a short cable"
_COOLING = "cool the board with a fan or a heat sink, and wait before you measure"
_FULL_POWER = ("MAXN", "MAXN_SUPER")


def clock_findings(facts: BoardFacts) -> Iterator[Finding]:
    """Yield findings about clocks, power and heat, most of which distort a measurement."""
    if facts.governor not in (None, "performance") and not facts.is_jetson:
        what = f"the governor is {facts.governor}: clocks rise only under load, so the first samples are slow"
        remedy = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor (until the next boot)"
        yield Finding(ref="governor", weight=Weight.DISTORTS, what=what, remedy=remedy)
    yield from _clock_range_findings(facts)
    yield from _power_mode_findings(facts)
    yield from _throttling_findings(facts)
    if facts.temperature_c is not None and facts.temperature_c >= _HOT_C:
        what = f"the hottest sensor reads {facts.temperature_c:g} °C before any run"
        yield Finding(ref="hot", weight=Weight.DISTORTS, what=what, remedy=_COOLING)


def _clock_range_findings(facts: BoardFacts) -> Iterator[Finding]:
    """Yield a finding if a Jetson's clocks can move; ``jetson_clocks`` sets every lower limit to the upper limit."""
    if not facts.is_jetson or facts.clocks is None:
        return
    ranges_by_clock = [(name, [span.partition("-") for span in ranges.split()]) for name, ranges in _RANGE.findall(facts.clocks)]
    moving = [name for name, ranges in ranges_by_clock if any(low != high for low, _, high in ranges)]
    if moving:
        what = f"the {' and '.join(moving)} clocks are not fixed ({facts.clocks})"
        remedy = "sudo jetson_clocks (until the next boot; run `sudo jetson_clocks --store` first to restore them later)"
        yield Finding(ref="clocks-move", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _power_mode_findings(facts: BoardFacts) -> Iterator[Finding]:
    if facts.is_jetson:
        if facts.power_mode is None:
            what = "the power mode cannot be read; figures are valid for one power mode only"
            yield Finding(ref="power-mode-unknown", weight=Weight.DISTORTS, what=what, remedy="sudo nvpmodel -q")
        elif facts.power_mode_name not in _FULL_POWER:
            name = facts.power_mode_name or facts.power_mode
            what = f"the power mode is {name}; figures from different power modes are never combined"
            remedy = "`sudo nvpmodel -q --verbose` lists the modes, `sudo nvpmodel -m NUMBER` sets one"
            yield Finding(ref="power-mode", weight=Weight.NOTES, what=what, remedy=remedy)
    elif facts.power_mode is not None and ("no_turbo:1" in facts.power_mode or "low-power" in facts.power_mode):
        what = f"the board is set to save power ({facts.power_mode})"
        remedy = "powerprofilesctl set performance, or echo 0 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
        yield Finding(ref="power-saved", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _throttling_findings(facts: BoardFacts) -> Iterator[Finding]:
    if facts.throttled not in (None, "no"):
        remedy = _SUPPLY if "voltage" in str(facts.throttled) else _COOLING
        what = f"the board is throttled now: {facts.throttled}"
        yield Finding(ref="throttled", weight=Weight.DISTORTS, what=what, remedy=remedy)
    elif facts.throttled_since_boot:
        since = ", ".join(facts.throttled_since_boot)
        remedy = _SUPPLY if "under-voltage" in facts.throttled_since_boot else _COOLING
        what = f"the board was throttled since boot: {since}"
        yield Finding(ref="throttled-before", weight=Weight.NOTES, what=what, remedy=remedy)


_32_BITS = ("armv6l", "armv7l", "armv8l", "i386", "i686")
_USUAL_PAGE_KIB = 4


def _architecture_findings(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    has_64 = facts.architecture not in _32_BITS
    if not has_64 or facts.python.bits == 32:  # noqa: PLR2004 - bits
        kernel = "the kernel is 64-bit, but programs are 32-bit" if has_64 else f"the kernel is 32-bit ({facts.architecture})"
        what = f"no runtime has packages for 32-bit programs: {kernel}"
        system = "Raspberry Pi OS (64-bit)" if facts.is_raspberry_pi else "the 64-bit edition of the operating system"
        yield Finding(
            ref="userland-32-bit", weight=Weight.STOPS, what=what, remedy=f"install {system}; an upgrade in place is not possible"
        )
    elif facts.architecture not in needs.machines:
        what = f"kits run on {' and '.join(needs.machines)}; this board is {facts.architecture}"
        yield Finding(ref="architecture-unknown", weight=Weight.STOPS, what=what, remedy=None)


def _page_size_findings(facts: BoardFacts) -> Iterator[Finding]:
    if facts.page_kib <= _USUAL_PAGE_KIB:
        return
    remedy = None
    if facts.is_raspberry_pi:  # https://www.raspberrypi.com/documentation/computers/config_txt.html#kernel
        remedy = "add kernel=kernel8.img to /boot/firmware/config.txt and reboot; that kernel has 4 KiB pages"
    what = (
        f"memory pages are {facts.page_kib} KiB: wheels of onnxruntime, NumPy and Pillow support up to 64 KiB; "
        "a library built for 4 KiB pages does not load"
    )
    yield Finding(ref="large-pages", weight=Weight.NOTES, what=what, remedy=remedy)


def _disk_findings(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    if facts.disk_free_mib < needs.disk_mib:
        what = f"{facts.disk_free_mib:,} MiB are free in the home folder; kits with their packages need {needs.disk_mib:,} MiB"
        remedy = "free space: `du -xh --max-depth=1 ~ | sort -h` lists large folders, `sudo apt-get clean` empties apt's cache"
        yield Finding(ref="disk-low", weight=Weight.STOPS, what=what, remedy=remedy)
    if facts.disk_noexec:
        what = "the home folder's file system is mounted noexec, so libraries in it do not load"
        yield Finding(ref="disk-noexec", weight=Weight.STOPS, what=what, remedy="sudo mount -o remount,exec on that file system")


def _memory_findings(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    available = facts.memory_available_mib
    if available is not None and available < needs.memory_mib:
        what = f"{available:,} MiB of memory are available; kits need {needs.memory_mib:,} MiB"
        remedy = "stop other programs: `ps aux --sort=-rss | head` lists the largest"
        if facts.is_jetson:
            remedy = "sudo systemctl isolate multi-user.target, which stops the desktop until the next boot"
        yield Finding(ref="memory-low", weight=Weight.DISTORTS, what=what, remedy=remedy)


def findings_on(facts: BoardFacts, needs: Needs, packages: PackageStatus | None = None) -> tuple[Finding, ...]:
    """Return the findings about running and measuring kits with these needs on a machine, the most serious first.

    ``packages``: the status for the same facts and needs, if the caller has it.
    """
    findings = [
        *_architecture_findings(facts, needs),
        *_page_size_findings(facts),
        *_disk_findings(facts, needs),
        *_memory_findings(facts, needs),
        *python_findings(facts, packages or package_status(facts, needs)),
        *accelerator_findings(facts, needs),
        *clock_findings(facts),
    ]
    return tuple(sorted(findings, key=lambda finding: tuple(Weight).index(finding.weight)))


def stopping_findings(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings that stop kits."""
    return tuple(finding for finding in findings if finding.weight is Weight.STOPS)


def require_none(board: str, findings: Sequence[Finding]) -> None:
    """Raise BOARD_NOT_READY if there are findings."""
    if findings:
        hints = [finding.remedy for finding in findings if finding.remedy is not None]
        raise board_not_ready(board=board, whats=[finding.what for finding in findings], hints=hints)
