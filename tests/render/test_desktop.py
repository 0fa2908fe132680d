"""The desktop GPU's ways as a table, under the GPU's true name; or one sentence that says MISSING and why."""

from __future__ import annotations

import pytest

from edgecnn.render import tables
from edgecnn.render.markdown import report_markdown
from edgecnn.render.screens.report import show_report
from edgecnn.values.report import BaselineFacts
from tests.judging.made import a_latency
from tests.render.reports import a_played_baseline, a_report

NOBODY = BaselineFacts(
    device="rtx-4090", accuracy_from="the fp32 network on this machine", latency=a_latency(None, reason="no rtx-4090 here")
)


def test_the_reference_comes_first_and_each_way_has_its_own_figures() -> None:
    rows = [dict(zip(tables.DESKTOP_COLUMNS, row, strict=True)) for row in tables.desktop_rows(a_played_baseline())]
    assert [row["setting"] for row in rows] == ["torch-fp32", "torch-amp-cudagraph", "torch-fp32-compiled"]
    amp = rows[1]
    assert (amp["p50 ms"][:4], amp["GPU clock ms"][:4], amp["speed-up"][:5]) == ("0.40", "0.30", "3.00×")
    assert (amp["drop"][:5], amp["images/s"]) == ("+0.10", "9000 (batch 32)")


def test_a_way_that_could_not_run_is_missing_with_the_reason() -> None:
    row = dict(zip(tables.DESKTOP_COLUMNS, tables.desktop_rows(a_played_baseline())[2], strict=True))
    assert row["p50 ms"] == "MISSING: there is no g++"
    assert {row[name] for name in ("GPU clock ms", "speed-up", "top-1 (95 %)", "drop", "images/s")} == {"–"}


def test_nobody_is_one_sentence_and_no_table() -> None:
    assert "MISSING" in tables.desktop_sentence(NOBODY)
    assert (tables.desktop_rows(NOBODY), tables.desktop_notes(NOBODY)) == ([], [])


@pytest.mark.parametrize("baseline", [NOBODY, a_played_baseline()])
def test_markdown_and_terminal_say_the_same(baseline: BaselineFacts, capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(baseline=baseline)
    show_report(report, verbose=True)
    terminal, markdown = capsys.readouterr().out, report_markdown(report)
    assert (baseline.device in terminal) == bool(baseline.variants), "a GPU that was not measured is not mentioned"
    for text in (terminal, markdown) if baseline.variants else (markdown,):
        assert baseline.device in text
        assert "MISSING" in text
        assert [row[0] for row in tables.desktop_rows(baseline) if row[0] not in text] == []
        assert ("0.40 [" in text) == bool(baseline.variants)
