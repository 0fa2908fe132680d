"""Experiment trackers: their table, and a build as a run with parameters, figures, and tags with the origin of each figure.

Two tags identify the build. ``edgecnn.build`` is the same whenever the same build is sent, and finds its run;
``edgecnn.report`` changes with its figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import edgecnn
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import TRACKER_MISREAD
from edgecnn.errors.wording import listed
from edgecnn.judging.metrics import SHOWN
from edgecnn.planning.recipe_settings import RecipeSettings
from edgecnn.render.columns import all_numbers, tracked_numbers
from edgecnn.results.folder import BUNDLE, PAGE, REPORT
from edgecnn.results.page import shown_digest
from edgecnn.sweeps.fleet import FleetCell
from edgecnn.values.base import Value, utc_moment
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.stage import digest_of

MLFLOW: Final = "mlflow"
MLFLOW_FIGURES: Final = "mlflow-figures"
"""Scheme for runs without paths, commands and files: see ``figures_only``."""


class Sent(NamedTuple):
    """The result of sending a run."""

    where: str
    experiment: str
    anew: bool
    """Whether the run is new. False if the tracker already had it, with the same figures."""


class Tracker(Protocol):
    """A server or store that receives runs."""

    @property
    def shown(self) -> str:
        """The address without a password."""

    def ask(self) -> None:
        """Check that the tracker answers, within seconds. Raises TrackerUnreachable."""

    def send(self, run: TrackedRun, files: Sequence[Path] = (), experiment: str = "") -> Sent:
        """Write a run, unless a run with the same report exists. ``experiment``: a sweep's name. Raises TrackerUnreachable."""


class TrackerKind(NamedTuple):
    """A kind of tracker. To add one, write its module next to this one and its row in ``TRACKERS``."""

    name: str
    schemes: tuple[str, ...]
    takes: str
    """The form of its addresses, for the error about an invalid address."""
    open: Callable[[str], Tracker]
    """Raises TRACKER_MISREAD, TRACKER_REFUSED, MissingPackage."""


def _open_mlflow(text: str) -> Tracker:
    from edgecnn.render.mlflow import MlflowTracker

    return MlflowTracker(text)


TRACKERS: Final = (
    TrackerKind(
        MLFLOW, (MLFLOW, MLFLOW_FIGURES),
        "write mlflow: and MLflow's tracking URI, such as mlflow:http://HOST:5000 or mlflow:sqlite:///mlflow.db; "
        "mlflow-figures: sends neither paths nor files", _open_mlflow,
    ),
)  # fmt: skip


def open_tracker(text: str) -> Tracker:
    """Open the tracker that ``--track`` names.

    Raises TRACKER_MISREAD: no tracker has this scheme, or the address is invalid. TRACKER_REFUSED, MissingPackage.
    """
    for kind in TRACKERS:
        if text.partition(":")[0] in kind.schemes:
            return kind.open(text)
    names = [kind.name for kind in TRACKERS]
    known = f"the only known tracker is {names[0]}" if len(names) == 1 else f"the known trackers are {listed(names)}"
    raise misread(text, known)


def misread(text: str, because: str) -> EdgecnnError:
    """Return the error about an invalid address, with the form that each tracker takes."""
    return TRACKER_MISREAD(text=hide_user(text), because=because, takes="; ".join(kind.takes for kind in TRACKERS))


_QUERY: Final = re.compile(r"([?&;#][^=&;#\s]*=)[^&;#\s]*")
"""A parameter of an address. Any of them may be a secret, whatever its name is."""


def hide_user(text: str) -> str:
    """Replace everything before the last @ of an address, which may be mistyped, and the values of its parameters."""
    return _QUERY.sub(r"\1…", re.sub(r"^([\w-]*:)?([\w+.-]*://)?.*@", r"\1\2…@", text))


_SENT_FILES: Final = (REPORT, PAGE, "report.md", BUNDLE)
"""Files of a build's folder that are sent, if they exist."""
_PATH_SETTINGS: Final = ("data.path", "data.image_root", "model.onnx", "model.weights")
"""Settings whose value is a path, even without a slash."""
_NOT_PATHS: Final = ("auto", "imagenet", "none")


