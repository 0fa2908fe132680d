"""Text that many places share: escaped text of others, names grouped by reason, and rounded sizes and times."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping

from edgecnn.errors.base import controls_terminal, visible


def visible_lines(text: str) -> str:
    """``visible`` for each line of a text."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(document: str) -> str:
    """``visible`` for JSON, with JSON's escapes."""
    if document.isascii() and not _ASCII_STEERS.search(document):
        return document
    return "".join(json.dumps(sign)[1:-1] if sign != "\n" and controls_terminal(sign) else sign for sign in document)


_ASCII_STEERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_LINE_BREAK = re.compile(r"[\r\n]+")
_OPENS_A_BLOCK = re.compile(r"^(\d{1,9}|)([.)+-](?=\s|$)|-(?=[-\s]*$)|>|\[(?=[ xX]\]))")
_MARKUP = re.compile(r"[\\`*#$~]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")


def markdown_text(text: str) -> str:
    """Escape text for one line of Markdown: it makes no HTML, link, emphasis, heading, list or line break.

    Complete code spans stay, since nothing inside one is markup and commands are easier to copy from them. GitHub still turns a
    bare address and an ``@name`` into a link.
    """
    line, parts, at = visible(_one_line(text.strip())), list[str](), 0
    for code in _CODE.finditer(line):
        parts += [_MARKUP.sub(_escaped, line[at : code.start()]), code.group()]
        at = code.end()
    parts.append(_MARKUP.sub(_escaped, line[at:]))
    return _OPENS_A_BLOCK.sub(r"\1\\\2", "".join(parts))


def _one_line(text: str) -> str:
    """Join the lines with single blanks. A regular expression for blanks around line breaks would take quadratic time."""
    lines = _LINE_BREAK.split(text)
    if len(lines) == 1:
        return text
    inner = (line.strip() for line in lines[1:-1])
    return " ".join([lines[0].rstrip(), *filter(None, inner), lines[-1].lstrip()])


def _escaped(sign: re.Match[str]) -> str:
    """HTML's escapes for HTML signs: some Markdown readers ignore a backslash there."""
    return {"<": "&lt;", "&": "&amp;"}.get(sign.group(), f"\\{sign.group()}")


def markdown_cell(text: str) -> str:
    """``markdown_text`` for a cell of a table: a bar begins another cell, even in a code span."""
    return markdown_text(text).replace("|", "\\|")


def markdown_code(text: str) -> str:
    """Return a code span that shows exactly this text, backticks included; ``markdown_text`` leaves it unchanged."""
    line = visible(_one_line(text))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}" if line else ""


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_OPENS_A_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV. An apostrophe precedes each text that a spreadsheet would calculate.

    Numbers stay unchanged. All cells are quoted if a spreadsheet with another separator would split one.
    """
    texts = [str(cell) for cell in cells]
    safe = [f"'{text}" if _is_formula(text) and not _NUMBER.fullmatch(text) else text for text in texts]
    line, splits = io.StringIO(), any(sign in text for text in safe for sign in ";\t\r\n")
    csv.writer(line, lineterminator="", quoting=csv.QUOTE_ALL if splits else csv.QUOTE_MINIMAL).writerow(safe)
    return line.getvalue()


def _is_formula(text: str) -> bool:
    """Return whether a spreadsheet may calculate the text: blanks and invisible signs before it do not matter."""
    first = next((sign for sign in text if sign.isprintable() and not sign.isspace()), "")
    return first in _OPENS_A_FORMULA or text.startswith(("\t", "\r", "\n"))


def names_by_reason(reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the names of each reason, joined with commas."""
    names: dict[str, str] = {}
    for name, reason in reasons.items():
        names[reason] = f"{names[reason]}, {name}" if reason in names else name
    return names


def grouped(reasons: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each reason, with the names that it holds for."""
    return tuple(f"{names}: {reason}" for reason, names in names_by_reason(reasons).items())


def joint_reason(reasons: Mapping[str, str]) -> str:
    """Return why no one has a figure in one sentence: the reason alone if all share it."""
    different = set(reasons.values())
    return different.pop() if len(different) == 1 else "; ".join(grouped(reasons))


_STEP = 1024
_LARGER = ("KiB", "MiB", "GiB", "TiB")
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400
_TWO_DAYS_S = 2 * _DAY_S
"""Below this, hours tell more than days."""


def stored_size(count: int) -> str:
    """Bytes in the unit that keeps the figure short: ``512 B``, ``4.8 MiB``, ``1.2 GiB``."""
    amount, unit = float(count), "B"
    for larger in _LARGER:
        if round(amount, 1) < _STEP:
            break
        amount, unit = amount / _STEP, larger
    return f"{count} B" if unit == "B" else f"{amount:,.1f} {unit}"


def ago(seconds: float) -> str:
    """Age: ``just now``, ``5 min ago``, ``3 h ago``, ``12 days ago``. A negative age, of a clock that went back, is now."""
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min ago"
    if seconds < _TWO_DAYS_S:
        return f"{seconds // _HOUR_S:.0f} h ago"
    return f"{seconds // _DAY_S:,.0f} days ago"


def took(seconds: float) -> str:
    """Duration: ``<0.1 s``, ``0.3 s``, ``48 s``, ``12 min``, ``2 h 5 min``."""
    if seconds < 0.05:
        return "<0.1 s"
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < _MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE_S)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def took_between(low: float, high: float) -> str:
    """``48 s to 5 min``; one figure if both ends round to the same."""
    return took(low) if took(low) == took(high) else f"{took(low)} to {took(high)}"
