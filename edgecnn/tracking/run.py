"""What an experiment tracker is told of a build: parameters, figures, and tags that say of each where it comes from.

Which build it is stands in two tags. ``edgecnn.build`` is the same whenever the same build is sent, and its run is found by it;
``edgecnn.report`` changes with its figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import edgecnn
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.judging.metrics import SHOWN
from edgecnn.planning.recipe_settings import RecipeSettings
from edgecnn.render.columns import all_numbers, tracked_numbers
from edgecnn.results.folder import BUNDLE, PAGE, REPORT
from edgecnn.results.page_facts import shown_digest
from edgecnn.sweeps.fleet import FleetCell
from edgecnn.values.base import Value, utc_moment
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.stage import digest_of

SENT: Final = (REPORT, PAGE, "report.md", BUNDLE)
"""Of a build's folder, where they are there."""
_PLACES: Final = ("data.path", "data.image_root", "model.onnx", "model.weights")
"""Parameters that are a path, even where no slash shows it."""
_NO_PLACES: Final = ("auto", "imagenet", "none")


class TrackedRun(Value):
    """One run of a tracker."""

    name: str
    build: str
    """Digest of which build it is: the same sent twice has one run."""
    report: str
    """Digest of what it came to."""
    failed: bool = False
    ended_ms: int
    """Unix time, milliseconds."""
    seconds: float
    parameters: Mapping[str, str] = {}
    metrics: Mapping[str, float] = {}
    tags: Mapping[str, str]


def run_of_build(report: BuildReport, settings: RecipeSettings, cell: str | None = None) -> TrackedRun:
    """A finished build. ``settings``: all that it took. ``cell``: of a sweep's, what identifies it there."""
    ships = report.shipped
    values = {setting.key: setting.value for setting in settings.settings if setting.value is not None}
    made = [report.build.name, values, dict(report.keys), _machines(ships), report.choice.candidate, list(report.choice.carried)]
    return TrackedRun(
        name=report.build.name or f"{report.build.arch}-{report.build.device}",  # --out . has no name
        build=cell or digest_of(made),
        report=shown_digest(report),
        ended_ms=_milliseconds(report.made_at),
        seconds=report.seconds,
        parameters={key: _text(value) for key, value in values.items()},
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
    """A build of a sweep that left no report. ``asked``: what identifies it. Its parameters come once it is built."""
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
    """The same run without the command, the error and everything that may name a folder of this machine.

    Its name is of the network and the device, because a build of a sweep over ``data.path`` has a path in its own name. It is a
    separate report, so that sending everything later sends everything.
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
    """What goes along of a build's folder."""
    return [folder / name for name in SENT if (folder / name).exists()]


def _milliseconds(moment: str | None) -> int:
    when = datetime.now(UTC) if moment is None else utc_moment(moment)
    return int(when.timestamp() * 1000)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _metrics(report: BuildReport, ships: CandidateFacts | None) -> dict[str, float]:
    """What ships has all its figures under their own names, with the ends of their intervals, so that builds can be compared;
    every candidate has the estimates that a choice goes by under its name."""
    metrics = dict[str, float]()
    for name, (value, _) in ({} if ships is None else all_numbers(ships)).items():
        metrics[name] = value.estimate
        if value.low != value.high:
            metrics |= {f"{name}.low": value.low, f"{name}.high": value.high}
    for row in report.candidates:
        metrics |= {f"{row.candidate.id}/{name}": value.estimate for name, (value, _) in tracked_numbers(row).items()}
    return metrics


def _fidelities(report: BuildReport, ships: CandidateFacts | None) -> dict[str, str]:
    """A tag a figure of what ships; of each candidate one for all, since figures of one kind come from one place."""
    tags = {} if ships is None else {f"{name}.fidelity": number.fidelity.value for name, number in all_numbers(ships).items()}
    if ships is not None and ships.latency is not None and ships.latency.disturbed is not None:
        tags["p50_ms.disturbed"] = ships.latency.disturbed
    for row in report.candidates:
        kinds = {SHOWN[name].source: number.fidelity.value for name, number in tracked_numbers(row).items()}
        if "latency" in kinds and row.latency is not None and row.latency.selecting:
            kinds["latency"] += " by the race for the choice"
        if kinds:
            tags[f"{row.candidate.id}/fidelity"] = ", ".join(f"{source}: {word}" for source, word in kinds.items())
    return tags


def _machines(ships: CandidateFacts | None) -> dict[str, str]:
    """Where what ships was timed and where it answered."""
    if ships is None:
        return {}
    answered = ships.answered or ships.agreement
    timed = ships.latency.machine if ships.latency is not None and ships.latency.p50_ms is not None else None
    machines = {"machine": timed, "machine.accuracy": answered.machine if answered is not None else None}
    return {name: machine for name, machine in machines.items() if machine is not None}
