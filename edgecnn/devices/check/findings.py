"""What kits ask of a machine, and findings on it: Python, packages, accelerators, clocks, power, processor, disk and memory."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgecnn.errors.hosts.board import board_not_ready
from edgecnn.errors.wording import listed, plural
from edgecnn.runner.installing import command_for
from edgecnn.runner.meters.kinds import KINDS
from edgecnn.runner.runtimes import DISTRIBUTIONS, distribution_of
from edgecnn.runtimes.registry import backend_for, oldest_glibc, pythons_with_wheels, series_for, versions_taken
from edgecnn.values.artifact import Unavailable
from edgecnn.values.board import BoardFacts, Finding, LocalFacts, Weight
from edgecnn.values.candidate import Runtime
from edgecnn.values.device import Device

OWN_PACKAGES = ("numpy", "pillow")
"""What the runner needs beside a runtime."""
OLDEST_PYTHON = (3, 8)
DISK_MIB = 1024
"""onnxruntime 1.31 with NumPy and Pillow takes 134 MiB unpacked for aarch64; kits, an engine, pixels and logits come on top."""
MEMORY_MIB = 512
"""A bound of caution, which nothing was measured for: below it a board begins to swap, and its latencies are its card's."""


class Needs(NamedTuple):
    """Of one set of kits."""

    runtimes: Mapping[Runtime, str]
    """Runtime to the PEP 440 range of its distribution."""
    optional: frozenset[Runtime] = frozenset()
    """Those that nobody named: where the machine lacks one, its kits are left out."""
    machines: tuple[str, ...] = ("x86_64", "aarch64")
    disk_mib: int = DISK_MIB
    memory_mib: int = MEMORY_MIB


def needs_of(device: Device | None, runtimes: Collection[Runtime] | None = None) -> Needs:
    """What kits need of a board.

    ``device``: what it is; None: not known, and each runtime in the range of its backend will do. ``runtimes``: those of the
    kits; None: every one of the device, else ONNX Runtime, which every 64-bit board has.
    """
    if device is None:
        known = runtimes or (Runtime.ONNXRUNTIME,)
        return Needs({runtime: versions_taken(runtime) for runtime in known})
    wanted = device.built_for(None) if runtimes is None else [each for each in device.runtimes if each in runtimes]
    reference = device.runtimes.get(Runtime.ONNXRUNTIME)
    if len(wanted) > 1 and reference is not None and not reference.by_default:  # beside a GPU, a board may do without it
        wanted = [each for each in wanted if each is not Runtime.ONNXRUNTIME]
    named = wanted if runtimes is not None or not _NEVER_OPTIONAL.intersection(wanted) else _NEVER_OPTIONAL
    optional = frozenset(each for each in wanted if each not in named)
    return Needs({runtime: device.runtimes[runtime].versions for runtime in wanted}, optional)


_NEVER_OPTIONAL = frozenset({Runtime.ONNXRUNTIME, Runtime.TENSORRT})
"""What a build that names no runtime is about: drops are counted from the one, and the other runs on a device's GPU."""
_NO_ENSUREPIP = "sudo apt-get install python3-venv"


class RuntimeThere(NamedTuple):
    """One runtime that kits need, held against a machine."""

    runtime: Runtime
    requirement: str
    """What pip would take."""
    is_there: bool
    """Whether the machine has it, in a version that kits take."""
    no_wheel: Finding | None
    """Why pip would build it from source, or find an old version that kits refuse; None where pip has a wheel, or it is there."""
    optional: bool = False

    @property
    def is_lacking(self) -> bool:
        """Whether pip would have to bring it. TensorRT it never brings: on a Jetson that belongs to JetPack. Nor a browser."""
        return not self.is_there and backend_for(self.runtime).pip_installs


class PackagesThere(NamedTuple):
    """The packages that kits need, held against a machine once."""

    runtimes: tuple[RuntimeThere, ...]
    own: tuple[str, ...]
    """Of ``OWN_PACKAGES``, those that are absent."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Requirements that pip would take, without which kits do not run: absent, or there in a version that kits refuse."""
        return (*(each.requirement for each in self.runtimes if each.is_lacking and not each.optional), *self.own)

    @property
    def options(self) -> tuple[str, ...]:
        """The same of optional runtimes, as far as there are wheels of them for that Python."""
        optional = (each for each in self.runtimes if each.optional and each.no_wheel is None)
        return tuple(each.requirement for each in optional if each.is_lacking)


