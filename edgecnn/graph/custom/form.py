"""Which of its forms a custom model file has, told from its bytes, and a torch file as its entries.

Nothing of it is run, and torch is not imported. What torch loads is a fresh archive of the entries that were looked at.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Final

from edgecnn.errors.custom_model import CustomHoldsObjects, CustomModelUnusable
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import DAMAGED_ZIP, refuse_known_cause
from edgecnn.values.custom_model import TorchForm

_ZIP: Final = b"PK\x03\x04"
_PICKLED: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
"""Pickles, and what torch saved before 1.6."""
_OLDER_EXPORT: Final = "serialized_exported_program.json"
_COMPILED: Final = "data/aotinductor/"


def form_of(path: Path) -> TorchForm | None:
    """``torch.export`` or ``TorchScript``; None of what is left, which has to be ONNX.

    Raises:
        CustomModelUnusable: a zip archive that is cut off, or holds nothing of these forms.
        CustomHoldsObjects: a state dict, a pickled module, or compiled code.
        WrongBytes: see ``refuse_known_cause``.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        head = file.read(64)
    refuse_known_cause(path, head)
    if not head.startswith(_ZIP):
        if head.startswith(_PICKLED):
            raise CustomHoldsObjects(path=path, found="what torch.save or pickle wrote")
        return None
    inside = _inside(path)
    if _OLDER_EXPORT in inside:
        because = "it is a torch.export file in the layout of torch 2.7 and before"
        raise CustomModelUnusable(path=path, because=because, hint="save it anew by torch.export.save of torch 2.8 or later")
    if any(name.startswith(_COMPILED) for name in inside):
        raise CustomHoldsObjects(path=path, found="compiled code (AOTInductor), which is of one machine")
    if "archive_format" in inside and any(name.startswith("models/") for name in inside):
        return "torch.export"
    if "constants.pkl" in inside and any(name.startswith("code/") for name in inside):
        return "TorchScript"
    if "data.pkl" in inside:
        raise CustomHoldsObjects(path=path, found="what torch.save wrote")
    because = "it is a zip archive of no kind that is known here"
    raise CustomModelUnusable(path=path, because=because, hint="an ONNX, torch.export (.pt2) or TorchScript file is read")


def members(archive: zipfile.ZipFile) -> dict[str, str]:
    """Names inside a torch archive without the one folder that it puts all of them into, to the names as they stand.

    Torch's own reader takes another of two entries of one name than Python does, and does not tell case apart.

    Raises ValueError: two entries have one name, or there is more than one folder.
    """
    names = archive.namelist()
    if len({name.casefold() for name in names}) != len(names):
        raise ValueError("two entries have the same name")
    if len({name.partition("/")[0] for name in names}) > 1 and any("/" in name for name in names):
        raise ValueError("its entries lie in more than one folder")
    return {name.partition("/")[2] or name: name for name in names}


def _inside(path: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return members(archive)
    except ValueError as error:
        because = f"it was not written by torch: {error}"
        raise CustomModelUnusable(path=path, because=because, hint="save it anew by torch.export.save") from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        because = "it is cut off or damaged: a zip archive, as torch writes, without its end"
        raise CustomModelUnusable(path=path, because=because, hint="copy it anew, whole") from error


_TEXT_BYTES = 64 << 20
"""Torch compresses a program's text, and stores tensors as they are."""


def entries_of(path: Path, wanted: Container[str] | None = None) -> dict[str, bytes]:
    """Name, without the one folder that holds all of them, to bytes; those that are not wanted have none.

    ``wanted``: names to read; None: all. Raises CustomModelUnusable: it is damaged, or no archive as torch writes it: entries
    that overlap or swell, or share a name. OSError: it cannot be read.
    """
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _contents(archive, path.stat().st_size, wanted)
        except DAMAGED_ZIP as error:
            because = f"it is damaged, or was not written by torch: {error}"
            raise CustomModelUnusable(path=path, because=because, hint="copy it anew, whole") from error


def _contents(archive: zipfile.ZipFile, size: int, wanted: Container[str] | None) -> dict[str, bytes]:
    held = archive.infolist()
    stored = sum(each.file_size for each in held if each.compress_type == zipfile.ZIP_STORED)
    if stored > size or sum(each.file_size for each in held) - stored > _TEXT_BYTES:
        raise ValueError("its entries are larger than it")
    inside = members(archive)
    return {name: archive.read(inside[name]) if wanted is None or name in wanted else b"" for name in inside}


def written(entries: Mapping[str, bytes]) -> io.BytesIO:
    """An archive of these alone, at its beginning.

    Torch's own reader takes another of two entries of one name than Python's does, does not tell case apart, and reads the file a
    second time, which may have changed meanwhile; nothing of this is left in an archive that is written here.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, held in entries.items():
            archive.writestr(f"archive/{name}", held)
    made.seek(0)
    return made
