"""The preprocessing and input size that a model file states: its metadata, or a JSON file next to it.

Read are ONNX's own image metadata (github.com/onnx/onnx, docs/MetadataProps.md), Ultralytics' (``task``, ``imgsz``), ``mean``
and ``std``; ``preprocessor_config.json`` of Hugging Face's image processors, and timm's ``config.json``.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from edgecnn.data.model_metadata import CONFIG, metadata_of, repository_file
from edgecnn.models.preprocessings import USUAL, agree, missing_fields, stated_fields
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import json_document
from edgecnn.values.custom_model import GraphEntry
from edgecnn.values.preprocessing import PreprocessingChoice

PIXEL_FORMAT, PIXEL_RANGE = "Image.BitmapPixelFormat", "Image.NominalPixelRange"
"""Keys of ONNX's own image metadata."""
PROCESSOR: Final = "preprocessor_config.json"
NESTING_PROCESSOR: Final = "processor_config.json"
"""Newer processors of Hugging Face state the image processor inside."""
_RANGES: Final = {"NominalRange_0_255": "bytes", "Normalized_0_1": "unit", "Normalized_1_1": "half"}
_SIZES: Final = ("imgsz", "input_size", "image_size")
_RESAMPLING: Final = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Names by Pillow's number."""
_STRETCHED_FROM: Final = 384
"""Hugging Face's ConvNextImageProcessor stretches images from this size on, and crops below."""
_SQUARE_BY: Final = ("Beit", "DeiT", "EfficientNet", "Flava")
"""Image processors that stretch to a square if the size is one number. The other processors that crop scale the short side."""
_OF_COLOURS: Final = ("image_mean", "do_normalize", "do_rescale", "rescale_factor", "do_flip_channel_order")
_SIDE_MAX: Final = 1 << 14
_MALFORMED = (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError, AttributeError)


class Stated(NamedTuple):
    """The preprocessing that a model file, or a file next to it, states."""

    choice: PreprocessingChoice
    source: str
    """The file that states it, as the subject of a sentence."""
    size_px: ImageSize | None = None
    notes: tuple[str, ...] = ()
    """Notes on stated values that are ignored."""


def stated_for(model: Path) -> Stated | None:
    """Return the statement inside the file, completed by those next to it, or None. Contradictions become notes."""
    files = (
        _read_metadata(model),
        _read_json(model, PROCESSOR, _hugging_face_fields),
        _read_json(model, NESTING_PROCESSOR, _nested_fields),
        _read_json(model, CONFIG, _timm_fields),
    )
    statements = [stated for stated in files if stated is not None]
    if not statements:
        return None
    first = next((stated for stated in statements if stated_fields(stated.choice)), statements[0])
    notes = [note for stated in statements for note in stated.notes]
    taken = stated_fields(first.choice)
    for statement in statements:
        fields = stated_fields(statement.choice)
        if agree(taken, fields):
            taken |= missing_fields(taken, fields)
        else:
            notes.append(f"{statement.source} contradicts {first.source}, which is used")
    size = next((stated.size_px for stated in statements if stated.size_px is not None), None)
    return Stated(PreprocessingChoice.model_validate(taken), first.source, size, tuple(notes))


def _read_metadata(model: Path) -> Stated | None:
    """Read the metadata of the file."""
    try:
        metadata = metadata_of(model)
    except OSError:
        return None  # who opens the model says why
    try:
        sizes = [_parse_size(ast.literal_eval(metadata[key])) for key in _SIZES if key in metadata]
        fields = _fields_in_metadata(metadata, sizes[0] if sizes else None)
        stated = Stated(PreprocessingChoice.model_validate(fields), "its metadata", sizes[0] if sizes else None)
    except (*_MALFORMED, SyntaxError, RecursionError, MemoryError, ValidationError):
        return Stated(PreprocessingChoice(), "its metadata", notes=("its malformed preprocessing metadata is ignored",))
    return stated if fields or sizes else None


def _fields_in_metadata(metadata: Mapping[str, str], size: ImageSize | None) -> dict[str, Any]:
    order = next((name for name in ("rgb", "bgr") if metadata.get(PIXEL_FORMAT, "").lower().startswith(name)), None)
    scale = _RANGES.get(metadata.get(PIXEL_RANGE, ""))
    if scale is not None:
        usual = USUAL[scale].normalization
        return _colours(usual.mean, usual.std, order)
    if metadata.get("task") == "classify" and "imgsz" in metadata:
        # Ultralytics' classify_transforms: the short side to imgsz, a centre crop, 0 to 1.
        shape = {"resize": "crop", "resize_px": size.short_px, "interpolation": "bilinear"} if size is not None else {}
        return {"like": "unit", **shape}
    if "mean" in metadata and "std" in metadata:
        mean, std = _three_numbers(ast.literal_eval(metadata["mean"])), _three_numbers(ast.literal_eval(metadata["std"]))
        byte = 255 if max(mean) > 1 or max(std) > 1 else 1
        return _colours([value / byte for value in mean], [value / byte for value in std], order)
    return {}


