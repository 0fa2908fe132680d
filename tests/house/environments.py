"""Environments that hold what the wheel's metadata asks for and nothing else, made in seconds and without a network.

edgecnn is installed from its built wheel by pip. What it requires is linked from the environment that the tests run in: the same
files that pip would put there, at versions that the ranges allow. What is not required is not there, torch to begin with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from tests.house.source_tree import ROOT


class Environment(NamedTuple):
    """A virtual environment with edgecnn in it."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def command(self) -> Path:
        """What a user types."""
        return self.folder / "bin" / "edgecnn"

    def variables(self, given: Mapping[str, str] | None = None) -> dict[str, str]:
        """Of a process in it: nothing of the checkout is on its path."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CI", "EDGECNN_STORE")}
        return {**kept, "PATH": f"{self.folder / 'bin'}{os.pathsep}{kept['PATH']}", "EDGECNN_OFFLINE": "1", **(given or {})}


def build(target: str, source: Path, out: Path) -> Path:
    """A wheel or an sdist, made without a network by the backend that pyproject.toml names."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(out.glob("edgecnn-*.whl" if target == "wheel" else "edgecnn-*.tar.gz"))


def built_wheel(out: Path) -> Path:
    """The wheel of this checkout."""
    return build("wheel", ROOT, out)


def environment_of(wheel: Path, folder: Path, *extras: str) -> Environment:
    """``pip install edgecnn[extras]``, offline."""
    venv.create(folder, with_pip=False)
    made = Environment(folder)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(made.python), "install", "--quiet"]
    done = subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    site = next(folder.glob("lib/python*/site-packages"))
    (edgecnn,) = Distribution.discover(name="edgecnn", path=[str(site)])
    for each in required(edgecnn.requires or (), extras).values():
        _link(each, site)
    return made


def required(lines: Iterable[str], extras: Iterable[str] = ()) -> dict[str, Distribution]:
    """The distributions that requirements come to, by name, theirs included; PEP 508's markers decide."""
    found: dict[str, Distribution] = {}
    _add(lines, extras, found)
    return found


def _add(lines: Iterable[str], extras: Iterable[str], found: dict[str, Distribution]) -> None:
    for requirement in map(Requirement, lines):
        asked = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
        if not asked or (known := found.get(requirement.name)) is not None and not requirement.extras:
            continue
        found[requirement.name] = known or distribution(requirement.name)
        _add(found[requirement.name].requires or (), requirement.extras, found)


def _link(installed: Distribution, site: Path) -> None:
    tops = {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}
    for name in tops:
        place = site / name
        if not place.exists():  # two may share a namespace package
            place.symlink_to(Path(str(installed.locate_file(name))))
