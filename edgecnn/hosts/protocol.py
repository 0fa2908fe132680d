"""A Host is a machine on which a kit's runner can be started, and a Task what it is asked to do there.

Paths of a task are of this machine. Each host says where a file lies for its runner.
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
    """What measuring needs of a machine, near or far."""

    @property
    def part_bytes(self) -> int | None:
        """How many bytes of pixels it takes at a time; None: a file is as good as its parts."""

    def identify(self) -> Environment:
        """What that machine is now, without the conditions that only a kit decides (its runtime)."""

    def runtime_version(self, runtime: str) -> str | None:
        """The version of a runtime there; None where it is not installed."""

    def engine_builder(self, package: str) -> EngineBuilder:
        """What engines are bound to that a package builds there.

        Raises RunnerFailed: the package or the GPU is missing there.
        """

    def recall(self, out: Path) -> None:
        """Bring what an interrupted call left of a folder of results, as old as it is; nothing where there is nothing."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """Run one command of a kit's runner to its end; its results are then in ``task.out``.

        Args:
            task: which kit, which command, what is given and where results go.
            lease_s: how many seconds either side may go without a sign of the other before the run ends.

        Returns:
            the runner's last line, without ``ok``.

        Raises:
            RunnerFailed: the runner ended with an error and said which.
            RunnerCrashed: it ended and said nothing of the kind. RunnerCannotWrite: since nothing took what it wrote.
            RunnerTimedOut: it said nothing for ``lease_s`` seconds.
            RUNNER_NOT_STARTED: there is no such folder, or no process to be had.
            AnswerUnusable: what it said cannot be used.
        """


SELF_TEST_LEASE_S = 300.0
"""Seconds that a self-test may go without a sign of life."""

SCHEDULE = "asked.json"
"""In the folder of results."""
_SCHEMA = "edgecnn.schedule/1"


@dataclass(frozen=True)
class Schedule:
    """Runs of ``bench``; an item's ``kit`` is a folder here."""

    items: tuple[Mapping[str, Any], ...]
    timeout_s: float

    def text(self, place: Callable[[Path], str] = str) -> str:
        """As the runner reads it, with each kit's folder as ``place`` names it."""
        items = [{**item, "kit": place(Path(item["kit"]))} for item in self.items]
        return json.dumps({"schema": _SCHEMA, "timeout_s": self.timeout_s, "items": items}, indent=1)

    @property
    def kits(self) -> tuple[Path, ...]:
        """Every folder that runs, once."""
        return tuple(dict.fromkeys(Path(item["kit"]) for item in self.items))


@dataclass(frozen=True)
class Task:
    """One command of a kit's runner.

    What is in ``out`` before is there for the runner too: it keeps what an earlier call finished.
    """

    kit: Path
    command: str
    words: tuple[str, ...] = ()
    """Arguments that name no file."""
    given: Mapping[str, Path] = field(default_factory=dict)
    """Option to a file that is read."""
    out: Path | None = None
    """Folder of results."""
    schedule: Schedule | None = None
    """Of ``bench``, which has an ``out`` too."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Option to the name of a file in the folder of results, which is written there and perhaps read."""

    def argv(self, place: Callable[[Path], str] = str) -> list[str]:
        """The runner's words, with paths as ``place`` names them."""
        words = [self.command, *self.words]
        for option, path in self.given.items():
            words += [option, place(path)]
        if self.out is not None:
            if self.schedule is not None:
                words += ["--schedule", place(self.out / SCHEDULE)]
            for option, name in self.kept.items():
                words += [option, f"{place(self.out)}/{name}"]
            words += ["--out", place(self.out)]
        return words

    @property
    def kits(self) -> tuple[Path, ...]:
        """Every kit that runs, its runner's own first."""
        return tuple(dict.fromkeys((self.kit, *(() if self.schedule is None else self.schedule.kits))))
