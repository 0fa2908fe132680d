"""Text functions for messages: plurals, shortened lists, suggestions for mistyped names, and templates of errors.

A template of an error is a ``str.format`` text over its fields. A field's format is one of Python's or a word of ``_WORDS``:
``{names:listed}``, ``{problems:counted problem}``, ``{path:word}``, ``{names:first 5}``.
"""

from __future__ import annotations

import os
import re
import shlex
import string
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import ValidationError


PROGRAM = "edgecnn"
"""The name of the program in help, hints and commands, also if it was started by `python -m edgecnn`."""
_SOURCE_PLACE = re.compile(r"/\S+\.(?:h|cc|cpp):\d+:? (?:\S+ )*?\S*\([^()]*\) ")
"""A C++ source file, a line in it, and the function there with its parameters."""
_SEARCHED_SIGNS = 4000
_WHOLE_SIGNS, _FIRST_SIGNS, _LAST_SIGNS = 1000, 300, 600
"""Characters of a library's error: the longest that is shown completely, then the start and the end of a longer one."""


def shell_word(value: object) -> str:
    """Return one word of a command, quoted for the shell if necessary."""
    return shlex.quote(str(value))


def plural(count: int, one: str, many: str = "") -> str:
    """Return ``image`` for one, ``images`` for any other number; ``many`` if an s is not enough."""
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "") -> str:
    """Return ``1 image``, ``1,200 images``."""
    return f"{count:,} {plural(count, one, many)}"


def none_of(count: int, noun: str) -> str:
    """Return ``no file`` for one, ``neither file`` for two, ``none of the 9 files`` for more."""
    return {1: f"no {noun}", 2: f"neither {noun}"}.get(count, f"none of the {counted(count, noun)}")


def file_fault(path: str, why: str) -> str:
    """Return ``a.jpg is cut off`` for a fault that is a predicate, ``a.jpg: a damaged header`` for a noun."""
    return f"{path} {why}" if why.startswith(("is ", "has ")) else f"{path}: {why}"


def images_in(images: int, groups: int | None) -> str:
    """Return ``600 images``, with a known number of groups ``600 images of 40 groups``."""
    return counted(images, "image") + ("" if groups is None else f" of {counted(groups, 'group')}")


