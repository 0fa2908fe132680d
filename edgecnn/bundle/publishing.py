"""Write the bundle next to a build's report, complete or not at all; sign it; and pack it as a reproducible zip."""

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
    gate_facts,
    made_facts,
    manifest_of,
    manifest_text,
    published_manifest,
    recorded_facts,
)
from edgecnn.bundle.opening import copy_verified, sha256_of_entry
from edgecnn.bundle.ssh_keygen import check_readable, sign
from edgecnn.bundle.verify import Trust, Verified, bundle_at, verify
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.bundle import BUNDLE_OF_ANOTHER_BUILD, NOT_A_FOLDER_TO_SIGN, BundleManifestUnreadable
from edgecnn.errors.wording import shell_word
from edgecnn.measure.kits import KitRef
from edgecnn.results.folder import BUNDLE, CHOICE, PLAN, REPORT, output_lock, report_text
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import (
    Stamp,
    files_under,
    fsync_folder,
    sha256_of,
    stamp_of,
    sync_and_digest,
    sync_tree,
    write_text_atomically,
)
from edgecnn.store.entry import read_stamps, write_stamps
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""First MS-DOS date (PKWARE APPNOTE 6.3.10, 4.4.6)."""
KEPT = "measured"
"""Folder of measurements that were copied back from a device. It is kept when the bundle is replaced."""
STAMPS = ".edgecnn.stamps.json"
"""Stamps of the bundle's files. They are next to the bundle, because they are valid on this machine only."""
_TICK_S = 0.011
"""A tick of the kernel's clock for files takes at most 10 ms (CONFIG_HZ is 100 to 1000)."""
_MODE: Final = 0o100644
Note = Callable[[str], None]


def write_zip(bundle: Verified, out: Path) -> str:
    """Write the listed files, the manifest and any signature into a zip, and return its SHA-256.

    ``out``: the zip; an earlier zip of a bundle is replaced by one rename.

    Raises:
        NOT_OVERWRITTEN: another file exists there.
        OUTPUT_UNWRITABLE: it cannot be written.
        BUNDLE_FILE_CHANGED, BUNDLE_FILE_MISSING, BundleEntryRefused: a file differs from the verified one; no zip is left.
    """
    if out.exists() and not _is_bundle(out):
        raise NOT_OVERWRITTEN(path=out, because="it is not a bundle of edgecnn")
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
            _write_entries(bundle, archive)
        fresh.chmod(0o644)
        digest = sync_and_digest(fresh).sha256  # flush before the rename, so that a power cut leaves the old zip or the new one
        fresh.replace(out)
    except (OSError, zipfile.LargeZipFile) as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    finally:
        fresh.unlink(missing_ok=True)
    return digest


def _write_entries(bundle: Verified, archive: zipfile.ZipFile) -> None:
    """Write all files. The signature is not compared: it is valid only for the manifest's bytes, which are compared."""
    digests = {name: fact.sha256 for name, fact in bundle.manifest.files.items()}
    digests[MANIFEST] = bundle.facts.sha256
    signed = [SIGNATURE] if SIGNATURE in bundle.opened.files else []
    for name in sorted([*digests, *signed]):
        entry = zipfile.ZipInfo(name, EPOCH)
        entry.create_system, entry.external_attr = 3, _MODE << 16  # 3: Unix, whatever machine writes it
        entry.file_size = bundle.opened.files[name]
        with archive.open(entry, "w") as target:
            if name in digests:
                copy_verified(bundle.opened, name, digests[name], target.write)
            else:
                sha256_of_entry(bundle.opened, name, target.write)


def _is_bundle(path: Path) -> bool:
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            return MANIFEST in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


@dataclass(frozen=True)
class StagedBundle:
    """A complete bundle before publication, or the published one if nothing changed."""

    folder: Path
    is_new: bool
    publish: Callable[[], None]
    """Replace the published bundle by one rename."""


