"""Which packages are installed, without importing them, so that a missing one is reported before any work; what pip can install.

Which version of a runtime a board's Python can have is read off the wheels' names on the package index, November 2026:
https://pypi.org/project/onnxruntime/#files, https://pypi.org/project/openvino/#files,
https://pypi.org/project/ai-edge-litert/#files, https://pypi.org/project/ncnn/#files. TensorRT is no matter of wheels: on a
Jetson it belongs to JetPack.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from edgecnn.errors.weights import missing_package
from edgecnn.errors.wording import plural
from edgecnn.values.candidate import Runtime

PythonVersion = tuple[int, int]
Glibc = tuple[int, int]


class Series(NamedTuple):
    """Pythons from ``first`` to ``last``, and the newest version with a wheel for them; None: newer ones are still made."""

    first: PythonVersion
    last: PythonVersion
    newest: str | None


OLDEST_PYTHON: PythonVersion = (3, 8)
"""That the runner inside a kit runs on."""
_SERIES: Mapping[Runtime, tuple[Series, ...]] = {
    Runtime.ONNXRUNTIME: (Series((3, 8), (3, 9), "1.19.2"), Series((3, 10), (3, 10), "1.23.2"), Series((3, 11), (3, 14), None)),
    Runtime.OPENVINO: (Series((3, 8), (3, 8), "2024.4.0"), Series((3, 9), (3, 9), "2025.3.0"), Series((3, 10), (3, 14), None)),
    Runtime.LITERT: (Series((3, 10), (3, 14), None),),
    Runtime.NCNN: (Series((3, 8), (3, 8), "1.0.20260526"), Series((3, 9), (3, 15), None)),
}
_GLIBC: Mapping[tuple[Runtime, str], Glibc] = {
    (Runtime.ONNXRUNTIME, "x86_64"): (2, 27),
    (Runtime.ONNXRUNTIME, "aarch64"): (2, 27),
    (Runtime.OPENVINO, "x86_64"): (2, 28),
    (Runtime.OPENVINO, "aarch64"): (2, 35),
    (Runtime.LITERT, "x86_64"): (2, 27),
    (Runtime.LITERT, "aarch64"): (2, 27),
    (Runtime.NCNN, "x86_64"): (2, 24),
    (Runtime.NCNN, "aarch64"): (2, 24),
    (Runtime.NCNN, "armv7l"): (2, 31),
    (Runtime.NCNN, "riscv64"): (2, 39),
}
"""The oldest C library that the wheels name; onnxruntime above 1.23 names 2.28."""


def series_for(runtime: Runtime, python: PythonVersion) -> Series | None:
    """What this Python can have; None where no wheel is for it, or wheels say nothing of this runtime."""
    return next((each for each in _SERIES.get(runtime, ()) if each.first <= python <= each.last), None)


_SYSTEMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ai-edge-litert": {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("AMD64",)},
    "pnnx": {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64", "x86_64"), "Windows": ("AMD64",)},
}
"""Operating system to its processors, of packages that have no source to build from."""
_PYTHONS: Mapping[str, Runtime] = {"ai-edge-litert": Runtime.LITERT}


def without_wheel(distribution: str) -> str | None:
    """Why pip cannot install a package on this machine; None where it can, or where nothing is known."""
    systems = _SYSTEMS.get(distribution)
    if systems is not None and platform.machine() not in systems.get(platform.system(), ()):
        return f"{distribution} has no wheel for {platform.system()} on {platform.machine()}"
    python = sys.version_info[:2]
    if distribution in _PYTHONS and series_for(_PYTHONS[distribution], python) is None:
        return f"{distribution} has no wheel for Python {python[0]}.{python[1]}"
    return None


def oldest_glibc(runtime: Runtime, machine: str) -> Glibc | None:
    """The C library that the wheels need on this machine; None where there are none for it."""
    return _GLIBC.get((runtime, machine))


def pythons_with_wheels(runtime: Runtime, wanted: str) -> tuple[PythonVersion, PythonVersion] | None:
    """The first and last Python for which a version in the wanted range has wheels; None where wheels say nothing."""
    fitting = [each for each in _SERIES.get(runtime, ()) if each.newest is None or SpecifierSet(wanted).contains(each.newest)]
    return (fitting[0].first, fitting[-1].last) if fitting else None


VENDORED: Mapping[str, str] = {"onnxruntime-web": "1.30.0"}
"""What no package manager installs: one version, which goes into the kits themselves."""


class Lacking(NamedTuple):
    """Why something cannot be used, and the command that mends it; None where nothing can be installed."""

    why: str
    command: str | None


def installed_version(distribution: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    if distribution in VENDORED:
        return VENDORED[distribution]
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def lacking(distributions: Sequence[str], extra: str) -> Lacking | None:
    """Name the distributions that are not installed; None if all are. ``extra``: the extra of edgecnn that installs them."""
    absent = [each for each in distributions if installed_version(each) is None]
    if not absent:
        return None
    no_wheel = next((why for each in absent if (why := without_wheel(each)) is not None), None)
    if no_wheel is not None:
        return Lacking(no_wheel, None)
    why = f"{', '.join(absent)} {plural(len(absent), 'is', 'are')} not installed"
    return Lacking(why, f'pip install "edgecnn[{extra}]"')


def require_packages(distributions: Iterable[str], *, extra: str, needed_for: str) -> None:
    """Check that every distribution is installed.

    Raises MissingPackage: for the first one that is not, with the pip line of ``extra`` where pip can install it.
    """
    for distribution in distributions:
        if (lacks := lacking((distribution,), extra)) is not None:
            raise missing_package(distribution=distribution, needed_for=needed_for, **lacks._asdict())
