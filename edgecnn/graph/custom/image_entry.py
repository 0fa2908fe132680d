"""What the ends of a classifier of photographs must be like, whatever form its file has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn.errors.custom_model import CustomModelUnusable, InputSizeOpen
from edgecnn.runner.pixel_recipe import ImageSize

COLOURS = (3, 1)
DTYPES = ("float32", "float16", "uint8")
ALONE = {
    "input": "export it with the image alone as its input; what else it needs is a constant of the graph",
    "output": "export it with the class scores alone as its output",
}
AS_IMAGES = "export it with an input of images×3×height×width, or ×1; what flattens or reshapes them belongs inside the graph"
Dims = Sequence[int | str | None]
"""Sizes of a tensor; None, or the name that the file gives it, where it leaves one open."""


def only_one(names: Sequence[str], what: str, path: Path) -> str:
    """The only one. Raises CustomModelUnusable: there is none, or there are several."""
    if len(names) != 1:
        said = ", ".join(names[:4]) or "none"
        because = f"a classifier has one {what}, and this has {len(names)}: {said}"
        raise CustomModelUnusable(path=path, because=because, hint=ALONE[what])
    return names[0]


def image_entry(name: str, dims: Dims, dtype: str, asked_px: ImageSize | None, path: Path) -> dict[str, Any]:
    """``input``, ``layout``, ``dtype``, ``colours``, ``resolution_px`` and ``batch`` of a ``GraphEntry``.

    ``dims``: of the input, NCHW or NHWC. ``asked_px``: ``model.resolution_px``, for a file that leaves height and width open.
    Raises CustomModelUnusable: it takes no batch of images in colour or grey. InputSizeOpen: their size is not known.
    """
    if len(dims) != 4:
        because = f"its input {name} is {_shown(dims)}, and not a batch of images"
        raise CustomModelUnusable(path=path, because=because, hint=AS_IMAGES)
    colours = next((each for each in COLOURS if each in (dims[1], dims[3])), None)
    if colours is None:
        because = f"its input {name} is {_shown(dims)}, which has no axis of three colours, or of one"
        raise CustomModelUnusable(path=path, because=because, hint=AS_IMAGES)
    first = dims[1] == colours
    size = _size(name, dims[2:] if first else dims[1:3], asked_px, path)
    if dtype not in DTYPES:
        because = f"its input {name} is {dtype}, and not float32, float16 or uint8"
        raise CustomModelUnusable(path=path, because=because, hint="export it with a float32 input")
    return {
        "input": name,
        "layout": "NCHW" if first else "NHWC",
        "dtype": dtype,
        "colours": colours,
        "resolution_px": size,
        "batch": dims[0] if isinstance(dims[0], int) else None,
    }


def classes_of(name: str, dims: Dims, path: Path) -> int:
    """Of an output (images, classes). Raises CustomModelUnusable: it is another shape, or leaves the number of classes open."""
    classes = dims[1] if len(dims) == 2 else None
    if not isinstance(classes, int) or classes < 2:
        because = f"its output {name} is {_shown(dims)}, and not (images, classes)"
        raise CustomModelUnusable(path=path, because=because, hint="export it with a fixed number of classes")
    return classes


def _size(name: str, sides: Dims, asked_px: ImageSize | None, path: Path) -> ImageSize:
    """A side that the file leaves open is the asked one's."""
    own = tuple(side if isinstance(side, int) else None for side in sides)
    if asked_px is not None and any(side not in (None, asked) for side, asked in zip(own, asked_px, strict=True)):
        because = f"its input {name} is {_shown(own)} pixels, and model.resolution_px is {asked_px}"
        hint = "leave model.resolution_px out" if None not in own else f"--set model.resolution_px with {_shown(own)}"
        raise CustomModelUnusable(path=path, because=because, hint=hint)
    if own[0] is not None and own[1] is not None:
        return ImageSize(own[0], own[1])
    if asked_px is None:
        raise InputSizeOpen(path=path, because=f"its input {name} leaves height and width open")
    return asked_px


def _shown(dims: Dims) -> str:
    return "×".join("?" if size is None else str(size) for size in dims) or "without a shape"
