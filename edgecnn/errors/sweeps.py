"""Failures of sweeps: the file that lists builds, their folder, and experiment trackers. Passwords in addresses are hidden."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode


class TrackerUnreachable(EdgecnnError):
    """A tracker does not answer, or refuses a run. No build fails because of it."""


SWEEP_INVALID = ErrorRow(
    "sweep-invalid",
    "sweep {path} has {problems:counted problem}",
    "{problems:joined}",
    "docs/howto/sweep.md shows every table, docs/schemas/recipe.json every recipe value",
)
BUILDS_NAMED_ALIKE = ErrorRow(
    "builds-named-alike", "sweep {path} has two builds with the name {name}", "{because}", "{hint}", also=("same",)
)
SWEEP_TOO_LARGE = ErrorRow(
    "sweep-too-large",
    "sweep {path} has {builds:,} builds",
    "at most {most:,} are allowed",
    "remove values from [grid], or divide the file into several sweeps",
)
NOT_A_SWEEP_FOLDER = ErrorRow("not-a-sweep-folder", "{path} cannot be used", "{because}", "choose another folder with --out")
NOTHING_SWEPT = ErrorRow(
    "nothing-swept", "{out} holds no finished build of this sweep", fix="{command}", exit_code=ExitCode.MISSING
)
SWEEP_IS_RUNNING = ErrorRow(
    "sweep-is-running",
    "another sweep is writing to {out}",
    fix="wait until it ends, or choose another folder with --out",
    exit_code=ExitCode.MISSING,
)
CLUSTER_UNUSABLE = ErrorRow(
    "cluster-unusable", "the cluster {address} cannot be used", "{because}", "{hint}", exit_code=ExitCode.MISSING
)
WORKERS_DIFFER = ErrorRow(
    "workers-differ",
    "machines of the cluster differ from this one in {problems:counted point}",
    "{problems:joined}",
    "install the same versions there as here, or remove the machine from the cluster",
    exit_code=ExitCode.MISSING,
)
TRACKER_MISREAD = ErrorRow("tracker-misread", "--track {text!r} is not the address of a tracker", "{because}", "{takes}")
TRACKER_REFUSED = ErrorRow("tracker-refused", "MLflow cannot use {address}", "{because}", "{hint}")
TRACKER_UNREACHABLE = ErrorRow(
    "tracker-unreachable",
    "{address} cannot be written",
    "{because}",
    "check the address and the server, then rerun the command with the same --track",
    exit_code=ExitCode.MISSING,
    kind=TrackerUnreachable,
)


def builds_named_alike(path: Path, name: str, same: bool) -> EdgecnnError:
    """``same``: the two builds have the same settings."""
    because = "both have the same settings" if same else "the name does not show the values in which they differ"
    hint = "remove one of them" if same else 'give one of them a name: name = "…" in its [[build]]'
    return BUILDS_NAMED_ALIKE(path=path, name=name, same=same, because=because, hint=hint)
