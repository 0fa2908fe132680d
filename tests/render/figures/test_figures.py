from __future__ import annotations

import pytest

from edgecnn.render import figures
from edgecnn.render.columns import COLUMN, RESIDENCY, columns_of, legend, text_rows
from edgecnn.values.artifact import Blocked, Failed, Unavailable
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import a_forecast, a_latency, an_accuracy, an_interval, facts
from tests.render.reports import a_residency, a_row

COMPLETE = (
    "onnxruntime-int8",
    "86.2 % [85.5, 86.9]",
    "+0.31 [-0.12, +0.75] pp",
    "2.35 [2.31, 2.38]",
    "426",
    "3.10 [3.00, 3.25]",
    "1.91× [1.88, 1.93]",
    "5.4",
    "97 % int8",
    "PASS",
    "◀",
)


def row_of(candidate: CandidateFacts) -> tuple[str, ...]:
    (row,) = text_rows([candidate])
    return row


def cell(column: str, row: tuple[str, ...]) -> str:
    return row[[each.heading for each in columns_of([])].index(column)]


def test_every_figure_of_a_row_stands_with_its_interval() -> None:
    latency = a_latency(an_interval(2.346, 2.31, 2.38), an_interval(3.1, 3.0, 3.25), an_interval(1.906, 1.88, 1.93))
    assert row_of(a_row(chosen=True, latency=latency)) == COMPLETE


def test_what_is_missing_is_a_dash_and_never_a_zero() -> None:
    assert row_of(facts("onnxruntime-int8")) == ("onnxruntime-int8", *["–"] * 8, "MISSING", "")


def test_a_figure_that_the_sample_cannot_support_is_a_dash() -> None:
    row = row_of(a_row(latency=a_latency(an_interval(2.0, 1.9, 2.1))))
    assert cell("images/s", row) == "500"
    assert (cell("p50 ms", row), cell("p99 ms", row), cell("speed-up", row)) == ("2.00 [1.90, 2.10]", "–", "–")


def test_a_forecast_stands_in_the_place_of_a_latency_with_its_mark_and_two_digits() -> None:
    away = facts("ncnn-fp16", latency=a_latency(None, reason="not measured"), forecast=a_forecast(24.13, 17.9, 31.2))
    row = row_of(away)
    assert (cell("p50 ms", row), cell("images/s", row), cell("p99 ms", row)) == ("▲ 24 [18, 31]", "▲ 41", "–")
    assert any(line.startswith("▲ predicted") for line in legend([away]))
    off, source, board = legend([away])[-3:]
    assert "9.4 %" in off and "18 networks" in off
    assert source == "▲ [1] ncnn's benchmark"
    assert all(fact in board for fact in ("[1] raspberry-pi-5", "Raspberry Pi 5", "2026-03-30", "ncnn-fp16: 17 networks"))
    assert figures.two_digit_interval(a_forecast(0.834, 0.61, 1.128).p50_ms) == "0.83 [0.61, 1.1]"


def test_what_was_measured_goes_before_a_forecast() -> None:
    row = row_of(a_row(latency=a_latency(an_interval(2.0, 1.9, 2.1)), forecast=a_forecast(24, 18, 31)))
    assert (cell("p50 ms", row), cell("images/s", row)) == ("2.00 [1.90, 2.10]", "500")


def test_the_baseline_has_no_drop_from_itself() -> None:
    assert cell("drop", row_of(a_row("onnxruntime-fp32", is_baseline=True))) == "baseline"
    assert figures.drop(an_accuracy(drop_pp=None)) == "–"


@pytest.mark.parametrize(("fidelity", "mark"), [("emulated", "ᵉ"), ("predicted", "▲"), ("measured", "")])
def test_accuracy_and_drop_are_marked_with_where_they_come_from(fidelity: str, mark: str) -> None:
    accuracy = an_accuracy(top1=an_interval(0.9, 0.88, 0.92), drop_pp=an_interval(0.5, 0.1, 0.9), fidelity=Fidelity(fidelity))
    assert figures.accuracy(accuracy) == f"90.0 % [88.0, 92.0]{mark}"
    assert figures.drop(accuracy) == f"+0.50 [+0.10, +0.90] pp{mark}"


