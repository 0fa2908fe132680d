from __future__ import annotations

from typing import Any

import pytest

from edgecnn.render.columns import columns_of, interval_notes
from edgecnn.render.page.charts import figure
from edgecnn.render.page.charts.figure import MEASURED, Mark, axis_label, residency_mark
from edgecnn.render.page.report import Cell, candidate_rows, key_figures
from edgecnn.render.page.style import asset_text
from edgecnn.render.page.words import SOURCES
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_accuracy, an_interval, facts
from tests.render.reports import a_report, a_residency, a_row


def cells(**changes: Any) -> dict[str, Cell]:
    """Cells of one row by column; what spans several stands under the first."""
    row = candidate_rows(a_report(a_row(**changes)))[0]
    names = [column.title for column in columns_of([row.facts], "page")]
    found: dict[str, Cell] = {}
    for cell in row.cells:
        found[names.pop(0)] = cell
        del names[: cell.span - 1]
    assert names == []
    return found


def test_a_figure_stands_apart_from_its_interval_and_keeps_the_unit() -> None:
    found = cells()
    assert (found["top-1"].estimate, found["top-1"].interval) == ("86.2 %", "[85.5, 86.9]")
    assert (found["drop"].estimate, found["drop"].interval) == ("+0.31", "[-0.12, +0.75] pp")
    assert (found["size"].estimate, found["size"].interval) == ("5.4", "")


def test_what_was_not_raced_is_missing_once_and_for_all_three_figures() -> None:
    found = cells(latency=a_latency(None, reason="no jetson", runs=0))
    assert (found["median"].span, found["median"].mark.word, found["median"].detail) == (3, "missing", "no jetson")


def test_a_tail_that_the_sample_cannot_support_is_missing_with_the_reason_and_the_median_stays() -> None:
    latency = a_latency(an_interval(2.0), None, reason="p99: too few")
    found = cells(latency=latency)
    assert found["median"].text == "2.00 [2.00, 2.00]"
    assert (found["99th percentile"].text, found["99th percentile"].detail) == ("missing", latency.reason)


def test_a_latency_that_was_disturbed_says_so_beside_its_runs() -> None:
    disturbed = a_latency(an_interval(2.0), disturbed="busy")
    assert cells(latency=disturbed)["median"].detail.endswith(": busy")


@pytest.mark.parametrize(("basis", "word"), [("executed", "measured"), ("elsewhere", "emulated"), ("planned", "planned")])
def test_a_residency_says_what_it_was_read_from(basis: str, word: str) -> None:
    found = cells(residency=a_residency(basis, int8=0.97))["in its precision"]
    assert (found.text, found.mark.word, found.detail) == ("97 % int8", word, "time unknown, bytes unknown")


def test_every_mark_has_a_word_that_the_glossary_defines_and_a_glyph_and_an_icon_of_its_own() -> None:
    marks = [value for value in vars(figure).values() if isinstance(value, Mark)]
    assert sorted(mark.word for mark in marks) == sorted(form for word in SOURCES for form in word.forms)
    assert len({mark.glyph for mark in marks}) == len(marks)
    icons = asset_text("icons.html.j2")
    assert all(f'id="i-{mark.word.replace(" ", "-")}"' in icons for mark in marks)
    assert residency_mark(None).word == "missing"
    assert axis_label("x", MEASURED) == "x"
    assert axis_label("x", residency_mark(a_residency("planned"))) == "x ◇ planned"


def test_the_chosen_one_stands_in_a_handful_of_figures() -> None:
    chosen = a_row(chosen=True)
    found = key_figures(a_report(facts("onnxruntime-fp32", is_baseline=True), chosen))
    assert [name for name, _ in found] == ["top-1", "drop", "median latency, ms", "speed-up", "size, MiB", "executed precision"]


def test_a_chosen_baseline_is_not_held_against_itself() -> None:
    found = key_figures(a_report(a_row("onnxruntime-fp32", is_baseline=True, chosen=True)))
    assert [name for name, _ in found] == ["top-1", "median latency, ms", "size, MiB", "executed precision"]


def test_an_untimed_candidate_has_one_key_figure_of_time_with_the_reason() -> None:
    untimed = a_row(chosen=True, latency=a_latency(None, reason="no jetson", runs=0))
    found = dict(key_figures(a_report(untimed)))
    assert (found["median latency, ms"].text, found["median latency, ms"].detail) == ("missing", "no jetson")
    assert "speed-up" not in found


def test_a_key_figure_of_a_disturbed_race_says_so() -> None:
    disturbed = a_row(chosen=True, latency=a_latency(an_interval(2.0), disturbed="busy"))
    found = dict(key_figures(a_report(disturbed)))
    assert found["median latency, ms"].detail == "disturbed"
    assert found["top-1"].detail == ""


def test_without_a_choice_there_are_no_key_figures() -> None:
    assert key_figures(a_report(a_row())) == ()


def test_a_baseline_is_what_drops_are_counted_from() -> None:
    found = cells(ident="onnxruntime-fp32", is_baseline=True, test=an_accuracy(drop_pp=None, fidelity=Fidelity.EMULATED))
    assert (found["drop"].text, found["drop"].mark.word) == ("baseline", "emulated")
    assert found["speed-up"].text == "baseline"


def test_one_line_states_the_level_and_the_number_behind_every_interval() -> None:
    rows = (a_row("onnxruntime-fp32", is_baseline=True), a_row(chosen=True))
    (note,) = interval_notes(rows, columns_of(rows))
    assert all(part in note for part in ("top-1 95 %", "drop 90 %", "p50 9", "test images", "process runs"))
    assert dict(key_figures(a_report(*rows)))["drop"].level == " (90 %)"