class TrackedRun(Value):
    """One run of a tracker."""

    name: str
    build: str
    """Digest that identifies the build: sending it twice makes one run."""
    report: str
    """Digest of the figures."""
    failed: bool = False
    ended_ms: int
    """Unix time in milliseconds."""
    seconds: float
    parameters: Mapping[str, str] = {}
    metrics: Mapping[str, float] = {}
    tags: Mapping[str, str]


def run_of_build(report: BuildReport, settings: RecipeSettings, cell: str | None = None) -> TrackedRun:
    """Return the run of a finished build. ``settings``: all settings. ``cell``: identity of a sweep's build."""
    ships = report.shipped
    values = {setting.key: setting.value for setting in settings.settings if setting.value is not None}
    identity = [
        report.build.name,
        values,
        dict(report.keys),
        _machine_tags(ships),
        report.choice.candidate,
        list(report.choice.carried),
    ]
    return TrackedRun(
        name=report.build.name or f"{report.build.arch}-{report.build.device}",  # --out . has no name
        build=cell or digest_of(identity),
        report=shown_digest(report),
        ended_ms=_unix_ms(report.made_at),
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
            **_machine_tags(ships),
            **_fidelity_tags(report, ships),
        },
    )


def run_of_failure(cell: FleetCell, identity: str) -> TrackedRun:
    """Return the run of a sweep's build without a report or parameters. ``identity``: identity of the build."""
    error = cell.error or "it left no report"
    return TrackedRun(
        name=cell.name,
        build=identity,
        report=digest_of(error),
        failed=True,
        ended_ms=_unix_ms(cell.made_at),
        seconds=cell.seconds,
        tags={"edgecnn.version": edgecnn.__version__, "error": error, "network": cell.network, "device": cell.device},
    )


def figures_only(run: TrackedRun) -> TrackedRun:
    """Remove the command, the error and everything that may name a folder of this machine.

    The name consists of network and device, because a build of a sweep over ``data.path`` has a path in its name. The digest of
    the report differs from that of the complete run, so that sending the complete run later is not skipped.
    """
    error = {"error": "the build failed"} if "error" in run.tags else {}
    return run.model_copy(
        update={
            "name": f"{run.tags['network']}-{run.tags['device']}",
            "report": digest_of([run.report, "figures"]),
            "parameters": {key: value for key, value in run.parameters.items() if not _is_path(key, value)},
            "tags": {key: value for key, value in run.tags.items() if key != "command" and not _is_path(key, value)} | error,
        }
    )


def _is_path(key: str, value: str) -> bool:
    return (key in _PATH_SETTINGS and value not in _NOT_PATHS and is_on_disk(value)) or "/" in value or "\\" in value


def files_of(folder: Path) -> list[Path]:
    """Return the files of a build's folder that are sent."""
    return [folder / name for name in _SENT_FILES if (folder / name).exists()]


def _unix_ms(moment: str | None) -> int:
    when = datetime.now(UTC) if moment is None else utc_moment(moment)
    return int(when.timestamp() * 1000)


def _metrics(report: BuildReport, ships: CandidateFacts | None) -> dict[str, float]:
    """Return the figures of the shipped candidate with the ends of their intervals, so that builds can be compared.

    Also return, under the name of each candidate, the estimates that the choice uses.
    """
    metrics = dict[str, float]()
    for name, (value, _) in ({} if ships is None else all_numbers(ships)).items():
        metrics[name] = value.estimate
        if value.low != value.high:
            metrics |= {f"{name}.low": value.low, f"{name}.high": value.high}
    for row in report.candidates:
        metrics |= {f"{row.candidate.id}/{name}": value.estimate for name, (value, _) in tracked_numbers(row).items()}
    return metrics


def _fidelity_tags(report: BuildReport, ships: CandidateFacts | None) -> dict[str, str]:
    """Return a tag for each figure of the shipped candidate, and one for each candidate with the origin of its figures."""
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


def _machine_tags(ships: CandidateFacts | None) -> dict[str, str]:
    """Return the machines that timed the shipped candidate and evaluated its accuracy."""
    if ships is None:
        return {}
    answered = ships.answered or ships.agreement
    timed = ships.latency.machine if ships.latency is not None and ships.latency.p50_ms is not None else None
    machines = {"machine": timed, "machine.accuracy": answered.machine if answered is not None else None}
    return {name: machine for name, machine in machines.items() if machine is not None}
