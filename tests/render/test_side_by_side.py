"""What a terminal says of builds side by side, and of a history."""

from __future__ import annotations

import pytest

from edgecnn.comparing.facts import BuildChanges
from edgecnn.judging.metrics import SHOWN
from edgecnn.render.plots import ASCII, UNICODE
from edgecnn.render.screens.comparing import WHY_NOT_DIVIDED, change_lines, latency_advice, plot_lines, show_side_by_side
from edgecnn.render.screens.history import figure_text, rows, series_lines
from edgecnn.values.verdict import Fidelity
from tests.judging.made import an_interval
from tests.render.page.comparisons import a_point, a_series, some_builds


def test_every_build_has_a_row_for_every_candidate_and_one_that_it_lacks_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_side_by_side(some_builds())
    said = capsys.readouterr().out
    table = [line for line in said.splitlines() if line.startswith("│onnxruntime-int8")]
    assert len(table) == 3
    assert "87.6 % [86.6, 88.4]" in table[0]
    assert table[2].rstrip("│").rstrip().endswith("not in this build")


def test_times_of_two_machines_are_two_plots_and_no_line_divides_them() -> None:
    lines = plot_lines(some_builds(), ASCII, 120)
    first, second = (number for number, line in enumerate(lines) if line.startswith("p50, ms"))
    assert lines[first] == "p50, ms, of A, B on AMD EPYC:"
    assert lines[second] == "p50, ms, of C on Cortex-A76, another machine or another state of it:"
    assert {line.split()[1] for line in lines[first + 1 : second - 2]} == {"A", "B"}
    assert f"  {WHY_NOT_DIVIDED}" in lines
    assert "  A → C: cpu: AMD EPYC → Cortex-A76" in lines
    assert lines[-1] == "  for a ratio, race both: edgecnn judge builds/b --against builds/a"


def test_the_command_that_gives_a_ratio_is_quoted_for_a_shell() -> None:
    found = some_builds()
    spaced = tuple(each.model_copy(update={"folder": f"my {each.folder}"}) for each in found.builds)
    (said,) = [line for line in plot_lines(found.model_copy(update={"builds": spaced}), ASCII, 120) if "for a ratio" in line]
    assert said.endswith("edgecnn judge 'my builds/b' --against 'my builds/a'")


def test_where_one_build_alone_was_timed_no_race_is_advised() -> None:
    found = some_builds(2)
    assert latency_advice(found.model_copy(update={"machines": found.machines[:1]})) == [
        "  no ratio of latencies: fewer than two of the builds were timed"
    ]


def test_paired_differences_stand_with_their_interval_or_their_reason() -> None:
    found = some_builds()
    gone = found.paired[0].model_copy(update={"drop_pp": None, "absent": "other pixels"})
    lines = plot_lines(found.model_copy(update={"paired": (gone, found.paired[1])}), UNICODE, 120)
    assert "  onnxruntime-fp32 A → B  missing: other pixels" in lines
    assert any(line.startswith("  onnxruntime-fp32 A → C  ") and line.endswith("+0.40 [+0.10, +0.70] pp") for line in lines)


def test_an_emulated_accuracy_keeps_its_mark() -> None:
    found = some_builds()
    emulated = tuple(each.model_copy(update={"fidelity": Fidelity.EMULATED}) for each in found.paired)
    lines = plot_lines(found.model_copy(update={"paired": emulated}), UNICODE, 120)
    assert [("◆" in line, "●" in line) for line in lines if line.endswith("ppᵉ")] == [(True, False)] * 2


def test_what_changed_is_said_line_by_line_and_so_is_what_nobody_knows() -> None:
    lines = tuple(f"recipe x{number}: 1 → 2" for number in range(14))
    changed = (
        BuildChanges(base="A", head="B", lines=lines),
        BuildChanges(base="A", head="C", lines=()),
        BuildChanges(base="A", head="D", lines=(), unknown="D: no plan.json"),
    )
    said = change_lines(some_builds().model_copy(update={"changed": changed}))
    assert said[0] == "  changed A → B: recipe x0: 1 → 2"
    assert said[12:] == [
        "  changed A → B: and 2 more, all in --json and on the page",
        "  changed A → C: nothing that is recorded",
        "  changed A → D: not all is known: D: no plan.json",
    ]


def test_a_series_is_a_sparkline_that_breaks_where_its_conditions_did() -> None:
    lines = series_lines(a_series(), UNICODE)
    assert lines[0] == "resnet-18 onnxruntime-int8 at 224 px, 10 classes on AMD EPYC (cpu), 2 kits"
    assert lines[1].startswith("  p50: ") and lines[1].count("┊") == 1
    assert lines[1].endswith("2.00 ms to 2.44 ms, last 2.42 ms; broken 1 time: what must match changed")
    assert series_lines(a_series(), ASCII)[1].isascii()


def test_a_measurement_without_a_figure_says_why_in_its_row() -> None:
    row = list(rows(a_series()))[8]
    assert row[2] == "missing: 3 runs; an interval needs 7"
    assert list(rows(a_series()))[5][5] == "kernel: 6.1.0 → 6.8.0"
    assert list(rows(a_series()))[7][5] == "another kit"


def test_an_emulated_measurement_is_marked() -> None:
    point = a_point(1, 2.0, purpose=None, figure=an_interval(0.9, 0.8, 0.95), fidelity=Fidelity.EMULATED)
    assert figure_text(point, SHOWN["top1"]) == "90.0 % [80.0, 95.0]ᵉ"