def packages_there(facts: BoardFacts, needs: Needs) -> PackagesThere:
    """What a machine has of what kits need, and what pip would have to bring."""
    runtimes = (
        _runtime_there(facts, each, range_)._replace(optional=each in needs.optional) for each, range_ in needs.runtimes.items()
    )
    return PackagesThere(tuple(runtimes), tuple(name for name in OWN_PACKAGES if name not in facts.packages))


def _runtime_there(facts: BoardFacts, runtime: Runtime, wanted: str) -> RuntimeThere:
    version, series = installed(facts, runtime), series_for(runtime, facts.python.version[:2])
    here = version is not None and SpecifierSet(wanted).contains(version, prereleases=True)
    newest = None if series is None else series.newest
    requirement = f"{distribution_of(runtime)}{wanted if newest is None else f'=={newest}'}"
    return RuntimeThere(runtime, requirement, here, None if here else _no_wheel(facts, runtime, wanted))


def python_findings(facts: BoardFacts, packages: PackagesThere) -> Iterator[Finding]:
    """What of Python and its packages stands in the way."""
    python = facts.python
    version = f"{python.version[0]}.{python.version[1]}"
    if python.version[:2] < OLDEST_PYTHON:
        what = f"its Python is {version}, and kits need 3.8 or newer"
        remedy = (
            "install a newer Python beside it, then name it: --python python3.8 (Ubuntu 18.04: sudo apt-get install python3.8)"
        )
        yield Finding(ref="python-too-old", weight=Weight.STOPS, what=what, remedy=remedy)
        return
    if python.implementation != "CPython":
        what = f"its Python is {python.implementation}, for which the runtimes have no packages"
        yield Finding(ref="python-is-another", weight=Weight.STOPS, what=what, remedy="--python with the path of a CPython")
        return
    missing, options = packages.missing, packages.options
    unfit = [each.no_wheel for each in packages.runtimes if each.no_wheel is not None and not each.optional]
    yield from unfit
    for each in packages.runtimes:
        if each.no_wheel is not None and each.optional:
            yield each.no_wheel.model_copy(update={"weight": Weight.NOTES, "remedy": None})
    yield from _managed(facts, missing)
    if missing and not unfit:
        what = f"{listed(missing)} {plural(len(missing), 'is', 'are')} missing for Python {version}"
        yield Finding(ref="packages-missing", weight=Weight.STOPS, what=what, remedy=install_line(facts, (*missing, *options)))
    elif options:
        verb = plural(len(options), "is", "are")
        what = (
            f"{listed(options)} {verb} missing for Python {version}: builds skip their kits unless the target names the runtime"
        )
        yield Finding(ref="runtime-missing", weight=Weight.NOTES, what=what, remedy=install_line(facts, options))


def absent_there(facts: LocalFacts, runtime: Runtime, wanted: str) -> Unavailable | None:
    """Why kits of a runtime cannot run on a board, and what fixes it; None where they can, or where it is this machine.

    ``wanted``: the range of versions.
    """
    if not isinstance(facts, BoardFacts) or not (there := _runtime_there(facts, runtime, wanted)).is_lacking:
        return None
    if there.no_wheel is not None:
        return Unavailable(why=f"on the board, {there.no_wheel.what}")
    version = ".".join(map(str, facts.python.version[:2]))
    why = f"{there.requirement} is missing for the board's Python {version}"
    return Unavailable(why=why, command=install_line(facts, [there.requirement]))


def install_line(facts: BoardFacts, requirements: Sequence[str]) -> str:
    """The command for the board's shell."""
    python = facts.python
    command = command_for(requirements, managed=python.managed, python="python3")
    if python.managed:
        return command if python.ensurepip else f"{_NO_ENSUREPIP} && {command}"
    command = f"{python.executable} -m {command}"
    return command if "pip" in facts.packages else f"sudo apt-get install python3-pip && {command}"


def installed(facts: BoardFacts, runtime: Runtime) -> str | None:
    """The version of a distribution that satisfies this runtime's requirement."""
    names = DISTRIBUTIONS.get(runtime.value, (runtime.value,))
    return next((facts.packages[name] for name in names if name in facts.packages), None)


