"""Carry out a Dockerfile's lines without an engine: in a fresh Debian tree, as root of it, one after the other.

    python -m tests.images.chroot Dockerfile.device /var/tmp/image

It needs root and Debian's ``debootstrap``. What stands for the base image is Debian's own Python of the same version, as a
virtual environment in /usr/local: there the base image has its Python too. No image comes out, only the knowledge that the
lines work.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.house.source_tree import ROOT
from tests.images.dockerfile import argv, instructions, with_arguments

MIRROR = "http://deb.debian.org/debian"
RELEASE = "bookworm"
LENT = ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
"""Files of this machine that say how to reach package registries."""


class Image(NamedTuple):
    """A tree in which a Dockerfile's lines were carried out, and how its container would start."""

    root: Path
    variables: Mapping[str, str]
    user: str
    healthcheck: Sequence[str]
    entrypoint: Sequence[str]
    command: Sequence[str]
    folder: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in it, as its user, in its folder."""
        return _inside(self.root, ["env", "-C", self.folder, *words], self.variables, self.user)


def debian(root: Path) -> Path:
    """A new Debian tree with pip and python in /usr/local/bin."""
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=python3-venv,ca-certificates", RELEASE, str(root), MIRROR],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"debootstrap: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    root.chmod(0o755)  # the image's user must be able to look into its root
    _lend(root)
    _checked(_inside(root, ["python3", "-m", "venv", "/usr/local"], {}, "0"), "python")
    return root


def carried_out(name: str, root: Path, arguments: Mapping[str, str]) -> Image:
    """Carry out the lines of a Dockerfile in a Debian tree, which they change.

    Raises:
        SystemExit: with the line that failed, and what it said.
    """
    values = dict(arguments)
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
    variables |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    told = {"USER": "0", "WORKDIR": "/", **dict.fromkeys(("HEALTHCHECK", "ENTRYPOINT", "CMD"), "[]")}
    for word, text in instructions(name):
        if word in ("ARG", "ENV"):
            key, _, value = text.partition("=")
            (values if word == "ARG" else variables).setdefault(key, value)
        elif word == "RUN":
            _checked(_inside(root, ["/bin/sh", "-c", with_arguments(text, values)], variables, told["USER"]), text)
        elif word == "COPY":
            _copied(text, root)
        elif word in told:
            told[word] = text
        elif word not in ("FROM", "VOLUME", "EXPOSE"):
            raise SystemExit(f"{name}: {word} is not known here")
    check, entry, command = (argv(told[word]) for word in ("HEALTHCHECK", "ENTRYPOINT", "CMD"))
    return Image(root, variables, told["USER"], check, entry, command, told["WORKDIR"])


def _copied(text: str, root: Path) -> None:
    *sources, place = text.split()
    for source in sources:
        _copy(ROOT / source, root / place.lstrip("/"), into=place.endswith("/"))


def _copy(source: Path, place: Path, *, into: bool) -> None:
    place = place / source.name if into else place
    if source.is_dir():
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)


def _lend(root: Path) -> None:
    for name in LENT:
        if (Path("/") / name).is_file():
            (root / name).unlink(missing_ok=True)
            shutil.copyfile(Path("/") / name, root / name)


def _inside(root: Path, words: Sequence[str], variables: Mapping[str, str], user: str) -> subprocess.CompletedProcess[str]:
    """A command in the tree, with its own processes and mounts."""
    given = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root" if user == "0" else "/home/edgecnn", **variables}
    entered = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        f"--mount-proc={root}/proc",
        "chroot",
        f"--userspec={user}:{user}",
        str(root),
    ]
    set_ = [f"{key}={value}" for key, value in given.items()]
    return subprocess.run([*entered, "/usr/bin/env", "-i", *set_, *words], capture_output=True, text=True, check=False)


def _checked(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        raise SystemExit(f"{what}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dockerfile")
    parser.add_argument("root", type=Path)
    parser.add_argument("--build-arg", action="append", default=[])
    asked = parser.parse_args()
    arguments = dict(each.partition("=")[::2] for each in asked.build_arg)
    image = carried_out(asked.dockerfile, debian(asked.root), arguments)
    done = image.run(*image.healthcheck)
    sys.stdout.write(done.stdout + done.stderr)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
