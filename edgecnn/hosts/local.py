"""This machine as a Host, and the emulated machine, whose times never count. Here too, the runner is a separate process.

Only one race runs on a machine at a time, for all stores and users: two races would disturb each other.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import edgecnn.runner
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import KIT_NOT_SANDBOXED, model_crashed
from edgecnn.hosts.program import (
    IgnoredProgress,
    MachineInfo,
    Program,
    package_environment,
    parse_builder,
    parse_info,
    run_program,
)
from edgecnn.hosts.protocol import SCHEDULE, Task
from edgecnn.hosts.sandbox import Allowed, needs_of, sandboxed_words, scratch_folder
from edgecnn.runner.choice import CHOICE
from edgecnn.runner.files import bounded_content
from edgecnn.runner.machine.environment import read_environment
from edgecnn.runner.manifest import MANIFEST, MANIFEST_BYTES_MAX
from edgecnn.runner.packages import installed_version
from edgecnn.runner.runs.processes import STARTED_BY, clean_environment, exit_text
from edgecnn.store.locks import SILENT_S
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

MACHINE = "/tmp/edgecnn.lock"  # noqa: S108 - a lock for all users, opened without following links
"""Lock of the process that measures on a board over SSH; the names of its other locks begin with it."""
RACE = ".race"
LOCK = Path(MACHINE + RACE)
WAITING = "waiting for another race on {} to end: two races would disturb each other"
_INFO_S = 120.0
"""Lease of a runner that is asked about its machine."""
RESULT_BYTES = 2 << 30
"""Largest file of results; a trace may contain a copy of the network."""
_RUNNER = Path(edgecnn.runner.__file__).parent


@contextmanager
def alone(tell: Progress, file: Path = LOCK) -> Iterator[None]:
    """Lock the machine for the block, and wait for other races without a limit.

    If the lock file cannot be opened, nothing is locked.
    """
    lock = FileLock(file, mode=0o666)
    try:
        lock.acquire(timeout=SILENT_S)
    except Timeout:
        tell.note(WAITING.format("this machine"))
        lock.acquire(timeout=-1)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def environment_for(folder: Path, python: str | None) -> dict[str, str]:
    """Return the environment of a runner in this folder. If a Python was named, the runner's own child processes use it too."""
    return {**clean_environment(folder), **({} if python is None else {STARTED_BY: python})}


