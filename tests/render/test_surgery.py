"""Wherever a candidate of a changed network is shown, it is said in words what was done to that network."""

from __future__ import annotations

import pytest

from edgecnn.render.columns import legend
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.report import candidate_rows
from edgecnn.render.screens.report import explanation_lines, show_report
from edgecnn.results.explain import explain
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.training import Surgery
from tests.render.reports import a_report, a_row

DONE = Surgery(activation="hard-swish", squeeze_excite="remove", epochs=2)
SAID = "SiLU replaced by hard-swish, squeeze-excite removed, re-trained 2 epochs"
NOTE = f"…-hard-swish-no-se: of a changed network: {SAID}"


def changed(ident: str = "openvino-int8") -> CandidateFacts:
    row = a_row(ident)
    return row.model_copy(
        update={"candidate": row.candidate.model_copy(update={"id": f"{ident}-{DONE.suffix}", "surgery": DONE})}
    )


def report() -> BuildReport:
    return a_report(a_row(), changed(), changed("onnxruntime-int8"))


def test_it_is_said_once_below_the_table_for_all_of_them() -> None:
    assert [line for line in legend(report().candidates) if "changed" in line] == [NOTE]
    assert not [line for line in legend([a_row()]) if "changed" in line]


def test_the_terminal_and_the_report_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_report(report())
    assert capsys.readouterr().out.count(SAID) == 1
    assert NOTE in report_markdown(report())


def test_explain_says_it_of_each_of_them_and_of_no_other() -> None:
    lines = explanation_lines(explain(report()))
    assert lines.count(f"  built from a changed network: {SAID}") == 2
    first = lines.index("onnxruntime-int8")
    assert "changed" not in "".join(lines[first : lines.index("", first)])


def test_the_page_marks_its_row() -> None:
    tags = [row.tags for row in candidate_rows(report())]
    assert [SAID in each for each in tags] == [False, True, True]
