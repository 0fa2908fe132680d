"""Write the bundle next to a build's report, whole or not at all; sign it; and pack it as one zip the same bytes everywhere."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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
from edgecnn.bundle.opening import copy_compared, read_through
from edgecnn.bundle.ssh_keygen import check_readable, sign
from edgecnn.bundle.verify import Trust, Verified, bundle_at, verify
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.bundle import BUNDLE_OF_ANOTHER_BUILD, NOT_A_FOLDER_TO_SIGN, BundleManifestUnreadable
from edgecnn.errors.wording import shell_word
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import BUNDLE, CHOICE, PLAN, REPORT, output_lock, report_text
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import Stamp, files_under, fsync_folder, sha256_of, stamp_of, sync_tree, synced, write_text_atomically
from edgecnn.store.entry import read_stamps, write_stamps
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""PKWARE APPNOTE 6.3.10, 4.4.6: MS-DOS dates begin here."""
_MODE: Final = 0o100644


def write_zip(bundle: Verified, out: Path) -> str:
    """Write what the manifest lists, the manifest and its signature where there is one, and nothing else; its SHA-256.

    ``out``: the zip; an earlier zip of a bundle there is replaced by one rename.

    Raises:
        NOT_OVERWRITTEN: something else stands there.
        OUTPUT_UNWRITABLE: it cannot be written.
        BUNDLE_FILE_CHANGED, BUNDLE_FILE_MISSING, BundleEntryRefused: a file is no longer what was verified; no zip is left then.
    """
    if out.exists() and not _is_ours(out):
        raise NOT_OVERWRITTEN(path=out, because="it is no bundle of edgecnn")
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
            _copy(bundle, archive)
        fresh.chmod(0o644)
        digest = synced(fresh).sha256  # onto the disk before the name: after a power cut there is the old zip or the new one
        fresh.replace(out)
    except (OSError, zipfile.LargeZipFile) as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    finally:
        fresh.unlink(missing_ok=True)
    return digest


def _copy(bundle: Verified, archive: zipfile.ZipFile) -> None:
    """A signature stands by itself: it is good for the manifest's bytes, which are compared, or for none."""
    digests = {name: fact.sha256 for name, fact in bundle.manifest.files.items()}
    digests[MANIFEST] = bundle.facts.sha256
    signed = [SIGNATURE] if SIGNATURE in bundle.opened.files else []
    for name in sorted([*digests, *signed]):
        entry = zipfile.ZipInfo(name, EPOCH)
        entry.create_system, entry.external_attr = 3, _MODE << 16  # 3: Unix, whatever machine writes it
        entry.file_size = bundle.opened.files[name]
        with archive.open(entry, "w") as target:
            if name in digests:
                copy_compared(bundle.opened, name, digests[name], target.write)
            else:
                read_through(bundle.opened, name, target.write)


def _is_ours(path: Path) -> bool:
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            return MANIFEST in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


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
                sign = f"edgecnn bundle sign {shell_word(folder)} --key KEY"
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
    recorded = read_stamps(bundle.parent / STAMPS)
    unrecorded = [file for file, stamp in stamps.items() if stamp != recorded.get(file)]
    if unrecorded:
        now_ns = _clock_ns(bundle.parent)  # before the bytes are read: what changes meanwhile gets a later date than its stamp
        if any(sha256_of(bundle / file) != facts[file]["sha256"] for file in unrecorded):
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


def sign_bundle(path: Path, key: Path, version: int | None, tell: Progress, of: BuildReport | None = None) -> BundleManifest:
    """Verify a bundle and sign it as it is; an earlier signature is replaced. What was signed.

    A build's folder is locked meanwhile: another build would put its own bundle in the place of the one that was verified.

    ``key``: a private key, or the ``.pub`` file of one that the agent holds. ``version``: that it is given; None: the one that
    it has. ``of``: the build whose bundle it must be; None: whichever lies there.

    Raises:
        NOT_A_FOLDER_TO_SIGN: it is a zip.
        BUNDLE_OF_ANOTHER_BUILD: another build wrote there after ``of``.
        SshKeygenMissing, KEY_UNUSABLE: nothing was changed then.
        EdgecnnError: one of ``errors.bundle``, where it is not whole.
    """
    check_readable(key)
    with _undisturbed(path) as build:
        if of is not None and not _is_of(build, of):
            raise BUNDLE_OF_ANOTHER_BUILD(folder=path)
        return _signed(path, key, version, tell)


def _signed(path: Path, key: Path, version: int | None, tell: Progress) -> BundleManifest:
    bundle = verify(path, Trust(made_here=True), tell)
    if bundle.opened.form == "zip":
        raise NOT_A_FOLDER_TO_SIGN(path=path)
    manifest = bundle.manifest if version is None else bundle.manifest.model_copy(update={"version": version})
    text = manifest_text(manifest)
    signature = sign(text.encode("utf-8"), key)
    folder = bundle.opened.path
    (folder / SIGNATURE).unlink(missing_ok=True)  # in this order, so that no signature ever lies beside another's manifest
    write_text_atomically(folder / MANIFEST, text)
    write_text_atomically(folder / SIGNATURE, signature)
    return manifest


@contextmanager
def _undisturbed(path: Path) -> Iterator[Path]:
    """The build's folder with its lock held; a bundle that lies elsewhere is nobody's to replace."""
    bundle = bundle_at(path).resolve()
    build = bundle.parent
    if bundle.name == BUNDLE and (build / PLAN).is_file():
        with output_lock(build):
            yield build
        return
    yield build


def _is_of(build: Path, report: BuildReport) -> bool:
    """A build writes its bundle and its report under one hold of the lock: where the report is its own, so is the bundle."""
    try:
        return (build / REPORT).read_text(encoding="utf-8") == report_text(report)
    except (OSError, ValueError):
        return False