def fits(version: str, wanted: str) -> bool:
    """Whether a version, as NVIDIA may have extended it, is inside a PEP 440 range."""
    try:
        return SpecifierSet(wanted).contains(Version(version.partition(".nv")[0]), prereleases=True)
    except InvalidVersion:
        return False


def _no_wheel(facts: BoardFacts, runtime: Runtime, wanted: str) -> Finding | None:
    pythons = pythons_with_wheels(runtime, wanted)
    if pythons is None:
        return None
    here, (first, last) = facts.python.version[:2], pythons
    if not first <= here <= last:
        version = ".".join(map(str, here))
        what = f"{runtime.value} {wanted} has packages for Python {_text(first)} to {_text(last)}, and this is {version}"
        remedy = f"name another Python: --python python{_text(last)}, or leave {runtime.value} out of the target"
        return Finding(ref="no-wheel-for-python", weight=Weight.STOPS, what=what, remedy=remedy)
    needed, has = oldest_glibc(runtime, facts.architecture), facts.python.glibc
    if needed is None or (has is not None and has >= needed):
        return None
    shown = "no GNU C library" if has is None else f"the C library is {_text(has)}"
    what = f"{runtime.value} {wanted} has packages for glibc {_text(needed)} or newer, and {shown}"
    remedy = "install a newer release of its system, or leave the runtime out of the target"
    return Finding(ref="no-wheel-for-glibc", weight=Weight.STOPS, what=what, remedy=remedy)


def _managed(facts: BoardFacts, missing: Sequence[str]) -> Iterator[Finding]:
    if not facts.python.managed:
        return
    what = "the system keeps pip out of its Python (PEP 668): packages go into a virtual environment"
    if facts.python.ensurepip:
        yield Finding(ref="python-managed", weight=Weight.NOTES, what=what, remedy=None)
    elif missing:
        what += ", and the module that makes one is incomplete"
        yield Finding(ref="venv-missing", weight=Weight.STOPS, what=what, remedy=_NO_ENSUREPIP)


def _text(version: tuple[int, int]) -> str:
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
    """What of GPU, its software and permissions stands in the way."""
    if Runtime.TENSORRT in needs.runtimes:
        yield from _tensorrt(facts, needs.runtimes[Runtime.TENSORRT])
    yield from _nodes(facts)
    yield from _meters(facts)


def _tensorrt(facts: BoardFacts, wanted: str) -> Iterator[Finding]:
    version = installed(facts, Runtime.TENSORRT)
    if version is None:
        yield _no_tensorrt(facts, wanted)
    elif not fits(version, wanted):
        what = f"its TensorRT is {version}{_of_jetpack(facts)}, and kits need {wanted}"
        remedy = "flash a JetPack that has it, or build for this one: `edgecnn devices add NAME` writes what is here"
        yield Finding(ref="tensorrt-version", weight=Weight.STOPS, what=what, remedy=remedy if facts.is_jetson else None)
    if facts.is_jetson and facts.cuda is None:
        what = "no CUDA is in /usr/local/cuda, and TensorRT needs its libcudart"
        yield Finding(ref="cuda-missing", weight=Weight.STOPS, what=what, remedy="sudo apt-get install nvidia-jetpack")


def _no_tensorrt(facts: BoardFacts, wanted: str) -> Finding:
    if not facts.is_jetson:
        return Finding(
            ref="tensorrt-missing", weight=Weight.STOPS, what="TensorRT is missing", remedy=f"pip install 'tensorrt{wanted}'"
        )
    if facts.python.in_environment:
        what = (
            "this Python does not see TensorRT: JetPack installs it for the system's Python, and a virtual environment hides it"
        )
        remedy = "--python /usr/bin/python3, or make the environment with --system-site-packages"
        return Finding(ref="tensorrt-hidden", weight=Weight.STOPS, what=what, remedy=remedy)
    what = f"TensorRT is missing{_of_jetpack(facts)}: the system was flashed without its libraries"
    return Finding(ref="tensorrt-missing", weight=Weight.STOPS, what=what, remedy=_TENSORRT_APT)


def _of_jetpack(facts: BoardFacts) -> str:
    if facts.jetpack is not None:
        return f" (JetPack {facts.jetpack})"
    release = (facts.l4t or "").partition(" ")[0]
    return f" ({_RELEASES[release]})" if release in _RELEASES else ""


