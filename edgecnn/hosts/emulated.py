"""The emulated machine as a Host: kits run on it as on a board, and nothing that it says of time counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.program import Program, Unheard, package_environment, run_program
from edgecnn.hosts.protocol import Task
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

_LEASE_S = 120.0


class EmulatedHost:
    """Starts runners with the emulated Python."""

    part_bytes: int | None = None
    """Its files are this machine's."""

    def __init__(self, python: Path) -> None:
        """Of the machine that ``devices.emulated_machine`` made."""
        self._python = str(python)
        self._runners = LocalHost(python=self._python)

    def identify(self) -> Environment:
        """The emulated machine: its processor, and this machine's kernel."""
        return Environment.model_validate(self._info()["environment"])

    def runtime_version(self, runtime: str) -> str | None:
        """What the emulated Python has installed."""
        version: str | None = self._info()["runtimes"].get(runtime)
        return version

    def engine_builder(self, package: str) -> Mapping[str, Any]:
        """See ``Host.engine_builder``: there is no GPU."""
        said: Mapping[str, Any] = self._info("--builder", package)["builder"]
        return said

    def recall(self, out: Path) -> None:
        """Results are written where they are wanted."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """See ``Host.run``. It takes 20 to 3,000 times as long as it would on a processor."""
        return self._runners.run(task, lease_s=lease_s, tell=tell)

    def _info(self, *asked: str) -> Mapping[str, Any]:
        words = (self._python, "-m", "edgecnn.runner", "--lease-s", str(_LEASE_S), "info", *asked)
        program = Program(words, ("info",), Path("/"), package_environment())
        return run_program(program, lease_s=_LEASE_S, tell=Unheard())
