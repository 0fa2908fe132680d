"""LoadGen's logs and the report of them, in a folder of their own: nothing of an earlier measurement is replaced or mixed in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edgecnn.errors.building import OutputUnusable
from edgecnn.measure.loadgen.run import Bench, measure
from edgecnn.measure.loadgen.settings import LoadAsked
from edgecnn.measure.loadgen.subject import kit_meant
from edgecnn.runner.files import write_bytes
from edgecnn.values.base import Value
from edgecnn.values.loadgen import LoadGenReport
from edgecnn.values.stage import Progress

REPORT = "loadgen.json"
FOLDER = "loadgen"


class Subject(Value):
    """What is measured, and where that is written."""

    folder: Path
    """A finished build or a kit."""
    candidate: str | None = None
    out: Path | None = None


class Written(Value):
    """The report, and the folder that holds it beside a folder of logs for every run."""

    report: LoadGenReport
    folder: Path


def measure_and_write(subject: Subject, asked: LoadAsked, tell: Progress) -> Written:
    """Measure a kit with LoadGen.

    Raises:
        NothingToLoad, CandidateNotCarried, RunnerFailed: no kit is meant, or it cannot be read.
        OutputUnusable: the folder holds something already or cannot be made.
        MissingPackage and what ``measure`` raises beside it.
    """
    kit = kit_meant(subject.folder, subject.candidate)
    out = subject.out or _default(subject.folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
        filled = any(out.iterdir())
    except OSError as error:
        raise OutputUnusable(folder=out, because=error.strerror or str(error)) from error
    if filled:
        raise OutputUnusable(folder=out, because="it holds something already")
    report = measure(Bench(kit=kit, asked=asked, out=out, tell=tell))
    write_bytes(out / REPORT, (report.model_dump_json(indent=1, by_alias=True) + "\n").encode("utf-8"))
    return Written(report=report, folder=out)


def _default(folder: Path) -> Path:
    """Inside a build; beside nothing else for a kit, whose own folder stays as it was packed."""
    beside = folder if (folder / "bundle").is_dir() else Path()
    return beside / FOLDER / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