def listed(names: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def short_number(number: float) -> str:
    """Return three significant digits, without an exponent up to a million."""
    return f"{float(f'{number:.3g}'):g}"


def bound_text(side: Literal["max", "min"], name: object, bound: float) -> str:
    """Return ``p50_ms ≤ 5``."""
    return f"{name} {'≤' if side == 'max' else '≥'} {bound:g}"


def bounds_text(most: Mapping[Any, float], least: Mapping[Any, float] | None = None) -> str:
    """Return ``p50_ms ≤ 5 and top1 ≥ 0.8``."""
    upper = [bound_text("max", name, bound) for name, bound in most.items()]
    return " and ".join(upper + [bound_text("min", name, bound) for name, bound in (least or {}).items()])


def and_more(count: int, shown: int) -> str:
    """Return `` and 3 more`` for the names that are not shown, or an empty text."""
    return f" and {count - shown:,} more" if count > shown else ""


def first_quoted(names: Sequence[str], most: int = 5) -> str:
    """Return ``'a', 'b' and 3 more``: the first of many, and the number of the rest."""
    return ", ".join(map(repr, names[:most])) + and_more(len(names), most)


def first_of(names: Sequence[str], most: int) -> str:
    """Return ``a; b; and 3 more``: the first of many, and the number of the rest."""
    more = f"; and {len(names) - most:,} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more


def near_names(name: str, known: Iterable[str], most: int, cutoff: float = 0.6) -> list[str]:
    """Return the known names nearest to a mistyped one, the nearest first."""
    return get_close_matches(name, list(known), n=most, cutoff=cutoff)


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name nearest to a mistyped one, or None if no name is near."""
    return next(iter(near_names(name, known, 1, cutoff)), None)


def builds_to_pass(near: Sequence[object]) -> str:
    """Return the fix for a folder that is not a finished build. ``near``: finished builds with a similar name."""
    return f"pass the folder of a finished build, such as {' or '.join(map(str, near)) or 'builds/ARCH-DEVICE'}"


def names_like(pattern: str, known: Iterable[str]) -> list[str]:
    """Return the names that match a shell pattern; if none does, those that contain the pattern as a word."""
    names, wanted = list(known), pattern.lower()
    matching = [name for name in names if fnmatchcase(name.lower(), wanted)]
    return matching or [name for name in names if wanted and wanted in name.lower()]


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``did you mean NAME? ``, to put before another hint; nothing if no known name is near."""
    near = nearest(name, known, cutoff)
    return f"did you mean {near}? " if near else ""


def no_unicode(name: str) -> str:
    """Return why a file's name is not text, as a predicate: ``is not valid UTF-8``, or that only this locale cannot read it."""
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeError:
        return "is not valid UTF-8"
    return f"cannot be read in this locale ({sys.getfilesystemencoding()}): set PYTHONUTF8=1"


def shortened(text: str, most: int = 100) -> str:
    """Shorten a value of a user's data for an error: the first ``most`` characters, and how many follow."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more)"


def reason_in(error: BaseException | str) -> str:
    """Return the message of a library's error on one line. A long text keeps both ends, since the reason is often the last part.

    Places in a runtime's source code are removed.
    """
    text = " ".join(str(error).split())
    if len(text) > _SEARCHED_SIGNS:  # the pattern takes quadratic time
        text = f"{text[: _SEARCHED_SIGNS // 2]} … {text[-_SEARCHED_SIGNS // 2 :]}"
    text = _SOURCE_PLACE.sub("", text)
    if not text and isinstance(error, BaseException):
        return type(error).__name__
    return text if len(text) <= _WHOLE_SIGNS else f"{text[:_FIRST_SIGNS]} … {text[-_LAST_SIGNS:]}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class if the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def first_problem(error: ValidationError) -> str:
    """Return the place and the message of the first fault of an invalid document."""
    first = error.errors(include_url=False)[0]
    where = shortened(".".join(str(part) for part in first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def _first_names(value: Any, most: str) -> str:
    names = list(map(str, value))
    return "; ".join(names[: int(most)]) + and_more(len(names), int(most))


def _subject(value: Any, noun: str) -> str:
    if not value:
        return f"no {noun} is"
    return f"{noun} {value[0]}" + (f" and {len(value) - 1} more are" if len(value) > 1 else " is")


_WORDS: dict[str, Callable[[Any, str], str]] = {
    "counted": lambda value, words: counted(len(value) if hasattr(value, "__len__") else int(value), *words.split("/")),
    "number": lambda value, _: f"{len(value):,}",
    "listed": lambda value, _: listed(list(map(str, value))) if value else "none",
    "commas": lambda value, _: ", ".join(map(str, value)),
    "quoted": lambda value, _: ", ".join(map(repr, value)),
    "joined": lambda value, _: "; ".join(map(str, value)),
    "first": _first_names,
    "subject": _subject,
    "word": lambda value, _: shell_word(value),
    "short": lambda value, _: shortened(str(value)),
    "reason": lambda value, _: reason_in(value),
    "mib": lambda value, _: f"{value / 2**20:.1f} MiB",
    "gib": lambda value, _: f"{value / 2**30:.2f} GiB",
}
"""Formats of a field in addition to Python's: ``counted image``, ``counted class/classes``, ``first 5``, ``subject tensor``."""


class _Template(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        word, _, rest = format_spec.partition(" ")
        return _WORDS[word](value, rest) if word in _WORDS else format(value, format_spec)


_TEMPLATE = _Template()


def fields_in(template: str) -> frozenset[str]:
    """Return the fields that a template shows."""
    names = (name for _, name, _, _ in _TEMPLATE.parse(template) if name is not None)
    return frozenset(re.split(r"[.\[]", name)[0] for name in names)


def fill_template(template: str, fields: Mapping[str, Any]) -> str | None:
    """Return the text of a template; None if it is empty, or is a single field that is None or empty."""
    if (alone := re.fullmatch(r"\{(\w+)(:\w+)?\}", template)) and fields[alone[1]] in (None, "", (), []):
        return None
    return _TEMPLATE.vformat(template, (), fields) or None
