"""The table of docs/reference/litert-operators.md: the rules of the LiteRT writer, and what they were tried on.

``python -m docs.generated`` writes the page. ``python -m benchmarks.litert_coverage`` makes the record of networks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.litert_coverage import RECORD, rounded_up
from benchmarks.marked_sections import put
from edgecnn.models.catalogue import TIMM, all_archs
from edgecnn.runtimes.litert_writer import writer  # noqa: F401 - registers the rules
from edgecnn.runtimes.litert_writer.conversion import FORMS

PAGE = Path(__file__).parent / "reference" / "litert-operators.md"
NOTHING_WRITTEN = "nothing, or `TRANSPOSE` and `RESHAPE`"


def coverage(record: Mapping[str, Any]) -> str:
    """How many networks of the catalogue and of timm are written whole."""
    catalogue = [spec.name for spec in all_archs()]
    timm = [name for name in record if name.startswith(TIMM)]
    whole = {name for name, row in record.items() if "missing" not in row}
    seconds = {name: record[name]["seconds"] for name in whole}
    slowest = max(sorted(seconds), key=seconds.__getitem__)
    missing = [f"- `{name}` has no form of {row['missing']}." for name, row in record.items() if "missing" in row]
    apart = [_apart(record, whole.intersection(names)) for names in (catalogue, timm)]
    untried = [f"`{name}`" for name in catalogue if name not in record]
    tried = len(catalogue) - len(untried)
    counted = (
        f"{tried} of the {len(catalogue)} networks of the catalogue were tried, and {len(timm)} of timm's. "
        f"**{len(whole.intersection(catalogue))} of the {tried} are written whole**, and "
        f"{len(whole.intersection(timm))} of the {len(timm)} of timm. Half of the conversions took "
        f"{median(seconds.values()):.1f} s or less; the slowest, {slowest}, took {seconds[slowest]:.1f} s. Logits differ "
        f"from ONNX Runtime's by at most {apart[0]} of their spread in the catalogue, and {apart[1]} in timm."
    )
    others = f"Not tried: {', '.join([*untried, 'the other networks of timm'])}."
    return "\n".join([counted, *(["", *missing] if missing else []), "", others])


def _apart(record: Mapping[str, Any], names: Iterable[str]) -> str:
    largest = max((record[name]["difference"] for name in names), default=0.0)
    return f"{rounded_up(largest, 1):.0e}"


def table(record: Mapping[str, Any]) -> str:
    """Markdown, a row for each ONNX operator."""
    catalogue = [record[spec.name]["operators"] for spec in all_archs() if spec.name in record]
    lines = [
        "| ONNX operator | LiteRT's operators | needs, or has no form | networks of the catalogue |",
        "| --- | --- | --- | --- |",
    ]
    for operator, form in sorted(FORMS.items()):
        written = ", ".join(f"`{name}`" for name in form.writes.split(", ")) if form.writes else NOTHING_WRITTEN
        written += f"; in INT8 {', '.join(f'`{name}`' for name in form.in_int8.split(', '))}" if form.in_int8 else ""
        networks = sum(operator in operators for operators in catalogue)
        lines.append(f"| {operator} | {written} | {form.limits} | {networks or '–'} |")
    return "\n".join(lines)


def page() -> str:
    """The whole page as it should be."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    return put(put(PAGE.read_text(encoding="utf-8"), "coverage", coverage(record)), "operators", table(record))
