"""Failures of sweeps: the file that lists builds, their folder, and experiment trackers. No address shows a password."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted


class SweepInvalid(EdgecnnError):
    """Raised when a sweep is TOML but asks for what no sweep can; names every problem at once."""

    def __init__(self, *, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            what=f"sweep {path} has {counted(len(problems), 'problem')}",
            because="; ".join(problems),
            hint="docs/howto/sweep.md shows every table, docs/schemas/recipe.json every recipe value",
        )


class BuildsNamedAlike(EdgecnnError):
    """Raised when two builds of a sweep would be written to one folder."""

    def __init__(self, *, path: Path, name: str, same: bool) -> None:
        super().__init__(
            what=f"sweep {path} has two builds that would both be {name}",
            because="they ask for the same" if same else "what they differ by is not in the name",
            hint="take one of them out" if same else 'give one a name of its own: name = "…" in its [[build]]',
        )


class SweepTooLarge(EdgecnnError):
    """Raised when a grid has more combinations than anybody means."""

    def __init__(self, *, path: Path, builds: int, most: int) -> None:
        super().__init__(
            what=f"sweep {path} asks for {builds:,} builds",
            because=f"at most {most:,} are taken",
            hint="leave values out of [grid], or divide it into several sweeps",
        )


class NotASweepFolder(EdgecnnError):
    """Raised when the folder of a sweep's results cannot be read or written, or holds another version's."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} cannot be used", because=because, hint="choose another folder with --out")


class NothingSwept(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a sweep's results are asked for and no build of it has ended."""

    def __init__(self, *, out: Path, command: str) -> None:
        super().__init__(what=f"{out} holds no finished build of this sweep as it asks now", hint=command)


class SweepIsRunning(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when another process works on the same folder of results."""

    def __init__(self, *, out: Path) -> None:
        super().__init__(
            what=f"another sweep is writing to {out}", hint="wait for it to end, or choose another folder with --out"
        )


class ClusterUnusable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when the machines that should make a sweep's stages cannot be reached, or went away."""

    def __init__(self, *, address: str, because: str, hint: str) -> None:
        super().__init__(what=f"the cluster {address} cannot be used", because=because, hint=hint)


class WorkersDiffer(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a machine of a cluster would make other bytes than this one, or lacks what it needs."""

    def __init__(self, *, problems: Sequence[str]) -> None:
        super().__init__(
            what=f"{counted(len(problems), 'thing')} on machines of the cluster would have to be otherwise",
            because="; ".join(problems),
            hint="install the same versions there as here, or take the machine out of the cluster",
        )


class TrackerMisread(EdgecnnError):
    """Raised before any work when what is given with --track is no address of a tracker."""

    def __init__(self, *, text: str, because: str, takes: str) -> None:
        super().__init__(what=f"--track {text!r} names no tracker", because=because, hint=takes)


class TrackerRefused(EdgecnnError):
    """Raised before any work when MLflow's client takes no such address, as of a folder, or a database without its packages."""

    def __init__(self, *, address: str, because: str, hint: str) -> None:
        super().__init__(what=f"MLflow cannot use {address}", because=because, hint=hint)


class TrackerUnreachable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a tracker does not answer, or refuses what it is sent. No build ends by it."""

    def __init__(self, *, address: str, because: str) -> None:
        super().__init__(what=f"{address} cannot be written", because=because)
