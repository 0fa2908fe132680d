"""Run LoadGen on a kit, and write its logs and report to a new folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edgecnn.bundle.verify import bundle_at
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import OUTPUT_UNUSABLE
from edgecnn.errors.comparing import KitNotCarried, NoBuildToCompare, kit_not_carried
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.measuring import NOTHING_TO_LOAD
from edgecnn.measure.loadgen.facts import LoadGenReport
from edgecnn.measure.loadgen.run import Bench, LoadRequest, measure
from edgecnn.results.folder import BUNDLE
from edgecnn.results.shipped import kits_that_run_here, manifests_in, remedy_here, shipped_kit
from edgecnn.runner.kit import Kit
from edgecnn.runner.manifest import MANIFEST
from edgecnn.runner.messages import RunnerError
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress

REPORT = "loadgen.json"
FOLDER = "loadgen"


class LoadTarget(Value):
    """The kit to measure, and the folder for results."""

    folder: Path
    """A finished build or a kit."""
    candidate: str | None = None
    out: Path | None = None


class Written(Value):
    """The report, and the folder with the report and the logs of every run."""

    report: LoadGenReport
    folder: Path


def measure_and_write(subject: LoadTarget, request: LoadRequest, tell: Progress) -> Written:
    """Measure a kit with LoadGen.

    Raises:
        NOTHING_TO_LOAD, BundleUnreadable, KitNotCarried, RunnerFailed: there is no kit, or it cannot be read.
        OUTPUT_UNUSABLE: the folder is not empty, or cannot be made.
        MissingPackage, and the other errors of ``measure``.
    """
    kit = kit_to_measure(subject.folder, subject.candidate)
    parent = subject.folder if (subject.folder / BUNDLE).is_dir() else Path()  # a kit's own folder must not change
    out = subject.out or parent / FOLDER / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        out.mkdir(parents=True, exist_ok=True)
        filled = any(out.iterdir())
    except OSError as error:
        raise OUTPUT_UNUSABLE(folder=out, because=system_reason(error)) from error
    if filled:
        raise OUTPUT_UNUSABLE(folder=out, because="it is not empty")
    report = measure(Bench(kit=kit, request=request, out=out, tell=tell))
    write_text_atomically(out / REPORT, report.model_dump_json(indent=1, by_alias=True) + "\n")
    return Written(report=report, folder=out)


def kit_to_measure(folder: Path, candidate: str | None = None) -> Kit:
    """Return the kit in a folder, or the named or chosen kit of a build or bundle.

    Raises:
        NOTHING_TO_LOAD: the folder is not a kit, a build or a bundle.
        BundleUnreadable, KitNotCarried: see ``shipped_kit``.
        RunnerFailed: the kit cannot be read, or does not run here.
    """
    bundle = bundle_at(folder)
    if not (folder / MANIFEST).is_file():
        try:
            folder = shipped_kit(folder, candidate).kit.folder
        except NoBuildToCompare as error:
            raise NOTHING_TO_LOAD(folder=folder) from error
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
