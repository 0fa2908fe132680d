from __future__ import annotations

from edgecnn.render.columns import columns_of
from edgecnn.render.markdown import report_markdown
from edgecnn.values.candidate import Precision, Runtime, Unsupported
from edgecnn.values.report import Choice
from edgecnn.values.verdict import Fidelity
from tests.judging.made import an_accuracy, facts
from tests.render.reports import a_build, a_report, a_row

WHOLE = """\
# resnet-18 on cpu: PASS

onnxruntime-int8 meets drop_pp ≤ 1. onnxruntime-int8 is 1.91x as fast as fp32

| candidate | top-1 (95 %) | drop | p50 ms | p99 ms | speed-up | MiB | MACs in precision | verdict | chosen |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| onnxruntime-fp32 | – | baseline | – | – | – | 44.6 | – | MISSING |  |

Accuracy and drop on the test split (200 images); nothing was chosen on it. Drop is paired, against fp32.

## Gates

- **PASS** max drop_pp 1 (advisory): the drop is at most 0.75 pp

## The build

- resnet-18, 11,689,512 parameters, 1814 M multiply-adds at 224 px
- weights: IMAGENET1K_V1, sha256 f37072fd
- data: photos; 3 classes; train 700, test 200
- desktop-GPU baseline: rtx-4090: MISSING, no baseline profile is shipped; its fp32 accuracy is this machine's
- edgecnn 0.1.0, 2026-11-20T10:00:00+00:00, 62 s
- again: `edgecnn build --data photos`
"""
HOSTILE = "[red]a|b[/red]\nc"


def test_the_whole_report_reads_so() -> None:
    assert report_markdown(a_report(facts("onnxruntime-fp32", is_baseline=True, size_mib=44.6))) == WHOLE


def test_a_section_without_lines_is_left_out_and_one_with_lines_stands() -> None:
    text = report_markdown(
        a_report(
            gates=(),
            notices=("NOT PRETRAINED: no network",),
            unexecuted=("tensorrt-fp16: no engine was executed",),
            unsupported=(Unsupported(runtime=Runtime.OPENVINO, precision=Precision.BF16, why="no AMX"),),
            skipped_rungs={"int8": "fp16 was enough"},
        )
    )
    assert "## Gates" not in text and "## To measure on the device" not in text
    assert "## What to know before believing the table\n\n- NOT PRETRAINED: no network\n" in text
    assert "## Ships, but was not run here\n\n- tensorrt-fp16: no engine was executed\n" in text
    assert "## Not supported\n\n- openvino bf16: no AMX\n" in text
    assert "## Rungs not climbed\n\n- int8: fp16 was enough\n" in text


def test_marks_are_explained_where_they_are_used_and_nowhere_else() -> None:
    emulated = an_accuracy(fidelity=Fidelity.EMULATED)
    legend = "  \nᵉ emulated: computed here on a stand-in for what the device will run\n"
    assert legend in report_markdown(a_report(a_row(), a_row("tensorrt-int8", test=emulated)))
    assert "ᵉ" not in report_markdown(a_report(a_row()))
    assert "ᵖ" not in report_markdown(a_report(a_row(test=emulated)))


def test_a_pipe_in_a_cell_starts_no_column() -> None:
    row = a_row().model_copy(update={"candidate": a_row().candidate.model_copy(update={"id": HOSTILE})})
    (line,) = (line for line in report_markdown(a_report(row)).splitlines() if "[red]" in line and line.startswith("|"))
    assert line.startswith("| [red]a\\|b[/red] c | ")
    assert line.replace("\\|", "").count("|") == len(columns_of([row])) + 1


def test_a_command_with_a_pipe_in_it_can_be_copied_as_it_stands() -> None:
    command = "edgecnn build --data 'a|b[red]'"
    assert f"\n- again: `{command}`\n" in report_markdown(a_report(build=a_build(command=command)))
    choice = Choice(state="provisional", candidate=None, why="not settled", settle_command=command)
    assert f"## To measure on the device\n\n- `{command}`\n" in report_markdown(a_report(choice=choice))


def test_a_line_break_in_a_reason_does_not_end_its_item() -> None:
    assert "- `onnxruntime-int8`: [red]a|b[/red] c\n" in report_markdown(a_report(a_row(reason=HOSTILE)))


def test_rungs_that_were_not_climbed_for_one_reason_stand_in_one_line() -> None:
    why = "onnxruntime-int8 loses 0.10 pp on validation, within the budget of 1 pp: no layer stays in float"
    skipped = {"onnxruntime-int8-mixed-2": why, "onnxruntime-int8-mixed-4": why}
    text = report_markdown(a_report(skipped_rungs=skipped))
    assert f"## Rungs not climbed\n\n- onnxruntime-int8-mixed-2, onnxruntime-int8-mixed-4: {why}\n" in text


def test_layers_that_were_left_in_float_are_named_beside_the_reason() -> None:
    mixed = facts("onnxruntime-int8-mixed-2", reason="chosen: it is the fastest", kept_float=("node_Conv_840", "node_linear"))
    text = report_markdown(a_report(facts("onnxruntime-fp32", is_baseline=True), mixed))
    assert "- `onnxruntime-int8-mixed-2`: chosen: it is the fastest; left in float: `node_Conv_840`, `node_linear`\n" in text
