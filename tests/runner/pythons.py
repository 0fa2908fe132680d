"""Other Pythons and other runtimes than this one's, each in a folder of its own: Debian's packages, and wheels of the index."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgecnn.devices.emulated_machine import DebianTree, unpack_tree
from edgecnn.errors.base import EdgecnnError
from edgecnn.hosts.wheels import WheelPlatform, download_wheels, unpack_wheels

LIBRARIES = ("libstdc++6", "libgomp1")
X86 = "lib/x86_64-linux-gnu"


class Silent:
    """A Progress that nobody reads."""

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class DebianPython(NamedTuple):
    """A Python of a Debian, and the C library that it comes with."""

    suite: str
    version: tuple[int, int]
    glibc: tuple[int, int]

    def __str__(self) -> str:
        return f"python{self.version[0]}.{self.version[1]}"


def installed(python: DebianPython, folder: Path, packages: tuple[str, ...]) -> Path:
    """A script that runs this Python with wheels of these packages; skips where Debian or the index cannot be reached."""
    tree = folder / str(python)
    try:
        unpack_tree(DebianTree(python.suite, "amd64", (str(python), *LIBRARIES)), tree, Silent())
        wheels = download_wheels(packages, WheelPlatform(python.version, "x86_64", python.glibc), folder / "wheels")
    except EdgecnnError as error:
        pytest.skip(error.line())
    unpack_wheels(wheels, tree / "usr/local/lib" / str(python) / "dist-packages")
    program = f"{tree}/usr/bin/{python}"
    if python.glibc < (2, 33):  # its loader cannot be told a program's name, and the newer C library of here runs it
        words = f"LD_LIBRARY_PATH={tree}/usr/{X86} exec {program}"
    else:
        words = f'exec {tree}/lib64/ld-linux-x86-64.so.2 --argv0 "$0" --library-path {tree}/{X86}:{tree}/usr/{X86} {program}'
    script = tree / "usr/bin/of-its-own"
    script.write_text(f'#!/bin/sh\n{words} "$@"\n')
    script.chmod(0o755)
    return script


def environment_with(folder: Path, *requirements: str) -> Path:
    """A virtual environment of this Python; skips where the index cannot be reached."""
    venv.create(folder, with_pip=bool(requirements), symlinks=True)
    if not requirements:
        return folder / "bin/python"
    command = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip could not install {', '.join(requirements)}: {done.stderr.strip()[-200:]}")
    return folder / "bin/python"


def run_kit(python: Path, kit: Path, *words: str) -> dict[str, Any]:
    """The last line of a kit's runner under another Python."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-B", "-m", "runner", *words, "--json"]
    done = subprocess.run(command, cwd=kit, env=kept, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last
