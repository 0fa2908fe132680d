"""Recognise files that archivers, file managers and notebooks leave in the user's folders. edgecnn uses these rules too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterable, List, Tuple

LEFT_BEHIND = frozenset(
    {"__macosx", ".ds_store", ".appledouble", ".spotlight-v100", ".fseventsd", ".temporaryitems", ".trashes", "icon\r"}
    | {"thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"}
    | {"@eadir", "#recycle", "@recycle", "lost+found", ".trash", ".thumbnails", ".nomedia", "picasa.ini", ".picasa.ini"}
    | {".ipynb_checkpoints", ".git", ".svn", ".hg"}
)
"""Names of such files and folders in lower case: macOS, Windows, storage systems and desktops, developers' tools."""
_IMAGES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".avif") + (
    ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2",
)  # fmt: skip
MOST_COUNTED = 10000
"""Largest number of entries of a skipped folder that are counted."""


def is_left_behind(name: str) -> bool:
    """Whether a tool leaves files or folders of this name, such as ``@eaDir``, ``Thumbs.db`` or ``._photo.jpg``."""
    return name.startswith("._") or name.casefold() in LEFT_BEHIND


def is_skipped(name: str) -> bool:
    """Whether a file or folder in the user's folder is skipped: it is hidden, or a tool left it."""
    return name.startswith(".") or is_left_behind(name)


def is_image_name(name: str) -> bool:
    """Whether a file name has an image's suffix. Only the file's bytes decide whether it is an image."""
    return not name.startswith("._") and name.lower().endswith(_IMAGES)


def split_left_behind(files: Iterable[Path]) -> Tuple[List[Path], List[Path]]:
    """Split paths into the user's, and those that a tool left and that hold images. ``photos/*`` expands to both."""
    own: List[Path] = []
    skipped: List[Path] = []
    for file in files:
        (skipped if is_left_behind(file.name) else own).append(file)
    return own, [file for file in skipped if images_in(file)]


def files_in(folder: Path) -> List[Path]:
    """List the files in a folder and its sub-folders, sorted, without those that are skipped."""
    files: List[Path] = []
    for place, folders, names in os.walk(str(folder)):
        folders[:] = [name for name in folders if not is_skipped(name)]
        files += [Path(place) / name for name in names if not is_skipped(name)]
    return sorted(files)


def images_in(place: Path) -> int:
    """Count the images in a skipped file or folder by their names, among its first ``MOST_COUNTED`` entries."""
    if not place.is_dir():
        return int(is_image_name(place.name))
    images = entries = 0
    for _, _, names in os.walk(str(place)):
        images += sum(map(is_image_name, names))
        entries += 1 + len(names)
        if entries >= MOST_COUNTED:
            break
    return images
