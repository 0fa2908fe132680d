"""Another machine's files in a folder: Debian packages and all that they need, fetched and checked by apt, unpacked by dpkg-deb.

Nothing of this machine changes: apt works with lists, a cache and a package database of its own, which end with the call.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.host import DebianTreeFailed, ForeignCommandMissing
from edgecnn.values.stage import Progress

MIRROR = "http://deb.debian.org/debian"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S = 900


class DebianTree(NamedTuple):
    """Which packages of which Debian."""

    suite: str
    """bullseye, bookworm, trixie, …"""
    architecture: str
    """As Debian names it: amd64, arm64."""
    packages: tuple[str, ...]


def unpack_tree(tree: DebianTree, folder: Path, tell: Progress) -> None:
    """Fetch the packages with everything that they depend on, and unpack them into ``folder``, which is made.

    The folder appears whole or not at all.

    Raises:
        ForeignCommandMissing: there is no apt-get, dpkg-deb or keyring of Debian's.
        DebianTreeFailed: they could not be had.
    """
    what = f"Debian {tree.suite} for {tree.architecture}"
    for command, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(command) is None:
            raise ForeignCommandMissing(command=command, needed_for=what, package=package)
    if not _KEYRING.is_file():
        raise ForeignCommandMissing(command="Debian's archive keyring", needed_for=what, package="debian-archive-keyring")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        root = Path(place) / "root"
        root.mkdir()
        debs = _fetched(tree, Path(place), tell)
        for done, deb in enumerate(debs):
            tell.step(f"unpacking Debian {tree.suite} for {tree.architecture}", done, len(debs), "packages")
            _run(("dpkg-deb", "-x", str(deb), str(root)), tree)
        tell.step(f"unpacking Debian {tree.suite} for {tree.architecture}", len(debs), len(debs), "packages")
        for name in ("bin", "sbin", "lib", "lib64"):  # since Debian 13 these are links, which the package base-files would bring
            if (root / "usr" / name).is_dir() and not (root / name).exists():
                (root / name).symlink_to(f"usr/{name}")
        root.rename(folder)


def _fetched(tree: DebianTree, place: Path, tell: Progress) -> Sequence[Path]:
    state, cache = place / "state", place / "cache"
    for path in (state / "lists/partial", cache / "archives/partial", place / "nothing"):
        path.mkdir(parents=True)
    (state / "status").touch()
    (place / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {MIRROR} {tree.suite} main\n", encoding="utf-8")
    options = {
        "APT::Architecture": tree.architecture,
        "APT::Architectures": tree.architecture,
        "APT::Sandbox::User": "",  # the folder is the caller's own, where apt's user may not write
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": cache,
        "Dir::Etc::SourceList": place / "sources.list",
        "Dir::Etc::SourceParts": place / "nothing",
        "Dir::Etc::Preferences": place / "nothing/none",
        "Dir::Etc::PreferencesParts": place / "nothing",
        "DPkg::Post-Invoke::": "",
        "APT::Keep-Downloaded-Packages": "true",
    }
    apt = ("apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items()))
    tell.step(f"asking Debian {tree.suite} for {tree.architecture}", 0, None, "lists")
    _run((*apt, "update"), tree)
    _run((*apt, "install", "--yes", "--download-only", "--no-install-recommends", *tree.packages), tree)
    return sorted((cache / "archives").glob("*.deb"))


def _run(command: Sequence[str], tree: DebianTree) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, errors="replace", check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(tree, f"{command[0]} took longer than {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg"))] or [done.stderr.strip()]
        raise _failed(tree, " | ".join(lines[-2:]) or f"{command[0]} ended with {done.returncode}")


def _failed(tree: DebianTree, said: str) -> DebianTreeFailed:
    return DebianTreeFailed(suite=tree.suite, architecture=tree.architecture, packages=tree.packages, said=said)
