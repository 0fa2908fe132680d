"""A verified bundle as a folder; a zip's files are compared once more on their way out."""

from __future__ import annotations

from pathlib import Path

from edgecnn.building.bundle.reading import copy_compared
from edgecnn.building.bundle.verify import Verified
from edgecnn.runner.files import sha256_of


def unpacked(found: Verified, place: Path) -> Path:
    """Where the bundle lies: its own folder, or ``place``, into which what is not there yet is written.

    Args:
        found: a bundle that stood every check.
        place: an existing folder of ours; what an interrupted call left in it is compared, and kept where it is the same.

    Raises:
        BundleFileChanged, BundleFileMissing, BundleEntryRefused: a file is no longer what was verified.
    """
    if found.opened.form == "folder":
        return found.opened.path
    for file, fact in found.manifest.files.items():
        target = place / file
        if target.is_file() and not target.is_symlink() and sha256_of(target) == fact.sha256:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            copy_compared(found.opened, file, fact.sha256, stream.write)
    return place
