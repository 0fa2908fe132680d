"""The one shape of a failure that a user can see: what, because of what, and the command that mends it.

Subclasses take the objects concerned and write their own text, so that a raise stays one line. This package imports nothing
of edgecnn, so that everything may import it.
"""

from __future__ import annotations

import errno
import importlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar

from edgecnn.errors.wording import shortened


class ExitCode(IntEnum):
    """What a process says when it ends. ``cli`` alone turns reports and errors into one of these."""

    OK = 0
    GATE_FAILED = 1
    BAD_INPUT = 2
    MISSING = 3
    UNSURE = 4
    OWN_FAULT = 70
    INTERRUPTED = 130


_PART_SIGNS_MAX = 10_000
"""Of each part of an error, whatever a user's data holds; a sweep file with a hundred problems names them all in fewer."""


KEPT_IN = "EDGECNN_ERROR_FILE"
"""Variable that names a file: a command leaves the error that ends it there, as ``kept``, for the process that started it."""


class EdgecnnError(Exception):
    """Base of every failure with a name. Raised only through its subclasses.

    ``class NothingToBuild(EdgecnnError, exit_code=ExitCode.MISSING)`` is shown as ``[nothing-to-build]``, unless it states a
    ``ref`` of its own.
    """

    ref: ClassVar[str]
    exit_code: ClassVar[ExitCode] = ExitCode.BAD_INPUT

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
        """The line without the reference, to stand inside another text."""
        cause = f": {self.because}" if self.because else ""
        remedy = f" — {self.hint}" if self.hint else ""
        return visible(f"{self.what}{cause}{remedy}")

    def retold(self, old: str, new: str) -> EdgecnnError:
        """The same with other words for something in it."""
        what, *more = (text and text.replace(old, new) for text in (self.what, self.because, self.hint))
        return _again(type(self), what or "", *more)

    def facts(self) -> dict[str, str | None]:
        """The error for ``--json``."""
        return {"ref": self.ref, "what": self.what, "because": self.because, "hint": self.hint}

    def kept(self) -> dict[str, str | None]:
        """The error for ``error_again`` in another process: its facts and where its class stands."""
        return {**self.facts(), "module": type(self).__module__, "class": type(self).__name__}

    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (type(self), self.what, self.because, self.hint))


def visible(text: str) -> str:
    """Signs that would steer a terminal, break a line or turn the direction of writing, as their escapes; others as they are."""
    return text if text.isprintable() else "".join(ascii(sign)[1:-1] if steers(sign) else sign for sign in text)


def steers(sign: str) -> bool:
    """Whether a terminal would do something else with it than show it."""
    return not sign.isprintable() and unicodedata.category(sign) != "Zs"


DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a disk without space, or of a used-up quota."""


def system_reason(error: Exception) -> str:
    """Why the system refused, as it stands behind a colon: ``permission denied``."""
    said = getattr(error, "strerror", None)
    return said[:1].lower() + said[1:] if said else str(error) or type(error).__name__


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error itself, what it was raised from, and so on; of one that has no such cause, what was being handled."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__


def error_again(kept: Mapping[str, str | None]) -> EdgecnnError:
    """The error that another process wrote down as ``kept``. Its class may be one that is not imported here yet.

    Raises LookupError: no class of ``edgecnn.errors`` is named there; it says what the error said.
    """
    module, name = kept.get("module") or "", kept.get("class") or ""
    kind = None
    if module.startswith("edgecnn.errors."):
        try:
            kind = getattr(importlib.import_module(module), name, None)
        except ImportError:
            kind = None
    if not (isinstance(kind, type) and issubclass(kind, EdgecnnError)):
        said = ": ".join(filter(None, (kept.get("what"), kept.get("because"))))
        raise LookupError(f"{said} [{kept.get('ref')}], of an unknown class {module}.{name}")
    return _again(kind, kept["what"] or "", kept["because"], kept["hint"])


def _again(kind: type[EdgecnnError], what: str, because: str | None, hint: str | None) -> EdgecnnError:
    error = kind.__new__(kind)
    EdgecnnError.__init__(error, what=what, because=because, hint=hint)
    return error
