"""A bundle as one zip: the same files give the same bytes, on every machine and at any time.

Files are stored and not compressed: a model hardly shrinks, a board need not inflate it, and no archive can be a bomb. The time
of every entry is the first that a zip can hold, and the order is that of the names.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from edgecnn.bundle.manifest import MANIFEST, SIGNATURE
from edgecnn.bundle.opening import copy_compared, read_through
from edgecnn.bundle.verify import Verified
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NotOverwritten, OutputUnwritable
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import synced

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""PKWARE APPNOTE 6.3.10, 4.4.6: MS-DOS dates begin here."""
_MODE: Final = 0o100644


def write_zip(bundle: Verified, out: Path) -> str:
    """Write what the manifest lists, the manifest and its signature where there is one, and nothing else; its SHA-256.

    ``out``: the zip; an earlier zip of a bundle there is replaced by one rename.

    Raises:
        NotOverwritten: something else stands there.
        OutputUnwritable: it cannot be written.
        BundleFileChanged, BundleFileMissing, BundleEntryRefused: a file is no longer what was verified; no zip is left then.
    """
    if out.exists() and not _is_ours(out):
        raise NotOverwritten(path=out, because="it is no bundle of edgecnn")
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise OutputUnwritable(path=out, because=system_reason(error)) from error
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
            _copy(bundle, archive)
        fresh.chmod(0o644)
        digest = synced(fresh).sha256  # onto the disk before the name: after a power cut there is the old zip or the new one
        fresh.replace(out)
    except (OSError, zipfile.LargeZipFile) as error:
        raise OutputUnwritable(path=out, because=system_reason(error)) from error
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
