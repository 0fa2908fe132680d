"""Small file systems, mounted in a private namespace, and a program that fills them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
_NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


needs_mount = pytest.mark.skipif(not _can_mount(), reason="needs unshare with user namespaces")


def on_disks(disks: Mapping[Path, str]) -> list[str]:
    """What stands before a command, for which each of these folders is then a disk of its own, of that size."""
    mounts = "".join(f"mount -t tmpfs -o size={size} none {folder} && " for folder, size in disks.items())
    return [*_NAMESPACE, "sh", "-c", f'{mounts}exec "$@"', "sh"]


def said_on(disks: Mapping[Path, str], program: str, *words: str, **variables: str) -> Any:
    """What a Python program prints as JSON where each of these folders is a disk of its own, of that size."""
    command = [*on_disks(disks), sys.executable, "-c", program, *words]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **variables}
    ran = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