def _nodes(facts: BoardFacts) -> Iterator[Finding]:
    closed = sorted(name for name, usable in facts.nodes.items() if not usable)
    if closed:
        what = f"this user may not use /{', /'.join(closed)}, so that a GPU or NPU stays idle"
        remedy = "sudo usermod -aG render,video $USER, then log in again"
        yield Finding(ref="accelerator-closed", weight=Weight.NOTES, what=what, remedy=remedy)


def _meters(facts: BoardFacts) -> Iterator[Finding]:
    for kind in KINDS:
        files = [name for name in facts.refused_meters if any(fnmatchcase(name, pattern) for pattern in kind.files)]
        if files and kind.closed is not None:
            remedy = kind.closed.remedy.format(folder=PurePosixPath(files[0]).parent)
            yield Finding(ref=kind.closed.ref, weight=Weight.NOTES, what=kind.closed.what, remedy=remedy)


_RANGE = re.compile(r"\b(cpu|gpu) ([^;]*?) MHz")
_HOT_C = 80.0
"""A Raspberry Pi begins to slow down at 80 °C, a Jetson not far above:
https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#frequency-management-and-thermal-control"""
_SUPPLY = "use the supply that its maker names (Raspberry Pi 5: 27 W, 5 V 5 A) and a short cable"
_COOLING = "cool it: a fan or a heat sink, and a pause before measuring"
_FULL_POWER = ("MAXN", "MAXN_SUPER")


def clock_findings(facts: BoardFacts) -> Iterator[Finding]:
    """What of clocks and power distorts a measurement."""
    yield from _governor(facts)
    yield from _held(facts)
    yield from _power_mode(facts)
    yield from _throttled(facts)
    if facts.temperature_c is not None and facts.temperature_c >= _HOT_C:
        what = f"its hottest sensor says {facts.temperature_c:g} °C before anything ran"
        yield Finding(ref="hot", weight=Weight.DISTORTS, what=what, remedy=_COOLING)


