"""A verified bundle as a folder of ours, with the files that its manifest lists and no others; they are compared on their way."""

from __future__ import annotations

from pathlib import Path

from edgecnn.building.bundle.reading import copy_compared
from edgecnn.building.bundle.verify import Verified
from edgecnn.runner.files import sha256_of


def unpacked(found: Verified, place: Path) -> Path:
    """``place``, into which what is not there yet is written, of a zip and of a folder alike.

    A folder may hold byte code and engines beside what was listed, which would be executed, and may change while it is used.

    Args:
        found: a bundle that stood every check.
        place: an existing folder of ours; what an interrupted call left in it is compared, and kept where it is the same.

    Raises:
        BundleFileChanged, BundleFileMissing, BundleEntryRefused: a file is no longer what was verified.
    """
    for file, fact in found.manifest.files.items():
        target = place / file
        if target.is_file() and not target.is_symlink() and sha256_of(target) == fact.sha256:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            copy_compared(found.opened, file, fact.sha256, stream.write)
    return place
