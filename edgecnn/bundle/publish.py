"""Writes the bundle beside a build's report: whole or not at all. What a device measured of the one before stays."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.bundle.manifest import (
    MANIFEST,
    SIGNATURE,
    BundleManifest,
    drawn_facts,
    made_facts,
    manifest_of,
    manifest_text,
    published_manifest,
    recorded_facts,
)
from edgecnn.errors.bundle import BundleManifestUnreadable
from edgecnn.errors.wording import shell_word
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import BUNDLE, CHOICE
from edgecnn.store.disk import Stamp, files_under, fsync_folder, sha256_of, stamp_of, sync_tree
from edgecnn.store.entry import read_stamps, write_stamps
from edgecnn.values.report import BuildReport

KEPT = "measured"
"""What a device measured of the bundle, copied back: it stays when the bundle is replaced."""
Note = Callable[[str], None]


@dataclass(frozen=True)
class StagedBundle:
    """A complete bundle that is not published yet, or the published one if nothing changed."""

    folder: Path
    is_new: bool
    publish: Callable[[], None]
    """Put it in place of the published bundle, by one rename."""


@contextmanager
def staged_bundle(
    report: BuildReport,
    kits: Mapping[str, KitRef],
    folder: Path,
    pages: Mapping[str, str] | None = None,
    note: Note | None = None,
) -> Iterator[StagedBundle]:
    """``bundle/``: the carried kits, ``choice.json`` that says which one is used, its pages, and ``bundle.json`` over them all.

    It is published by the caller, who can test it before; else it is gone at the end.

    An unchanged bundle is left alone, so that a cached build copies nothing and a signature stays. One that lost or changed a
    file is made again, one changed without another size too; what lies there beside its files, such as byte code, is no change.
    A bundle that is made again has the next version, and no signature.

    ``folder``: of the build; the caller holds its ``output_lock``. ``note``: hears that a signature went, and that versions
    begin anew where the manifest that lies there cannot be read.
    """
    carried = {name: kits[name] for name in report.choice.carried if name in kits}
    texts = {CHOICE: _choice(report, carried), **(pages or {})}
    bundle, hear = folder / BUNDLE, note or (lambda _: None)
    before = _earlier(bundle, hear)
    name = report.build.name or f"{report.build.arch}-{report.build.device}"  # --out . has no name
    manifest = manifest_of(name, 1 if before is None else before.version + 1, carried, texts)
    if before == manifest.model_copy(update={"version": manifest.version - 1}) and _holds(bundle, texts, carried):
        yield StagedBundle(folder=bundle, is_new=False, publish=lambda: None)
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
        sync_tree(fresh)

        def publish() -> None:
            stamps = stamps_of_new(fresh)
            signed = (bundle / SIGNATURE).is_file()
            _swapped(fresh, bundle)
            write_stamps(folder / STAMPS, stamps)
            if signed:
                sign = f"edgecnn sign {shell_word(folder)} --key KEY"
                hear(f"the bundle changed: it is version {manifest.version}, and no longer signed: {sign}")

        yield StagedBundle(folder=fresh, is_new=True, publish=publish)
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
    fsync_folder(bundle.parent)  # before the old one goes
    shutil.rmtree(old, ignore_errors=True)


def _choice(report: BuildReport, carried: Mapping[str, KitRef]) -> str:
    facts = {
        "schema": "edgecnn.choice/1",
        "device": report.build.device,
        "made": made_facts(report),
        **drawn_facts(report),
        "choice": report.choice.model_dump(mode="json"),
        "kits": {name: {**_entry(name, kit), **recorded_facts(report, name)} for name, kit in carried.items()},
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _entry(name: str, kit: KitRef) -> dict[str, object]:
    """Where a kit lies, which one it is, and what the runner opens it with beside its own options."""
    knobs = kit.knobs.options
    return {"folder": f"kits/{name}", "sha256": kit.digest, **({"knobs": knobs} if knobs else {})}


STAMPS = ".edgecnn.stamps.json"
"""Beside the bundle, since it is true on this machine alone."""
_TICK_S = 0.011
"""A tick of the kernel's clock for files lasts 10 ms at the most (CONFIG_HZ is 100 to 1000)."""


def is_intact(bundle: Path, carried: Mapping[str, KitRef]) -> bool:
    """True where the manifests are the kits', and every file is as its manifest states it; its stamps are then kept.

    ``bundle``: as it lies in the output folder. ``carried``: the kits that belong into it, by name.
    """
    facts: dict[str, Mapping[str, Any]] = {}
    for name, kit in carried.items():
        manifest = bundle / "kits" / name / "kit.json"
        if not manifest.is_file() or sha256_of(manifest) != kit.digest:
            return False
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        facts.update({f"kits/{name}/{file}": fact for file, fact in files.items()})
    stamps: dict[str, Stamp] = {}
    for file, fact in facts.items():
        stamp = stamp_of(bundle / file)
        if stamp is None or stamp[0] != fact["bytes"]:
            return False
        stamps[file] = stamp
    known = read_stamps(bundle.parent / STAMPS)
    unknown = [file for file, stamp in stamps.items() if stamp != known.get(file)]
    if unknown:
        now_ns = _clock_ns(bundle.parent)  # before the bytes are read: what changes meanwhile gets a later date than its stamp
        if any(sha256_of(bundle / file) != facts[file]["sha256"] for file in unknown):
            return False
        write_stamps(bundle.parent / STAMPS, {file: stamp for file, stamp in stamps.items() if stamp[3] < now_ns})
    return True


def stamps_of_new(bundle: Path) -> dict[str, Stamp]:
    """The stamps of a bundle's kits that was just written and that nobody else has seen, by path below it."""
    time.sleep(_TICK_S)
    now_ns = _clock_ns(bundle)
    stamps = {f"kits/{name}": stamp_of(path) for name, path in files_under(bundle / "kits")}
    return {name: stamp for name, stamp in stamps.items() if stamp is not None and stamp[3] < now_ns}


def _clock_ns(folder: Path) -> int:
    """What the file system of ``folder`` would date a change with now; it may tick slowly, or be another machine's."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
        probe.flush()
        return os.fstat(probe.fileno()).st_ctime_ns
