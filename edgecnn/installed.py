"""Which packages are installed, without importing them, so that a missing one is reported before any work; what pip can install.

What is known of wheels is read off their names on the package index, November 2026: https://pypi.org/project/ai-edge-litert/#files.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from edgecnn.errors.weights import missing_package
from edgecnn.errors.wording import plural

PythonVersion = tuple[int, int]
Glibc = tuple[int, int]


class Series(NamedTuple):
    """Pythons from ``first`` to ``last``, and the newest version with a wheel for them; None: newer ones are still made."""

    first: PythonVersion
    last: PythonVersion
    newest: str | None


OLDEST_PYTHON: PythonVersion = (3, 8)
"""That the runner inside a kit runs on."""
_SYSTEMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ai-edge-litert": {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("AMD64",)},
    "pnnx": {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64", "x86_64"), "Windows": ("AMD64",)},
}
"""Operating system to its processors, of packages that have no source to build from."""
PYTHONS: Mapping[str, tuple[PythonVersion, PythonVersion]] = {"ai-edge-litert": ((3, 10), (3, 14))}
"""The first and the last for which such a package has a wheel."""


def without_wheel(distribution: str) -> str | None:
    """Why pip cannot install a package on this machine; None where it can, or where nothing is known."""
    systems = _SYSTEMS.get(distribution)
    if systems is not None and platform.machine() not in systems.get(platform.system(), ()):
        return f"{distribution} has no wheel for {platform.system()} on {platform.machine()}"
    python = sys.version_info[:2]
    first, last = PYTHONS.get(distribution, (python, python))
    if not first <= python <= last:
        return f"{distribution} has no wheel for Python {python[0]}.{python[1]}"
    return None


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
