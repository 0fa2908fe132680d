"""A build as a run of an experiment tracker: parameters, figures, and tags with the origin of each figure.

Two tags identify the build. ``edgecnn.build`` is the same whenever the same build is sent, and finds its run;
``edgecnn.report`` changes with its figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import edgecnn
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.judging.metrics import SHOWN
from edgecnn.planning.recipe_settings import RecipeSettings
from edgecnn.render.columns import all_numbers, tracked_numbers
from edgecnn.results.folder import BUNDLE, PAGE, REPORT
from edgecnn.results.page import shown_digest
from edgecnn.sweeps.fleet import FleetCell
from edgecnn.values.base import Value, utc_moment
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.stage import digest_of

SENT: Final = (REPORT, PAGE, "report.md", BUNDLE)
"""Files of a build's folder that are sent, if they exist."""
_PLACES: Final = ("data.path", "data.image_root", "model.onnx", "model.weights")
"""Parameters that are a path, even without a slash."""
_NO_PLACES: Final = ("auto", "imagenet", "none")


class TrackedRun(Value):
    """One run of a tracker."""

    name: str
    build: str
    """Digest that identifies the build: sending it twice makes one run."""
    report: str
    """Digest of its figures."""
    failed: bool = False
    ended_ms: int
    """Unix time, milliseconds."""
    seconds: float
    parameters: Mapping[str, str] = {}
    metrics: Mapping[str, float] = {}
    tags: Mapping[str, str]


def run_of_build(report: BuildReport, settings: RecipeSettings, cell: str | None = None) -> TrackedRun:
    """Make the run of a finished build. ``settings``: all settings. ``cell``: identity of a sweep's build."""
    ships = report.shipped
    values = {setting.key: setting.value for setting in settings.settings if setting.value is not None}
    identity = [
        report.build.name,
        values,
        dict(report.keys),
        _machines(ships),
        report.choice.candidate,
        list(report.choice.carried),
    ]
    return TrackedRun(
        name=report.build.name or f"{report.build.arch}-{report.build.device}",  # --out . has no name
        build=cell or digest_of(identity),
        report=shown_digest(report),
        ended_ms=_milliseconds(report.made_at),
        seconds=report.seconds,
        parameters={
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for key, value in values.items()
        },
        metrics=_metrics(report, ships),
        tags={
            "edgecnn.version": report.version,
            "verdict": report.verdict.value,
            "choice": report.choice.candidate or "none",
            "choice.state": report.choice.state,
            "choice.why": report.choice.why,
            "network": report.build.arch,
            "device": report.build.device,
            "command": report.build.command,
            **_machines(ships),
            **_fidelities(report, ships),
        },
    )


def run_of_failure(cell: FleetCell, identity: str) -> TrackedRun:
    """Make the run of a sweep's build without a report. ``identity``: of the build. Its parameters follow once it is built."""
    error = cell.error or "it left no report"
    return TrackedRun(
        name=cell.name,
        build=identity,
        report=digest_of(error),
        failed=True,
        ended_ms=_milliseconds(cell.made_at),
        seconds=cell.seconds,
        tags={"edgecnn.version": edgecnn.__version__, "error": error, "network": cell.network, "device": cell.device},
    )


def figures_only(run: TrackedRun) -> TrackedRun:
    """Remove the command, the error and everything that may name a folder of this machine.

    The name consists of network and device, since a build of a sweep over ``data.path`` has a path in its name. It is a
    separate report, so that sending everything later is not skipped.
    """
    error = {"error": "the build failed"} if "error" in run.tags else {}
    return run.model_copy(
        update={
            "name": f"{run.tags['network']}-{run.tags['device']}",
            "report": digest_of([run.report, "figures"]),
            "parameters": {key: value for key, value in run.parameters.items() if not _is_place(key, value)},
            "tags": {key: value for key, value in run.tags.items() if key != "command" and not _is_place(key, value)} | error,
        }
    )


def _is_place(key: str, value: str) -> bool:
    return (key in _PLACES and value not in _NO_PLACES and is_on_disk(value)) or "/" in value or "\\" in value


def files_of(folder: Path) -> list[Path]:
    """Files of a build's folder that are sent."""
    return [folder / name for name in SENT if (folder / name).exists()]


def _milliseconds(moment: str | None) -> int:
    when = datetime.now(UTC) if moment is None else utc_moment(moment)
    return int(when.timestamp() * 1000)


def _metrics(report: BuildReport, ships: CandidateFacts | None) -> dict[str, float]:
    """Figures of the shipped candidate under their own names, with the ends of their intervals, so that builds can be
    compared.

    Every candidate has the estimates that the choice uses, under its name.
    """
    metrics = dict[str, float]()
    for name, (value, _) in ({} if ships is None else all_numbers(ships)).items():
        metrics[name] = value.estimate
        if value.low != value.high:
            metrics |= {f"{name}.low": value.low, f"{name}.high": value.high}
    for row in report.candidates:
        metrics |= {f"{row.candidate.id}/{name}": value.estimate for name, (value, _) in tracked_numbers(row).items()}
    return metrics


def _fidelities(report: BuildReport, ships: CandidateFacts | None) -> dict[str, str]:
    """One tag for each figure of the shipped candidate, and one for each candidate, whose figures of one kind have one origin."""
    tags = {} if ships is None else {f"{name}.fidelity": number.fidelity.value for name, number in all_numbers(ships).items()}
    if ships is not None and ships.latency is not None and ships.latency.disturbed is not None:
        tags["p50_ms.disturbed"] = ships.latency.disturbed
    for row in report.candidates:
        kinds = {SHOWN[name].source: number.fidelity.value for name, number in tracked_numbers(row).items()}
        if "latency" in kinds and row.latency is not None and row.latency.selecting:
            kinds["latency"] += " by the first race"
        if kinds:
            tags[f"{row.candidate.id}/fidelity"] = ", ".join(f"{source}: {word}" for source, word in kinds.items())
    return tags


def _machines(ships: CandidateFacts | None) -> dict[str, str]:
    """Machines that timed the shipped candidate and evaluated its accuracy."""
    if ships is None:
        return {}
    answered = ships.answered or ships.agreement
    timed = ships.latency.machine if ships.latency is not None and ships.latency.p50_ms is not None else None
    machines = {"machine": timed, "machine.accuracy": answered.machine if answered is not None else None}
    return {name: machine for name, machine in machines.items() if machine is not None}