@contextmanager
def staged_bundle(
    report: BuildReport,
    kits: Mapping[str, KitRef],
    folder: Path,
    pages: Mapping[str, str] | None = None,
    note: Note | None = None,
) -> Iterator[StagedBundle]:
    """Make ``bundle/``: the carried kits, ``choice.json``, pages, and ``bundle.json`` over all of them.

    The caller tests and publishes it; otherwise it is removed at the end.

    An unchanged bundle is kept, so a cached build copies nothing and a signature stays valid. If a file is missing or changed,
    even with the same size, a new bundle gets the next version and no signature. Additional files, such as byte code, do not
    count.

    ``folder``: of the build; the caller holds its ``output_lock``. ``note``: gets a note if a signature is lost, or if
    versions begin at 1 again because the old manifest cannot be read.
    """
    carried = {name: kits[name] for name in report.choice.carried if name in kits}
    texts = {CHOICE: _choice_text(report, carried), **(pages or {})}
    bundle, note = folder / BUNDLE, note or (lambda _: None)
    before = _published_or_none(bundle, note)
    name = report.build.name or f"{report.build.arch}-{report.build.device}"  # --out . has no name
    manifest = manifest_of(name, 1 if before is None else before.version + 1, carried, texts)
    if before == manifest.model_copy(update={"version": manifest.version - 1}) and _is_unchanged(bundle, texts, carried):
        yield StagedBundle(folder=bundle, is_new=False, publish=lambda: None)
        return
    texts[MANIFEST] = manifest_text(manifest)
    fresh = Path(tempfile.mkdtemp(prefix=".bundle.", dir=folder))
    try:
        for name, kit in carried.items():
            for file in ("kit.json", *kit.manifest["files"]):  # no built engines, which fit one GPU, and no byte code
                target = fresh / "kits" / name / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(kit.folder / file, target)
        for name, text in texts.items():
            (fresh / name).write_text(text, encoding="utf-8")
        if (bundle / KEPT).is_dir():
            shutil.copytree(bundle / KEPT, fresh / KEPT)
        fresh.chmod(0o755)
        sync_tree(fresh)

        def publish() -> None:
            stamps = stamps_of_new(fresh)
            signed = (bundle / SIGNATURE).is_file()
            _replace_bundle(fresh, bundle)
            write_stamps(folder / STAMPS, stamps)
            if signed:
                sign = f"edgecnn bundle sign {shell_word(folder)} --key KEY"
                note(f"the bundle changed to version {manifest.version} and is no longer signed; sign it again: {sign}")

        yield StagedBundle(folder=fresh, is_new=True, publish=publish)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _published_or_none(bundle: Path, note: Note) -> BundleManifest | None:
    try:
        return published_manifest(bundle)
    except BundleManifestUnreadable as error:
        note(f"{error.what} ({error.because}); the bundle's versions begin at 1 again")
        return None


def _is_unchanged(bundle: Path, texts: Mapping[str, str], carried: Mapping[str, KitRef]) -> bool:
    try:
        same = all((bundle / name).read_bytes() == text.encode("utf-8") for name, text in texts.items())
    except OSError:
        return False
    return same and is_intact(bundle, carried)


def _replace_bundle(fresh: Path, bundle: Path) -> None:
    """Replace the old bundle by two renames, and restore it if the second one fails."""
    old = bundle.with_name(f"{fresh.name}.old")
    if bundle.exists():
        bundle.rename(old)
    try:
        fresh.rename(bundle)
    except BaseException:
        if old.exists():
            old.rename(bundle)
        raise
    fsync_folder(bundle.parent)  # before the old one is removed
    shutil.rmtree(old, ignore_errors=True)


