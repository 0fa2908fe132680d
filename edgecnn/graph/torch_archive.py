"""A torch file as its entries, and a fresh archive of those that were looked at: what torch loads is then what was read.

Torch's own reader takes another of two entries of one name than Python's does, does not tell case apart, and reads the file a
second time, which may have changed meanwhile; nothing of this is left in an archive that is written here.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Container, Mapping
from pathlib import Path

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.custom_form import members

_TEXT_BYTES = 64 << 20
"""Torch compresses a program's text, and stores tensors as they are."""


def entries_of(path: Path, wanted: Container[str] | None = None) -> dict[str, bytes]:
    """Name, without the one folder that holds all of them, to bytes; those that are not wanted have none.

    Args:
        path: of the file.
        wanted: names to read; None: all.

    Raises:
        CustomModelUnusable: it is damaged, or no archive as torch writes it: entries that overlap or swell, or share a name.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = archive.infolist()
            stored = sum(each.file_size for each in held if each.compress_type == zipfile.ZIP_STORED)
            if stored > path.stat().st_size or sum(each.file_size for each in held) - stored > _TEXT_BYTES:
                raise ValueError("its entries are larger than it")
            inside = members(archive)
            return {name: archive.read(inside[name]) if wanted is None or name in wanted else b"" for name in inside}
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError) as error:
        because = f"it is damaged, or was not written by torch: {error}"
        raise CustomModelUnusable(path=path, because=because, hint="copy it anew, whole") from error


def written(entries: Mapping[str, bytes]) -> io.BytesIO:
    """An archive of these alone, at its beginning."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, held in entries.items():
            archive.writestr(f"archive/{name}", held)
    made.seek(0)
    return made
