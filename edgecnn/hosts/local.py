"""This machine as a Host. The runner is another process here too."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from edgecnn.hosts.alone import alone
from edgecnn.hosts.program import Program, Unheard, builder_in, package_environment, run_program
from edgecnn.hosts.protocol import SCHEDULE, Task
from edgecnn.runner.machine.environment import read_environment
from edgecnn.runner.runs.schedule import STARTED_BY, clean_environment
from edgecnn.runner.runtimes import installed_version
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

_INFO_S = 120.0


def environment_for(folder: Path, python: str | None) -> dict[str, str]:
    """Variables for a runner in this folder. Where its Python was named, every process that it starts is of that one too."""
    return {**clean_environment(folder), **({} if python is None else {STARTED_BY: python})}


class LocalHost:
    """Starts runners with this Python, or with the one that it is told.

    Each leads a process group that is gone when ``run`` returns or raises.
    """

    part_bytes: int | None = None
    """A file is read where it lies."""

    def __init__(self, temporary: Path | None = None, python: str | None = None) -> None:
        """Of its runners.

        ``temporary``: where they leave what libraries drop into the folder of temporary files; None: the usual one. ``python``:
        that starts them; None: this one.
        """
        self._python = python
        self._own = {} if temporary is None else {"TMPDIR": str(temporary)}

    def identify(self) -> Environment:
        """This machine now."""
        return Environment.model_validate(read_environment())

    def runtime_version(self, runtime: str) -> str | None:
        """What this Python has installed."""
        return installed_version(runtime)

    def engine_builder(self, package: str) -> EngineBuilder:
        """See ``Host.engine_builder``."""
        words = (self._python or sys.executable, "-m", "edgecnn.runner", "--lease-s", str(_INFO_S))
        about = ("info", "--builder", package)
        program = Program((*words, *about), about, environment=package_environment())
        return builder_in(run_program(program, lease_s=_INFO_S, tell=Unheard()), None)

    def recall(self, out: Path) -> None:
        """Results are written where they are wanted."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """See ``Host.run``. An interruption here kills the runner before it goes on; what is timed has the machine alone."""
        folder = task.kit.absolute()
        if task.out is not None and task.schedule is not None:
            task.out.mkdir(parents=True, exist_ok=True)
            (task.out / SCHEDULE).write_text(task.schedule.text(), encoding="utf-8")
        argv = task.argv(lambda path: str(path.absolute()))
        words = (self._python or sys.executable, "-m", "runner", "--lease-s", str(lease_s), *argv)
        runner = Program(words, argv, folder, {**environment_for(folder, self._python), **self._own})
        with nullcontext() if task.schedule is None else alone(tell):
            return run_program(runner, lease_s=lease_s, tell=tell)
