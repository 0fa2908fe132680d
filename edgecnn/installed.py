"""What this installation has: optional packages and how to install them, shipped folders, and environment variables."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

from edgecnn.errors.usage import VARIABLE_INVALID
from edgecnn.errors.weights import missing_package
from edgecnn.errors.wording import nearest, plural

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


VARIABLES: Mapping[str, Literal["switch", "text", "own", "tests"]] = {
    "EDGECNN_OFFLINE": "switch",
    "EDGECNN_STORE": "text",
    "EDGECNN_STORE_REMOTE": "text",
    "EDGECNN_SSH": "text",
    "EDGECNN_TORCHVISION": "text",
    "EDGECNN_BROWSER": "text",
    "EDGECNN_EMULATOR": "text",
    "EDGECNN_ERROR_FILE": "text",
    "EDGECNN_RUNNER_PYTHON": "own",
    "EDGECNN_SPAWNED_NS": "own",
    "EDGECNN_PYTHONPATH_NOT_PASSED": "own",
    "EDGECNN_AT_ONCE_S": "tests",
    "EDGECNN_CI_VENV": "tests",
    "EDGECNN_COLD": "tests",
    "EDGECNN_CRASHES": "tests",
    "EDGECNN_CUTS": "tests",
    "EDGECNN_FUZZ_FILES": "tests",
    "EDGECNN_SOAK": "tests",
}
"""Every variable of edgecnn. A user sets switches and texts. edgecnn sets its own for the processes that it starts, and
``.ci/run`` sets those of the tests.
"""
_PREFIX = "EDGECNN_"
_ON = ("1", "true", "yes", "on", "y", "t")
_OFF = ("", "0", "false", "no", "off", "n", "f")


def is_offline() -> bool:
    """Whether EDGECNN_OFFLINE forbids downloads. Raises VARIABLE_INVALID: its value is neither an on word nor an off word."""
    return switch_value("EDGECNN_OFFLINE", os.environ)


def switch_value(name: str, environment: Mapping[str, str]) -> bool:
    """Return whether a variable is on. An unset or empty variable is off.

    Raises VARIABLE_INVALID: its value is neither an on word nor an off word.
    """
    value = environment.get(name, "").strip()
    if value.casefold() not in (*_ON, *_OFF):
        raise VARIABLE_INVALID(name=name, value=value[:100], on=_ON[:4], off=_OFF[1:5])
    return value.casefold() in _ON


def is_off(value: str) -> bool:
    """Whether the value of a variable of another program, such as ``CI``, means off. Some set it to a name, which means on."""
    return value.strip().casefold() in _OFF


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return each variable that begins like one of edgecnn and is none, with the nearest name, if one is near.

    Raises VARIABLE_INVALID: a switch has an invalid value.
    """
    for name, kind in VARIABLES.items():
        if kind == "switch":
            switch_value(name, environment)
    known = [name for name, kind in VARIABLES.items() if kind in ("switch", "text")]
    unknown = sorted(name for name in environment if name.startswith(_PREFIX) and name not in VARIABLES)
    return {name: nearest(name, known) for name in unknown}


_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: Literal["devices", "pipelines", "baselines"]) -> Path:
    """Return a folder of shipped TOML and JSON files.

    An editable install has no package data, because hatchling's ``force-include`` applies to wheels only. Then the folder is at
    the root of the checkout.
    """
    packaged = _PACKAGE / "_resources" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
