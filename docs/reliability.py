"""The table of docs/reliability.md, from the last record of the hard tests.

    .ci/run --hard --junitxml=hard.xml && python -m docs.reliability hard.xml

writes ``docs/reliability.json`` from what the tests recorded, of one run or of parts that were run one after another, and the
table from that; without a file the table alone.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.marked_sections import put

RECORD, PAGE = (Path(__file__).parent / f"reliability.{kind}" for kind in ("json", "md"))
FIGURE = "figure"
"""The property in which a test says what it tried, the last one where it says it as it goes."""


def record_of(*junit: Path) -> dict[str, Any]:
    """What JUnit files of pytest say: when they were run (here), each test that gives a figure, and each that did not pass.

    A test that is in several files ended as the last one says.
    """
    suites = [next(ElementTree.parse(each).getroot().iter("testsuite")) for each in junit]
    return {
        "schema": "edgecnn.reliability/1",
        "date": max(suite.get("timestamp", "")[:10] for suite in suites),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "minutes": round(sum(float(suite.get("time", 0)) for suite in suites) / 60, 1),
        "rows": list({name: row for suite in suites for name, row in _rows(suite)}.values()),
    }


def _rows(suite: ElementTree.Element) -> Iterator[tuple[str, dict[str, Any]]]:
    for case in suite.iter("testcase"):
        figures = [said.get("value") for said in case.iter("property") if said.get("name") == FIGURE]
        ended = next((kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None), "passed")
        if figures or ended != "passed":
            name = f"{case.get('classname')}.{case.get('name')}"
            yield name, {"tried": figures[-1] if figures else name, "ended": ended, "seconds": round(float(case.get("time", 0)))}


def table(record: Mapping[str, Any]) -> str:
    """Markdown, a row a test."""
    where = f"{record['date']}, {record['cores']} cores, Python {record['python']}, {record['minutes']:g} minutes in all."
    lines = [where, "", "| tried | ended | seconds |", "| --- | --- | --- |"]
    lines += [f"| {row['tried']} | {row['ended']} | {row['seconds']:,} |" for row in record["rows"]]
    return "\n".join(lines) + "\n"


def page(record: Mapping[str, Any]) -> str:
    """The whole page as it should be."""
    return put(PAGE.read_text(encoding="utf-8"), "table", table(record).rstrip("\n"))


def main() -> None:
    """Write the page, and the record where a file is named."""
    if len(sys.argv) > 1:
        RECORD.write_text(json.dumps(record_of(*map(Path, sys.argv[1:])), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(RECORD.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