class LocalHost:
    """Starts runners with this Python, or with a named one.

    Each runner leads a process group, which has ended when ``run`` returns or raises.
    """

    part_bytes: int | None = None
    """Files are read in place."""

    def __init__(self, temporary: Path | None = None, python: str | None = None) -> None:
        """Choose the temporary folder and the Python of the runners.

        Args:
            temporary: None: the usual folder.
            python: None: this Python.
        """
        self._python = python
        self._variables = {} if temporary is None else {"TMPDIR": str(temporary)}

    def identify(self) -> Environment:
        """See ``Host.identify``."""
        return Environment.model_validate(read_environment())

    def runtime_version(self, runtime: str) -> str | None:
        """See ``Host.runtime_version``."""
        return installed_version(runtime)

    def engine_builder(self, package: str) -> EngineBuilder:
        """See ``Host.engine_builder``."""
        words = (self._python or sys.executable, "-m", "edgecnn.runner", "--lease-s", str(_INFO_S))
        about = ("info", "--builder", package)
        program = Program((*words, *about), about, environment=package_environment())
        return parse_builder(run_program(program, lease_s=_INFO_S, tell=IgnoredProgress()), None)

    def recall(self, out: Path) -> None:
        """See ``Host.recall``. Results are written in place."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """See ``Host.run``. An interruption kills the runner first. A timed run has the machine alone."""
        folder = task.kit.absolute()
        if task.out is not None and not (task.made_here and task.schedule is None):
            task.out.mkdir(parents=True, exist_ok=True)  # a sandbox cannot make it, since only what exists can be allowed
        if task.out is not None and task.schedule is not None:
            (task.out / SCHEDULE).write_text(task.schedule.text(), encoding="utf-8")
        argv = task.argv(lambda path: str(path.absolute()))
        words = ("-m", "runner", "--lease-s", str(lease_s), *argv)
        python, environment = self._python or sys.executable, {**environment_for(folder, self._python), **self._variables}
        with nullcontext() if task.schedule is None else alone(tell):
            if task.made_here:
                return run_program(Program((python, *words), argv, folder, environment), lease_s=lease_s, tell=tell)
            require_sandboxable(task)
            with scratch_folder(_allowed_to(task), environment) as (allowed, variables):
                sandboxed = sandboxed_words(python, allowed, words)
                runner = Program(sandboxed, argv, folder, variables, crashed=partial(_crash_error, folder.name))
                return run_program(runner, lease_s=lease_s, tell=tell)


def _allowed_to(task: Task) -> Allowed:
    """Return what the runner of a kit from elsewhere may use: the kits, its inputs and its results."""
    kits = [kit.absolute() for kit in task.kits]
    choices = [kit.parent.parent / CHOICE for kit in kits]  # of the bundle around a kit, which has its knobs
    return Allowed(
        read=(*kits, *choices, *(path.absolute() for path in task.inputs.values())),
        write=() if task.out is None else (task.out.absolute(),),
        file_bytes=RESULT_BYTES,
        children=True,
    )


def require_sandboxable(task: Task) -> None:
    """Raise KIT_NOT_SANDBOXED if a kit of the task, which is from elsewhere, states a session that cannot run in a sandbox."""
    for kit in task.kits:
        try:
            needs = needs_of(str(json.loads(bounded_content(kit / MANIFEST, MANIFEST_BYTES_MAX))["session"]["module"]))
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            continue  # the runner reports it
        if needs is not None:
            raise KIT_NOT_SANDBOXED(kit=kit.name, needs=needs)


def _crash_error(kit: str, code: int) -> EdgecnnError:
    return model_crashed(kit=kit, code=code, ending=exit_text(code))


class EmulatedHost:
    """Starts runners with the Python of an emulated machine."""

    part_bytes: int | None = None
    """Files are read in place."""

    def __init__(self, python: Path) -> None:
        """``python``: the Python of the machine that ``devices.emulated_machine`` makes."""
        self._python = str(python)
        self._runners = LocalHost(python=self._python)

    def identify(self) -> Environment:
        """Return the environment with the emulated processor and this machine's kernel."""
        return self._info.environment

    def runtime_version(self, runtime: str) -> str | None:
        """See ``Host.runtime_version``."""
        return self._info.runtimes.get(runtime)

    def engine_builder(self, package: str) -> EngineBuilder:
        """See ``Host.engine_builder``. There is no GPU."""
        return parse_builder(self._ask_runner("info", "--builder", package), None)

    def recall(self, out: Path) -> None:
        """See ``Host.recall``. Results are written in place."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """See ``Host.run``. It takes 20 to 3,000 times as long as on a real processor."""
        return self._runners.run(task, lease_s=lease_s, tell=tell)  # Landlock is absent there, which ``restrict`` notices

    @cached_property
    def _info(self) -> MachineInfo:
        return parse_info(self._ask_runner("info"), None)

    def _ask_runner(self, *about: str) -> Mapping[str, Any]:
        """Run a command of this edgecnn's runner there, without this machine's packages."""
        with tempfile.TemporaryDirectory(prefix="edgecnn-runner-") as temporary:
            folder = Path(temporary)
            (folder / "runner").symlink_to(_RUNNER)
            words = (self._python, "-B", "-m", "runner", "--lease-s", str(_INFO_S), *about)
            program = Program(words, about, folder, environment_for(folder, self._python))
            return run_program(program, lease_s=_INFO_S, tell=IgnoredProgress())
