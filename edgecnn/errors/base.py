"""The one form of an error that a user can see: what happened, why, and the command or change that fixes it.

A row declares an error; calling the row with its fields makes the error. This package imports nothing else of edgecnn, so every
module may import it.
"""

from __future__ import annotations

import errno
import importlib
import pkgutil
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import edgecnn.errors
from edgecnn.errors.wording import fields_in, fill_template, shortened


class ExitCode(IntEnum):
    """Exit codes of the process. Only ``cli`` maps reports and errors to them."""

    OK = 0
    GATE_FAILED = 1
    BAD_INPUT = 2
    MISSING = 3
    UNSURE = 4
    OWN_FAULT = 70
    INTERRUPTED = 130


class ExitMeaning(NamedTuple):
    """What an exit code means, and what to do in a CI job; None for codes that are not verdicts."""

    meaning: str
    verdict: str | None = None
    remedy: str | None = None
    """Markdown."""


EXIT_MEANINGS: Mapping[ExitCode, ExitMeaning] = {
    ExitCode.OK: ExitMeaning("passed", "every gate passes", "merge"),
    ExitCode.GATE_FAILED: ExitMeaning("a gate failed", "a gate fails", "run `edgecnn explain builds/head`"),
    ExitCode.BAD_INPUT: ExitMeaning(
        "bad input", "bad input", "follow the message, or see [troubleshooting](../troubleshooting.md)"
    ),
    ExitCode.MISSING: ExitMeaning("missing", "a figure is MISSING", "run the job on the device, or remove that gate"),
    ExitCode.UNSURE: ExitMeaning("unsure", "a gate is UNSURE", "add test images or rounds, or allow it with `--unsure-passes`"),
    ExitCode.OWN_FAULT: ExitMeaning("internal error"),
    ExitCode.INTERRUPTED: ExitMeaning("interrupted"),
}
"""The only list of exit codes: help, recipes of ``edgecnn init`` and documents are made from it."""


_PART_SIGNS_MAX = 10_000
"""Limit of each part of an error, whatever a user's data contains. A sweep file with a hundred problems stays below it."""


KEPT_IN = "EDGECNN_ERROR_FILE"
"""Variable that names a file. A command writes its final error there, as ``kept``, for the process that started it."""


class EdgecnnError(Exception):
    """Base of every named error. An ``ErrorRow`` makes it; a subclass exists only where code catches it by its class.

    ``fields`` holds the facts of the error as values. An error from another process has none.
    """

    ref: str
    exit_code: ExitCode = ExitCode.BAD_INPUT
    fields: Mapping[str, Any] = MappingProxyType({})

    def __init_subclass__(cls, *, exit_code: ExitCode | None = None) -> None:
        if "ref" not in vars(cls):
            cls.ref = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()
        if exit_code is not None:
            cls.exit_code = exit_code

    def __init__(self, *, what: str, because: str | None = None, hint: str | None = None) -> None:
        self.what = shortened(what, _PART_SIGNS_MAX)
        self.because = because and shortened(because, _PART_SIGNS_MAX)
        self.hint = hint and shortened(hint, _PART_SIGNS_MAX)
        super().__init__(self.line())

    def line(self) -> str:
        """The whole error on one line, as stderr shows it."""
        return f"{self.sentence()} [{self.ref}]"

    def sentence(self) -> str:
        """The line without the reference, for use inside another text."""
        cause = f": {self.because}" if self.because else ""
        remedy = f" — {self.hint}" if self.hint else ""
        return visible(f"{self.what}{cause}{remedy}")

    def facts(self) -> dict[str, str | None]:
        """The error for ``--json``."""
        return {"ref": self.ref, "what": self.what, "because": self.because, "hint": self.hint}

    def kept(self) -> dict[str, str | None]:
        """The error for ``error_again`` in another process."""
        return {**self.facts(), "class": type(self).__name__, "exit_code": str(int(self.exit_code))}

    def __reduce__(self) -> tuple[object, ...]:
        texts = (self.what, self.because, self.hint)
        return (_make_error, (type(self), self.ref, self.exit_code, texts, dict(self.fields)))


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Settings of a row that most rows leave at their default."""

    exit_code: ExitCode = ExitCode.BAD_INPUT
    kind: type[EdgecnnError] = EdgecnnError
    also: tuple[str, ...] = ()
    """Fields that no text shows, kept for code that catches the error."""


@dataclass(frozen=True)
class ErrorRow(_Row):
    """One error that a user can cause: its reference, and three texts as templates over its fields.

    ``errors/wording.py`` documents the templates. A part that is a single field is omitted if the field is None or empty. Calling
    the row with exactly its fields makes the error.
    """

    ref: str
    what: str
    why: str = ""
    fix: str = ""

    def __post_init__(self) -> None:
        if ROWS.setdefault(self.ref, self) != self:
            raise ValueError(f"two rows have the reference {self.ref}")

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that a call passes."""
        return frozenset(self.also).union(*(fields_in(part) for part in (self.what, self.why, self.fix)))

    def __call__(self, **fields: Any) -> EdgecnnError:
        """Return the error with these fields. Raises TypeError if they are not exactly those of the row."""
        if fields.keys() != self.fields:
            raise TypeError(f"{self.ref} takes the fields {sorted(self.fields)}, not {sorted(fields)}")
        what, why, fix = (fill_template(part, fields) for part in (self.what, self.why, self.fix))
        return _make_error(self.kind, self.ref, self.exit_code, (what or "", why, fix), fields)

    def made(self, error: BaseException) -> bool:
        """Whether the error was made by this row."""
        return type(error) is self.kind and error.ref == self.ref


