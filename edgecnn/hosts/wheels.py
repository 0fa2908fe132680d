"""Wheels for another machine, downloaded here: for a board without internet, and for one that is emulated."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.host import WheelsNotFound

_OLDEST_GLIBC = 17
"""manylinux2014, the oldest platform that wheels of these packages name: https://peps.python.org/pep-0599/"""
_TIMEOUT_S = 900


class WheelPlatform(NamedTuple):
    """What a wheel's name must agree with."""

    python: tuple[int, int]
    machine: str
    """``platform.machine()``: x86_64, aarch64."""
    glibc: tuple[int, int]

    @property
    def words(self) -> str:
        """As a sentence names it."""
        python, glibc = (".".join(map(str, numbers)) for numbers in (self.python, self.glibc))
        return f"Python {python} on {self.machine} with glibc {glibc}"

    def tags(self) -> tuple[str, ...]:
        """Platforms that it takes, the newest first: https://peps.python.org/pep-0600/"""
        minors = range(self.glibc[1], _OLDEST_GLIBC - 1, -1) if self.glibc[0] == 2 else ()
        return (*(f"manylinux_2_{minor}_{self.machine}" for minor in minors), f"manylinux2014_{self.machine}")


def download_wheels(packages: Sequence[str], platform: WheelPlatform, folder: Path) -> tuple[Path, ...]:
    """Wheels of the packages and of what they need, as pip finds them for that machine, in ``folder``; pip's own settings hold.

    Args:
        packages: requirements, such as ``onnxruntime>=1.19,<2``.
        platform: of the machine that they are for.
        folder: made where it is absent; wheels that lie there already are used again.

    Raises:
        WheelsNotFound: pip found none, or could not ask.
    """
    folder.mkdir(parents=True, exist_ok=True)
    python = ".".join(map(str, platform.python))
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    words += ["--implementation", "cp", "--python-version", python, "--find-links", str(folder), "--dest", str(folder)]
    words += [word for tag in platform.tags() for word in ("--platform", tag)]
    try:
        done = subprocess.run(
            [*words, *packages], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WheelsNotFound(packages=packages, board=platform.words, said=f"pip took longer than {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise WheelsNotFound(packages=packages, board=platform.words, said=_why(done.stderr))
    return tuple(sorted(folder.glob("*.whl")))


def unpack_wheels(wheels: Sequence[Path], site: Path) -> None:
    """Lay wheels out in a folder of packages that a Python of theirs searches; their commands are left out."""
    site.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site, [name for name in archive.namelist() if not re.match(r"[^/]+\.data/", name)])


def _why(said: str) -> str:
    errors = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.startswith("ERROR: ")]
    return errors[0][:500] if errors else " ".join(said.split())[-500:] or "pip said nothing"
