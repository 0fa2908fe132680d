"""Frequent causes of wrong files, and the files that tools leave in folders. edgecnn uses these rules too, so that both agree."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from itertools import chain
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from .files import open_regular

LEFT_BEHIND = frozenset(
    {"__macosx", ".ds_store", ".appledouble", ".spotlight-v100", ".fseventsd", ".temporaryitems", ".trashes", "icon\r"}
    | {"thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"}
    | {"@eadir", "#recycle", "@recycle", "lost+found", ".trash", ".thumbnails", ".nomedia", "picasa.ini", ".picasa.ini"}
    | {".ipynb_checkpoints", ".git", ".svn", ".hg"}
)
"""Names, in lower case, that macOS, Windows, storage systems, desktops and developers' tools give to files and folders."""
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
    return own, [file for file in skipped if count_images(file)]


def files_in(folder: Path) -> List[Path]:
    """List the files in a folder and its sub-folders, sorted, without those that are skipped."""
    files: List[Path] = []
    for place, folders, names in os.walk(str(folder)):
        folders[:] = [name for name in folders if not is_skipped(name)]
        files += [Path(place) / name for name in names if not is_skipped(name)]
    return sorted(files)


def count_images(place: Path) -> int:
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


_LFS = b"version https://git-lfs.github.com/spec/"
_COMPRESSED = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_LINES_NEEDED = 16
"""In compressed bytes, 16 line feeds that all follow a carriage return occur by chance once in 2**128 files."""
_HEAD_BYTES = 1 << 16


class Cause(NamedTuple):
    """A cause, worded to follow a colon, and the command that fixes it."""

    why: str
    fix: str


def cause_in(head: bytes, place: Optional[Path] = None) -> Optional[Cause]:
    """Return the cause that a file's first bytes show, or None.

    Args:
        head: the first bytes.
        place: the file. Its Git repository, if there is one, decides the command.
    """
    if head.startswith(_LFS):
        return Cause("it is a Git LFS pointer, not the file itself", "git lfs pull")
    if head.startswith((b"\x89PNG\n", b"\x89PNG\r\r\n")) or (head.startswith(_COMPRESSED) and _has_crlf_alone(head)):
        return line_endings(place)
    return None


def cause_of_file(path: Path) -> Optional[Cause]:
    """Return ``cause_in`` of a file; None if it cannot be read."""
    return cause_in(*_head_of(path))


def cause_of_change(
    open_file: Callable[[], IO[bytes]], size: int, wanted: Tuple[int, str], place: Optional[Path]
) -> Optional[Cause]:
    """Return the cause of a change to a file; None if its bytes show none or cannot be read.

    Args:
        open_file: opens the file at its beginning.
        size: the file's bytes.
        wanted: bytes and SHA-256 of the original file.
        place: the folder with the file and its siblings; None: the file is in an archive.
    """
    try:
        with open_file() as stream:
            head = stream.read(_HEAD_BYTES)
            cause = cause_in(head, place)
            if cause is not None:
                return cause
            if not wanted[0] <= 2 * size <= 4 * wanted[0]:  # converted line endings cannot explain this size
                return None
            converted = (b"\0" in head and _has_crlf_alone(head)) or wanted[1] in _digests_by_line_ending(head, stream)
            return line_endings(place) if converted else None
    except OSError:
        return None


def left_by_a_tool(name: str, folder: Path) -> Optional[Cause]:
    """Return the cause of an unexpected file; None if no archiver or file manager leaves files of this name.

    Args:
        name: the file's path inside the folder, with slashes.
        folder: the folder that the command cleans.
    """
    where, parts = shlex.quote(str(folder)), name.split("/")
    if any(part.startswith("._") for part in parts):
        return Cause("macOS's tar or zip wrote it next to the real file", "find {} -name '._*' -delete".format(where))
    part_left = next((part for part in parts if is_left_behind(part)), None)
    if part_left is None:
        return None
    clean = "find {} -name {} -prune -exec rm -r {{}} +".format(where, shlex.quote(part_left))
    return Cause("an archiver or a file manager left it", clean)


def why_no_image(source: Any, otherwise: str) -> str:
    """Return why an image file cannot be read, with the command that fixes it if the cause is known.

    Args:
        source: a path, or an open binary file.
        otherwise: the reason if no cause is known.
    """
    head, place = _head_of(source)
    cause = cause_in(head, place) or _downloaded_text(head) or _missing_decoder(head)
    return otherwise if cause is None else "{}: {}".format(cause.why, cause.fix)


_HTML = (b"<!doctype html", b"<html", b"<head", b"<script", b"<body", b"<?xml")


