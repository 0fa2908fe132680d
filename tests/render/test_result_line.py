"""The result of a build: one sentence, first and last on the screen, with a number of images or rounds that would settle it."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.render.ci import sheet_of_report, summary_markdown
from edgecnn.render.screens.report import show_report
from edgecnn.render.sentences import result_line
from edgecnn.results.next_step import next_step
from edgecnn.values.command import Command
from edgecnn.values.report import BuildReport, Choice
from edgecnn.values.verdict import GateResult, Verdict
from tests.judging.made import an_accuracy
from tests.render.reports import a_build, a_gate, a_report, a_row

CALLED = Command(verb=("build",), parts=(("--data", "photos"),))
DEMO = Command(verb=("build",), parts=(("--data", "demo"),))
CHOICE = Choice(state="settled", candidate="onnxruntime-int8", why="it is the fastest")


def judged(verdict: Verdict, *gates: GateResult, **changes: Any) -> BuildReport:
    row = a_row(test=an_accuracy(images=120), chosen=True, gates=gates, verdict=verdict)
    known = {"gates": gates, "verdict": verdict, "choice": CHOICE, "build": a_build(called=CALLED)}
    return a_report(row, **{**known, **changes})


def unsure(**changes: Any) -> GateResult:
    return a_gate(Verdict.UNSURE).model_copy(update=changes)


def test_an_open_drop_names_the_images_that_were_judged_and_those_that_would_be_enough() -> None:
    line = result_line(judged(Verdict.UNSURE, unsure(images_to_settle=1512)))
    assert line.startswith("UNSURE: not enough test images (120) ")
    assert "onnxruntime-int8 loses more than 1 pp of top-1" in line
    assert "about 1,512 " in line


def test_an_open_race_names_the_rounds() -> None:
    assert "about 40 rounds " in result_line(judged(Verdict.UNSURE, unsure(rounds_to_settle=40)))


def test_a_device_that_is_away_is_named_only_if_its_latency_is_missing() -> None:
    away = a_build(device="raspberry-pi-5", device_attached=False)
    report = a_report(a_row(chosen=True, latency=None), build=away)
    assert result_line(report).endswith("; its latency on raspberry-pi-5 was not measured")
    assert "not measured" not in result_line(a_report(a_row(chosen=True)))


def test_the_result_is_the_first_and_the_last_line_of_the_screen_and_of_the_step_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verdict in Verdict:
        report = judged(verdict, a_gate(verdict), notices=("a note",))
        result = result_line(report)
        for verbose in (False, True):
            show_report(report, verbose=verbose)
            lines = capsys.readouterr().out.splitlines()
            assert lines[0] == lines[-1] == result
            assert any(line.endswith("note: a note") for line in lines) is verbose
        heading, _, first, *_, last = summary_markdown(sheet_of_report(report)).strip().splitlines()
        assert heading.endswith(verdict.value)
        assert last == f"**{first}**"
        assert result.startswith(f"{verdict.value}: ")


@pytest.mark.parametrize(
    ("report", "purpose", "command"),
    [
        (judged(Verdict.PASS, a_gate()), "predict", "edgecnn predict /home/me/out IMAGE.jpg"),
        (judged(Verdict.FAIL, a_gate(Verdict.FAIL)), "explain", "edgecnn explain /home/me/out"),
        (judged(Verdict.MISSING, a_gate(Verdict.MISSING)), "explain", "edgecnn explain /home/me/out"),
        (
            judged(Verdict.UNSURE, unsure(rounds_to_settle=40)),
            "settle",
            "edgecnn build --data photos --set race.rounds=40",
        ),
        (
            judged(Verdict.UNSURE, unsure(images_to_settle=600)),
            "more-images",
            "edgecnn build --data photos",
        ),
        (
            judged(Verdict.UNSURE, unsure(images_to_settle=600), build=a_build(called=DEMO)),
            "explain",
            "edgecnn explain /home/me/out",
        ),
        (
            judged(Verdict.PASS, a_gate(), choice=CHOICE.model_copy(update={"state": "provisional", "settle_command": "x"})),
            "measure",
            "x",
        ),
        (
            judged(
                Verdict.PASS,
                a_gate(),
                choice=CHOICE.model_copy(update={"state": "provisional", "settle_command": "x", "regret": 0.1}),
            ),
            "race-again",
            "x",
        ),
    ],
)
def test_the_next_command_follows_the_verdict(report: BuildReport, purpose: str, command: str) -> None:
    assert next_step(report) == (purpose, command)
    assert command in summary_markdown(sheet_of_report(report))


def test_a_report_without_a_folder_names_no_command() -> None:
    assert next_step(judged(Verdict.PASS, a_gate(), output=None)) is None
