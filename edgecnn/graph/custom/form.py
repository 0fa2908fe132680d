"""Recognise the form of a custom model file, and check the input and output of an image classifier.

The bytes decide the form, and for a torch file its entries. Nothing in the file runs, and torch is not imported. torch later
loads a new archive that contains only checked entries.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgecnn.errors.custom_model import CUSTOM_MODEL_HOLDS_OBJECTS, INPUT_SIZE_OPEN, custom_model_unusable
from edgecnn.runner.files import open_regular
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import DAMAGED_ZIP, bounded_zip, refuse_known_cause
from edgecnn.values.custom_model import TorchForm

COLOURS = (3, 1)
DTYPES = ("float32", "float16", "uint8")
ALONE = {
    "input": "export it with the image alone as its input; make its other inputs constants of the graph",
    "output": "export it with the class scores alone as its output",
}
SCORES = "export it with one output of images×classes: the score of each class"
AS_IMAGES = "export it with an input of images×3×height×width, or ×1; put flattening and reshaping inside the graph"
Dims = Sequence[int | str | None]
"""Sizes of a tensor. An open size is None, or its name in the file."""


def only_one(names: Sequence[str], what: str, path: Path, fix: str = "") -> str:
    """Return the only item. ``fix``: replaces the advice to export with one. Raises CustomModelUnusable: none, or several."""
    if len(names) != 1:
        listed = ", ".join(names[:4]) or "none"
        because = f"a classifier has one {what}, but this file has {len(names)}: {listed}"
        raise custom_model_unusable(path=path, because=because, hint=fix or ALONE[what])
    return names[0]


def image_entry(name: str, dims: Dims, dtype: str, asked_px: ImageSize | None, path: Path) -> dict[str, Any]:
    """Return ``input``, ``layout``, ``dtype``, ``colours``, ``resolution_px`` and ``batch`` of a ``GraphEntry``.

    ``dims``: of the input, NCHW or NHWC. ``asked_px``: ``model.resolution_px``, for a file with open height and width. Raises
    CustomModelUnusable: the input is not a batch of colour or grey images. InputSizeOpen: their size is unknown.
    """
    if len(dims) == 3 and any(channels in (dims[0], dims[2]) for channels in COLOURS):
        because = f"its input {name} is {_dims_text(dims)}, which has no batch axis"
        hint = f"export it with an example of 1×{_dims_text(dims)} and a dynamic first axis"
        raise custom_model_unusable(path=path, because=because, hint=hint)
    if len(dims) != 4:
        because = f"its input {name} is {_dims_text(dims)}, not a batch of images"
        raise custom_model_unusable(path=path, because=because, hint=AS_IMAGES)
    colours = next((channels for channels in COLOURS if channels in (dims[1], dims[3])), None)
    if colours is None:
        because = f"its input {name} is {_dims_text(dims)}, which has no axis of 3 colours or of 1"
        raise custom_model_unusable(path=path, because=because, hint=AS_IMAGES)
    first = dims[1] == colours
    size = _image_size(name, dims[2:] if first else dims[1:3], asked_px, path)
    if dtype not in DTYPES:
        because = f"its input {name} is {dtype}, not float32, float16 or uint8"
        raise custom_model_unusable(path=path, because=because, hint="export it with a float32 input")
    return {
        "input": name,
        "layout": "NCHW" if first else "NHWC",
        "dtype": dtype,
        "colours": colours,
        "resolution_px": size,
        "batch": dims[0] if isinstance(dims[0], int) else None,
    }


def answer_entry(name: str, dims: Dims, ends: tuple[str | None, str | None], batch: int | None, path: Path) -> dict[str, Any]:
    """Return ``output``, ``classes``, ``one_share`` and the end of a ``GraphEntry``.

    ``dims``: of the output. ``ends``: ``softmax`` or ``sigmoid``, whether removable, and whether its result is rounded
    afterwards. Raises CustomModelUnusable: the output is not one number for each class and image.
    """
    end, made_by = ends
    one_share = _is_one_number(name, dims, batch, path)
    if one_share and made_by != "sigmoid":
        because = f"its output {name} is one number an image, and it does not end in a sigmoid"
        hint = "end it in a sigmoid, if the number is the logit of the second of two classes, and export it again"
        raise custom_model_unusable(path=path, because=because, hint=hint)
    return {
        "output": name,
        "classes": 2 if one_share else _classes_of(name, dims, path),
        "one_share": one_share,
        "ends_in_softmax": end == ("sigmoid" if one_share else "softmax"),
        "ends_in_sigmoid": made_by == "sigmoid" and not one_share,
        "ends_in_shares": end is None and made_by is not None,
    }


def _is_one_number(name: str, dims: Dims, batch: int | None, path: Path) -> bool:
    """Return whether the output is one number an image: images, images×1, or images×1×1×1."""
    if len(dims) == 1 and isinstance(dims[0], int) and dims[0] != batch:
        because = f"its output {name} is {_dims_text(dims)}, which has no batch axis"
        raise custom_model_unusable(path=path, because=because, hint=f"{SCORES}, and do not squeeze the first axis")
    return bool(dims) and all(size == 1 for size in dims[1:])


def _classes_of(name: str, dims: Dims, path: Path) -> int:
    """Return the classes of an output images×classes, also with extra axes of one, as a convolution leaves them."""
    sizes = [size for size in dims[1:] if size != 1]
    if len(sizes) == 1 and isinstance(sizes[0], int):
        return sizes[0]
    because = f"its output {name} is {_dims_text(dims)}, not images×classes"
    hint = "export it with a fixed number of classes"
    if len(sizes) > 1:
        hint = "end it in a pooling over height and width, or name another output by --set model.output=NAME"
    raise custom_model_unusable(path=path, because=because, hint=hint)


def _image_size(name: str, sides: Dims, asked_px: ImageSize | None, path: Path) -> ImageSize:
    """Return the file's height and width, or the requested ones if the file leaves them open."""
    own = tuple(side if isinstance(side, int) else None for side in sides)
    if asked_px is not None and any(side not in (None, wanted) for side, wanted in zip(own, asked_px, strict=True)):
        because = f"its input {name} is {_dims_text(own)} pixels, and model.resolution_px is {asked_px}"
        hint = "leave model.resolution_px out" if None not in own else f"--set model.resolution_px with {_dims_text(own)}"
        raise custom_model_unusable(path=path, because=because, hint=hint)
    if own[0] is not None and own[1] is not None:
        return ImageSize(own[0], own[1])
    if asked_px is None:
        raise INPUT_SIZE_OPEN(path=path, because=f"its input {name} leaves height and width open")
    return asked_px


