"""Writes what a user takes away: report.json, plan.json and the bundle. Each appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from edgecnn.building.build_folder import BASELINE, BUNDLE, CHOICE, PLAN, PROGRESS, REPORT
from edgecnn.building.intact import STAMPS, is_intact, settled_stamps
from edgecnn.building.plan import Plan
from edgecnn.data.demo import DEMO
from edgecnn.data.layout import root_of
from edgecnn.errors.building import OutputAmongData, OutputHoldsOtherFiles, OutputUnusable
from edgecnn.judging.baseline import BaselineRecord
from edgecnn.measure.kits import KitRef
from edgecnn.store.entry import write_stamps
from edgecnn.values.report import BuildReport

KEPT = "measured"
"""What a device measured of the bundle, copied back: it stays when the bundle is replaced."""
Page = Callable[[BuildReport], str]
"""Words a report for people. Rendering lies above this package, so that its functions are handed in."""


def check_output(folder: Path, data: str) -> None:
    """Refuse, before any time is spent, a folder that could not be written or must not be.

    Raises:
        OutputUnusable: it is a file, or may not be written.
        OutputHoldsOtherFiles: it holds a ``bundle`` that is none of ours.
        OutputAmongData: it lies inside the images' folder.
        DataPathUnusable: ``data`` can name no folder.
    """
    images = None if data == DEMO else _links_followed(root_of(data))
    try:
        there = _links_followed(folder)
        if images is not None and (there == images or images in there.parents):
            raise OutputAmongData(out=folder, data=Path(data))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputUnusable(folder=folder, because=error.strerror or str(error)) from error
    except ValueError as error:  # a NUL inside the path
        raise OutputUnusable(folder=folder, because=str(error)) from error
    bundle = folder / BUNDLE
    if bundle.exists() and not (bundle / CHOICE).is_file():
        raise OutputHoldsOtherFiles(path=bundle)


def _links_followed(path: Path) -> Path:
    return Path(os.path.realpath(path))  # pathlib's own raises a RuntimeError for a link to itself


@contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """One writer at a time: two builds of one name take turns, and the later one's results stand whole."""
    with FileLock(folder / ".edgecnn.lock"):
        yield


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file by one rename, so that a reader never sees half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def publish_plan(plan: Plan, folder: Path) -> None:
    """``plan.json``: what was resolved and every key; the next build of this folder reads its weights answer."""
    write_text_atomically(folder / PLAN, json.dumps(plan.facts(), indent=1, ensure_ascii=False) + "\n")


def publish_report(report: BuildReport, folder: Path, pages: Mapping[str, str] | None = None) -> None:
    """``report.json``, and before it what words it for people: whoever sees the new one sees its pages beside it.

    Args:
        report: what the build found.
        folder: the output folder; the caller holds its ``output_lock``, so that no page describes another build's report.
        pages: file name, such as ``report.md``, to its text.
    """
    for name, text in (pages or {}).items():
        write_text_atomically(folder / name, text)
    write_text_atomically(folder / REPORT, report.model_dump_json(indent=1, by_alias=True) + "\n")


def publish_baseline(record: BaselineRecord | None, folder: Path) -> None:
    """``baseline.json``: what a GPU of this machine did, in the form in which ``baselines/`` keeps it; gone where none did."""
    if record is None:
        (folder / BASELINE).unlink(missing_ok=True)
        return
    write_text_atomically(folder / BASELINE, record.model_dump_json(indent=1, by_alias=True) + "\n")


def publish_progress(report: BuildReport, goal: str, folder: Path) -> None:
    """``progress.json`` of a verb that stops earlier: the report of a finished build in the same folder is left alone."""
    outcomes = {name: outcome.model_dump(mode="json") for name, outcome in report.outcomes.items()}
    facts = {"schema": "edgecnn.progress/1", "goal": goal, "outcomes": outcomes, "timings_s": dict(report.timings_s)}
    write_text_atomically(folder / PROGRESS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def publish_bundle(report: BuildReport, kits: Mapping[str, KitRef], folder: Path) -> None:
    """``bundle/``: the carried kits, and ``choice.json`` that says which one is used and whether that is settled.

    An unchanged bundle is left alone, so that a cached build copies nothing. One that lost or changed a file of a kit is made
    again, one changed without another size too; what lies there beside the kits' files, such as byte code, is no change.
    """
    carried = {name: kits[name] for name in report.choice.carried if name in kits}
    choice = _choice(report, carried)
    bundle = folder / BUNDLE
    if (bundle / CHOICE).is_file() and (bundle / CHOICE).read_text() == choice and is_intact(bundle, carried):
        return
    fresh = Path(tempfile.mkdtemp(prefix=".bundle.", dir=folder))
    try:
        for name, kit in carried.items():
            shutil.copytree(kit.folder, fresh / "kits" / name, copy_function=shutil.copyfile)
        (fresh / CHOICE).write_text(choice)
        if (bundle / KEPT).is_dir():
            shutil.copytree(bundle / KEPT, fresh / KEPT)
        fresh.chmod(0o755)
        stamps = settled_stamps(fresh)
        _swapped(fresh, bundle)
        write_stamps(folder / STAMPS, stamps)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swapped(fresh: Path, bundle: Path) -> None:
    """The old bundle is out of the way only between two renames, and comes back where the second one fails."""
    old = bundle.with_name(f"{fresh.name}.old")
    if bundle.exists():
        bundle.rename(old)
    try:
        fresh.rename(bundle)
    except BaseException:
        if old.exists():
            old.rename(bundle)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _choice(report: BuildReport, carried: Mapping[str, KitRef]) -> str:
    facts = {
        "schema": "edgecnn.choice/1",
        "choice": report.choice.model_dump(mode="json"),
        "kits": {name: _entry(name, kit) for name, kit in carried.items()},
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _entry(name: str, kit: KitRef) -> dict[str, object]:
    """Where a kit lies, which one it is, and what the runner opens it with beside its own options."""
    knobs = kit.knobs.options
    return {"folder": f"kits/{name}", "sha256": kit.digest, **({"knobs": knobs} if knobs else {})}
