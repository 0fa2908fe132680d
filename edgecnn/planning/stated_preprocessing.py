"""The preprocessing and input size that a model file states: its metadata, or a JSON file next to it.

Read are ONNX's own image metadata (github.com/onnx/onnx, docs/MetadataProps.md), Ultralytics' (``task``, ``imgsz``), ``mean`` and
``std``; ``preprocessor_config.json`` of Hugging Face's image processors, and timm's ``config.json``.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from edgecnn.data.formats.onnx_names import metadata_of
from edgecnn.data.formats.repository_files import CONFIG, repository_file
from edgecnn.models.preprocessings import USUAL
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import json_document
from edgecnn.values.data.preprocessing import Normalization, PreprocessingChoice

PIXEL_FORMAT, PIXEL_RANGE = "Image.BitmapPixelFormat", "Image.NominalPixelRange"
"""Keys of ONNX's own image metadata."""
PROCESSOR: Final = "preprocessor_config.json"
_RANGES: Final = {"NominalRange_0_255": "bytes", "Normalized_0_1": "unit", "Normalized_1_1": "half"}
_SIZES: Final = ("imgsz", "input_size", "image_size")
_RESAMPLING: Final = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""By Pillow's number."""
_STRETCHED_FROM: Final = 384
"""Hugging Face's ConvNextImageProcessor stretches images to a size of this and more, and crops below."""
_SIDE_MAX: Final = 1 << 14
_MALFORMED = (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError, AttributeError)


class Stated(NamedTuple):
    """What a model file, or a file next to it, states of its images."""

    choice: PreprocessingChoice
    source: str
    """The file that states it, as the subject of a sentence."""
    size_px: ImageSize | None = None
    notes: tuple[str, ...] = ()
    """Sentences on what is stated and not taken."""


def stated_for(model: Path) -> Stated | None:
    """The statement inside the file, else the one next to it; None where there is neither. What contradicts it is a note."""
    found = [stated for read in (_in_metadata, _in_processor, _in_timm) if (stated := read(model)) is not None]
    if not found:
        return None
    first, *others = found
    notes = [note for stated in found for note in stated.notes]
    for other in others:
        if other.choice != first.choice and other.choice != PreprocessingChoice():
            notes.append(f"{other.source} states another preprocessing than {first.source}, which is taken")
    size = next((stated.size_px for stated in found if stated.size_px is not None), None)
    return first._replace(size_px=size, notes=tuple(notes))


def _in_metadata(model: Path) -> Stated | None:
    """Of the file itself."""
    try:
        said = metadata_of(model)
    except OSError:
        return None  # who opens the model says why
    try:
        sizes = [_size_in(ast.literal_eval(said[key])) for key in _SIZES if key in said]
        fields = _fields_in_metadata(said, sizes[0] if sizes else None)
        stated = Stated(PreprocessingChoice.model_validate(fields), "its metadata", sizes[0] if sizes else None)
    except (*_MALFORMED, SyntaxError, RecursionError, MemoryError, ValidationError):
        return Stated(
            PreprocessingChoice(), "its metadata", notes=("its metadata on the preprocessing is malformed and ignored",)
        )
    return stated if fields or sizes else None


def _fields_in_metadata(said: Mapping[str, str], size: ImageSize | None) -> dict[str, Any]:
    scale = _RANGES.get(said.get(PIXEL_RANGE, ""))
    if scale is not None:
        return {"like": f"{scale}-bgr" if said.get(PIXEL_FORMAT, "").lower().startswith("bgr") else scale}
    if said.get("task") == "classify" and "imgsz" in said:
        # Ultralytics' classify_transforms: the short side to imgsz, a centre crop, 0 to 1.
        shape = {"resize": "crop", "resize_px": size.short_px, "interpolation": "bilinear"} if size is not None else {}
        return {"like": "unit", **shape}
    if "mean" in said and "std" in said:
        mean, std = _three(ast.literal_eval(said["mean"])), _three(ast.literal_eval(said["std"]))
        byte = 255 if max(mean) > 1 or max(std) > 1 else 1
        return _colours([value / byte for value in mean], [value / byte for value in std])
    return {}


def _in_processor(model: Path) -> Stated | None:
    return _in_json(model, PROCESSOR, _of_hugging_face)


def _in_timm(model: Path) -> Stated | None:
    return _in_json(model, CONFIG, _of_timm)


_Read = Callable[[Mapping[str, Any]], "tuple[dict[str, Any], ImageSize | None, list[str]] | None"]


def _in_json(model: Path, name: str, read: _Read) -> Stated | None:
    file = repository_file(model, name)
    if file is None:
        return None
    try:
        if (found := read(json_document(file))) is None:
            return None
        fields, size, notes = found
        return Stated(PreprocessingChoice.model_validate(fields), name, size, tuple(f"{name} {note}" for note in notes))
    except (*_MALFORMED, OSError, ValidationError):
        return Stated(PreprocessingChoice(), name, notes=(f"{name} is malformed and ignored",))


