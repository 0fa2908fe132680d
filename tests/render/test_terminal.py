"""Results go to stdout as they are, whatever brackets, colons or pipes they hold; errors go to stderr."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.errors.building import OUTPUT_UNUSABLE
from edgecnn.render.screens.report import show_candidates, show_measured, show_report, show_steps
from edgecnn.render.terminal import show_error, show_json, show_lines, show_rows
from edgecnn.values.artifact import Cached, Failed, Ran
from edgecnn.values.reason import Loses
from edgecnn.values.report import Choice, EndToEnd
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_latency, an_interval, facts
from tests.render.reports import a_build, a_gate, a_report, a_residency, a_row

CHECKOUT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]
HOSTILE = "[red]a|b[/red] [/] :key: \\"
ERROR = OUTPUT_UNUSABLE(folder=Path("/proc/[red]x"), because="No such file or directory")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().replace("┃", "│").split("│")][1:-1]


def lines_of(capsys: Captured) -> list[str]:
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_a_report_is_its_table_its_verdict_its_gates_and_where_it_lies(capsys: Captured) -> None:
    show_report(a_report(notices=("race for the choice: reused",)))
    lines = lines_of(capsys)
    assert lines[0].strip() == "resnet-18 → cpu"
    assert [line.rstrip() for line in lines[-5:]] == [
        "PASS: onnxruntime-int8 meets drop_pp ≤ 1",
        "  chosen: onnxruntime-int8 is 1.91x as fast as fp32",
        "  gate max drop_pp 1: PASS, the drop is at most 0.75 pp",
        "  note: race for the choice: reused",
        "  /home/me/out",
    ]


def test_a_profile_is_its_table_every_figure_of_time_and_what_to_know(capsys: Captured) -> None:
    seen = EndToEnd(latency=a_latency(an_interval(9.0)), picture="JPEG of 56 x 40 pixels and 1,000 bytes")
    show_measured(a_report(a_row(end_to_end=seen), notices=("race for the choice: reused",)))
    assert [line.rstrip() for line in lines_of(capsys)[-5:]] == [
        "  `onnxruntime-int8` in the race for the report: p50 2.35 [2.31, 2.38], p99 3.10 [3.00, 3.25] ms",
        "  end to end of `onnxruntime-int8`, in the end-to-end race: p50 9.00 [9.00, 9.00] ms from the file of a JPEG of "
        "56 x 40 pixels and 1,000 bytes"
        " to logits",
        "  `onnxruntime-int8`: what ran: multiply-adds 97 % in int8, 3 % in fp32; time inside layers not known; "
        "bytes moved not known: the trace was"
        " read before bytes were counted",
        "  desktop GPU: rtx-4090: MISSING, no baseline profile is shipped; its fp32 accuracy is this machine's",
        "  note: race for the choice: reused",
    ]


def test_a_row_stands_on_one_line_where_stdout_is_no_terminal(capsys: Captured) -> None:
    slow = a_latency(an_interval(123.46, 120.0, 130.0), an_interval(140.0, 135.0, 150.0), an_interval(1.9, 1.88, 1.93))
    long = a_row("tensorrt-fp16", latency=slow, residency=a_residency("planned", fp16=1.0))
    show_candidates(a_report(facts("onnxruntime-fp32", is_baseline=True, size_mib=44.6), a_row(chosen=True), long))
    rows = {row[0]: row for line in lines_of(capsys) if (row := cells(line))}
    assert rows["onnxruntime-fp32"] == ["onnxruntime-fp32", "–", "baseline", "–", "–", "–", "44.6", "–", "MISSING", ""]
    assert rows["onnxruntime-int8"][1:3] == ["86.2 % [85.5, 86.9]", "+0.31 [-0.12, +0.75] pp"]
    assert rows["onnxruntime-int8"][6:] == ["5.4", "97 % int8", "PASS", "◀"]
    assert rows["tensorrt-fp16"][3:8] == [
        "123.46 [120.00, 130.00]",
        "140.00 [135.00, 150.00]",
        "1.90× [1.88, 1.93]",
        "5.4",
        "100 % fp16 planned",
    ]
    assert "" not in rows, "no cell is wrapped"


def test_a_provisional_choice_comes_with_the_command_that_settles_it(capsys: Captured) -> None:
    command = "scp -r out/bundle USER@jetson:edgecnn-12345678 && " + "x" * 200
    show_report(a_report(choice=Choice(state="provisional", candidate=None, why="not settled", settle_command=command)))
    assert f"  measure it there with: {command}" in lines_of(capsys)


def test_rungs_that_were_not_climbed_for_one_reason_stand_in_one_line(capsys: Captured) -> None:
    show_report(a_report(skipped_rungs=dict.fromkeys(("a-mixed-2", "a-mixed-4"), "no layer stays in float")))
    assert "  not climbed: a-mixed-2, a-mixed-4: no layer stays in float\n" in capsys.readouterr().out


def test_candidates_that_lose_too_much_where_the_choice_is_made_are_said_to_be_left_out(capsys: Captured) -> None:
    drop = an_interval(2.78, -4.41, 11.54, 0.9)
    because = Loses(split="validation", drop_pp=drop, bound_pp=1.0, images=36)
    show_report(a_report(a_row(chosen=True), a_row("openvino-int8", because=because)))
    over = "over the budget on validation by 1.78 pp: a drop of 2.78 against 1, [-4.41, 11.54] at 90 % of 36 images"
    assert f"  not chosen: openvino-int8: {over}" in [line.rstrip() for line in lines_of(capsys)]


def test_what_a_user_named_is_shown_literally(capsys: Captured) -> None:
    hostile = a_row().model_copy(update={"candidate": a_row().candidate.model_copy(update={"id": HOSTILE})})
    show_report(
        a_report(
            hostile,
            build=a_build(arch=HOSTILE, device=HOSTILE),
            choice=Choice(state="settled", candidate=None, why=HOSTILE, settle_command=HOSTILE),
            gates=(a_gate(reason=HOSTILE),),
            notices=(HOSTILE,),
            output=f"/tmp/{HOSTILE}",
        )
    )
    lines = [line.rstrip() for line in lines_of(capsys)]
    assert lines[0].strip() == f"{HOSTILE} → {HOSTILE}"
    assert any(line.lstrip("│ ").startswith(HOSTILE + " ") for line in lines[1:])
    assert lines[-6:] == [
        "PASS: onnxruntime-int8 meets drop_pp ≤ 1",
        f"  chosen: {HOSTILE}",
        f"  gate max drop_pp 1: PASS, {HOSTILE}",
        f"  note: {HOSTILE}",
        f"  measure it there with: {HOSTILE}",
        f"  /tmp/{HOSTILE}",
    ]


def test_a_plain_table_shows_cells_and_title_literally(capsys: Captured) -> None:
    show_rows(("name", "because"), [(HOSTILE, "x")], title=HOSTILE)
    lines = lines_of(capsys)
    assert lines[0].strip() == HOSTILE
    assert any(cells(line)[:2] == [HOSTILE, "x"] for line in lines)


def test_a_plain_table_without_a_title_begins_with_its_frame(capsys: Captured) -> None:
    show_rows(("name",), [("x",)])
    assert lines_of(capsys)[0].startswith("┏")


def test_each_step_says_what_became_of_it_and_why(capsys: Captured) -> None:
    outcomes = {
        "prepare": Cached(),
        "train": Ran(seconds=3.2, why=("epochs: 2 → 6", "never made")),
        "export": Failed(ref="x", what="opset 19, not 20"),
    }
    show_steps(a_report(outcomes=outcomes, timings_s={"train": 3.21}, notices=("[red]",)))
    lines = lines_of(capsys)
    shown = [cells(line) for line in lines]
    assert ["prepare", "cached", "0.0", ""] in shown
    assert ["train", "ran", "3.2", "epochs: 2 → 6; never made"] in shown
    assert ["export", "failed", "0.0", "opset 19, not 20"] in shown
    assert lines[-1].rstrip() == "  note: [red]"


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def test_a_failing_verdict_is_red_on_a_terminal_unless_no_color_is_set(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    show_report(a_report(a_row(verdict=Verdict.FAIL), verdict=Verdict.FAIL))
    assert "\x1b[1;31mFAIL" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    show_report(a_report(a_row(verdict=Verdict.FAIL), verdict=Verdict.FAIL))
    out = capsys.readouterr().out
    assert "FAIL" in out and ";31m" not in out and "\x1b[31m" not in out


def test_a_pipe_gets_no_escape_codes(capsys: Captured) -> None:
    show_report(a_report(a_row(verdict=Verdict.FAIL, chosen=True)))
    assert "\x1b" not in capsys.readouterr().out


def test_json_is_one_document_with_names_in_any_script(capsys: Captured) -> None:
    show_json({"b": "Größe", "a": 1})
    assert capsys.readouterr().out == '{\n "b": "Größe",\n "a": 1\n}\n'


def test_lines_are_not_wrapped(capsys: Captured) -> None:
    show_lines(["x" * 500, "[red]"])
    assert capsys.readouterr().out == "x" * 500 + "\n[red]\n"


def test_an_error_is_one_line_on_stderr_and_stdout_stays_empty(capsys: Captured) -> None:
    show_error(ERROR, as_json=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "edgecnn: error: /proc/[red]x cannot hold the results: No such file or directory"
        " — choose another folder with --out FOLDER [output-unusable]\n"
    )


def test_an_error_as_json_is_its_parts_on_stderr_and_stdout_stays_empty(capsys: Captured) -> None:
    show_error(ERROR, as_json=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err) == {"error": ERROR.facts()}
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("columns", [60, 80])
def test_on_a_narrow_terminal_nothing_of_a_report_s_table_is_cut(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    show_candidates(a_report(facts("onnxruntime-fp32", is_baseline=True, size_mib=44.6), a_row(chosen=True)))
    plain = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    for cell in ("86.2 % [85.5, 86.9]", "+0.31 [-0.12, +0.75] pp", "2.35 [2.31, 2.38]", "97 % int8", "PASS", "◀"):
        assert any(cell in line for line in plain.splitlines()), cell
    assert max(len(line) for line in plain.splitlines()) <= columns
    assert "…" not in plain


def test_a_pipe_has_the_wide_table_whatever_window_it_was_started_from(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    show_candidates(a_report(a_row(chosen=True)))
    assert any(cells(line)[:1] == ["onnxruntime-int8"] and cells(line)[-1] == "◀" for line in lines_of(capsys))


def test_a_gate_s_sentence_is_wrapped_on_a_terminal_and_nowhere_else(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "word " * 60
    show_report(a_report(gates=(a_gate(reason=reason),)))
    assert any(reason.strip() in line for line in lines_of(capsys))
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    show_report(a_report(gates=(a_gate(reason=reason),)))
    said = [line for line in lines_of(capsys) if "word" in line]
    assert len(said) > 3 and all(len(line) <= 80 for line in said)


def test_signs_that_stdout_cannot_encode_are_shown_by_number_and_in_json_escaped() -> None:
    script = (
        "from tests.render.reports import a_report\n"
        "from edgecnn.cli.usage import accept_every_sign\n"
        "from edgecnn.render.screens.report import show_report\n"
        "from edgecnn.render.terminal import show_json, show_lines\n"
        "accept_every_sign()\n"
        "show_report(a_report())\n"
        "show_lines(['a \\udcff b'])\n"
        "show_json({'name': 'Gr\\u00f6\\u00dfe \\udcff'})\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("resnet-18 \\u2192 cpu\n")
    shown, _, document = done.stdout.partition("a \\udcff b\n")
    assert "chosen: onnxruntime-int8 is" in shown
    assert json.loads(document) == {"name": "Größe \udcff"}


def test_an_error_as_json_is_json_also_where_stderr_cannot_encode_its_signs() -> None:
    """What Python puts in the place of such a sign, a backslash and an x, is no JSON."""
    words = [sys.executable, "-m", "edgecnn", "explain", "Größe", "--json"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Größe" in json.loads(done.stderr)["error"]["what"]


STEERING = "\x1b[31mred\nline\x9b\u2028\u202e"
SHOWN = r"\x1b[31mred\nline\x9b\u2028\u202e"


def test_a_name_that_would_steer_the_terminal_is_shown_by_its_escapes(capsys: Captured) -> None:
    show_rows(("class",), [[STEERING], ["Größe\xa01 猫"]], title=STEERING)
    show_lines([STEERING, "Größe\xa01 猫"])
    show_error(OUTPUT_UNUSABLE(folder=Path(STEERING), because="full"), as_json=False)
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert (lines[0].strip(), lines[-2], lines[-1]) == (SHOWN, SHOWN, "Größe\xa01 猫")
    assert [line.strip("│ ") for line in lines if line.startswith("│")] == [SHOWN, "Größe\xa01 猫"]
    assert SHOWN in said.err and said.err.count("\n") == 1
    assert not any(sign in said.out + said.err for sign in "\x1b\x9b\u2028\u202e")
