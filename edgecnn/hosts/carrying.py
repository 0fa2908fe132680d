"""Brings packages to a board that has no internet: wheels are fetched here, sent over the link, and unpacked there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.host import WheelsNotUnpacked
from edgecnn.hosts.ssh.link import Link, in_shell
from edgecnn.hosts.wheels import WheelPlatform, download_wheels
from edgecnn.runner.files import sha256_of
from edgecnn.values.stage import Progress

FOLDER = "~/.local/share/edgecnn"
"""There: ``wheels/`` and ``env/``. Outside the private folder, which ``--clean`` removes: kits run with this Python later."""
PYTHON = f"{FOLDER}/env/bin/python3"
"""Of the environment there, which ``unpacker.py`` makes."""
UNPACKER = Path(__file__).with_name("unpacker.py")
_SEND_S, _UNPACK_S = 900.0, 900.0
_LAST_LINES = 2


class Parcel(NamedTuple):
    """What is carried."""

    packages: tuple[str, ...]
    """Requirements, as pip takes them."""
    platform: WheelPlatform
    """Of the board."""
    here: Path
    """Where downloaded wheels stay."""


def carry_wheels(link: Link, python: str, parcel: Parcel, tell: Progress) -> str:
    """Give a board these packages in a virtual environment of its own; nothing that it holds is sent again.

    Args:
        link: to the board.
        python: by which the environment is made.
        parcel: what it is given.
        tell: hears what is sent.

    Returns:
        the environment's Python, as its path there.

    Raises:
        WheelsNotFound: see ``download_wheels``.
        WheelsNotUnpacked: the board could not take them.
        LinkLost: the connection ended meanwhile.
    """
    wheels = download_wheels(*parcel)
    _send(link, wheels, tell)
    said = f"FOLDER = {FOLDER!r}\nWHEELS = {[wheel.name for wheel in wheels]!r}\n".encode() + UNPACKER.read_bytes()
    answer = link.ask(f"exec {in_shell(python)} -", given=said, timeout_s=_UNPACK_S)
    try:
        return str(json.loads(answer.text.splitlines()[-1])["python"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise WheelsNotUnpacked(board=link.board, said=_last(answer.stderr or answer.text)) from error


def _send(link: Link, wheels: Sequence[Path], tell: Progress) -> None:
    place = f"{in_shell(FOLDER + '/wheels')}"
    held = link.ask(f"umask 077; mkdir -p {place} && cd {place} && sha256sum -- *.whl 2>/dev/null; true").text
    there = {tuple(line.split(maxsplit=1)) for line in held.splitlines()}
    missing = [wheel for wheel in wheels if (sha256_of(wheel), wheel.name) not in there]
    for done, wheel in enumerate(missing):
        tell.step(f"sending packages to {link.board}", done, len(missing), "wheels")
        name = shlex.quote(wheel.name)
        line = f"cd {place} && cat > {name}.part && mv {name}.part {name}"
        answer = link.ask(f"exec sh -c {shlex.quote(line)}", given=wheel.read_bytes(), timeout_s=_SEND_S)
        if answer.status != 0:
            raise WheelsNotUnpacked(board=link.board, said=_last(answer.stderr))
    tell.step(f"sending packages to {link.board}", len(missing), len(missing), "wheels")


def _last(said: str) -> str:
    return " | ".join([line.strip() for line in said.splitlines() if line.strip()][-_LAST_LINES:]) or "it said nothing"
