"""Emulate a 64-bit Arm machine: Debian's Python and the wheels that a board installs, run by QEMU's user-mode emulation.

Everything is in one folder, and nothing else of this machine changes. Predictions are those of a board; times are not. Every
figure is marked as emulated, and no latency gate accepts it.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import DEBIAN_TREE_FAILED, FOREIGN_COMMAND_MISSING, NOTHING_TO_EMULATE_ON
from edgecnn.hosts.wheels import WheelPlatform, download_wheels, unpack_wheels
from edgecnn.runner.machine.environment import EMULATOR
from edgecnn.store.store import default_root
from edgecnn.values.stage import Progress

DEVICE = "arm64-emulated"
PROCESSOR = "cortex-a76"
"""Processor of a Raspberry Pi 5, with the dot products (asimddp) that INT8 kernels use."""
_PYTHON = "python3.11"


class DebianTree(NamedTuple):
    """Packages of a Debian release."""

    suite: str
    """bullseye, bookworm, trixie, …"""
    architecture: str
    """Debian's name: amd64, arm64."""
    packages: tuple[str, ...]


_TREE = DebianTree("bookworm", "arm64", (f"lib{_PYTHON}-stdlib", f"{_PYTHON}-minimal", "libstdc++6", "libgomp1"))
_EMULATOR = ("trixie", "qemu-user")
"""Release and package of QEMU 10, linked statically. QEMU 7.2 shows this machine's /proc/cpuinfo, which crashes onnxruntime
1.31."""
_DEBIAN_NAMES = {"x86_64": "amd64"}
_WHEELS = WheelPlatform((3, 11), "aarch64", (2, 36))
_PACKAGES = (
    "onnxruntime>=1.19,<2",
    "openvino>=2026.2,<2027",
    "ai-edge-litert>=2.3,<3",
    "ncnn>=1.0.20261020,<2",
    "numpy",
    "pillow",
)
FOLDER = f"{DEVICE}-{hashlib.sha256(' '.join(_PACKAGES).encode()).hexdigest()[:8]}"
"""The name depends on the list of packages, so that a new list makes a new machine."""
PROGRAM = "python3"


def emulated_python(tell: Progress) -> Path:
    """Return the Python of the machine in the store, and make the machine at first use. Raises as ``emulated_machine``."""
    return emulated_machine(default_root() / "machines" / FOLDER, tell) / PROGRAM


def emulated_machine(folder: Path, tell: Progress) -> Path:
    """Return the machine in ``folder``, and make it there if it does not exist: 800 MB.

    Raises NOTHING_TO_EMULATE_ON: QEMU has no packages for this machine. FOREIGN_COMMAND_MISSING, DEBIAN_TREE_FAILED,
    WheelsNotFound: its parts cannot be fetched.
    """
    if (folder / PROGRAM).is_file():
        return folder
    here = _DEBIAN_NAMES.get(platform.machine())
    if here is None:
        raise NOTHING_TO_EMULATE_ON(machine=platform.machine(), has=tuple(_DEBIAN_NAMES))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        machine = Path(place) / "machine"
        unpack_tree(_TREE, machine / "root", tell)
        suite, package = _EMULATOR
        unpack_tree(DebianTree(suite, here, (package,)), machine / "qemu", tell)
        wheels = download_wheels(_PACKAGES, _WHEELS, Path(place) / "wheels")
        unpack_wheels(wheels, machine / "root/usr/local/lib" / _PYTHON / "dist-packages")
        _write_program(machine / PROGRAM)
        if not folder.exists():  # another process may have made it meanwhile
            machine.rename(folder)
    return folder


def _write_program(path: Path) -> None:
    """Write a Python that starts itself under the same emulation, as the runner does for every process that it measures."""
    lines = (
        "#!/bin/sh",
        'here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)',
        f'export {EMULATOR}="QEMU user mode, {PROCESSOR}" PYTHONHOME="$here/root/usr"',
        f'exec "$here/qemu/usr/bin/qemu-aarch64" -cpu {PROCESSOR} -0 "$here/{PROGRAM}" -L "$here/root" '
        f'"$here/root/usr/bin/{_PYTHON}" "$@"',
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o755)


MIRROR = "http://deb.debian.org/debian"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S = 900


def unpack_tree(tree: DebianTree, folder: Path, tell: Progress) -> None:
    """Fetch the packages with their dependencies, and unpack them into ``folder``, which is made whole or not at all.

    apt uses separate lists, cache and package database, which are removed afterwards.

    Raises FOREIGN_COMMAND_MISSING: apt-get, dpkg-deb or Debian's keyring is missing. DEBIAN_TREE_FAILED: the packages cannot
    be fetched.
    """
    release = f"Debian {tree.suite} for {tree.architecture}"
    for command, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(command) is None:
            raise FOREIGN_COMMAND_MISSING(command=command, needed_for=release, package=package)
    if not _KEYRING.is_file():
        raise FOREIGN_COMMAND_MISSING(command="Debian's archive keyring", needed_for=release, package="debian-archive-keyring")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        root = Path(place) / "root"
        root.mkdir()
        debs = _fetch_packages(tree, Path(place), tell)
        for done, deb in enumerate(debs):
            tell.step(f"unpacking {release}", done, len(debs), "packages")
            _run_command(("dpkg-deb", "-x", str(deb), str(root)), tree)
        tell.step(f"unpacking {release}", len(debs), len(debs), "packages")
        for name in ("bin", "sbin", "lib", "lib64"):  # since Debian 13 these are links of the package base-files
            if (root / "usr" / name).is_dir() and not (root / name).exists():
                (root / name).symlink_to(f"usr/{name}")
        root.rename(folder)


def _fetch_packages(tree: DebianTree, place: Path, tell: Progress) -> Sequence[Path]:
    state, cache = place / "state", place / "cache"
    for path in (state / "lists/partial", cache / "archives/partial", place / "nothing"):
        path.mkdir(parents=True)
    (state / "status").touch()
    (place / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {MIRROR} {tree.suite} main\n", encoding="utf-8")
    options = {
        "APT::Architecture": tree.architecture,
        "APT::Architectures": tree.architecture,
        "APT::Sandbox::User": "",  # the user of apt may not write to the caller's folder
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
    tell.step(f"fetching Debian {tree.suite} for {tree.architecture}", 0, None, "lists")
    _run_command((*apt, "update"), tree)
    _run_command((*apt, "install", "--yes", "--download-only", "--no-install-recommends", *tree.packages), tree)
    return sorted((cache / "archives").glob("*.deb"))


def _run_command(command: Sequence[str], tree: DebianTree) -> None:
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=_TIMEOUT_S,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _tree_error(tree, f"{command[0]} took longer than {_TIMEOUT_S} s") from error
    if process.returncode != 0:
        lines = [line.strip() for line in process.stderr.splitlines() if line.startswith(("E:", "dpkg"))] or [
            process.stderr.strip()
        ]
        raise _tree_error(tree, " | ".join(lines[-2:]) or f"{command[0]} exited with {process.returncode}")


def _tree_error(tree: DebianTree, reason: str) -> EdgecnnError:
    return DEBIAN_TREE_FAILED(suite=tree.suite, architecture=tree.architecture, packages=tree.packages, because=reason)