ROWS: dict[str, ErrorRow] = {}
"""Every row of the modules imported so far, by reference."""


def visible(text: str) -> str:
    """Escape the characters that control a terminal, break a line or change the direction of writing."""
    return text if text.isprintable() else "".join(ascii(sign)[1:-1] if controls_terminal(sign) else sign for sign in text)


def controls_terminal(sign: str) -> bool:
    """Whether a terminal interprets the character instead of showing it."""
    return not sign.isprintable() and unicodedata.category(sign) != "Zs"


FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a disk without space, or of a used-up quota."""


def system_reason(error: Exception) -> str:
    """Return the system's reason in lower case: ``permission denied``."""
    reason = getattr(error, "strerror", None)
    return reason[:1].lower() + reason[1:] if reason else str(error) or type(error).__name__


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its chain of causes; an error without a cause is followed by its context."""
    visited: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in visited:
        visited.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__


def error_again(kept: Mapping[str, str | None]) -> EdgecnnError:
    """Return the error that another process wrote as ``kept``, without its fields.

    Raises LookupError: this edgecnn has no such error. Its message contains the texts of the error.
    """
    for module in pkgutil.walk_packages(edgecnn.errors.__path__, "edgecnn.errors."):
        importlib.import_module(module.name)
    ref, texts = kept.get("ref") or "", (kept.get("what") or "", kept.get("because"), kept.get("hint"))
    row, kinds = ROWS.get(ref), [EdgecnnError]
    if row is not None and row.kind.__name__ == kept.get("class"):
        return _make_error(row.kind, ref, row.exit_code, texts, {})
    while kinds:
        if (kind := kinds.pop()) is not EdgecnnError and kind.__name__ == kept.get("class"):
            code = kept.get("exit_code") or ""
            is_known = code in {str(int(known)) for known in ExitCode}
            return _make_error(kind, ref, ExitCode(int(code)) if is_known else kind.exit_code, texts, {})
        kinds += kind.__subclasses__()
    raise LookupError(f"{': '.join(filter(None, texts[:2]))} [{ref}], which is not an error of this edgecnn")


def _make_error(
    kind: type[EdgecnnError], ref: str, exit_code: ExitCode, texts: tuple[str, str | None, str | None], fields: Mapping[str, Any]
) -> EdgecnnError:
    error = kind.__new__(kind)
    error.ref, error.exit_code, error.fields = ref, exit_code, MappingProxyType(dict(fields))
    what, because, hint = texts
    EdgecnnError.__init__(error, what=what, because=because, hint=hint)
    return error
