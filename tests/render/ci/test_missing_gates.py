"""A figure that is missing and does not count says so wherever a job or a person reads it, in one sentence."""

from __future__ import annotations

import pytest

from edgecnn.render.ci import annotation_lines, junit_of, sheet_of_report, summary_markdown
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.report import report_page
from edgecnn.render.screens.report import show_report
from edgecnn.render.sentences import gate_line, gate_reason
from edgecnn.results.page import PageFacts
from edgecnn.values.verdict import GateResult, Verdict
from tests.judging.made import a_result
from tests.render.reports import a_report, a_row

SAYS = "this does not stop the job unless you pass --require-measured"


def missing(required: str = "when-measured") -> GateResult:
    return a_result(Verdict.MISSING, required).model_copy(update={"reason": "it was not raced"})


@pytest.mark.parametrize("required", ["when-measured", "advisory"])
def test_a_missing_figure_that_does_not_count_says_so_and_with_require_measured_it_does_not(required: str) -> None:
    assert gate_reason(missing(required)) == f"it was not raced; {SAYS}"
    assert gate_reason(missing(required), require_measured=True) == "it was not raced"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_other_verdict_keeps_its_reason(verdict: Verdict) -> None:
    assert SAYS not in gate_reason(a_result(verdict, "always"))
    assert SAYS not in gate_line(a_result(Verdict.UNSURE, "advisory"))


def test_the_terminal_markdown_page_junit_annotations_and_summary_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(a_row()).model_copy(update={"gates": (missing(),)})
    sheet = sheet_of_report(report)
    show_report(report)
    said = {
        "terminal": " ".join(capsys.readouterr().out.split()),
        "markdown": report_markdown(report),
        "page": report_page(PageFacts(report=report)),
        "junit": junit_of(sheet),
        "annotations": "\n".join(annotation_lines(sheet)),
        "summary": summary_markdown(sheet),
    }
    assert [name for name, text in said.items() if SAYS not in text] == []
    required = report.model_copy(update={"require_measured": True})
    strict = sheet_of_report(required)
    show_report(required)
    assert SAYS not in capsys.readouterr().out + report_markdown(required) + report_page(PageFacts(report=required))
    assert SAYS not in junit_of(strict) + "\n".join(annotation_lines(strict)) + summary_markdown(strict)