_Read = Callable[[Mapping[str, Any]], "tuple[dict[str, Any], ImageSize | None, list[str]] | None"]


def _read_json(model: Path, name: str, read: _Read) -> Stated | None:
    file = repository_file(model, name)
    if file is None:
        return None
    try:
        fields, size, notes = read(json_document(file)) or ({}, None, [])
        if not (fields or size or notes):
            return None
        return Stated(PreprocessingChoice.model_validate(fields), name, size, tuple(f"{name} {note}" for note in notes))
    except (*_MALFORMED, OSError, ValidationError):
        return Stated(PreprocessingChoice(), name, notes=(f"{name} is malformed and ignored",))


def _hugging_face_fields(config: Mapping[str, Any]) -> tuple[dict[str, Any], ImageSize | None, list[str]]:
    """Read the config as the image processors of transformers do: rescale, normalize, resize, centre crop."""
    fields, notes = _colours_of_hugging_face(config)
    if not config.get("do_resize", True):
        return fields, None, notes
    shape, size, more = _shape_of_hugging_face(config)
    notes += [*more, *_antialias_notes(config)]
    if (resampling := config.get("resample")) is not None:
        shape |= _interpolation(_RESAMPLING[int(resampling)], notes)
    return {**fields, **shape}, size, notes


def _antialias_notes(config: Mapping[str, Any]) -> list[str]:
    ignored = config.get("antialias") is False
    return ["states antialias false; edgecnn smooths images before it makes them smaller"] * ignored


def _nested_fields(config: Mapping[str, Any]) -> tuple[dict[str, Any], ImageSize | None, list[str]]:
    """Read the image processor inside a processor's config; the config itself if it is one."""
    inner = config.get("image_processor")
    return _hugging_face_fields(inner if isinstance(inner, dict) else config)


