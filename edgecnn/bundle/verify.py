"""Verify a bundle and its origin before any of its files is used.

Until every byte is compared, only ``bundle.json`` and its signature are parsed. Then the files are checked against each other,
since a bundle with correct hashes may still be malicious.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Literal, NamedTuple

from filelock import FileLock

from edgecnn.bundle.contents import Contents, read_contents
from edgecnn.bundle.manifest import (
    MANIFEST,
    MANIFEST_BYTES_MAX,
    SIGNATURE,
    BundleManifest,
    BundleVerification,
    name_fault,
    parse_manifest,
    require_distinct,
)
from edgecnn.bundle.opening import TOTAL_BYTES_MAX, Opened, copy_verified, open_bundle, sha256_of_entry
from edgecnn.bundle.ssh_keygen import SIGNATURE_BYTES_MAX, Signed, signer_of
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.bundle import (
    BUNDLE_MANIFEST_UNREADABLE,
    BUNDLE_WITHOUT_MANIFEST,
    NO_BUNDLE_HERE,
    RECORD_UNUSABLE,
    SIGNATURE_MISSING,
    SIGNATURE_REFUSED,
    SIGNERS_NOT_NAMED,
    BundleEntryRefused,
    bundle_entry_refused,
    bundle_file_changed,
    bundle_file_extra,
    bundle_file_missing,
    bundle_rolled_back,
)
from edgecnn.results.folder import BUNDLE, CHOICE
from edgecnn.runner.causes import cause_in, cause_of_change, left_by_a_tool, line_endings
from edgecnn.runner.files import bounded_content, sha256_of
from edgecnn.store.disk import fsync_folder, sync_file, umask_mode, write_text_atomically
from edgecnn.values.artifact import FileFact
from edgecnn.values.stage import Progress

_MEASURED, _BUILT, _BYTE_CODE = "measured", "build", "__pycache__"
"""Names of files that the use of a bundle leaves in its folder: runs, engines, byte code."""
_RECORD: Final = re.compile(r"measured/(?:energy/)?[A-Za-z0-9_.-]+\.(?:json|log|txt)")
"""Runs that ``runner measure`` leaves. They are only read as data, so they need no permission."""
_ENGINE = ".plan"
_SCHEMA = "edgecnn.accepted/1"
_RECORD_BYTES_MAX = 1 << 20
UNSIGNED: Final = (
    "the bundle is not signed, so its files may have been changed; its builder signs it with "
    "`edgecnn bundle sign BUNDLE --key KEY`"
)
_WARNINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (UNSIGNED,),
    "unchecked": ("its signature was not checked; pass --allowed-signers FILE to check the signer",),
    "good": (),
}


@dataclass(frozen=True)
class Trust:
    """Requirements on a bundle in addition to its hashes."""

    made_here: bool = False
    """Accept files that the use of a bundle creates in its folder. Byte code and engines are executed without a check."""
    signers: Path | None = None
    """File of allowed signers; with one, an unsigned bundle is refused, since a signature can be removed."""
    identity: str | None = None
    """Required signer; None: anyone in that file."""
    require_signature: bool = False
    remember: Path | None = None
    """Folder with the versions that this machine has accepted."""

    def __post_init__(self) -> None:
        """Raises SIGNERS_NOT_NAMED: an option needs a file of signers."""
        options = {"--require-signature": self.require_signature, "--identity": self.identity, "--remember": self.remember}
        for option, value in options.items():
            if value and self.signers is None:
                raise SIGNERS_NOT_NAMED(option=option)


class Verified(NamedTuple):
    """A bundle that passed every check."""

    opened: Opened
    manifest: BundleManifest
    contents: Contents
    facts: BundleVerification
    trusted: bool = False
    """Whether the user stated that the bundle was made here, so that kits may run that no sandbox can hold."""


def bundle_at(path: Path) -> Path:
    """Return the bundle in a build's folder, or any other path unchanged."""
    try:
        return path / BUNDLE if not (path / CHOICE).is_file() and (path / BUNDLE / CHOICE).is_file() else path
    except OSError:  # opening it reports the error
        return path


