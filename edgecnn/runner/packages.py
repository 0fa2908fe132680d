"""Find the installed runtimes, compare their versions, and make the command that installs a missing one.

No package is imported. Since 2023, Debian, Raspberry Pi OS and Ubuntu refuse pip outside a virtual environment:
https://peps.python.org/pep-0668/
"""

from __future__ import annotations

import operator
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

from .messages import RunnerError

DISTRIBUTIONS: Dict[str, Tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "nvidia-tensorrt"),
    "ncnn": ("ncnn",),
    "litert": ("ai-edge-litert",),
    "wasm": ("chromium",),
    "webgpu": ("chromium",),
    "torch": ("torch",),
    "tensorrt-rtx": ("tensorrt-rtx", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings"),
}
"""Distributions that satisfy a requirement, by its name. Kits for browsers contain ONNX Runtime Web, and need only a browser."""
BROWSER = "chromium"


def distribution_of(runtime: str) -> str:
    """Return the distribution by which pip installs a runtime."""
    return DISTRIBUTIONS.get(runtime, (runtime,))[0]


def installed_version(name: str) -> Optional[str]:
    """Return the version of the installed distribution for a requirement of this name, or None."""
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        if distribution == BROWSER:
            return browser_version()
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def installed_runtimes() -> Dict[str, str]:
    """Return the installed runtimes and their versions."""
    versions = {name: installed_version(name) for name in DISTRIBUTIONS}
    return {name: version for name, version in versions.items() if version is not None}


def runtime_of(session_module: str) -> str:
    """Return the runtime of a module of ``sessions/`` by its name: ``openvino_cpu`` opens ``openvino``."""
    return session_module.rsplit("_", 1)[0]


def runs_on_gpu(session_module: str) -> bool:
    """Whether a module of ``sessions/`` computes on an NVIDIA GPU, by the end of its name."""
    return session_module.endswith("_gpu")


BROWSER_VARIABLE = "EDGECNN_BROWSER"
BROWSER_INSTALL = "apt-get install chromium"
"""On Debian and Raspberry Pi OS; others: https://www.chromium.org/getting-involved/download-chromium/"""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_BROWSER_VERSION = re.compile(r"\b(?:Chromium|Chrome)\D*(\d+(?:\.\d+)+)")
_BROWSER_TIMEOUT_S = 60.0


def browser_program() -> Optional[str]:
    """Return the program that ``EDGECNN_BROWSER`` names, or the first Chromium or Chrome on the path; None if there is none."""
    named = os.environ.get(BROWSER_VARIABLE)
    if named:
        return shutil.which(str(Path(named).expanduser()))
    return next((program for program in map(shutil.which, _BROWSERS) if program is not None), None)


def why_no_browser() -> str:
    """Return why there is no browser."""
    named = os.environ.get(BROWSER_VARIABLE)
    if named:
        return "{} is {}, which is not a program".format(BROWSER_VARIABLE, named)
    return "{} is not set, and neither Chromium nor Chrome is on the path".format(BROWSER_VARIABLE)


def browser_version() -> Optional[str]:
    """Return the version, such as ``142.0.7444.59``; None if there is no browser or it prints none."""
    program = browser_program()
    return None if program is None else _program_version(program)


