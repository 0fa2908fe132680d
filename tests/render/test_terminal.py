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
from edgecnn.render.columns import COLUMN, text_rows
from edgecnn.render.screens.report import show_candidates, show_report
from edgecnn.render.terminal import WIDE, show_error, show_json, show_lines, show_rows
from edgecnn.values.report import Choice
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


def test_a_row_stands_on_one_line_where_stdout_is_no_terminal(capsys: Captured) -> None:
    slow = a_latency(an_interval(123.46, 120.0, 130.0), an_interval(140.0, 135.0, 150.0), an_interval(1.9, 1.88, 1.93))
    long = a_row("tensorrt-fp16", latency=slow, residency=a_residency("planned", fp16=1.0))
    candidates = (facts("onnxruntime-fp32", is_baseline=True, size_mib=44.6), a_row(chosen=True), long)
    show_report(a_report(*candidates))
    lines = lines_of(capsys)
    assert max(map(len, lines)) <= WIDE
    for candidate in candidates:
        (line,) = (line for line in lines if line.startswith(f"{candidate.candidate.id} "))
        shown = [COLUMN[name].cell(candidate).plain for name in ("drop_pp", "p50_ms", "ratio_to_fp32", "size_mib", "verdict")]
        assert [cell for cell in shown if cell not in line] == []


def test_a_provisional_choice_comes_with_the_command_that_settles_it(capsys: Captured) -> None:
    command = "scp -r out/bundle USER@jetson:edgecnn-12345678 && " + "x" * 200
    show_report(a_report(choice=Choice(state="provisional", candidate=None, why="not settled", settle_command=command)))
    assert any(line == f"  {command}" for line in lines_of(capsys))


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
        ),
        verbose=True,
    )
    lines = [line.rstrip() for line in lines_of(capsys)]
    assert lines[1].strip() == f"{HOSTILE} → {HOSTILE}"
    assert any(line.lstrip("│ ").startswith(HOSTILE + " ") for line in lines[1:])
    shown = (f"chosen: {HOSTILE}", f"PASS, {HOSTILE}", f"note: {HOSTILE}", f"  {HOSTILE}", f"results: /tmp/{HOSTILE}")
    assert [text for text in shown if not any(line.endswith(text) for line in lines)] == []


def test_a_plain_table_shows_cells_and_title_literally(capsys: Captured) -> None:
    show_rows(("name", "because"), [(HOSTILE, "x")], title=HOSTILE)
    lines = lines_of(capsys)
    assert lines[0].strip() == HOSTILE
    assert any(cells(line)[:2] == [HOSTILE, "x"] for line in lines)


def test_a_plain_table_without_a_title_begins_with_its_frame(capsys: Captured) -> None:
    show_rows(("name",), [("x",)])
    assert lines_of(capsys)[0].startswith("┏")


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
    assert captured.err == f"edgecnn: error: {ERROR.line()}\n"


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
    for cell in text_rows([a_row(chosen=True)])[0]:
        assert any(cell in line for line in plain.splitlines()), cell
    assert max(len(line) for line in plain.splitlines()) <= columns
    assert "…" not in plain


def test_a_pipe_has_the_wide_table_whatever_window_it_was_started_from(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    show_report(a_report(a_row(chosen=True)))
    assert any(line.startswith("onnxruntime-int8 ") and line.endswith("◀") for line in lines_of(capsys))


def test_a_gate_s_sentence_is_wrapped_on_a_terminal_and_nowhere_else(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "word " * 60
    open_gate = a_gate(Verdict.UNSURE, reason=reason)
    show_report(a_report(gates=(open_gate,)))
    assert any(reason.strip() in line for line in lines_of(capsys))
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    show_report(a_report(gates=(open_gate,)))
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
    assert done.stdout.splitlines()[1] == "resnet-18 \\u2192 cpu"
    shown, _, document = done.stdout.partition("a \\udcff b\n")
    assert "onnxruntime-int8" in shown
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
