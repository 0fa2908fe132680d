"""Download wheels for another machine: an emulated one, or a board without internet to which they are sent."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from edgecnn.errors.hosts import WHEELS_NOT_FOUND, WHEELS_NOT_UNPACKED
from edgecnn.hosts.ssh.link import Link, shell_path
from edgecnn.hosts.unpacker import extract_wheel
from edgecnn.hosts.wire import Message, Unusable, last_document, last_lines, validate
from edgecnn.runner.files import sha256_of
from edgecnn.values.stage import Progress

_OLDEST_GLIBC = 17
"""manylinux2014, the oldest platform of these packages' wheels: https://peps.python.org/pep-0599/"""
_TIMEOUT_S = 900
FOLDER = "~/.local/share/edgecnn"
"""Folder on the board with ``wheels/`` and ``env/``, outside the private folder that ``--clean`` removes, since kits use this
Python later."""
PYTHON = f"{FOLDER}/env/bin/python3"
"""Python of the environment that ``unpacker.py`` makes there."""
UNPACKER = Path(__file__).with_name("unpacker.py")
_SEND_S, _UNPACK_S = 900.0, 900.0
_LAST_LINES = 2


class WheelPlatform(NamedTuple):
    """The platform that a wheel must support."""

    python: tuple[int, int]
    machine: str
    """``platform.machine()``: x86_64, aarch64."""
    glibc: tuple[int, int]

    @property
    def words(self) -> str:
        """The platform in words."""
        python, glibc = (".".join(map(str, numbers)) for numbers in (self.python, self.glibc))
        return f"Python {python} on {self.machine} with glibc {glibc}"

    def tags(self) -> tuple[str, ...]:
        """Supported platform tags, the newest first: https://peps.python.org/pep-0600/"""
        minors = range(self.glibc[1], _OLDEST_GLIBC - 1, -1) if self.glibc[0] == 2 else ()
        return (*(f"manylinux_2_{minor}_{self.machine}" for minor in minors), f"manylinux2014_{self.machine}")


def download_wheels(packages: Sequence[str], platform: WheelPlatform, folder: Path) -> tuple[Path, ...]:
    """Download wheels of the packages and their dependencies with pip, by pip's own settings.

    ``packages``: requirements such as ``onnxruntime>=1.19,<2``. ``folder``: created if absent; its wheels are used again.

    Raises WheelsNotFound: pip found no wheels, or could not reach an index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    python = ".".join(map(str, platform.python))
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    words += ["--implementation", "cp", "--python-version", python, "--find-links", str(folder), "--dest", str(folder)]
    words += [word for tag in platform.tags() for word in ("--platform", tag)]
    try:
        process = subprocess.run(
            [*words, *packages],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WHEELS_NOT_FOUND(packages=packages, board=platform.words, because=f"pip took longer than {_TIMEOUT_S} s") from error
    if process.returncode != 0:
        output = process.stderr
        errors = [line.removeprefix("ERROR: ").strip() for line in output.splitlines() if line.startswith("ERROR: ")]
        because = errors[0][:500] if errors else " ".join(output.split())[-500:] or "pip printed nothing"
        raise WHEELS_NOT_FOUND(packages=packages, board=platform.words, because=because)
    return tuple(sorted(folder.glob("*.whl")))


def unpack_wheels(wheels: Sequence[Path], site: Path) -> None:
    """Unpack wheels into a ``site-packages`` folder, without their scripts."""
    site.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        extract_wheel(wheel, site)


class Parcel(NamedTuple):
    """Packages for a board."""

    packages: tuple[str, ...]
    """Requirements, as pip takes them."""
    platform: WheelPlatform
    """Platform of the board."""
    here: Path
    """Folder of the downloaded wheels."""


class _Unpacked(Message):
    python: str = Field(pattern="^/", max_length=4096)


def carry_wheels(link: Link, python: str, parcel: Parcel, tell: Progress) -> str:
    """Install these packages into a virtual environment on a board, and return the path of its Python there.

    Wheels that the board has are not sent again.

    Raises:
        WheelsNotFound: see ``download_wheels``.
        WHEELS_NOT_UNPACKED: the board could not store them.
        LINK_LOST: the connection was lost.
    """
    wheels = download_wheels(*parcel)
    _send_wheels(link, wheels, tell)
    script = f"FOLDER = {FOLDER!r}\nWHEELS = {[wheel.name for wheel in wheels]!r}\n".encode() + UNPACKER.read_bytes()
    answer = link.ask(f"exec {shell_path(python)} -", stdin=script, timeout_s=_UNPACK_S)
    try:
        return validate(_Unpacked, last_document(answer.stdout)).python
    except Unusable as error:
        raise WHEELS_NOT_UNPACKED(board=link.board, because=_reason(answer.stderr or answer.text)) from error


def _send_wheels(link: Link, wheels: Sequence[Path], tell: Progress) -> None:
    place = f"{shell_path(FOLDER + '/wheels')}"
    listing = link.ask(f"umask 077; mkdir -p {place} && cd {place} && sha256sum -- *.whl 2>/dev/null; true").text
    stored = {tuple(line.split(maxsplit=1)) for line in listing.splitlines()}
    missing = [wheel for wheel in wheels if (sha256_of(wheel), wheel.name) not in stored]
    for done, wheel in enumerate(missing):
        tell.step(f"sending packages to {link.board}", done, len(missing), "wheels")
        name = shlex.quote(wheel.name)
        line = f"cd {place} && cat > {name}.part && mv {name}.part {name}"
        answer = link.ask(f"exec sh -c {shlex.quote(line)}", stdin=wheel.read_bytes(), timeout_s=_SEND_S)
        if answer.status != 0:
            raise WHEELS_NOT_UNPACKED(board=link.board, because=_reason(answer.stderr))
    tell.step(f"sending packages to {link.board}", len(missing), len(missing), "wheels")


def _reason(output: str) -> str:
    return " | ".join(last_lines(output, _LAST_LINES)) or "it printed nothing"
