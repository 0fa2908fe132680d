"""What this installation has: optional packages with the commands that install them, and the shipped folders of TOML and JSON."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

from edgecnn.errors.weights import missing_package
from edgecnn.errors.wording import plural

PythonVersion = tuple[int, int]
Glibc = tuple[int, int]


class Series(NamedTuple):
    """Pythons from ``first`` to ``last``, and the newest version with a wheel for them; None: the latest version has one."""

    first: PythonVersion
    last: PythonVersion
    newest: str | None


OLDEST_PYTHON: PythonVersion = (3, 8)
"""The oldest Python on which the runner inside a kit runs."""
_SYSTEMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ai-edge-litert": {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("AMD64",)},
    "pnnx": {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64", "x86_64"), "Windows": ("AMD64",)},
}
"""Operating systems and processors with a wheel, for packages without a source distribution."""
PYTHONS: Mapping[str, tuple[PythonVersion, PythonVersion]] = {"ai-edge-litert": ((3, 10), (3, 14))}
"""The first and the last Python for which such a package has a wheel."""


def why_no_wheel(distribution: str) -> str | None:
    """Return why pip cannot install a package on this machine; None if pip can, or if nothing is known."""
    systems = _SYSTEMS.get(distribution)
    if systems is not None and platform.machine() not in systems.get(platform.system(), ()):
        return f"{distribution} has no wheel for {platform.system()} on {platform.machine()}"
    python = sys.version_info[:2]
    first, last = PYTHONS.get(distribution, (python, python))
    if not first <= python <= last:
        return f"{distribution} has no wheel for Python {python[0]}.{python[1]}"
    return None


VENDORED: Mapping[str, str] = {"onnxruntime-web": "1.30.0"}
"""Packages that kits carry themselves, with their versions. No package manager installs them."""


class Lacking(NamedTuple):
    """Why packages are missing, and the command that installs them; None if nothing can be installed."""

    why: str
    command: str | None


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    if distribution in VENDORED:
        return VENDORED[distribution]
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def lacking(distributions: Sequence[str], extra: str) -> Lacking | None:
    """Return why distributions are missing; None if all are installed. ``extra``: the extra of edgecnn that installs them."""
    absent = [distribution for distribution in distributions if installed_version(distribution) is None]
    if not absent:
        return None
    no_wheel = next((why for distribution in absent if (why := why_no_wheel(distribution)) is not None), None)
    if no_wheel is not None:
        return Lacking(no_wheel, None)
    why = f"{', '.join(absent)} {plural(len(absent), 'is', 'are')} not installed"
    return Lacking(why, f'pip install "edgecnn[{extra}]"')


def require_packages(distributions: Iterable[str], *, extra: str, needed_for: str) -> None:
    """Check that every distribution is installed.

    Raises MissingPackage: the first missing one, with the pip command of ``extra`` if pip can install it.
    """
    for distribution in distributions:
        if (lacks := lacking((distribution,), extra)) is not None:
            raise missing_package(distribution=distribution, needed_for=needed_for, **lacks._asdict())


_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: Literal["devices", "pipelines", "baselines"]) -> Path:
    """Return a folder of shipped TOML and JSON files.

    An editable install has no package data, because hatchling's ``force-include`` applies to wheels only. Then the folder is at
    the root of the checkout.
    """
    packaged = _PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
