"""Make the command that installs a missing package for this Python.

Since 2023, Debian, Raspberry Pi OS and Ubuntu refuse pip outside a virtual environment: https://peps.python.org/pep-0668/
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from pathlib import Path
from typing import Optional, Sequence

from .browser.installed import INSTALLED_BY
from .failure import RunnerError
from .runtimes import BROWSER

DISTRIBUTION_OF = {"PIL": "pillow", "numpy": "numpy"}
"""Modules that the runner imports, to their distributions."""
ENVIRONMENT = "~/edgecnn-env"


PATH_NOT_PASSED = "EDGECNN_PYTHONPATH_NOT_PASSED"
"""Set for every process of a kit if the user has a PYTHONPATH. Kits run without it, so that no other code replaces theirs."""
DROPPED_PATH = "PYTHONPATH is set, and this program runs without it"
_IMPORT_FAILURES = ("ModuleNotFoundError", "ImportError")
_PTH_FILE = "list the folders of PYTHONPATH in a .pth file of this Python's site-packages"


def runs_without_path() -> bool:
    """Whether this process was started without its user's PYTHONPATH."""
    return bool(os.environ.get(PATH_NOT_PASSED))


def drops_path() -> bool:
    """Whether the user's PYTHONPATH names folders that a kit's process, started here, does not search.

    The folder of this runner does not count: it is the PYTHONPATH of every process of a kit.
    """
    here = (Path(__file__).absolute(), Path(__file__).resolve())  # the folder may be a link
    own = {str(path.parents[depth].resolve()) for path in here for depth in (1, 2)}
    named = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return runs_without_path() or any(str(Path(path).resolve()) not in own for path in named)


def lacking(what: str, requirement: str, version: Optional[str] = None) -> RunnerError:
    """Return the error for a package that is missing, or installed in an unsuitable ``version``."""
    because, hint = "" if version is None else "{} is installed".format(version), install_command(requirement)
    if runs_without_path():
        because, hint = "; ".join(filter(None, (because, DROPPED_PATH))), "{}, or {}".format(hint, _PTH_FILE)
    ref = "missing-package" if version is None else "wrong-package-version"
    return RunnerError(ref, what, because or None, hint, missing=True)


def dropped_path_in(output: str) -> Optional[str]:
    """Return ``DROPPED_PATH`` if a process without the user's PYTHONPATH failed to import a module; else None.

    Args:
        output: the process's output.
    """
    return DROPPED_PATH if drops_path() and any(name in output for name in _IMPORT_FAILURES) else None


def install_command(*requirements: str) -> str:
    """Return ``pip install …``, after the creation of a virtual environment if the system requires one."""
    return command_for(requirements, managed=_is_managed(), python="python3")


def command_for(requirements: Sequence[str], managed: bool, python: str) -> str:
    """Return the command for any machine. ``managed``: whether its system refuses pip. ``python``: Python's name in its shell."""
    if any(requirement.startswith(BROWSER) for requirement in requirements):
        return INSTALLED_BY  # a browser is the only requirement of its kits
    wanted = " ".join(map(shlex.quote, requirements))
    if not managed:
        return "pip install {}".format(wanted)
    # The system's own packages stay visible: JetPack's tensorrt exists nowhere else.
    create = "{} -m venv --system-site-packages {}".format(python, ENVIRONMENT)
    return "{} && {}/bin/pip install {}, then run it with {}/bin/python".format(create, ENVIRONMENT, wanted, ENVIRONMENT)


def _is_managed() -> bool:
    inside = sys.prefix != sys.base_prefix
    return not inside and (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists()