def _governor(facts: BoardFacts) -> Iterator[Finding]:
    if facts.governor is None or facts.governor == "performance" or facts.is_jetson:
        return
    what = f"the governor is {facts.governor}: clocks rise only under load, and the first answers come late"
    remedy = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor (until the next boot)"
    yield Finding(ref="governor", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _held(facts: BoardFacts) -> Iterator[Finding]:
    """``jetson_clocks`` sets every lower limit to the upper one."""
    if not facts.is_jetson or facts.clocks is None:
        return
    found = [(name, [each.partition("-") for each in ranges.split()]) for name, ranges in _RANGE.findall(facts.clocks)]
    moving = [name for name, ranges in found if any(low != high for low, _, high in ranges)]
    if moving:
        what = f"the clocks of {' and '.join(moving)} may move ({facts.clocks})"
        remedy = "sudo jetson_clocks (until the next boot; `sudo jetson_clocks --store` first, to go back)"
        yield Finding(ref="clocks-move", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _power_mode(facts: BoardFacts) -> Iterator[Finding]:
    if facts.is_jetson:
        if facts.power_mode is None:
            what = "its power mode cannot be read, and a figure belongs to one"
            yield Finding(ref="power-mode-unknown", weight=Weight.DISTORTS, what=what, remedy="sudo nvpmodel -q")
        elif facts.power_mode_name not in _FULL_POWER:
            name = facts.power_mode_name or facts.power_mode
            what = f"the power mode is {name}: figures belong to it, and are never joined with another mode's"
            remedy = "`sudo nvpmodel -q --verbose` lists the modes, `sudo nvpmodel -m NUMBER` sets one"
            yield Finding(ref="power-mode", weight=Weight.NOTES, what=what, remedy=remedy)
    elif facts.power_mode is not None and ("no_turbo:1" in facts.power_mode or "low-power" in facts.power_mode):
        what = f"it is told to save power ({facts.power_mode})"
        remedy = "powerprofilesctl set performance, or echo 0 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
        yield Finding(ref="power-saved", weight=Weight.DISTORTS, what=what, remedy=remedy)


def _throttled(facts: BoardFacts) -> Iterator[Finding]:
    if facts.throttled not in (None, "no"):
        remedy = _SUPPLY if "voltage" in str(facts.throttled) else _COOLING
        what = f"it slows itself down now: {facts.throttled}"
        yield Finding(ref="throttled", weight=Weight.DISTORTS, what=what, remedy=remedy)
    elif facts.throttled_since_boot:
        since = ", ".join(facts.throttled_since_boot)
        remedy = _SUPPLY if "under-voltage" in facts.throttled_since_boot else _COOLING
        yield Finding(
            ref="throttled-before", weight=Weight.NOTES, what=f"it slowed itself down since boot: {since}", remedy=remedy
        )


_32_BITS = ("armv6l", "armv7l", "armv8l", "i386", "i686")
_USUAL_PAGE_KIB = 4


def _architecture(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    has_64 = facts.architecture not in _32_BITS
    if not has_64 or facts.python.bits == 32:  # noqa: PLR2004 - bits
        kernel = (
            "its kernel is of 64 bits and its programs are of 32"
            if has_64
            else f"its kernel is of 32 bits ({facts.architecture})"
        )
        what = f"no runtime has packages for 32-bit programs: {kernel}"
        system = "Raspberry Pi OS (64-bit)" if facts.is_raspberry_pi else "the 64-bit form of its system"
        yield Finding(
            ref="userland-32-bit", weight=Weight.STOPS, what=what, remedy=f"install {system} anew; the two cannot be mixed"
        )
    elif facts.architecture not in needs.machines:
        what = f"kits run on {' and '.join(needs.machines)}, and this is {facts.architecture}"
        yield Finding(ref="architecture-unknown", weight=Weight.STOPS, what=what, remedy=None)


def _pages(facts: BoardFacts) -> Iterator[Finding]:
    if facts.page_kib <= _USUAL_PAGE_KIB:
        return
    remedy = None
    if facts.is_raspberry_pi:  # https://www.raspberrypi.com/documentation/computers/config_txt.html#kernel
        remedy = "add kernel=kernel8.img to /boot/firmware/config.txt and reboot, for a kernel with pages of 4 KiB"
    what = (
        f"memory pages are of {facts.page_kib} KiB: wheels of onnxruntime, NumPy and Pillow are made for up to 64; "
        "a library made for 4 alone does not load"
    )
    yield Finding(ref="large-pages", weight=Weight.NOTES, what=what, remedy=remedy)


def _disk(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    if facts.disk_free_mib < needs.disk_mib:
        what = f"{facts.disk_free_mib:,} MiB are free in the home folder, and kits with their packages want {needs.disk_mib:,}"
        remedy = "make room: `du -xh --max-depth=1 ~ | sort -h` shows what takes it, `sudo apt-get clean` empties apt's cache"
        yield Finding(ref="disk-low", weight=Weight.STOPS, what=what, remedy=remedy)
    if facts.disk_noexec:
        what = "the home folder's file system is mounted noexec: libraries of packages in it do not load"
        yield Finding(ref="disk-noexec", weight=Weight.STOPS, what=what, remedy="sudo mount -o remount,exec on that file system")


def _memory(facts: BoardFacts, needs: Needs) -> Iterator[Finding]:
    available = facts.memory_available_mib
    if available is not None and available < needs.memory_mib:
        what = f"{available:,} MiB of memory are available, and {needs.memory_mib:,} are wanted"
        remedy = "stop what takes it: `ps aux --sort=-rss | head` shows it"
        if facts.is_jetson:
            remedy = "sudo systemctl isolate multi-user.target, which ends the desktop until the next boot"
        yield Finding(ref="memory-low", weight=Weight.DISTORTS, what=what, remedy=remedy)


def findings_on(facts: BoardFacts, needs: Needs, packages: PackagesThere | None = None) -> tuple[Finding, ...]:
    """What stands in the way of running and measuring these kits there.

    ``packages``: of the same facts and needs, where the caller has looked.
    """
    found = [
        *_architecture(facts, needs),
        *_pages(facts),
        *_disk(facts, needs),
        *_memory(facts, needs),
        *python_findings(facts, packages or packages_there(facts, needs)),
        *accelerator_findings(facts, needs),
        *clock_findings(facts),
    ]
    return tuple(sorted(found, key=lambda finding: tuple(Weight).index(finding.weight)))


def stopping(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those without whose remedy nothing runs."""
    return tuple(finding for finding in findings if finding.weight is Weight.STOPS)


def require_none(board: str, findings: Sequence[Finding]) -> None:
    """Refuse a board for these findings. Raises BOARD_NOT_READY: there are any."""
    if findings:
        hints = [each.remedy for each in findings if each.remedy is not None]
        raise board_not_ready(board=board, whats=[each.what for each in findings], hints=hints)
