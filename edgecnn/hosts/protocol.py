"""A Host is a machine on which a kit's runner can be started; everything that measures goes through one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from edgecnn.hosts.task import Task
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

    def engine_builder(self, package: str) -> Mapping[str, Any]:
        """What engines are bound to that a package builds there: ``package, version, capability, gpus, driver``.

        Raises:
            RunnerFailed: the package or the GPU is missing there.
        """

    def recall(self, out: Path) -> None:
        """Bring what an interrupted call left of a folder of results, as old as it is; nothing where there is nothing."""

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """Run one command of a kit's runner to its end; its results are then in ``task.out``.

        Args:
            task: which kit, which command, what is given and where results go.
            lease_s: how many seconds either side may go without a sign of the other before the run ends.
            tell: hears the runner's progress.

        Returns:
            the runner's last line, without ``ok``.

        Raises:
            RunnerFailed: the runner ended with an error and said which.
            RunnerCrashed: it ended and said nothing of the kind.
            RunnerTimedOut: it said nothing for ``lease_s`` seconds.
            RunnerNotStarted: there is no such folder, or no process to be had.
        """