@lru_cache(maxsize=None)
def _program_version(program: str) -> Optional[str]:
    try:
        output = subprocess.check_output(
            [program, "--version"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_BROWSER_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _BROWSER_VERSION.search(output.decode("utf-8", errors="replace"))
    return None if match is None else match.group(1)


DISTRIBUTION_OF = {"PIL": "pillow", "numpy": "numpy"}
"""Distributions of the modules that every runner imports."""
ENVIRONMENT = "~/edgecnn-env"
PATH_NOT_PASSED = "EDGECNN_PYTHONPATH_NOT_PASSED"
"""Set for every process of a kit if the user has a PYTHONPATH. Kits run without it, so that no other code replaces theirs."""
DROPPED_PATH = "PYTHONPATH is set, and this program runs without it"


def runs_without_path() -> bool:
    """Whether this process was started without its user's PYTHONPATH."""
    return bool(os.environ.get(PATH_NOT_PASSED))


def drops_path() -> bool:
    """Whether the user's PYTHONPATH names folders that a kit's process, started here, does not search.

    The folder of this runner does not count: it is the PYTHONPATH of every process of a kit.
    """
    this_file = (Path(__file__).absolute(), Path(__file__).resolve())  # the folder may be a link
    own = {str(path.parents[depth].resolve()) for path in this_file for depth in (1, 2)}
    named = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return runs_without_path() or any(str(Path(path).resolve()) not in own for path in named)


def missing_package(what: str, *requirements: str, version: Optional[str] = None) -> RunnerError:
    """Return the error for packages that are missing, or for one that is installed in an unsuitable ``version``."""
    because, hint = "" if version is None else "{} is installed".format(version), install_command(*requirements)
    if runs_without_path():
        because = "; ".join(filter(None, (because, DROPPED_PATH)))
        hint += ", or list the folders of PYTHONPATH in a .pth file of this Python's site-packages"
    ref = "missing-package" if version is None else "wrong-package-version"
    return RunnerError(ref, what, because or None, hint, missing=True)


def dropped_path_in(output: str) -> Optional[str]:
    """Return ``DROPPED_PATH`` if a process without the user's PYTHONPATH failed to import a module; else None.

    Args:
        output: the process's output.
    """
    return DROPPED_PATH if drops_path() and any(name in output for name in ("ModuleNotFoundError", "ImportError")) else None


def install_command(*requirements: str) -> str:
    """Return ``pip install …``, after the creation of a virtual environment if the system requires one."""
    is_managed = sys.prefix == sys.base_prefix and (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists()
    return install_command_for(requirements, managed=is_managed, python="python3")


def install_command_for(requirements: Sequence[str], managed: bool, python: str) -> str:
    """Return the command for any machine.

    Args:
        requirements: requirements as pip takes them.
        managed: whether the machine's system refuses pip.
        python: Python's name in the machine's shell.
    """
    if any(requirement.startswith(BROWSER) for requirement in requirements):
        return BROWSER_INSTALL  # kits for browsers require nothing else
    wanted = " ".join(map(shlex.quote, requirements))
    if not managed:
        return "pip install {}".format(wanted)
    # The system's own packages stay visible: JetPack's tensorrt exists nowhere else.
    create = "{} -m venv --system-site-packages {}".format(python, ENVIRONMENT)
    return "{} && {}/bin/pip install {}, then run it with {}/bin/python".format(create, ENVIRONMENT, wanted, ENVIRONMENT)


_Release = Tuple[Tuple[int, ...], int]
"""The numbers, and 0 for a final release or -1 for a pre-release."""

_VERSION = re.compile(
    r"v?(\d+(?:\.\d+)*)((?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview|dev)[-_.]?\d*)*)(?:[-_.]?post\d*)?(?:[+-].*)?"
)
_LEADING = re.compile(r"(\d+(?:\.\d+)*)()")
"""Vendors of boards append suffixes, as in ``8.5.2.nv1``."""
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|~=|>|<)\s*([^\s,]+?)(\.\*)?\s*")
_LENGTH = 6
_COMPARISONS = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt}


def parse_version(text: str) -> Optional[_Release]:
    """Return the comparable part of a version; None if it does not begin with a release number."""
    lower = text.strip().lower()
    match = _VERSION.fullmatch(lower) or _LEADING.match(lower)
    if match is None:
        return None
    numbers = tuple(int(part) for part in match.group(1).split("."))
    return numbers + (0,) * (_LENGTH - len(numbers)), -1 if match.group(2) else 0


def matches(version: str, wanted: str) -> bool:
    """Whether a version is in a range such as ``>=1.19,<2``. An empty range includes every version.

    Versions are compared without ``packaging``, which a board may lack, and without their local parts. As in PEP 440, ``<2``
    excludes ``2.0rc1``. Unlike PEP 440, pre-releases need no permission.

    Raises:
        RunnerError: bad-version or bad-version-range, if the version or the range cannot be parsed.
    """
    release = parse_version(version)
    if release is None:
        raise RunnerError("bad-version", "version {!r} does not begin with a release number".format(version))
    return all(_satisfies(release, clause, wanted) for clause in wanted.split(",") if clause.strip())


def _satisfies(release: _Release, clause: str, wanted: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    bound = parse_version(match.group(2)) if match else None
    if match is None or bound is None:
        raise RunnerError("bad-version-range", "version range {!r}: cannot parse {!r}".format(wanted, clause.strip()))
    comparison = match.group(1)
    length = len(match.group(2).split("."))
    if match.group(3):  # ==1.2.*
        same = release[0][:length] == bound[0][:length]
        return same if comparison == "==" else not same
    if comparison == "~=":
        return release >= bound and release[0][: length - 1] == bound[0][: length - 1]
    if comparison == "<" and release[0] == bound[0]:
        return False  # a pre-release of the bound itself is not below it
    return bool(_COMPARISONS[comparison](release, bound))
