"""How much of a second ``bench`` is measuring, and how much it sends: at least 90 % of 60 s or more, and no byte of a model.

    python -m benchmarks.board_share BUILD [BENCH-OPTION …]

The board is this machine behind an OpenSSH server of its own on 127.0.0.1, so BUILD has to be for ``cpu``. Both calls race anew;
the first carries kits and pixels there, the second finds them, and removes them in the end. *Measuring* is the time inside the
runner's tasks on the board (self-test, evaluation, race); the rest is start, planning, the link, judging and writing the report.
Bytes are those of the encrypted connection that everything shares, counted on their way to the server.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import counted_link
from edgecnn.cli.main import app
from edgecnn.hosts.ssh.host import SshHost
from tests.hosts.sshd import loopback


@contextmanager
def timed_tasks(inside: list[float]) -> Iterator[None]:
    """Every task's seconds on the board are added to ``inside``."""
    plain = SshHost.run

    def timed(self: SshHost, *args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return plain(self, *args, **named)
        finally:
            inside.append(time.perf_counter() - began)

    SshHost.run = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        SshHost.run = plain  # type: ignore[method-assign]


def bench(build: str, options: list[str], counted: Path) -> str:
    """One call; what it took and sent."""
    inside: list[float] = []
    words = ["bench", build, "--host", "loopback", "--python", sys.executable, "-q", *options]
    began = time.perf_counter()
    with timed_tasks(inside):
        status = app(words, standalone_mode=False)
    total = time.perf_counter() - began
    there = f"{sum(inside):.1f} s in {len(inside)} tasks on the board ({sum(inside) / total:.1%})"
    return f"exit {status}, {total:.1f} s, {there}, {int(counted.read_text()) / 2**20:.2f} MiB sent"


def main(build: str, *options: str) -> None:
    models = sum(path.stat().st_size for path in Path(build).rglob("model.*"))
    with tempfile.TemporaryDirectory() as folder, loopback(Path(folder, "sshd")) as server:
        counted = Path(folder, "bytes")
        proxy = [sys.executable, str(Path(counted_link.__file__).resolve()), "%h", "%p", str(counted)]
        os.environ["EDGECNN_SSH"] = f"{server.client} -o {shlex.quote('ProxyCommand=' + shlex.join(proxy))}"
        print(f"models of the bundle: {models / 2**20:.2f} MiB")
        for name, more in (("first", ["--fresh"]), ("second", ["--fresh", "--clean"])):
            print(f"{name}: {bench(build, [*more, *options], counted)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
