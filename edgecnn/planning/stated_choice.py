"""A user's settings put together with what a model file states of its images: the user wins, and a contradiction is a note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgecnn.models.preprocessings import USUAL
from edgecnn.planning.stated_preprocessing import Stated
from edgecnn.values.custom_model import GraphEntry
from edgecnn.values.data.preprocessing import PreprocessingChoice

_COLOURS: Final[tuple[str, ...]] = ("like", "mean", "std", "channels")
_SHAPE: Final[tuple[str, ...]] = ("resize", "resize_px")


def with_stated(
    own: PreprocessingChoice, stated: Stated | None, entry: GraphEntry
) -> tuple[PreprocessingChoice, tuple[str, ...]]:
    """The ``own`` choice with what it leaves open as ``stated``, and sentences on what is stated and not taken."""
    if stated is None:
        return own, ()
    notes, taken, theirs = list(stated.notes), dict[str, Any](), stated.choice.model_dump(exclude_none=True)
    colours = {name: theirs[name] for name in _COLOURS if name in theirs}
    shape = {name: theirs[name] for name in _SHAPE if name in theirs}
    if stated.size_px is not None and stated.size_px != entry.resolution_px:
        notes.append(f"{stated.source} states an input of {stated.size_px}, and the model takes {entry.resolution_px}")
        shape = {}
    if entry.dtype == "uint8":
        colours = {}  # the file normalizes bytes itself
    if entry.colours == 1:
        colours.pop("channels", None)
    for part, fields in ((_COLOURS, colours), (_SHAPE, shape)):
        asked = {name: value for name in part if (value := getattr(own, name)) is not None}
        if not asked:
            taken |= fields
        elif fields and not _agree(asked, fields):
            notes.append(f"{stated.source} states {_shown(fields)}, and yours is taken: {_shown(asked)}")
    if own.fill is not None and taken.get("resize", "letterbox") not in ("letterbox", "line"):
        taken = {name: value for name, value in taken.items() if name not in _SHAPE}
        notes.append(f"{stated.source} states {_shown(shape)}, and your fill asks for a border")
    if "interpolation" in theirs and own.interpolation is None:
        taken["interpolation"] = theirs["interpolation"]
    return PreprocessingChoice.model_validate({**own.model_dump(exclude_none=True), **taken}), tuple(notes)


def _agree(asked: Mapping[str, Any], stated: Mapping[str, Any]) -> bool:
    one, other = _as_numbers(asked), _as_numbers(stated)
    return all(other.get(name, value) == value for name, value in one.items())


def _as_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """With the mean, the scale and the order that a usual name stands for."""
    numbers = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items() if name != "like"}
    if (usual := USUAL.get(str(fields.get("like")))) is not None:
        normalization = usual.normalization
        numbers = {"mean": tuple(normalization.mean), "std": tuple(normalization.std), "channels": usual.channels, **numbers}
    return numbers


def _shown(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in fields.items())


def _value(value: Any) -> str:
    return " ".join(f"{number:g}" for number in value) if isinstance(value, tuple | list) else str(value)
