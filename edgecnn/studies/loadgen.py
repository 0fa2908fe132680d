"""A kit under LoadGen: which one a folder means, and its logs with their report in a folder of their own.

Nothing of an earlier measurement is replaced or mixed in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edgecnn.bundle.verify import bundle_at
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import OUTPUT_UNUSABLE
from edgecnn.errors.comparing import (
    KitNotCarried,
    NoBuildToCompare,
    kit_not_carried,
)
from edgecnn.errors.hosts.process import RunnerFailed
from edgecnn.errors.measuring import NOTHING_TO_LOAD
from edgecnn.measure.loadgen.facts import LoadGenReport
from edgecnn.measure.loadgen.run import Bench, LoadRequest, measure
from edgecnn.results.folder import BUNDLE
from edgecnn.results.kits_here import kits_that_run_here, manifests_in, remedy_here
from edgecnn.results.shipped import shipped_kit
from edgecnn.runner.failure import RunnerError
from edgecnn.runner.kit import Kit
from edgecnn.runner.manifest import MANIFEST
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress

REPORT = "loadgen.json"
FOLDER = "loadgen"


class LoadTarget(Value):
    """What is measured, and where that is written."""

    folder: Path
    """A finished build or a kit."""
    candidate: str | None = None
    out: Path | None = None


class Written(Value):
    """The report, and the folder that holds it beside a folder of logs for every run."""

    report: LoadGenReport
    folder: Path


def measure_and_write(subject: LoadTarget, asked: LoadRequest, tell: Progress) -> Written:
    """Measure a kit with LoadGen.

    Raises:
        NOTHING_TO_LOAD, BundleUnreadable, KitNotCarried, RunnerFailed: no kit is meant, or it cannot be read.
        OUTPUT_UNUSABLE: the folder holds something already or cannot be made.
        MissingPackage and what ``measure`` raises beside it.
    """
    kit = kit_meant(subject.folder, subject.candidate)
    out = subject.out or _default(subject.folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
        filled = any(out.iterdir())
    except OSError as error:
        raise OUTPUT_UNUSABLE(folder=out, because=system_reason(error)) from error
    if filled:
        raise OUTPUT_UNUSABLE(folder=out, because="it holds something already")
    report = measure(Bench(kit=kit, asked=asked, out=out, tell=tell))
    write_text_atomically(out / REPORT, report.model_dump_json(indent=1, by_alias=True) + "\n")
    return Written(report=report, folder=out)


def kit_meant(folder: Path, candidate: str | None = None) -> Kit:
    """The kit in a folder, or of a build or bundle the chosen candidate's, unless another one is named.

    Raises:
        NOTHING_TO_LOAD: it is none of these.
        BundleUnreadable, KitNotCarried: see ``shipped_kit``.
        RunnerFailed: the kit cannot be read, or does not run here; in the runner's words.
    """
    bundle = bundle_at(folder)
    if not (folder / MANIFEST).is_file():
        try:
            folder = shipped_kit(folder, candidate).kit.folder
        except NoBuildToCompare as error:
            raise NOTHING_TO_LOAD(folder=folder, because=f"it holds no {MANIFEST} and no bundle with a choice.json") from error
        except KitNotCarried as error:
            here = kits_that_run_here(manifests_in(bundle), bundle)
            raise kit_not_carried(folder=folder, candidate=candidate, carried=error.fields["carried"], here=here) from error
    try:
        kit = Kit.open(folder)
        kit.check_requirements()
    except RunnerError as error:
        hint = remedy_here(error.hint, manifests_in(bundle), bundle, folder.name)
        raise RunnerFailed(**{**error.facts(), "hint": hint}) from error
    return kit


def _default(folder: Path) -> Path:
    """Inside a build; beside nothing else for a kit, whose own folder stays as it was packed."""
    beside = folder if (folder / BUNDLE).is_dir() else Path()
    return beside / FOLDER / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