def _dims_text(dims: Dims) -> str:
    return "×".join("?" if size is None else str(size) for size in dims) or "without a shape"


_ZIP: Final = b"PK\x03\x04"
_PICKLED: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
"""Pickles, and files that torch saved before 1.6."""
_OLDER_EXPORT: Final = "serialized_exported_program.json"
_COMPILED: Final = "data/aotinductor/"


def form_of(path: Path) -> TorchForm | None:
    """Return ``torch.export`` or ``TorchScript``; None for any other file, which has to be ONNX.

    Raises:
        CustomModelUnusable: a zip archive that is truncated, or contains neither form.
        CUSTOM_MODEL_HOLDS_OBJECTS: a state dict, a pickled module, or compiled code.
        WRONG_BYTES: see ``refuse_known_cause``.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        head = file.read(64)
    refuse_known_cause(path, head)
    if not head.startswith(_ZIP):
        if head.startswith(_PICKLED):
            raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found="an object that torch.save or pickle wrote")
        return None
    inside = _read_members(path)
    if _OLDER_EXPORT in inside:
        because = "it is a torch.export file in the layout of torch 2.7 and before"
        raise custom_model_unusable(path=path, because=because, hint="save it again with torch.export.save of torch 2.8 or later")
    if any(name.startswith(_COMPILED) for name in inside):
        raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found="compiled code (AOTInductor), which runs on one kind of machine")
    if "archive_format" in inside and any(name.startswith("models/") for name in inside):
        return "torch.export"
    if "constants.pkl" in inside and any(name.startswith("code/") for name in inside):
        return "TorchScript"
    if "data.pkl" in inside:
        raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found="an object that torch.save wrote")
    because = "it is a zip archive of an unknown kind"
    raise custom_model_unusable(path=path, because=because, hint="pass an ONNX, torch.export (.pt2) or TorchScript file")


def members(archive: zipfile.ZipFile) -> dict[str, str]:
    """Map names inside a torch archive, without their common folder, to the full names.

    If two entries share a name, torch's reader and Python's choose differently, and torch's ignores case.

    Raises ValueError: two entries have one name, or there is more than one folder.
    """
    names = archive.namelist()
    if len({name.casefold() for name in names}) != len(names):
        raise ValueError("two entries have the same name")
    if len({name.partition("/")[0] for name in names}) > 1 and any("/" in name for name in names):
        raise ValueError("its entries are in more than one folder")
    return {name.partition("/")[2] or name: name for name in names}


def _read_members(path: Path) -> dict[str, str]:
    try:
        with open_regular(path) as file, bounded_zip(file) as archive:
            return members(archive)
    except ValueError as error:
        because = f"it was not written by torch: {error}"
        raise custom_model_unusable(path=path, because=because, hint="save it again with torch.export.save") from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        because = "it is cut off or damaged: a zip archive, as torch writes, without its end"
        raise custom_model_unusable(path=path, because=because, hint="copy the complete file again") from error


_TEXT_BYTES = 64 << 20
"""torch compresses a program's text, and stores tensors uncompressed."""


def entries_of(path: Path, wanted: Container[str] | None = None) -> dict[str, bytes]:
    """Return the bytes of entries by name, without their common folder; unwanted entries are empty.

    ``wanted``: names to read; None: all. Raises CustomModelUnusable: it is damaged, or not an archive that torch wrote, because
    entries overlap, expand or share a name. OSError: it cannot be read.
    """
    with open_regular(path) as file:
        try:
            with bounded_zip(file) as archive:
                return _contents(archive, path.stat().st_size, wanted)
        except DAMAGED_ZIP as error:
            because = f"it is damaged, or was not written by torch: {error}"
            raise custom_model_unusable(path=path, because=because, hint="copy the complete file again") from error


def _contents(archive: zipfile.ZipFile, size: int, wanted: Container[str] | None) -> dict[str, bytes]:
    entries = archive.infolist()
    stored = sum(entry.file_size for entry in entries if entry.compress_type == zipfile.ZIP_STORED)
    if stored > size or sum(entry.file_size for entry in entries) - stored > _TEXT_BYTES:
        raise ValueError("its entries are larger than it")
    inside = members(archive)
    return {name: archive.read(inside[name]) if wanted is None or name in wanted else b"" for name in inside}


def write_archive(entries: Mapping[str, bytes]) -> io.BytesIO:
    """Write an archive of only these entries.

    A new archive avoids three risks: torch's reader may choose another of two entries with one name, ignores case, and reads the
    file a second time, after it may have changed.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)
    made.seek(0)
    return made