def _downloaded_text(head: bytes) -> Optional[Cause]:
    """Return the cause of a web page or a message that a server sent in place of an image; None for other bytes."""
    text = head[3:] if head.startswith(b"\xef\xbb\xbf") else head
    begin = text.lstrip()[:64].lower()
    if begin.startswith(_HTML) and b"<svg" not in head[:_HEAD_BYTES].lower():
        kind = "a web page (HTML)" if not begin.startswith(b"<?xml") else "an XML document"
    elif begin[:1] in (b"{", b"["):
        kind = "JSON"
    else:
        return None
    return Cause("it is {}, not an image".format(kind), "download it again; servers send such text for an error or a login")


def _missing_decoder(head: bytes) -> Optional[Cause]:
    """Return the cause of an image in a format that edgecnn supports and the installed Pillow lacks."""
    import PIL  # a machine without it can still compare files
    from PIL import Image, features

    Image.init()
    name = next((name for name, begins in _SIGNATURES.items() if begins(head)), None)
    if name is None:
        return None
    is_too_old = name == "AVIF" and _DECODERS[name] not in features.modules  # Pillow before 11.3; ``check`` would warn
    if name.upper() in Image.OPEN and (is_too_old or features.check(_DECODERS[name])):  # an old one may have a plugin for it
        return None
    version = getattr(PIL, "__version__", "")
    if is_too_old:
        fix = "pip install 'pillow>=11.3'" if sys.version_info >= (3, 9) else "convert the image to PNG or JPEG"
        return Cause("Pillow {} cannot read AVIF images".format(version), fix)
    why = "it is in the {} format, and the installed Pillow {} was built without it".format(name, version)
    return Cause(why, "pip install --force-reinstall --only-binary :all: pillow")


_DECODERS = {"JPEG": "jpg", "PNG": "zlib", "WebP": "webp", "AVIF": "avif", "TIFF": "libtiff"}
"""Libraries that Pillow may have been built without, by their names in ``PIL.features``."""
_SIGNATURES: Dict[str, Callable[[bytes], bool]] = {
    "JPEG": lambda head: head.startswith(b"\xff\xd8\xff"),
    "PNG": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "WebP": lambda head: (head[:4], head[8:12]) == (b"RIFF", b"WEBP"),
    "AVIF": lambda head: head[4:8] == b"ftyp" and (b"avif" in head[8:32] or b"avis" in head[8:32]),
    "TIFF": lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}


def _head_of(source: Any) -> Tuple[bytes, Optional[Path]]:
    """Return the first bytes of a path or an open file, and the path if it is known; no bytes if they cannot be read."""
    try:
        if hasattr(source, "read"):
            source.seek(0)
            name = getattr(source, "name", None)
            return source.read(_HEAD_BYTES), Path(name) if isinstance(name, str) else None
        with open_regular(Path(source)) as stream:
            return stream.read(_HEAD_BYTES), Path(source)
    except (OSError, ValueError, TypeError):
        return b"", None


def _has_crlf_alone(head: bytes) -> bool:
    lines = head.count(b"\n")
    return lines >= _LINES_NEEDED and lines == head.count(b"\r\n")


def _digests_by_line_ending(head: bytes, stream: IO[bytes]) -> Tuple[str, str]:
    """Return SHA-256 of the file with LF line endings, and with CRLF line endings."""
    with_lf, with_crlf, carried = hashlib.sha256(), hashlib.sha256(), b""
    for block in chain([head], iter(lambda: stream.read(1 << 20), b"")):
        content = carried + block
        carried = b"\r" if content.endswith(b"\r") else b""  # its line feed may be in the next block
        lines = content[: len(content) - len(carried)].replace(b"\r\n", b"\n")
        with_lf.update(lines)
        with_crlf.update(lines.replace(b"\n", b"\r\n"))
    with_lf.update(carried)
    with_crlf.update(carried)
    return with_lf.hexdigest(), with_crlf.hexdigest()


def line_endings(place: Optional[Path]) -> Cause:
    """Return the cause of line endings that git or an unpacking tool converted. ``place``: see ``cause_in``."""
    why = "its line endings were converted, as if it were text"
    folder = None if place is None else (place if place.is_dir() else place.parent).resolve()
    ancestors = () if folder is None else (folder, *folder.parents)
    top = next((ancestor for ancestor in ancestors if (ancestor / ".git").exists()), None)
    if folder is None or top is None:
        return Cause(why, "copy or unpack it again as binary: unzip without -a, FTP in binary mode")
    inside = folder.relative_to(top).as_posix()
    pattern = "*" if inside == "." else "/{}/**".format(inside)
    line = "{} -text".format('"{}"'.format(pattern) if " " in pattern else pattern)
    git, path = "git -C {}".format(shlex.quote(str(top))), shlex.quote(inside)
    again = "{0} rm -rq --cached {1} && {0} checkout HEAD -- {1}".format(git, path)
    return Cause(why, "commit the line '{}' in .gitattributes, then: {}".format(line, again))
