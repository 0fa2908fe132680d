from __future__ import annotations

from edgecnn.render.columns import columns_of
from edgecnn.render.figures import LEGEND
from edgecnn.render.markdown import report_markdown
from edgecnn.values.report import Choice
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import an_accuracy, facts
from tests.render.reports import a_build, a_report, a_row

HOSTILE = "[red]a|b[/red]\nc"


def test_marks_are_explained_where_they_are_used_and_nowhere_else() -> None:
    emulated = an_accuracy(fidelity=Fidelity.EMULATED)
    assert f"\n{LEGEND[Fidelity.EMULATED]}\n" in report_markdown(a_report(a_row(), a_row("tensorrt-int8", test=emulated)))
    assert "ᵉ" not in report_markdown(a_report(a_row()))
    assert "ᵖ" not in report_markdown(a_report(a_row(test=emulated)))


def test_a_pipe_in_a_cell_starts_no_column() -> None:
    row = a_row().model_copy(update={"candidate": a_row().candidate.model_copy(update={"id": HOSTILE})})
    (line,) = (line for line in report_markdown(a_report(row)).splitlines() if "[red]" in line and line.startswith("|"))
    assert line.startswith("| [red]a\\|b[/red] c | ")
    assert line.replace("\\|", "").count("|") == len(columns_of([row])) + 1


def test_a_command_with_a_pipe_in_it_can_be_copied_as_it_stands() -> None:
    command = "edgecnn build --data 'a|b[red]'"
    assert f": `{command}`\n" in report_markdown(a_report(build=a_build(command=command)))
    choice = Choice(state="provisional", candidate=None, why="not settled", settle_command=command)
    assert f": `{command}`\n" in report_markdown(a_report(choice=choice))
    assert f"\n- `{command}`\n" in report_markdown(a_report(choice=choice, verdict=Verdict.FAIL))


def test_a_line_break_in_a_reason_does_not_end_its_item() -> None:
    assert "- `onnxruntime-int8`: [red]a|b[/red] c\n" in report_markdown(a_report(a_row(reason=HOSTILE)))


def test_layers_that_were_left_in_float_are_named_beside_the_reason() -> None:
    mixed = facts("onnxruntime-int8-mixed-2", reason="chosen", kept_float=("node_Conv_840", "node_linear"))
    text = report_markdown(a_report(facts("onnxruntime-fp32", is_baseline=True), mixed))
    (line,) = (line for line in text.splitlines() if line.startswith("- `onnxruntime-int8-mixed-2`: chosen"))
    assert line.endswith(": `node_Conv_840`, `node_linear`")
