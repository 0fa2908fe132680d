"""What a terminal says of builds side by side, and of a history."""

from __future__ import annotations

import pytest

from edgecnn.judging.metrics import SHOWN
from edgecnn.render.plots import ASCII, UNICODE
from edgecnn.render.screens.comparing import (
    NOT_IN_BUILD,
    WHY_NOT_DIVIDED,
    figure_text,
    history_rows,
    interval_plot_lines,
    latency_advice,
    series_lines,
    show_side_by_side,
)
from edgecnn.values.verdict import Fidelity
from tests.judging.made import an_interval
from tests.render.page.comparisons import a_point, a_series, some_builds


def test_every_build_has_a_row_for_every_candidate_and_one_that_it_lacks_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_side_by_side(some_builds())
    printed = capsys.readouterr().out
    table, _, plots = printed.partition("top-1 on the test split")
    assert plots
    rows = [line for line in table.splitlines() if line.startswith("onnxruntime-int8 ")]
    assert [line.split()[1] for line in rows] == ["A", "B", "C"]
    assert table[table.index(rows[2]) :].count(NOT_IN_BUILD) == 1
    assert NOT_IN_BUILD not in table[table.index(rows[0]) : table.index(rows[2])]


def test_times_of_two_machines_are_two_plots_and_no_line_divides_them() -> None:
    lines = interval_plot_lines(some_builds(), ASCII, 120)
    first, second = (number for number, line in enumerate(lines) if line.startswith("p50 in ms"))
    assert "AMD EPYC" in lines[first] and "Cortex-A76" in lines[second]
    assert {line.split()[1] for line in lines[first + 1 : second - 2]} == {"A", "B"}
    assert f"  {WHY_NOT_DIVIDED}" in lines


def test_the_command_that_gives_a_ratio_is_quoted_for_a_shell() -> None:
    found = some_builds()
    spaced = tuple(each.model_copy(update={"folder": f"my {each.folder}"}) for each in found.builds)
    last = interval_plot_lines(found.model_copy(update={"builds": spaced}), ASCII, 120)[-1]
    assert last.endswith("edgecnn judge 'my builds/b' --against 'my builds/a'")


def test_where_one_build_alone_was_timed_no_race_is_advised() -> None:
    found = some_builds(2)
    (line,) = latency_advice(found.model_copy(update={"machines": found.machines[:1]}))
    assert "judge" not in line


def test_an_emulated_accuracy_keeps_its_mark() -> None:
    found = some_builds()
    emulated = tuple(each.model_copy(update={"fidelity": Fidelity.EMULATED}) for each in found.paired)
    lines = interval_plot_lines(found.model_copy(update={"paired": emulated}), UNICODE, 120)
    assert [("◆" in line, "●" in line) for line in lines if line.endswith("ppᵉ")] == [(True, False)] * 2


def test_a_series_is_a_sparkline_that_breaks_where_its_conditions_did() -> None:
    assert series_lines(a_series(), UNICODE)[1].count("┊") == 1
    assert series_lines(a_series(), ASCII)[1].isascii()


def test_a_measurement_without_a_figure_says_why_in_its_row() -> None:
    row = list(history_rows(a_series()))[8]
    assert row[2].startswith("missing: ")
    assert list(history_rows(a_series()))[5][5] == "kernel: 6.1.0 → 6.8.0"
    assert list(history_rows(a_series()))[7][5] == "new kit"


def test_an_emulated_measurement_is_marked() -> None:
    point = a_point(1, 2.0, purpose=None, figure=an_interval(0.9, 0.8, 0.95), fidelity=Fidelity.EMULATED)
    assert figure_text(point, SHOWN["top1"]) == "90.0 % [80.0, 95.0]ᵉ"
