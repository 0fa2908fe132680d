"""The exit code and sentence of every error, one line each: a surface of ``tests/surfaces``."""

from __future__ import annotations

import importlib
import pkgutil
import string
from pathlib import PurePosixPath
from typing import Any

import edgecnn.errors
from edgecnn.errors.base import ROWS, EdgecnnError, ErrorRow
from tests.errors.samples import SAMPLES


def rows() -> list[ErrorRow]:
    """Every row of the package."""
    for module in pkgutil.walk_packages(edgecnn.errors.__path__, "edgecnn.errors."):
        importlib.import_module(module.name)
    return [row for ref, row in sorted(ROWS.items()) if "of-a-test" not in ref]


def lines() -> str:
    """One line for each sample of each row."""
    shown = {error.ref for error in SAMPLES}
    errors = [*SAMPLES, *(sampled(row) for row in rows() if row.ref not in shown)]
    return "".join(sorted(f"{error.ref} {error.exit_code}: {error.sentence()}\n" for error in errors))


def sampled(row: ErrorRow) -> EdgecnnError:
    """The error of a row, each field filled in by its name or, where its format needs one, by a value of that type."""
    fields: dict[str, Any] = dict.fromkeys(row.also)
    for template in (row.what, row.why, row.fix):
        for _, name, spec, _ in string.Formatter().parse(template):
            if name is not None:
                field = name.split(".")[0].split("[")[0]
                fields[field] = _value(field, name, spec or "", fields.get(field))
    return row(**fields)


def _value(field: str, name: str, spec: str, before: Any) -> Any:
    word = spec.split(" ")[0]
    if "." in name:
        return PurePosixPath(f"FOLDER/{field.upper()}")
    if word in ("counted", "number", "listed", "commas", "joined", "first", "quoted", "subject") or "[" in name:
        return 3 if word == "counted" and not isinstance(before, list) else [f"{field.upper()}-{n}" for n in range(3)]
    if word in ("mib", "gib"):
        return 3 * 2**29
    if before is None and spec and word not in ("word", "short", "reason"):
        return 1234 if spec in (",", "d", "02d") else 0.125
    return field.upper() if before is None else before


SURFACES = {"errors": lambda folder: lines()}
