"""Writes what a user takes away: report.json, plan.json and the bundle. Each appears whole or not at all."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from edgecnn.building.build_folder import BASELINE, BUNDLE, CHOICE, PLAN, PROGRESS, REPORT
from edgecnn.building.bundle.manifest import MANIFEST, SIGNATURE, manifest_of, manifest_text, published_manifest
from edgecnn.building.bundle.recorded import recorded_facts
from edgecnn.building.intact import STAMPS, is_intact, settled_stamps
from edgecnn.building.plan import Plan
from edgecnn.data.demo import DEMO
from edgecnn.data.layout import root_of
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import OutputAmongData, OutputHoldsOtherFiles, OutputUnusable
from edgecnn.errors.bundle import BundleManifestUnreadable
from edgecnn.judging.baseline import BaselineRecord
from edgecnn.measure.kits import KitRef
from edgecnn.store.entry import write_stamps
from edgecnn.store.whole_file import write_text_atomically
from edgecnn.values.bundle import BundleManifest
from edgecnn.values.report import BuildReport

KEPT = "measured"
"""What a device measured of the bundle, copied back: it stays when the bundle is replaced."""
Note = Callable[[str], None]
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
        _try_to_make(folder)
    except OSError as error:
        raise OutputUnusable(folder=folder, because=system_reason(error)) from error
    except ValueError as error:  # a NUL inside the path
        raise OutputUnusable(folder=folder, because=str(error)) from error
    bundle = folder / BUNDLE
    if bundle.exists() and not (bundle / CHOICE).is_file():
        raise OutputHoldsOtherFiles(path=bundle)


def _try_to_make(folder: Path) -> None:
    """Make it in a folder of our own beside it, and drop both: a build that is refused in a moment leaves no empty folder."""
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    with tempfile.TemporaryDirectory(dir=there, prefix=".edgecnn.") as probe:
        (Path(probe) / folder.relative_to(there)).mkdir(parents=True, exist_ok=True)


def _links_followed(path: Path) -> Path:
    return Path(os.path.realpath(path))  # pathlib's own raises a RuntimeError for a link to itself


@contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """One writer at a time: two builds of one name take turns, and the later one's results stand whole. Makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".edgecnn.lock"):
        yield


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
    write_text_atomically(folder / REPORT, report_text(report))


def report_text(report: BuildReport) -> str:
    """What ``report.json`` holds."""
    return report.model_dump_json(indent=1, by_alias=True) + "\n"


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


def publish_bundle(
    report: BuildReport,
    kits: Mapping[str, KitRef],
    folder: Path,
    pages: Mapping[str, str] | None = None,
    note: Note | None = None,
) -> None:
    """``bundle/``: the carried kits, ``choice.json`` that says which one is used, its pages, and ``bundle.json`` over them all.

    An unchanged bundle is left alone, so that a cached build copies nothing and a signature stays. One that lost or changed a
    file is made again, one changed without another size too; what lies there beside its files, such as byte code, is no change.
    A bundle that is made again has the next version, and no signature.

    Args:
        report: what the build found.
        kits: every candidate's.
        folder: of the build; the caller holds its ``output_lock``.
        pages: file name in the bundle to its text.
        note: hears that a signature went, and that versions begin anew where the manifest that lies there cannot be read.
    """
    carried = {name: kits[name] for name in report.choice.carried if name in kits}
    texts = {CHOICE: _choice(report, carried), **(pages or {})}
    bundle = folder / BUNDLE
    hear = note or _to_nobody
    before = _earlier(bundle, hear)
    name = report.build.name or f"{report.build.arch}-{report.build.device}"  # --out . has no name
    manifest = manifest_of(name, 1 if before is None else before.version + 1, carried, texts)
    if before == manifest.model_copy(update={"version": manifest.version - 1}) and _holds(bundle, texts, carried):
        return
    texts[MANIFEST] = manifest_text(manifest)
    fresh = Path(tempfile.mkdtemp(prefix=".bundle.", dir=folder))
    try:
        for name, kit in carried.items():
            _copy_kit(kit, fresh / "kits" / name)
        for name, text in texts.items():
            (fresh / name).write_text(text, encoding="utf-8")
        if (bundle / KEPT).is_dir():
            shutil.copytree(bundle / KEPT, fresh / KEPT)
        fresh.chmod(0o755)
        stamps = settled_stamps(fresh)
        signed = (bundle / SIGNATURE).is_file()
        _swapped(fresh, bundle)
        write_stamps(folder / STAMPS, stamps)
        if signed:
            sign = f"edgecnn sign {shlex.quote(str(folder))} --key KEY"
            hear(f"the bundle changed: it is version {manifest.version}, and no longer signed: {sign}")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _copy_kit(kit: KitRef, target: Path) -> None:
    """The files that it lists: an engine that was built in it belongs to one GPU, and byte code to one Python."""
    for name in ("kit.json", *kit.manifest["files"]):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kit.folder / name, target / name)


def _earlier(bundle: Path, note: Note) -> BundleManifest | None:
    try:
        return published_manifest(bundle)
    except BundleManifestUnreadable as error:
        note(f"{error.what} ({error.because}): the bundle's versions begin at 1 again")
        return None


def _to_nobody(_: str) -> None: ...


def _holds(bundle: Path, texts: Mapping[str, str], carried: Mapping[str, KitRef]) -> bool:
    try:
        same = all((bundle / name).read_bytes() == text.encode("utf-8") for name, text in texts.items())
    except OSError:
        return False
    return same and is_intact(bundle, carried)


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
        "device": report.build.device,
        "choice": report.choice.model_dump(mode="json"),
        "kits": {name: {**_entry(name, kit), **recorded_facts(report, name)} for name, kit in carried.items()},
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _entry(name: str, kit: KitRef) -> dict[str, object]:
    """Where a kit lies, which one it is, and what the runner opens it with beside its own options."""
    knobs = kit.knobs.options
    return {"folder": f"kits/{name}", "sha256": kit.digest, **({"knobs": knobs} if knobs else {})}
