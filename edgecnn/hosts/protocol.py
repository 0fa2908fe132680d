"""A Host is a machine that can run a kit's runner, and a Task is one command of that runner.

Paths of a task are paths on this machine; each host translates them for its runner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress


class Host(Protocol):
    """A machine on which kits are measured."""

    @property
    def part_bytes(self) -> int | None:
        """Bytes of pixels in one part; None: files are not split."""

    def identify(self) -> Environment:
        """Return the machine's present environment, without the conditions of a kit's runtime."""

    def runtime_version(self, runtime: str) -> str | None:
        """Return the installed version of a runtime, or None."""

    def engine_builder(self, package: str) -> EngineBuilder:
        """Return the properties of the machine on which engines of this package depend.

        Raises RunnerFailed: the package or the GPU is missing.
        """

    def recall(self, out: Path) -> None:
        """Fetch the results of an interrupted call, with their dates, if there are any."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """Run one command of a kit's runner to its end; its results are then in ``task.out``.

        Args:
            task: kit, command, input files and results folder.
            lease_s: seconds of silence of either side after which the run ends.

        Returns:
            the runner's last line, without ``ok``.

        Raises:
            RunnerFailed: the runner ended with an error.
            RunnerCrashed: the runner ended without an error. RunnerCannotWrite: it could not write its error.
            RunnerTimedOut: the runner was silent for ``lease_s`` seconds.
            RUNNER_NOT_STARTED: the folder does not exist, or no process can be started.
            AnswerUnusable: the runner's output cannot be used.
        """


SELF_TEST_LEASE_S = 300.0
"""Seconds that a self-test may go without a sign of life."""
SCHEDULE = "asked.json"
"""File in the results folder."""


@dataclass(frozen=True)
class Schedule:
    """Runs of ``bench``. An item's ``kit`` is a folder on this machine."""

    items: tuple[Mapping[str, Any], ...]
    timeout_s: float

    def text(self, place: Callable[[Path], str] = str) -> str:
        """Return the schedule for the runner, with kit folders translated by ``place``."""
        items = [{**item, "kit": place(Path(item["kit"]))} for item in self.items]
        return json.dumps({"schema": "edgecnn.schedule/1", "timeout_s": self.timeout_s, "items": items}, indent=1)

    @property
    def kits(self) -> tuple[Path, ...]:
        """Folders of all kits, without repetitions."""
        return tuple(dict.fromkeys(Path(item["kit"]) for item in self.items))


@dataclass(frozen=True)
class Task:
    """One command of a kit's runner.

    The runner keeps the results in ``out`` that an earlier call finished.
    """

    kit: Path
    command: str
    words: tuple[str, ...] = ()
    """Arguments that are not files."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Option to an input file."""
    out: Path | None = None
    """Results folder."""
    schedule: Schedule | None = None
    """Schedule of ``bench``; ``out`` is then set too."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Option to the name of a file in the results folder that the runner writes, and may read."""
    made_here: bool = False
    """Whether every kit is from this store. Otherwise, the runners work in a sandbox: a kit contains code."""

    def argv(self, place: Callable[[Path], str] = str) -> list[str]:
        """Return the runner's arguments, with paths translated by ``place``."""
        words = [self.command, *self.words]
        for option, path in self.inputs.items():
            words += [option, place(path)]
        if self.out is not None:
            if self.schedule is not None:
                words += ["--schedule", place(self.out / SCHEDULE)]
            for option, name in self.outputs.items():
                words += [option, f"{place(self.out)}/{name}"]
            words += ["--out", place(self.out)]
        return words

    @property
    def kits(self) -> tuple[Path, ...]:
        """Every kit that runs; the kit of the runner is first."""
        return tuple(dict.fromkeys((self.kit, *(() if self.schedule is None else self.schedule.kits))))
