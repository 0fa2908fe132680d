"""What `edgecnn explain` prints, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.render.screens.report import explanation_lines
from edgecnn.render.terminal import show_lines
from edgecnn.results.explain import explain, explain_candidate
from tests.building.explained import SETTLE, provisional_report, raced_report
from tests.judging.made import an_interval


def test_one_candidate_alone_begins_with_its_name_and_says_its_command_in_full() -> None:
    found = explain_candidate(explain(provisional_report()), "tensorrt-fp16", Path("builds/x"))
    lines = explanation_lines(found, alone=True)
    assert lines[0] == "tensorrt-fp16 (chosen)"
    assert any(line.endswith(f": {SETTLE}") for line in lines)


def test_names_that_would_steer_a_terminal_are_printed_by_their_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2Jred\n\u202eevil"
    report = raced_report()
    row = report.candidates[0]
    named = row.model_copy(
        update={
            "candidate": row.candidate.model_copy(update={"id": hostile}),
            "reason": hostile,
            "latency": row.latency and row.latency.model_copy(update={"machine": hostile, "p50_ms": an_interval(1.0)}),
        }
    )
    changed = report.model_copy(
        update={
            "candidates": (named, *report.candidates[1:]),
            "skipped_rungs": {hostile: hostile},
            "choice": report.choice.model_copy(update={"candidate": hostile, "why": hostile, "settle_command": hostile}),
            "build": report.build.model_copy(update={"arch": hostile, "device": hostile}),
            "unexecuted": (hostile,),
        }
    )
    lines = explanation_lines(explain(changed))
    show_lines(explanation_lines(explain(changed)))
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\u202e" not in said
    assert "\\x1b[2Jred\\n\\u202eevil" in said
    assert len(said.splitlines()) == len(lines), "no name ends a line"
