"""Combine a user's settings with the preprocessing that a model file states. The user wins; contradictions become notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgecnn.models.preprocessings import agree, missing_fields, stated_fields
from edgecnn.planning.stated_preprocessing import Stated
from edgecnn.values.custom_model import GraphEntry
from edgecnn.values.preprocessing import PreprocessingChoice

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
            notes.append(f"{stated.source} states {_shown(fields)}; your setting is used: {_shown(chosen)}")
    if entry.colours == 1:
        taken.pop("channels", None)
    if own.fill is not None and taken.get("resize", "letterbox") not in ("letterbox", "line"):
        taken = {name: value for name, value in taken.items() if name not in _SHAPE}
        notes.append(f"{stated.source} states {_shown(shape)}, but your fill needs a border")
    if "interpolation" in theirs and own.interpolation is None:
        taken["interpolation"] = theirs["interpolation"]
    return PreprocessingChoice.model_validate({**dict(own), **taken}), tuple(notes)


def _shown(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in fields.items())


def _value(value: Any) -> str:
    return " ".join(f"{number:g}" for number in value) if type(value) is tuple else str(value)
