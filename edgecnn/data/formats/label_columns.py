"""The columns of a list that give an image any number of labels: one column of names, or one column of 0 and 1 for each label."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

NAMES: Final = "labels"
"""The column of names: ``cat|dog``, or in Parquet a list."""
_TRUTH: Final = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_SEPARATORS: Final = {"blank": r"\s+", "comma": ",", None: r"[|;]"}
"""Regular expressions by value of ``data.label_separator``."""


class LabelColumns(NamedTuple):
    """Where a row's labels are."""

    names: Mapping[str, int] | None = None
    """Index of each label's own column; None if one column names them all."""
    column: int = 0
    """Index of that column."""
    separator: str | None = None
    """The value of ``data.label_separator``."""

    def labels_in(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Return the labels of a row. Raises ValueError with the reason if its cells are invalid."""
        if self.names is None:
            return _named(cells[self.column], self.separator)
        for name, place in self.names.items():
            if cells[place].strip().lower() not in _TRUTH:
                raise ValueError(
                    f"column {name[:100]!r} contains {cells[place][:100]!r}, but a label column has 0 or 1;"
                    " --label-column COLUMN names the class column"
                )
        return tuple(name for name, place in self.names.items() if _TRUTH[cells[place].strip().lower()])


def _named(cell: str, separator: str | None = None) -> tuple[str, ...]:
    """Parse a JSON list, which a Parquet column becomes, or names with a separator."""
    text = cell.strip()
    if not text.startswith("["):
        return _distinct([text] if separator == "none" else re.split(_SEPARATORS[separator], text))
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"the labels {cell[:100]!r} begin like a JSON list but are not one") from None
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"the labels {cell[:100]!r} are not a list of names")
    return _distinct(names)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in names} - {""}))
