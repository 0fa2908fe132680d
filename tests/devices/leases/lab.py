"""A real lab on 127.0.0.1: a labgrid coordinator and an exporter as processes of their own, ended with the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hosts.sshd import free_port

PROGRAM = shutil.which("labgrid-coordinator", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
needs_labgrid = pytest.mark.skipif(PROGRAM is None, reason='pip install "edgecnn[labgrid]"')


@dataclass
class Lab:
    """The coordinator, and what its exporter exports."""

    folder: Path
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"labgrid://127.0.0.1:{self.port}"

    def client(self, *words: str) -> str:
        """What labgrid's own client says, as somebody else of the lab."""
        program = str(Path(str(PROGRAM)).with_name("labgrid-client"))
        command = [program, "-x", f"127.0.0.1:{self.port}", *words]
        surroundings = {**os.environ, "LG_HOSTNAME": "desk", "LG_USERNAME": "bob"}
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def start(self, name: str, *words: str) -> None:
        program = str(Path(str(PROGRAM)).with_name(f"labgrid-{name}"))
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [program, *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait(10)

    def place(self, name: str, **tags: str) -> None:
        for words in (
            ("create",), ("add-match", f"lab/{name}/NetworkService"), ("set-tags", *(f"{key}={tags[key]}" for key in tags)),
        ):  # fmt: skip
            said = self.client("-p", name, *words)
            assert "rror" not in said, said

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def lab(folder: Path, ports: Mapping[str, int], user: str = "pi") -> Iterator[Lab]:
    """``ports``: board to the port of its SSH server on 127.0.0.1; its place is not made yet."""
    folder.mkdir(exist_ok=True)
    services = (
        f"{name}:\n  NetworkService:\n    address: 127.0.0.1\n    username: {user}\n    port: {ports[name]}\n" for name in ports
    )
    (folder / "exporter.yaml").write_text("".join(services))
    found = Lab(folder)
    try:
        found.start("coordinator", "-l", f"127.0.0.1:{found.port}")
        _wait(found, "coordinator", "listening on")
        found.start("exporter", "-c", f"127.0.0.1:{found.port}", "--name", "lab", "exporter.yaml")
        _wait(found, "exporter", "connected to coordinator")
        yield found
    finally:
        for name in tuple(found.running):
            found.kill(name)


def _wait(found: Lab, name: str, said: str) -> None:
    give_up_at = time.monotonic() + 20
    while said not in found.said(name):
        if time.monotonic() > give_up_at or found.running[name].poll() is not None:
            pytest.fail(f"labgrid-{name} did not start: {found.said(name)}")
        time.sleep(0.1)