def test_the_reported_latency_is_named_where_there_is_one() -> None:
    assert figures.REPORTED in legend([a_row()])
    assert figures.REPORTED not in legend([a_row(latency=None)])
    chosen, selecting = a_latency(an_interval(2.0)), a_latency(an_interval(2.0), selecting=True)
    assert [figures.race_name(each) for each in (chosen, selecting)] == ["the final race", "the first race"]


def test_every_mark_has_its_legend() -> None:
    assert {fidelity for fidelity, mark in figures.MARKS.items() if mark} == set(figures.LEGEND)
    assert all(text.startswith(figures.MARKS[fidelity] + " ") for fidelity, text in figures.LEGEND.items())


@pytest.mark.parametrize(
    ("basis", "text"), [("executed", "97 % int8"), ("elsewhere", "97 % int8ᵉ"), ("planned", "97 % int8 planned")]
)
def test_what_was_planned_or_ran_elsewhere_is_not_shown_as_executed(basis: str, text: str) -> None:
    assert COLUMN[RESIDENCY].cell(a_row(residency=a_residency(basis, int8=0.97))).plain == text


def test_what_a_runtime_does_not_say_is_no_share_of_another_precision() -> None:
    assert COLUMN[RESIDENCY].cell(a_row(residency=a_residency(unknown=1.0))).plain == "0 % int8, 100 % unknown"
    assert COLUMN[RESIDENCY].cell(a_row(residency=a_residency(int8=0.97, fp32=0.03))).plain == "97 % int8"


def test_a_candidate_that_nowhere_ran_in_its_precision_is_at_0_percent() -> None:
    assert COLUMN[RESIDENCY].cell(a_row(residency=a_residency(fp32=1.0))).plain == "0 % int8"


@pytest.mark.parametrize(
    ("outcome", "text"),
    [(Failed(ref="x", what="no"), "failed"), (Blocked(by="export"), "blocked"), (Unavailable(why="not here"), "unavailable")],
)
def test_a_candidate_that_could_not_be_made_says_so_instead_of_a_verdict(outcome: object, text: str) -> None:
    assert cell("verdict", row_of(a_row(verdict=Verdict.MISSING, outcomes={"quantize": outcome}))) == text


def test_answers_that_are_no_numbers_show_as_the_verdict_that_they_are() -> None:
    broken = Failed(ref="logits-not-finite", what="logits of image 7 hold nan")
    assert cell("verdict", row_of(a_row(verdict=Verdict.FAIL, outcomes={"measure": broken}))) == "FAIL"


def test_an_ahead_of_time_compile_that_failed_takes_no_verdict_away() -> None:
    assert cell("verdict", row_of(a_row(outcomes={"compile": Failed(ref="x", what="no")}))) == "PASS"


def test_a_time_says_which_race_it_is_from_and_whether_that_was_disturbed() -> None:
    seen = a_latency(an_interval(2.0)).model_copy(update={"selecting": True, "disturbed": "other programs took 86 %"})
    facts = a_row().model_copy(update={"latency": seen})
    assert figures.p50(seen) == "2.00 [2.00, 2.00]ˢᵈ"
    assert figures.speed(seen.model_copy(update={"ratio_to_fp32": an_interval(3.1, 1.8, 6.5)})) == "3.10× [1.80, 6.50]ˢᵈ"
    said = legend([facts])
    assert any(line.startswith("ˢ estimated in the first race") for line in said)
    assert any(line.startswith("ᵈ other programs or throttling") for line in said)
    assert not any(line.startswith(("ˢ", "ᵈ")) for line in legend([a_row()]))