def _colours_of_hugging_face(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    if all(config.get(name) is None for name in _OF_COLOURS):
        return {}, []
    normalized = config.get("do_normalize", config.get("image_mean") is not None)
    if normalized and config.get("image_mean") is None:
        return {}, ["states do_normalize without image_mean"]
    factor = 255.0 * float(config.get("rescale_factor") or 1 / 255) if config.get("do_rescale", True) else 255.0
    mean, std = (
        (_three_numbers(config["image_mean"]), _three_numbers(config["image_std"])) if normalized else ([0.0] * 3, [1.0] * 3)
    )
    # EfficientNetImageProcessor divides by the scale once more, whether it normalizes or not.
    twice = _processor(config).startswith("EfficientNet") and config.get("include_top", True)
    again = _three_numbers(config["image_std"]) if twice else [1.0] * 3
    offset = 1.0 if config.get("rescale_offset") else 0.0
    own_std = [value * divisor for value, divisor in zip(std, again, strict=True)]
    own_mean = [(offset + value) / factor for value in mean]
    scaled = [value / factor for value in own_std]
    if config.get("do_flip_channel_order"):
        return _colours(own_mean[::-1], scaled[::-1], "bgr"), []
    return _colours(own_mean, scaled, "rgb"), []


def _processor(config: Mapping[str, Any]) -> str:
    """Return the class of transformers that reads the config."""
    return str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")


def _shape_of_hugging_face(config: Mapping[str, Any]) -> tuple[dict[str, Any], ImageSize | None, list[str]]:
    size, share = config.get("size"), config.get("crop_pct")
    if size is None:
        return {}, None, []
    crop = _parse_size(config["crop_size"]) if config.get("do_center_crop") else None
    if isinstance(size, dict) and "shortest_edge" not in size and not {"height", "width"} <= size.keys():
        return {}, crop, ["states a size in a form that edgecnn does not read (height and width, or shortest_edge)"]
    whole = _parse_size(size)
    covers = not _processor(config).startswith(_SQUARE_BY) if isinstance(size, int) else "shortest_edge" in size
    short = int(whole.short_px * 256 / 224) if _processor(config).startswith("Levit") else whole.short_px
    if share is not None and covers and short < _STRETCHED_FROM:
        return {"resize": "crop", "resize_px": int(short / share)}, whole, []
    if crop is not None and covers:
        return {"resize": "crop", "resize_px": short}, crop, []
    if crop is not None and whole != crop:
        note = f"stretches images to {whole} before a crop; edgecnn crops without stretching"
        return {"resize": "crop", "resize_px": short}, crop, [note]
    if covers and share is None and not isinstance(size, int):
        return {"resize": "crop", "resize_px": short}, whole, []
    return {"resize": "stretch"}, whole, []  # a number alone is of processors that do not crop


def _timm_fields(config: Mapping[str, Any]) -> tuple[dict[str, Any], ImageSize | None, list[str]] | None:
    """Read the config as timm's ``transforms_imagenet_eval`` does."""
    own = config.get("pretrained_cfg")
    if not isinstance(own, dict):
        return None
    size = _parse_size(own["input_size"])
    notes = _antialias_notes(own)
    scaled = math.floor(size.short_px / float(own.get("crop_pct") or 0.875))
    mode = own.get("crop_mode") or "center"
    if mode != "center" and not (mode == "squash" and scaled == size.short_px):
        notes.append(f"states the crop mode {mode}; edgecnn uses a centre crop")
    shape = {"resize": "stretch"} if mode == "squash" and not notes else {"resize": "crop", "resize_px": scaled}
    shape |= _interpolation(str(own.get("interpolation") or "bilinear"), notes)
    return {**_colours(_three_numbers(own["mean"]), _three_numbers(own["std"]), "rgb"), **shape}, size, notes


def _interpolation(name: str, notes: list[str]) -> dict[str, str]:
    if name in ("bilinear", "bicubic"):
        return {"interpolation": name}
    notes.append(f"states {name} resampling; edgecnn uses bicubic")
    return {"interpolation": "bicubic"}


def _colours(mean: Sequence[float], std: Sequence[float], channels: str | None) -> dict[str, Any]:
    """Return the usual preprocessing with these numbers, or the numbers. ``channels``: their order; None: unknown. Numbers are
    in RGB order."""
    numbers: dict[str, Any] = {"mean": tuple(mean), "std": tuple(std)}
    if channels is not None:
        numbers = {**numbers, "channels": channels}
        return next(({"like": name} for name in USUAL if agree({"like": name}, numbers)), numbers)
    blue_first = {"mean": tuple(mean)[::-1], "std": tuple(std)[::-1], "channels": "bgr"}
    if tuple(mean) != blue_first["mean"]:
        return next(({"like": name} for name in USUAL if agree({"like": name}, blue_first)), numbers)
    return numbers


def _three_numbers(value: Any) -> list[float]:
    numbers = [float(number) for number in (value if isinstance(value, list | tuple) else [value])]
    three = numbers * 3 if len(numbers) == 1 else numbers
    if len(three) != 3 or not all(map(math.isfinite, three)):
        raise ValueError("not three numbers")
    return three


def _parse_size(value: Any) -> ImageSize:
    """Read 224, [224, 224], [3, 224, 224], {"height": 224, "width": 224} or {"shortest_edge": 224}. Raises ValueError."""
    if isinstance(value, dict):
        value = [value["height"], value["width"]] if "height" in value else value["shortest_edge"]
    sides = [int(side) for side in (value if isinstance(value, list | tuple) else [value])]
    if len(sides) == 3:
        sides = sides[:2] if sides[2] in (1, 3) else sides[1:]
    if not 1 <= len(sides) <= 2 or not all(0 < side <= _SIDE_MAX for side in sides):
        raise ValueError("no size")
    return ImageSize(sides[0], sides[-1])


_COLOURS: Final[tuple[str, ...]] = ("like", "mean", "std", "channels")
_SHAPE: Final[tuple[str, ...]] = ("resize", "resize_px")


def merge_stated(
    own: PreprocessingChoice, stated: Stated | None, entry: GraphEntry
) -> tuple[PreprocessingChoice, tuple[str, ...]]:
    """Return the ``own`` choice completed by the ``stated`` one, and notes on stated values that are ignored."""
    if stated is None:
        return own, ()
    notes, taken = list(stated.notes), dict[str, Any]()
    mine, theirs = stated_fields(own), stated_fields(stated.choice)
    colours = {name: theirs[name] for name in _COLOURS if name in theirs}
    shape = {name: theirs[name] for name in _SHAPE if name in theirs}
    if stated.size_px is not None and stated.size_px != entry.resolution_px:
        notes.append(f"{stated.source} states an input of {stated.size_px}, but the model takes {entry.resolution_px}")
        shape = {}
    if entry.dtype == "uint8":
        colours = {}  # the file normalizes bytes itself
    for part, fields in ((_COLOURS, colours), (_SHAPE, shape)):
        chosen = {name: mine[name] for name in part if name in mine}
        if agree(chosen, fields):
            taken |= missing_fields(chosen, fields)
        else:
            notes.append(f"{stated.source} states {_fields_text(fields)}; your setting is used: {_fields_text(chosen)}")
    if entry.colours == 1:
        taken.pop("channels", None)
    if own.fill is not None and taken.get("resize", "letterbox") not in ("letterbox", "line"):
        taken = {name: value for name, value in taken.items() if name not in _SHAPE}
        notes.append(f"{stated.source} states {_fields_text(shape)}, but your fill needs a border")
    if "interpolation" in theirs and own.interpolation is None:
        taken["interpolation"] = theirs["interpolation"]
    return PreprocessingChoice.model_validate({**dict(own), **taken}), tuple(notes)


def _fields_text(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in fields.items())


def _value(value: Any) -> str:
    return " ".join(f"{number:g}" for number in value) if type(value) is tuple else str(value)
