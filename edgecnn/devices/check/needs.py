"""What kits ask of a machine, and findings on its Python and packages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgecnn.backends.registry import versions_taken
from edgecnn.backends.wheels import oldest_glibc, pythons_with_wheels, series_for
from edgecnn.errors.wording import listed, plural
from edgecnn.runner.installing import command_for
from edgecnn.runner.runtimes import DISTRIBUTIONS, distribution_of
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
        return not self.is_there and _is_by_pip(self.runtime)


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


def _is_by_pip(runtime: Runtime) -> bool:
    return runtime is not Runtime.TENSORRT and not runtime.in_a_browser


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
