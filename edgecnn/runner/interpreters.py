"""Which Python runs a kit: a runtime whose packages go with no others may have an environment of its own.

``EDGECNN_RUNTIME_NCNN=/path/to/python`` says so for ncnn, and so on for every runtime. Without it a kit is run by the Python that
everything began with, which is handed on: a schedule that one runtime's Python carries out may hold kits of another's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Dict, NamedTuple, Optional

from .files import bounded_content
from .manifest import MANIFEST, MANIFEST_BYTES_MAX
from .runtimes import DISTRIBUTIONS, installed_version, runtime_of

NAMES = "EDGECNN_RUNTIME_"
"""With the runtime's name in capitals: the variable that names its Python."""
BEGAN_WITH = "EDGECNN_RUNNER_PYTHON"
"""Set for every process of a kit: the Python of kits whose runtime has none of its own."""

PATH_NOT_PASSED = "EDGECNN_PYTHONPATH_NOT_PASSED"
"""Set for every process of a kit whose user has a PYTHONPATH: kits run without it, so that no other code runs in their place."""

_PATIENCE_S = 60.0
_ASK = """
import json, platform
from importlib import metadata
found = {(each.metadata["Name"] or "").lower(): [each.version, str(each.locate_file(""))] for each in metadata.distributions()}
print(json.dumps({"python": platform.python_version(), "distributions": found}))
"""


class Asked(NamedTuple):
    """What a Python said of itself."""

    python_version: Optional[str]
    versions: Dict[str, str]
    places: Dict[str, str]
    """Distribution to the folder that its packages lie in."""
    why: Optional[str]
    """Why it said nothing."""


def variable_of(runtime: str) -> str:
    """The variable that names a runtime's Python: ``EDGECNN_RUNTIME_NCNN``."""
    return NAMES + runtime.upper().replace("-", "_")


def own_python(runtime: str) -> Optional[str]:
    """The Python that the environment names for a runtime, absolute; None where it names none.

    Links are kept: what a virtual environment is begins at the name by which its Python is called.
    """
    named = os.environ.get(variable_of(runtime))
    return _absolute(named) if named else None


def python_of(kit: Path) -> str:
    """The Python that runs a kit; the usual one too where ``kit.json`` cannot be read, which the runner then says itself."""
    try:
        module = json.loads(bounded_content(kit / MANIFEST, MANIFEST_BYTES_MAX))["session"]["module"]
        own = own_python(runtime_of(module))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        own = None
    return own or began_with()


def began_with() -> str:
    """The Python of kits whose runtime has none of its own."""
    return os.environ.get(BEGAN_WITH) or sys.executable


def kept_variables() -> Dict[str, str]:
    """What a kit's process must know of all this."""
    named = {name: _absolute(value) for name, value in os.environ.items() if name.startswith(NAMES) and value}
    if drops_path():
        named[PATH_NOT_PASSED] = "1"
    return dict(named, **{BEGAN_WITH: began_with()})


def runs_without_path() -> bool:
    """Whether this very process was started without its user's PYTHONPATH."""
    return bool(os.environ.get(PATH_NOT_PASSED))


def drops_path() -> bool:
    """Whether the user's PYTHONPATH names folders that a kit's process, started here, does not search.

    The folder that this runner was loaded from is not one of them: every process of a kit has it as its PYTHONPATH.
    """
    here = (Path(__file__).absolute(), Path(__file__).resolve())  # a kit's folder of code may be a link
    own = {str(path.parents[depth].resolve()) for path in here for depth in (1, 2)}
    named = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return runs_without_path() or any(str(Path(path).resolve()) not in own for path in named)


@lru_cache(maxsize=None)
def asked(python: str) -> Asked:
    """What the Python at a path says of itself; asked once in a process."""
    try:
        said = subprocess.check_output(
            [python, "-I", "-c", _ASK], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=_PATIENCE_S
        )
        value = json.loads(said.decode("utf-8"))
        found = value["distributions"]
        versions, places = ({name: each[index] for name, each in found.items()} for index in (0, 1))
        return Asked(value["python"], versions, places, None)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", errors="replace").strip().splitlines()
        return Asked(None, {}, {}, lines[-1] if lines else "exit status {}".format(error.returncode))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        return Asked(None, {}, {}, " ".join(str(error).split()))


def runtime_version(runtime: str) -> Optional[str]:
    """The version of a runtime where its kits run, by whichever of its distributions is installed there; None where none is."""
    python = own_python(runtime)
    if python is None:
        return installed_version(runtime)
    found = asked(python).versions
    return next((found[each] for each in DISTRIBUTIONS.get(runtime, (runtime,)) if each in found), None)


def own_python_version(runtime: str) -> Optional[str]:
    """Of the Python that the environment names for a runtime; None where it names none."""
    python = own_python(runtime)
    return None if python is None else asked(python).python_version


def reachable_runtimes() -> Dict[str, str]:
    """Every known runtime that kits can be run with here, and its version."""
    found = {name: runtime_version(name) for name in DISTRIBUTIONS}
    return {name: version for name, version in found.items() if version is not None}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
