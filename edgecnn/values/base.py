"""Frozen values that refuse unknown fields, and documents that state their schema."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Value(BaseModel):
    """Immutable, closed to unknown keys, and equal when its fields are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, protected_namespaces=(), defer_build=True)


Count = Annotated[int, Field(ge=0, lt=2**63)]
Nanoseconds = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""Nanoseconds of a clock, at most 292 years. ``measure.run_file.impossible`` explains why negative times are refused."""


def utc_moment(text: str) -> datetime:
    """Parse a date and time with its UTC offset, as in a record, into UTC.

    Raises ValueError: not a date, no offset from UTC, or outside the years 1 to 9999 of UTC.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a date") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of the range of dates") from None


def _require_moment(text: str) -> str:
    utc_moment(text)
    return text


Dated = Annotated[str, AfterValidator(_require_moment)]
"""A text that ``utc_moment`` parses."""


_NAME_BYTES_MAX = 255


def plain_name_fault(name: str) -> str:
    """Return why a text is not the name of one file or folder, such as ``../x``; empty if it is."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        return "is not a plain name"
    if not name.isprintable():
        return "has unprintable characters"
    return "is too long" if len(name.encode("utf-8", "surrogatepass")) > _NAME_BYTES_MAX else ""


def _require_plain(name: str) -> str:
    if fault := plain_name_fault(name):
        raise ValueError(f"{ascii(name)[:100]} {fault}")
    return name


PlainName = Annotated[str, AfterValidator(_require_plain)]
"""A name inside a record from which a path is made."""


_SCHEMA = re.compile(r"edgecnn\.[a-z-]+/\d{1,9}")


def another_schema(document: Any, reads: str) -> str | None:
    """Return why a document is not read if it has another schema or version than ``reads``; None if that is not the reason.

    ``document``: parsed, or its JSON text. ``reads``: such as ``edgecnn.report/2``.
    """
    if isinstance(document, (bytes, str)):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            return None
    schema = document.get("schema", document.get("schema_")) if isinstance(document, dict) else None
    if not isinstance(schema, str) or schema == reads or _SCHEMA.fullmatch(schema) is None:
        return None
    return f"its schema is {schema}, and this version reads {reads}"
