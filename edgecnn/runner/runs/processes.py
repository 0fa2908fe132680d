"""The processes that run kits: the variables that they inherit, and how they end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Dict

from ..packages import PATH_NOT_PASSED, drops_path

STARTED_BY = "EDGECNN_RUNNER_PYTHON"
"""Set by a host that names the Python of its runners, such as an emulator's. Every process of a run starts with it."""
KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "VK_DRIVER_FILES",
    "XDG_CACHE_HOME",
    "EDGECNN_BROWSER",
    "EDGECNN_EMULATOR",
)
"""Variables that a runner inherits, here and on a board. Vulkan's names the driver of a GPU in an unusual folder:
https://github.com/KhronosGroup/Vulkan-Loader/blob/main/docs/LoaderInterfaceArchitecture.md"""


def clean_environment(kit: Path) -> Dict[str, str]:
    """Return the variables for a process in a kit, without any that change the code that runs or a runtime's arithmetic."""
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    if os.environ.get(STARTED_BY):
        environment[STARTED_BY] = os.environ[STARTED_BY]
    if drops_path():
        environment[PATH_NOT_PASSED] = "1"
    return dict(environment, PYTHONPATH=str(kit), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")


def kill_group(process: Any) -> None:
    """Kill a process that leads a group, and everything in that group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # the group has ended
    finally:
        process.wait()


def exit_text(returncode: int) -> str:
    """Describe how a process ended."""
    if returncode >= 0:
        return "exit status {}".format(returncode)
    try:
        return "signal {}".format(signal.Signals(-returncode).name)
    except ValueError:
        return "signal {}".format(-returncode)
