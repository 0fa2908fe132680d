"""The page of hard tests shows the last record, and a record is what the tests said."""

from __future__ import annotations

import json
from pathlib import Path

from docs.reliability import PAGE, RECORD, page, record_of, table


def test_the_table_is_that_of_the_record() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(record), "python -m docs.reliability writes it anew"
    assert all(row["ended"] == "passed" for row in record["rows"]), "a record of faults is to be mended, not kept"


def test_a_record_holds_each_test_that_gives_a_figure_and_how_it_ended(tmp_path: Path) -> None:
    text = '<properties><property name="{2}" value="{0} tried"/></properties>'
    case = f'<testcase classname="tests" name="{{0}}" time="{{1}}">{text}{{3}}</testcase>'
    cases = (
        case.format("a", "12.4", "figure", "") + case.format("b", "1", "figure", "<failure/>") + case.format("c", "1", "x", "")
    )
    cases += case.format("d", "1", "x", "<skipped/>")
    (tmp_path / "hard.xml").write_text(
        f'<testsuites><testsuite timestamp="2026-11-26T10:00:00" time="90">{cases}</testsuite></testsuites>'
    )
    record = record_of(tmp_path / "hard.xml")
    assert record["date"] == "2026-11-26" and record["minutes"] == 1.5
    assert [(row["tried"], row["ended"]) for row in record["rows"]] == [
        ("a tried", "passed"), ("b tried", "failure"), ("tests.d", "skipped"),
    ]  # fmt: skip
    assert "| a tried | passed | 12 |" in table(record)
    again = case.format("b", "2", "figure", "")
    (tmp_path / "again.xml").write_text(
        f'<testsuites><testsuite timestamp="2026-11-27T10:00:00" time="2">{again}</testsuite></testsuites>'
    )
    record = record_of(tmp_path / "hard.xml", tmp_path / "again.xml")
    assert record["date"] == "2026-11-27" and [row["ended"] for row in record["rows"]] == ["passed", "passed", "skipped"]
