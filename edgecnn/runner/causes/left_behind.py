"""Files that are not the user's: archivers, file managers and notebooks leave them in folders. edgecnn asks here too."""

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
"""Names of such files and folders, in small letters: of macOS, Windows, storage and desktops, and developers' tools."""
_IMAGES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".avif") + (
    ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2",
)  # fmt: skip
MOST_COUNTED = 10000
"""Entries of a skipped folder that are looked at: it may hold anything."""


def is_left_behind(name: str) -> bool:
    """Whether a tool leaves files or folders of this name, such as ``@eaDir``, ``Thumbs.db`` or ``._photo.jpg``."""
    return name.startswith("._") or name.casefold() in LEFT_BEHIND


def is_skipped(name: str) -> bool:
    """Whether a file or folder of this name inside the user's folder is skipped: it is hidden, or a tool left it."""
    return name.startswith(".") or is_left_behind(name)


def is_image_name(name: str) -> bool:
    """Whether files of this name are usually images. Whether one is an image, its bytes decide."""
    return not name.startswith("._") and name.lower().endswith(_IMAGES)


def split_left_behind(files: Iterable[Path]) -> Tuple[List[Path], List[Path]]:
    """The files that are named and the user's, and those that a tool left and that hold images: ``photos/*`` names both."""
    own: List[Path] = []
    left: List[Path] = []
    for file in files:
        (left if is_left_behind(file.name) else own).append(file)
    return own, [file for file in left if images_in(file)]


def images_in(place: Path) -> int:
    """Images in a skipped file or folder, by their names, among its first ``MOST_COUNTED`` entries."""
    if not place.is_dir():
        return int(is_image_name(place.name))
    images = entries = 0
    for _, _, names in os.walk(str(place)):
        images += sum(map(is_image_name, names))
        entries += 1 + len(names)
        if entries >= MOST_COUNTED:
            break
    return images