def _of_hugging_face(config: Mapping[str, Any]) -> tuple[dict[str, Any], ImageSize | None, list[str]]:
    """As the image processors of transformers do it: rescale, normalize; resize, centre crop."""
    factor = 255.0 * float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 255.0
    normalized = config.get("do_normalize", "image_mean" in config)
    mean, std = (_three(config["image_mean"]), _three(config["image_std"])) if normalized else ([0.0] * 3, [1.0] * 3)
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    # EfficientNetImageProcessor divides by the scale once more, whether it normalizes or not.
    again = _three(config["image_std"]) if kind.startswith("EfficientNet") and config.get("include_top", True) else [1.0] * 3
    offset = 1.0 if config.get("rescale_offset") else 0.0
    own_std = [value * other for value, other in zip(std, again, strict=True)]
    own_mean = [(offset + value) / factor for value in mean]
    order = "bgr" if config.get("do_flip_channel_order") else "rgb"
    fields = (
        _colours(own_mean[::-1], [v / factor for v in own_std[::-1]], "bgr")
        if order == "bgr"
        else _colours(own_mean, [value / factor for value in own_std])
    )
    shape, size, notes = _shape_of_hugging_face(config) if config.get("do_resize", True) else ({}, None, [])
    resampling = config.get("resample")
    if shape and resampling is not None:
        shape |= _interpolation(_RESAMPLING[int(resampling)], notes)
    return {**fields, **shape}, size, notes


def _shape_of_hugging_face(config: Mapping[str, Any]) -> tuple[dict[str, Any], ImageSize | None, list[str]]:
    size, share = config.get("size"), config.get("crop_pct")
    if size is None:
        return {}, None, []
    whole, crop = _size_in(size), _size_in(config["crop_size"]) if config.get("do_center_crop") else None
    covers = isinstance(size, int) or "shortest_edge" in size
    short = int(whole.short_px * 256 / 224) if str(config.get("image_processor_type")).startswith("Levit") else whole.short_px
    if share is not None and covers and short < _STRETCHED_FROM:
        return {"resize": "crop", "resize_px": int(short / share)}, whole, []
    if crop is not None and covers:
        return {"resize": "crop", "resize_px": short}, crop, []
    if crop is not None and whole != crop:
        note = f"stretches images to {whole} before a crop, and a crop without stretching is taken"
        return {"resize": "crop", "resize_px": short}, crop, [note]
    if covers and share is None and not isinstance(size, int):
        return {"resize": "crop", "resize_px": short}, whole, []
    return {"resize": "stretch"}, whole, []  # a number alone is of processors that do not crop


def _of_timm(config: Mapping[str, Any]) -> tuple[dict[str, Any], ImageSize | None, list[str]] | None:
    """As timm's ``transforms_imagenet_eval`` does it."""
    own = config.get("pretrained_cfg")
    if not isinstance(own, dict):
        return None
    size = _size_in(own["input_size"])
    notes: list[str] = []
    scaled = math.floor(size.short_px / float(own.get("crop_pct") or 0.875))
    mode = own.get("crop_mode") or "center"
    if mode != "center" and not (mode == "squash" and scaled == size.short_px):
        notes.append(f"states the crop mode {mode}, and a centre crop is taken")
    shape = {"resize": "stretch"} if mode == "squash" and not notes else {"resize": "crop", "resize_px": scaled}
    shape |= _interpolation(str(own.get("interpolation") or "bilinear"), notes)
    return {**_colours(_three(own["mean"]), _three(own["std"])), **shape}, size, notes


def _interpolation(name: str, notes: list[str]) -> dict[str, str]:
    if name in ("bilinear", "bicubic"):
        return {"interpolation": name}
    notes.append(f"states {name} resampling, and bicubic is taken")
    return {"interpolation": "bicubic"}


def _colours(mean: list[float], std: list[float], channels: str = "rgb") -> dict[str, Any]:
    """As one of the usual ways where it is one; the numbers are in RGB order."""
    for name, usual in USUAL.items():
        if usual.channels == channels and _is_near(usual.normalization, mean, std):
            return {"like": name}
    return {"mean": mean, "std": std, "channels": channels}


def _is_near(normalization: Normalization, mean: list[float], std: list[float]) -> bool:
    pairs = zip((*normalization.mean, *normalization.std), (*mean, *std), strict=True)
    return all(math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-6) for one, other in pairs)


def _three(value: Any) -> list[float]:
    numbers = [float(number) for number in (value if isinstance(value, list | tuple) else [value])]
    three = numbers * 3 if len(numbers) == 1 else numbers
    if len(three) != 3 or not all(map(math.isfinite, three)):
        raise ValueError("not three numbers")
    return three


def _size_in(value: Any) -> ImageSize:
    """Of 224, [224, 224], [3, 224, 224], {"height": 224, "width": 224} or {"shortest_edge": 224}. Raises ValueError: no size."""
    if isinstance(value, dict):
        value = [value["height"], value["width"]] if "height" in value else value["shortest_edge"]
    sides = [int(side) for side in (value if isinstance(value, list | tuple) else [value])]
    if len(sides) == 3:
        sides = sides[:2] if sides[2] in (1, 3) else sides[1:]
    if not 1 <= len(sides) <= 2 or not all(0 < side <= _SIDE_MAX for side in sides):
        raise ValueError("no size")
    return ImageSize(sides[0], sides[-1])
