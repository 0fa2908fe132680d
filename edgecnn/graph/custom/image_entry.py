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
SCORES = "export it with one output of images×classes: the score of each class"
AS_IMAGES = "export it with an input of images×3×height×width, or ×1; what flattens or reshapes them belongs inside the graph"
Dims = Sequence[int | str | None]
"""Sizes of a tensor; None, or the name that the file gives it, where it leaves one open."""


def only_one(names: Sequence[str], what: str, path: Path, fix: str = "") -> str:
    """The only one. ``fix``: another than to export it with one alone. Raises CustomModelUnusable: none, or several."""
    if len(names) != 1:
        said = ", ".join(names[:4]) or "none"
        because = f"a classifier has one {what}, and this has {len(names)}: {said}"
        raise CustomModelUnusable(path=path, because=because, hint=fix or ALONE[what])
    return names[0]


def image_entry(name: str, dims: Dims, dtype: str, asked_px: ImageSize | None, path: Path) -> dict[str, Any]:
    """``input``, ``layout``, ``dtype``, ``colours``, ``resolution_px`` and ``batch`` of a ``GraphEntry``.

    ``dims``: of the input, NCHW or NHWC. ``asked_px``: ``model.resolution_px``, for a file that leaves height and width open.
    Raises CustomModelUnusable: it takes no batch of images in colour or grey. InputSizeOpen: their size is not known.
    """
    if len(dims) == 3 and any(each in (dims[0], dims[2]) for each in COLOURS):
        because = f"its input {name} is {_shown(dims)}, which has no axis for the images of a call"
        hint = f"export it with an example of 1×{_shown(dims)} and a dynamic first axis"
        raise CustomModelUnusable(path=path, because=because, hint=hint)
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


def answer_entry(name: str, dims: Dims, ends: tuple[str | None, str | None], batch: int | None, path: Path) -> dict[str, Any]:
    """``output``, ``classes``, ``one_share`` and how it ends, of a ``GraphEntry``.

    ``dims``: of the output. ``ends``: ``softmax`` or ``sigmoid``, where that can be left out, and where it was rounded since.
    Raises CustomModelUnusable: it does not answer each image with a number for each class.
    """
    end, made_by = ends
    one_share = _is_one_number(name, dims, batch, path)
    if one_share and made_by != "sigmoid":
        because = f"its output {name} is one number an image, and no sigmoid makes a probability of it"
        hint = "end it in a sigmoid, if the number is the logit of the second of two classes, and export it again"
        raise CustomModelUnusable(path=path, because=because, hint=hint)
    return {
        "output": name,
        "classes": 2 if one_share else _classes_of(name, dims, path),
        "one_share": one_share,
        "ends_in_softmax": end == ("sigmoid" if one_share else "softmax"),
        "ends_in_sigmoid": made_by == "sigmoid" and not one_share,
        "ends_in_shares": end is None and made_by is not None,
    }


def _is_one_number(name: str, dims: Dims, batch: int | None, path: Path) -> bool:
    """Whether it gives one number an image: images, or images×1, or images×1×1×1."""
    if len(dims) == 1 and isinstance(dims[0], int) and dims[0] != batch:
        because = f"its output {name} is {_shown(dims)}, which has no axis for the images of a call"
        raise CustomModelUnusable(path=path, because=because, hint=f"{SCORES}, and nothing that squeezes the first axis away")
    return bool(dims) and all(size == 1 for size in dims[1:])


def _classes_of(name: str, dims: Dims, path: Path) -> int:
    """Of an output images×classes, or with axes of one beside the classes', as a convolution leaves them."""
    sizes = [size for size in dims[1:] if size != 1]
    if len(sizes) == 1 and isinstance(sizes[0], int):
        return sizes[0]
    because = f"its output {name} is {_shown(dims)}, and not images×classes"
    hint = "export it with a fixed number of classes"
    if len(sizes) > 1:
        hint = "end it in a pooling over height and width, or name another output by --set model.output=NAME"
    raise CustomModelUnusable(path=path, because=because, hint=hint)


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
