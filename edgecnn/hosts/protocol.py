"""A Host is a machine on which a kit's runner can be started; everything that measures goes through one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress


class Host(Protocol):
    """What measuring needs of a machine, near or far."""

    def identify(self) -> Environment:
        """What that machine is now, without the conditions that only a kit decides (its runtime)."""

    def run(self, kit: Path, argv: Sequence[str], *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """Run one command of a kit's runner to its end.

        Args:
            kit: the kit's folder.
            argv: the runner's command and its arguments; paths in it are absolute.
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
