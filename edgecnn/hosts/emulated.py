"""The emulated machine as a Host: kits run on it as on a board, and nothing that it says of time counts."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import edgecnn.runner
from edgecnn.hosts.local import LocalHost, environment_for
from edgecnn.hosts.program import MachineInfo, Program, Unheard, builder_in, info_in, run_program
from edgecnn.hosts.protocol import Task
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

_LEASE_S = 120.0
_RUNNER = Path(edgecnn.runner.__file__).parent


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
        return self._info.environment

    def runtime_version(self, runtime: str) -> str | None:
        """What the emulated Python has installed."""
        return self._info.runtimes.get(runtime)

    def engine_builder(self, package: str) -> EngineBuilder:
        """See ``Host.engine_builder``: there is no GPU."""
        return builder_in(self._asked("info", "--builder", package), None)

    def recall(self, out: Path) -> None:
        """Results are written where they are wanted."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """See ``Host.run``. It takes 20 to 3,000 times as long as it would on a processor."""
        return self._runners.run(task, lease_s=lease_s, tell=tell)

    @cached_property
    def _info(self) -> MachineInfo:
        return info_in(self._asked("info"), None)

    def _asked(self, *about: str) -> Mapping[str, Any]:
        """What this edgecnn's own runner answers there, beside none of this machine's packages."""
        with tempfile.TemporaryDirectory(prefix="edgecnn-runner-") as place:
            (Path(place) / "runner").symlink_to(_RUNNER)
            words = (self._python, "-B", "-m", "runner", "--lease-s", str(_LEASE_S), *about)
            program = Program(words, about, Path(place), environment_for(Path(place), self._python))
            return run_program(program, lease_s=_LEASE_S, tell=Unheard())