def _choice_text(report: BuildReport, carried: Mapping[str, KitRef]) -> str:
    entries = {}
    for name, kit in carried.items():
        knobs = {"knobs": kit.knobs.options} if kit.knobs.options else {}
        entries[name] = {"folder": f"kits/{name}", "sha256": kit.digest, **knobs, **recorded_facts(report, name)}
    facts = {
        "schema": "edgecnn.choice/1",
        "device": report.build.device,
        "made": made_facts(report),
        **drawn_facts(report),
        **gate_facts(report),
        "choice": report.choice.model_dump(mode="json"),
        "kits": entries,
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def is_intact(bundle: Path, carried: Mapping[str, KitRef]) -> bool:
    """Whether the manifests are those of the kits and every file matches its manifest; the stamps are then stored.

    ``bundle``: in the output folder. ``carried``: its kits, by name.
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
        now_ns = _clock_ns(bundle.parent)  # before the bytes are read, so that a later change has a later date
        if any(sha256_of(bundle / file) != facts[file]["sha256"] for file in unrecorded):
            return False
        write_stamps(bundle.parent / STAMPS, {file: stamp for file, stamp in stamps.items() if stamp[3] < now_ns})
    return True


def stamps_of_new(bundle: Path) -> dict[str, Stamp]:
    """Return the stamps of the kits in a new bundle, by path. No other process knows the bundle yet."""
    time.sleep(_TICK_S)
    now_ns = _clock_ns(bundle)
    stamps = {f"kits/{name}": stamp_of(path) for name, path in files_under(bundle / "kits")}
    return {name: stamp for name, stamp in stamps.items() if stamp is not None and stamp[3] < now_ns}


def _clock_ns(folder: Path) -> int:
    """Return the time that the file system of ``folder`` gives to a change now. Its clock may be slow, or another machine's."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
        probe.flush()
        return os.fstat(probe.fileno()).st_ctime_ns


def sign_bundle(path: Path, key: Path, version: int | None, tell: Progress, report: BuildReport | None = None) -> BundleManifest:
    """Verify a bundle and sign it, replacing any earlier signature. Return the signed manifest.

    The build's folder is locked, so that no other build replaces the verified bundle.

    ``key``: a private key, or the ``.pub`` file of a key in the agent. ``version``: the new version; None: unchanged. ``report``:
    of the build to which the bundle must belong; None: any build.

    Raises:
        NOT_A_FOLDER_TO_SIGN: it is a zip.
        BUNDLE_OF_ANOTHER_BUILD: another build has replaced the bundle of ``report``.
        SshKeygenMissing, KEY_UNUSABLE: nothing was changed.
        EdgecnnError: an error of ``errors.bundle``: the bundle is not intact.
    """
    check_readable(key)
    with _locked_build(path) as build:
        if report is not None and not _has_report(build, report):
            raise BUNDLE_OF_ANOTHER_BUILD(folder=path)
        return _sign_folder(path, key, version, tell)


def _sign_folder(path: Path, key: Path, version: int | None, tell: Progress) -> BundleManifest:
    bundle = verify(path, Trust(made_here=True), tell)
    if bundle.opened.form == "zip":
        raise NOT_A_FOLDER_TO_SIGN(path=path)
    manifest = bundle.manifest if version is None else bundle.manifest.model_copy(update={"version": version})
    text = manifest_text(manifest)
    signature = sign(text.encode("utf-8"), key)
    folder = bundle.opened.path
    (folder / SIGNATURE).unlink(missing_ok=True)  # in this order, so that a signature is never next to another manifest
    write_text_atomically(folder / MANIFEST, text)
    write_text_atomically(folder / SIGNATURE, signature)
    return manifest


@contextmanager
def _locked_build(path: Path) -> Iterator[Path]:
    """Yield the build's folder with its lock held; a bundle outside a build needs no lock."""
    bundle = bundle_at(path).resolve()
    build = bundle.parent
    if bundle.name == BUNDLE and (build / PLAN).is_file():
        with output_lock(build):
            yield build
        return
    yield build


def _has_report(build: Path, report: BuildReport) -> bool:
    """Whether the folder contains this report. A build writes its bundle and report under one lock."""
    try:
        return (build / REPORT).read_text(encoding="utf-8") == report_text(report)
    except (OSError, ValueError):
        return False
