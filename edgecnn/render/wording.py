"""Text in general: escaping untrusted text, grouping names by reason, and rounding sizes and times."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from edgecnn.errors.base import controls_terminal, visible
from edgecnn.errors.wording import listed
from edgecnn.values.cells import guarded_cell
from edgecnn.values.sandbox import Confinement, Restriction


def visible_lines(text: str) -> str:
    """Apply ``visible`` to each line of a text."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(document: str) -> str:
    """Apply ``visible`` to a JSON document, with JSON's escapes."""
    if document.isascii() and not _ASCII_STEERS.search(document):
        return document
    return "".join(json.dumps(sign)[1:-1] if sign != "\n" and controls_terminal(sign) else sign for sign in document)


_ASCII_STEERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_LINE_BREAK = re.compile(r"[\r\n]+")
_OPENS_A_BLOCK = re.compile(r"^(\d{1,9}|)([.)+-](?=\s|$)|-(?=[-\s]*$)|>|\[(?=[ xX]\]))")
_MARKUP = re.compile(r"[\\`*#$~]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")


def markdown_text(text: str) -> str:
    """Escape text for one line of Markdown, so that it makes no HTML, link, emphasis, heading, list or line break.

    Complete code spans stay: nothing inside a code span is markup, and commands are easier to copy from it. GitHub still turns
    bare addresses and ``@name`` into links.
    """
    line, parts, at = visible(_joined_lines(text.strip())), list[str](), 0
    for code in _CODE.finditer(line):
        parts += [_MARKUP.sub(_escaped, line[at : code.start()]), code.group()]
        at = code.end()
    parts.append(_MARKUP.sub(_escaped, line[at:]))
    return _OPENS_A_BLOCK.sub(r"\1\\\2", "".join(parts))


def _joined_lines(text: str) -> str:
    """Join the lines with single blanks. A regular expression for blanks around line breaks would take quadratic time."""
    lines = _LINE_BREAK.split(text)
    if len(lines) == 1:
        return text
    inner = (line.strip() for line in lines[1:-1])
    return " ".join([lines[0].rstrip(), *filter(None, inner), lines[-1].lstrip()])


def _escaped(sign: re.Match[str]) -> str:
    """Escape a character. Some Markdown readers ignore a backslash before ``<`` and ``&``, so these get HTML's escapes."""
    return {"<": "&lt;", "&": "&amp;"}.get(sign.group(), f"\\{sign.group()}")


def markdown_cell(text: str) -> str:
    """Escape text for a cell of a table, where a bar begins another cell, even in a code span."""
    return markdown_text(text).replace("|", "\\|")


def markdown_code(text: str) -> str:
    """Return a code span that shows exactly this text, backticks included; ``markdown_text`` leaves it unchanged."""
    line = visible(_joined_lines(text))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}" if line else ""


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV, with an apostrophe before each text that a spreadsheet would calculate.

    Numbers stay unchanged. If a spreadsheet with another separator would split a cell, all cells are quoted.
    """
    safe = [guarded_cell(str(cell)) for cell in cells]
    line, splits = io.StringIO(), any(sign in text for text in safe for sign in ";\t\r\n")
    csv.writer(line, lineterminator="", quoting=csv.QUOTE_ALL if splits else csv.QUOTE_MINIMAL).writerow(safe)
    return line.getvalue()


def names_by_reason(reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the names of each reason, joined with commas."""
    names: dict[str, str] = {}
    for name, reason in reasons.items():
        names[reason] = f"{names[reason]}, {name}" if reason in names else name
    return names


def lines_by_reason(reasons: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each reason, with the names that it holds for."""
    return tuple(f"{names}: {reason}" for reason, names in names_by_reason(reasons).items())


def joint_reason(reasons: Mapping[str, str]) -> str:
    """Return the reasons in one sentence, without names if all share one reason."""
    different = set(reasons.values())
    return different.pop() if len(different) == 1 else "; ".join(lines_by_reason(reasons))


_STEP = 1024
_LARGER = ("KiB", "MiB", "GiB", "TiB")
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400
_TWO_DAYS_S = 2 * _DAY_S
"""Below this age, hours are shown instead of days."""


def stored_size(count: int) -> str:
    """Return bytes in the unit that keeps the figure short: ``512 B``, ``4.8 MiB``, ``1.2 GiB``."""
    amount, unit = float(count), "B"
    for larger in _LARGER:
        if round(amount, 1) < _STEP:
            break
        amount, unit = amount / _STEP, larger
    return f"{count} B" if unit == "B" else f"{amount:,.1f} {unit}"


def age_text(seconds: float) -> str:
    """Return the age: ``just now``, ``5 min ago``, ``3 h ago``, ``12 days ago``. A negative age is ``just now``."""
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min ago"
    if seconds < _TWO_DAYS_S:
        return f"{seconds // _HOUR_S:.0f} h ago"
    return f"{seconds // _DAY_S:,.0f} days ago"


def duration_text(seconds: float) -> str:
    """Return the duration: ``<0.1 s``, ``0.3 s``, ``48 s``, ``12 min``, ``2 h 5 min``."""
    if seconds < 0.05:
        return "<0.1 s"
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < _MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE_S)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def duration_range_text(low: float, high: float) -> str:
    """``48 s to 5 min``; one figure if both ends round to the same."""
    return duration_text(low) if duration_text(low) == duration_text(high) else f"{duration_text(low)} to {duration_text(high)}"


_UNRESTRICTED: Final[Mapping[Restriction, str]] = {
    "files": "reading and writing your files",
    "truncation": "emptying your files",
    "network": "opening connections",
    "signals": "stopping other programs",
    "limits": "using all memory and time",
}


def sandbox_text(confinement: Confinement) -> str:
    """Describe the sandbox for files from elsewhere: what it does not prevent, and why."""
    if not confinement.unrestricted:
        return f"sandbox: complete (Landlock {confinement.landlock})"
    why = f"Landlock {confinement.landlock}" if confinement.landlock else "this kernel has no Landlock"
    return f"sandbox: does not prevent {listed([_UNRESTRICTED[name] for name in confinement.unrestricted])} ({why})"
