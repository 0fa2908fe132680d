"""A real Ray cluster of several machines, each a process of its own on this one with ports of its own; torn down in the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.store.toys import wait_until

ROOT = Path(__file__).resolve().parents[2]
_RAY = Path(sys.executable).with_name("ray")


@dataclass
class Machines:
    """``ray start`` run once a machine; the first is the head."""

    folder: Path
    port: int
    client_port: int
    several: bool
    """Of several machines the head, which is not to be lost, gives no core."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """For ``RAY_ADDRESS``."""
        return f"127.0.0.1:{self.port}"

    def start(self, environment: Mapping[str, str], before: Sequence[str] = ()) -> None:
        """One machine more, which is up when this returns. ``before``: what stands before its command."""
        number = len(self.started)
        first = number == 0
        role = ("--head", f"--port={self.port}", f"--ray-client-server-port={self.client_port}", "--include-dashboard=false")
        words = (
            *(role if first else (f"--address={self.address}",)),
            *(("--temp-dir", str(self.folder / "ray")) if first else ()),
            f"--num-cpus={0 if first and self.several else 2}",
            "--memory=4000000000", "--object-store-memory=80000000", "--min-worker-port=0", "--max-worker-port=0",
            f"--dashboard-agent-listen-port={free_port()}", "--disable-usage-stats", "--block",
        )  # fmt: skip
        known = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_process_group_cleanup_enabled": "1", **environment}
        known |= {"RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120"}  # two slow cores need more than Ray's 30 s
        log = self.folder / f"machine-{number}.log"
        with log.open("wb") as said:
            self.started.append(
                subprocess.Popen([*before, _RAY, "start", *words], stdout=said, stderr=said, env=known, start_new_session=True)
            )
        try:
            wait_until(lambda: b"Ray runtime started" in log.read_bytes(), 90)
        except TimeoutError as error:
            raise TimeoutError(log.read_text(errors="replace")[-2000:]) from error

    def kill(self, number: int) -> None:
        """Lose a machine without a word: all of its processes at once."""
        for pid in _below(self.started[number].pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.started[number].wait(30)

    def where(self, pid: int) -> int:
        """The machine of a process."""
        return next(number for number, process in enumerate(self.started) if pid in _below(process.pid))


@contextmanager
def cluster(machines: int, environment: Mapping[str, str] | None = None) -> Iterator[Machines]:
    """So many machines of two cores. ``environment``: of all of them."""
    folder = Path(tempfile.mkdtemp(prefix="edgecnn-ray-"))  # a test's own is too long for the sockets in it
    made = Machines(folder, free_port(), free_port(), machines > 1)
    try:
        for _ in range(machines):
            made.start(environment or {})
        yield made
    finally:
        for number, process in enumerate(made.started):
            if process.poll() is None:
                made.kill(number)
        shutil.rmtree(folder)


def making(kind: str) -> list[int]:
    """Processes that make a stage of the kind now, by the title that Ray gives them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().startswith(f"ray::{kind}".encode()):
                found.append(int(path.parent.name))
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _below(pid: int) -> list[int]:
    """A process and all that it began, and these."""
    parents = dict[int, int]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            text = path.read_text()
            parents[int(path.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found
