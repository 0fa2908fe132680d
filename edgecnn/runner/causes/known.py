"""Why a file is not what it should be, where its bytes or its name show it. edgecnn asks here too, so that both sides agree."""

from __future__ import annotations

import hashlib
import shlex
import sys
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from ..files import open_regular
from .left_behind import is_left_behind

_LFS = b"version https://git-lfs.github.com/spec/"
_COMPRESSED = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_LINES_NEEDED = 16
"""In compressed bytes, 16 line feeds all follow a carriage return by chance once in 2**128 files."""
_HEAD_BYTES = 1 << 16


class Cause(NamedTuple):
    """A cause, in words that can follow a colon, and the command that helps."""

    why: str
    fix: str


def cause_in(head: bytes, place: Optional[Path] = None) -> Optional[Cause]:
    """The cause that a file's first bytes show; None where they show none.

    Args:
        head: the first bytes.
        place: the file. Its repository, if there is one, decides which command helps.
    """
    if head.startswith(_LFS):
        return Cause("it is a Git LFS pointer, not the file itself", "git lfs pull")
    if head.startswith((b"\x89PNG\n", b"\x89PNG\r\r\n")) or (head.startswith(_COMPRESSED) and _has_crlf_alone(head)):
        return line_endings(place)
    return None


def cause_of_file(path: Path) -> Optional[Cause]:
    """``cause_in`` of a file; None, too, where it cannot be read."""
    return cause_in(*_head_of(path))


def cause_of_change(
    open_file: Callable[[], IO[bytes]], size: int, wanted: Tuple[int, str], place: Optional[Path]
) -> Optional[Cause]:
    """The cause by which a file became another than the known one; None if its bytes show none or cannot be read.

    Args:
        open_file: opens the file at its beginning.
        size: its bytes.
        wanted: bytes and SHA-256 of the known file.
        place: the folder that holds the file and its siblings; None: an archive does.
    """
    try:
        with open_file() as stream:
            head = stream.read(_HEAD_BYTES)
            shown = cause_in(head, place)
            if shown is not None:
                return shown
            if not wanted[0] <= 2 * size <= 4 * wanted[0]:  # no conversion of line endings explains that: the rest stays unread
                return None
            converted = (b"\0" in head and _has_crlf_alone(head)) or wanted[1] in _digests_by_line_ending(head, stream)
            return line_endings(place) if converted else None
    except OSError:
        return None


def left_by_a_tool(name: str, folder: Path) -> Optional[Cause]:
    """The cause of a file that should not be there; None where no archiver or file manager leaves such files.

    Args:
        name: its path inside the folder, with slashes.
        folder: the command cleans it.
    """
    where, parts = shlex.quote(str(folder)), name.split("/")
    if any(part.startswith("._") for part in parts):
        return Cause("macOS's tar or zip wrote it next to the real file", "find {} -name '._*' -delete".format(where))
    left = next((part for part in parts if is_left_behind(part)), None)
    if left is None:
        return None
    clean = "find {} -name {} -prune -exec rm -r {{}} +".format(where, shlex.quote(left))
    return Cause("an archiver or a file manager left it", clean)


def why_no_image(source: Any, otherwise: str) -> str:
    """Why an image file cannot be read, with the command that helps where the cause is known.

    Args:
        source: a path, or an open binary file.
        otherwise: the answer where no cause is known.
    """
    head, place = _head_of(source)
    cause = cause_in(head, place) or _missing_decoder(head)
    return otherwise if cause is None else "{}: {}".format(cause.why, cause.fix)


def _missing_decoder(head: bytes) -> Optional[Cause]:
    """The cause of an image in a format that edgecnn reads and that the installed Pillow lacks."""
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
    why = "it is in the {} format, and Pillow {} was built without it here".format(name, version)
    return Cause(why, "pip install --force-reinstall --only-binary :all: pillow")


_DECODERS = {"JPEG": "jpg", "PNG": "zlib", "WebP": "webp", "AVIF": "avif", "TIFF": "libtiff"}
"""The libraries that Pillow may have been built without, by the names that ``PIL.features`` has for them."""
_SIGNATURES: Dict[str, Callable[[bytes], bool]] = {
    "JPEG": lambda head: head.startswith(b"\xff\xd8\xff"),
    "PNG": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "WebP": lambda head: (head[:4], head[8:12]) == (b"RIFF", b"WEBP"),
    "AVIF": lambda head: head[4:8] == b"ftyp" and (b"avif" in head[8:32] or b"avis" in head[8:32]),
    "TIFF": lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}


def _head_of(source: Any) -> Tuple[bytes, Optional[Path]]:
    """The first bytes of a path or an open file, and the path where it is known; no bytes where they cannot be read."""
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
    """SHA-256 of the file with line feeds alone, and with carriage returns before all of them."""
    with_lf, with_crlf, carried = hashlib.sha256(), hashlib.sha256(), b""
    for block in _blocks(head, stream):
        whole = carried + block
        carried = b"\r" if whole.endswith(b"\r") else b""  # its line feed may be in the next block
        lines = whole[: len(whole) - len(carried)].replace(b"\r\n", b"\n")
        with_lf.update(lines)
        with_crlf.update(lines.replace(b"\n", b"\r\n"))
    with_lf.update(carried)
    with_crlf.update(carried)
    return with_lf.hexdigest(), with_crlf.hexdigest()


def _blocks(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    block = head
    while block:
        yield block
        block = stream.read(1 << 20)


def line_endings(place: Optional[Path]) -> Cause:
    """Line endings that git or an unpacking tool converted; ``place``: as in ``cause_in``."""
    why = "its line endings were converted, as if it were text"
    folder = None if place is None else (place if place.is_dir() else place.parent).resolve()
    top = (
        None
        if folder is None
        else next((ancestor for ancestor in (folder, *folder.parents) if (ancestor / ".git").exists()), None)
    )
    if folder is None or top is None:
        return Cause(why, "copy or unpack it again as binary: unzip without -a, FTP in binary mode")
    inside = folder.relative_to(top).as_posix()
    pattern = "*" if inside == "." else "/{}/**".format(inside)
    line = "{} -text".format('"{}"'.format(pattern) if " " in pattern else pattern)
    git, path = "git -C {}".format(shlex.quote(str(top))), shlex.quote(inside)
    again = "{0} rm -rq --cached {1} && {0} checkout HEAD -- {1}".format(git, path)
    return Cause(why, "commit the line '{}' in .gitattributes, then: {}".format(line, again))