def verify(path: Path, trust: Trust, tell: Progress) -> Verified:
    """Verify a bundle, the structure of its archive first and its models last.

    ``path``: a build's folder, a bundle's folder, or a zip.

    Raises EdgecnnError: an error of ``errors.bundle``, for the first fault.
    """
    opened = open_bundle(bundle_at(path))
    content = manifest_bytes(opened)
    signature, signer = _check_signature(opened, content, trust)
    manifest = parse_manifest(content, f"{MANIFEST} in {opened.path}")
    made_here = _check_names(opened, manifest, trust)
    _compare_files(opened, manifest, tell)
    contents = read_contents(opened, manifest)
    digest = hashlib.sha256(content).hexdigest()
    remembered = None if trust.remember is None else remember_version(opened.path, manifest, digest, trust.remember)
    facts = BundleVerification(
        path=str(path), form=opened.form, name=manifest.name, version=manifest.version,
        sha256=digest, files=len(manifest.files),
        bytes=sum(fact.bytes for fact in manifest.files.values()), kits=contents.kits, chosen=contents.chosen,
        signature=signature, signer=signer, made_here=made_here, remembered=remembered,
        unlearned=contents.unlearned, warnings=_WARNINGS[signature],
    )  # fmt: skip
    return Verified(opened, manifest, contents, facts, trust.made_here)


def manifest_bytes(opened: Opened) -> bytes:
    """Return the bytes of ``bundle.json``.

    Raises BUNDLE_WITHOUT_MANIFEST: there are only kits. NO_BUNDLE_HERE: there are no kits either. BundleManifestUnreadable: it
    is too long. BUNDLE_FILE_CHANGED: its line endings were converted, or it is a Git LFS pointer.
    """
    if MANIFEST not in opened.files:
        if any(name.startswith("kits/") for name in opened.files):
            raise BUNDLE_WITHOUT_MANIFEST(path=opened.path)
        raise NO_BUNDLE_HERE(path=opened.path, because=f"it has no {MANIFEST}")
    if opened.files[MANIFEST] > MANIFEST_BYTES_MAX:
        raise BUNDLE_MANIFEST_UNREADABLE(
            path=f"{MANIFEST} in {opened.path}", because=f"it is longer than {MANIFEST_BYTES_MAX:,} bytes"
        )
    with opened.open(MANIFEST) as stream:
        content = stream.read(MANIFEST_BYTES_MAX + 1)
    folder = opened.path if opened.form == "folder" else None
    cause = line_endings(folder) if b"\r\n" in content else cause_in(content)
    if cause is not None:  # its bytes are neither the signed ones nor those of the remembered digest
        raise bundle_file_changed(path=opened.path, file=MANIFEST, because=cause.why, hint=cause.fix)
    return content


def _check_signature(opened: Opened, content: bytes, trust: Trust) -> tuple[Literal["none", "unchecked", "good"], str | None]:
    """Return the state of the signature, and its signer. The manifest is parsed only after this check."""
    if SIGNATURE not in opened.files:
        if trust.signers is not None:
            raise SIGNATURE_MISSING(path=opened.path)
        return "none", None
    if trust.signers is None:
        return "unchecked", None
    if opened.files[SIGNATURE] > SIGNATURE_BYTES_MAX:
        raise SIGNATURE_REFUSED(path=opened.path, because=f"it is longer than {SIGNATURE_BYTES_MAX:,} bytes")
    with opened.open(SIGNATURE) as stream:
        signature = stream.read(SIGNATURE_BYTES_MAX)
    return "good", signer_of(opened.path, Signed(content, signature), trust.signers, trust.identity)


def _check_names(opened: Opened, manifest: BundleManifest, trust: Trust) -> tuple[str, ...]:
    """Refuse missing, additional and ambiguous names, except runs. Return the accepted files that the use of the bundle made."""
    require_distinct(opened.path, manifest.files)
    for name in manifest.files:
        if (fault := name_fault(name)) != "":
            raise bundle_entry_refused(path=opened.path, entry=name, because=fault)
        if name not in opened.files:
            raise bundle_file_missing(path=opened.path, file=name)
        if not trust.made_here and (PurePosixPath(name).suffix == _ENGINE or f"/{_BUILT}/" in name):
            because = "is an engine, which is code of the GPU that built it; build it here, or pass --made-here if you built it"
            raise bundle_entry_refused(path=opened.path, entry=name, because=because)
    extra = sorted(set(opened.files) - set(manifest.files) - {MANIFEST, SIGNATURE})
    for name in extra:
        parts = name.split("/")
        is_engine = len(parts) > 3 and (parts[0], parts[2]) == ("kits", _BUILT)
        made_here = opened.form == "folder" and (parts[0] == _MEASURED or is_engine or _BYTE_CODE in parts[:-1])
        is_record = made_here and _RECORD.fullmatch(name) is not None
        if not is_record and not (made_here and trust.made_here):
            raise bundle_file_extra(path=opened.path, file=name, made_here=made_here, left=left_by_a_tool(name, opened.path))
    return tuple(extra)


