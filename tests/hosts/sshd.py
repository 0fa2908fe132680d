"""A real OpenSSH server on 127.0.0.1: its own host key, one user key, a port of its own, ended with the test."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(PROGRAM is None or shutil.which("ssh") is None, reason="apt install openssh-server")


@dataclass
class Loopback:
    """The server, and how to reach it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def client(self) -> str:
        """For the variable that names the client."""
        return f"ssh -F {self.folder / 'client'}"

    def sessions(self) -> list[int]:
        """Processes of the server that hold a connection."""
        return [pid for pid in _processes() if pid != self.process.pid and _ancestor(pid, self.process.pid) and _is_sshd(pid)]

    def cut(self) -> int:
        """Kill every connection, as a lost link does for both sides; how many there were."""
        found = self.sessions()
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return len(found)


@contextmanager
def loopback(folder: Path, *settings: str) -> Iterator[Loopback]:
    """Start the server, with further lines of its configuration, and write a client's, under which it is ``loopback`` too."""
    assert PROGRAM is not None
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    port = free_port()
    (folder / "keys").write_bytes((folder / "user.pub").read_bytes())
    (folder / "server").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'keys'}\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxSessions 50\n"
        "MaxStartups 100\nPrintMotd no\n" + "".join(f"{line}\n" for line in settings)
    )
    known = (folder / "host.pub").read_text().split()[:2]
    (folder / "known").write_text(f"[127.0.0.1]:{port} {' '.join(known)}\n")
    (folder / "client").write_text(
        f"Host loopback\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n  IdentityFile {folder / 'user'}\n"
        f"  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {folder / 'known'}\n  GlobalKnownHostsFile /dev/null\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a server of root drops its rights
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "-D", "-e", "-f", str(folder / "server")], stdin=subprocess.DEVNULL, stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield Loopback(folder, port, process)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Which nobody has at present."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"sshd did not start: {log.read_text()}")


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _ancestor(pid: int, wanted: int) -> bool:
    while pid > 1:
        if pid == wanted:
            return True
        pid = _parent(pid)
    return False


def _is_sshd(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "comm").read_text().startswith("sshd")
    except OSError:
        return False
