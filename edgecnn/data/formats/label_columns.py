"""The columns of a list that give an image any number of labels: one of names, or one a label that holds 0 or 1."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

NAMES: Final = "labels"
"""The column of names: ``cat|dog``, or in Parquet a list."""
_PLAIN: Final = ("path", "split", NAMES)
_TRUTH: Final = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class LabelColumns(NamedTuple):
    """``names``: the labels that have a column each; none where one column names them all."""

    names: tuple[str, ...] = ()

    def of_cells(self, cell: Mapping[str, str]) -> tuple[str, ...]:
        """The labels of a row. Raises ValueError: why its cells are none."""
        if not self.names:
            return _named(cell[NAMES])
        for name in self.names:
            if cell[name].strip().lower() not in _TRUTH:
                raise ValueError(f"column {name[:100]!r} holds {cell[name][:100]!r}, where a column of a label has 0 or 1")
        return tuple(name for name in self.names if _TRUTH[cell[name].strip().lower()])


def label_columns(columns: Sequence[str]) -> LabelColumns | None:
    """What a list with these columns, that of groups left out, says of labels; None where it says one class an image.

    Columns that are called after none of a list's own are labels where there are two or more; one alone is a slip of the pen.
    """
    if "path" not in columns or "label" in columns or len(set(columns)) < len(columns):
        return None
    others = tuple(name for name in columns if name not in _PLAIN)
    if NAMES in columns:
        return None if others else LabelColumns()
    return LabelColumns(others) if len(others) > 1 else None


def _named(cell: str) -> tuple[str, ...]:
    """A JSON list, as that of a Parquet column is handed on, or names with ``|`` or ``;`` between them."""
    text = cell.strip()
    if not text.startswith("["):
        return _distinct(re.split(r"[|;]", text))
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"the labels {cell[:100]!r} begin as a JSON list and are none") from None
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"the labels {cell[:100]!r} are no list of names")
    return _distinct(names)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in names} - {""}))