def _compare_files(opened: Opened, manifest: BundleManifest, tell: Progress) -> None:
    """Compare sizes first, so that a file that is too long is not read."""
    total = sum(fact.bytes for fact in manifest.files.values())
    if total > TOTAL_BYTES_MAX:
        because = f"its files are {total:,} bytes, more than {TOTAL_BYTES_MAX:,}"
        raise BUNDLE_MANIFEST_UNREADABLE(path=f"{MANIFEST} in {opened.path}", because=because)
    for name, fact in manifest.files.items():
        if opened.files[name] != fact.bytes:
            raise _changed_file(opened, name, fact, f"{opened.files[name]:,} bytes here, {fact.bytes:,} in {MANIFEST}")
    done = 0
    for name, fact in manifest.files.items():
        if (digest := sha256_of_entry(opened, name)) != fact.sha256:
            raise _changed_file(opened, name, fact, f"its SHA-256 is {digest[:12]}…, in {MANIFEST} {fact.sha256[:12]}…")
        done += fact.bytes
        tell.step("comparing with the manifest", done >> 20, total >> 20, "MiB")


def _changed_file(opened: Opened, name: str, fact: FileFact, because: str) -> EdgecnnError:
    folder = opened.path if opened.form == "folder" else None
    cause = None
    with suppress(BundleEntryRefused):  # an unreadable file does not hide the fact that was found before
        cause = cause_of_change(lambda: opened.open(name), opened.files[name], (fact.bytes, fact.sha256), folder)
    if cause is None:
        return bundle_file_changed(path=opened.path, file=name, because=because)
    return bundle_file_changed(path=opened.path, file=name, because=cause.why, hint=cause.fix)


def unpack_bundle(bundle: Verified, folder: Path, kit: str | None = None) -> Path:
    """Write the bundle's files into ``folder``, and return ``folder``.

    A folder may hold byte code and engines in addition to the listed files, and may change while it is used.

    ``folder``: an existing private folder. Files that an interrupted call left are compared, and kept if they match. ``kit``:
    write only this kit's files and the choice, with engines that the user accepted as made here.

    Raises BUNDLE_FILE_CHANGED, BUNDLE_FILE_MISSING, BundleEntryRefused: a file differs from the verified one.
    """
    wanted = (CHOICE, f"kits/{kit}/") if kit is not None else ("",)
    for file, fact in bundle.manifest.files.items():
        target = folder / file
        if not file.startswith(wanted) or (target.is_file() and not target.is_symlink() and sha256_of(target) == fact.sha256):
            continue
        with _new_file(target) as stream:
            copy_verified(bundle.opened, file, fact.sha256, stream.write)
    for file in bundle.facts.made_here if kit is not None else ():
        if file.startswith(f"kits/{kit}/{_BUILT}/"):
            with _new_file(folder / file) as stream:
                sha256_of_entry(bundle.opened, file, stream.write)
    return folder


def _new_file(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def remember_version(path: Path, manifest: BundleManifest, digest: str, folder: Path) -> int | None:
    """Record the version of a verified bundle, unless a later one is recorded. Return the version recorded before, or None.

    ``digest``: SHA-256 of ``bundle.json``. ``folder``: of the records, one for each bundle name; made if absent.

    Raises:
        BUNDLE_ROLLED_BACK: a later version was accepted, or another bundle of the same version.
        RECORD_UNUSABLE: the record cannot be read or written; nothing is accepted.
    """
    record = folder / f"{hashlib.sha256(manifest.name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(record.with_suffix(".lock"), mode=umask_mode(0o666)):
            before = _read_record(record)
            if before is not None and (manifest.version, digest) != before and manifest.version <= before[0]:
                raise bundle_rolled_back(path=path, name=manifest.name, version=manifest.version, accepted=before[0])
            facts = {"schema": _SCHEMA, "name": manifest.name, "version": manifest.version, "sha256": digest}
            write_text_atomically(record, json.dumps(facts, indent=1) + "\n")
            sync_file(record)
            fsync_folder(folder)  # a power cut must not bring an older record back
    except OSError as error:
        raise RECORD_UNUSABLE(path=record, because=system_reason(error)) from error
    return None if before is None else before[0]


def _read_record(record: Path) -> tuple[int, str] | None:
    """Read a record; None if there is none. A damaged record is an error, because only a person may decide to delete it."""
    if not record.exists():
        return None
    try:
        facts: Any = json.loads(bounded_content(record, _RECORD_BYTES_MAX))
        if facts["schema"] != _SCHEMA or type(facts["version"]) is not int:
            raise ValueError(f"its schema is not {_SCHEMA}")
        return facts["version"], str(facts["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise RECORD_UNUSABLE(path=record, because=f"it is damaged ({type(error).__name__})") from error
