"""Small plots in text: named figures on one axis, true to the figures, and a line of figures over time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.render.plots import ASCII, UNICODE, Axis, Bar, interval_lines, sparkline
from edgecnn.values.verdict import Fidelity
from tests.judging.made import an_interval

NUMBERS = st.floats(min_value=0.001, max_value=1e6)
WHOLE = Axis(digits=0)


def a_bar(low: float, at: float, high: float, name: str = "a", fidelity: Fidelity = Fidelity.MEASURED) -> Bar:
    return Bar(name, an_interval(at, low, high), f"{at:g}", fidelity)


def test_an_interval_that_lies_further_right_is_drawn_further_right() -> None:
    assert interval_lines([a_bar(1, 2, 3), a_bar(3, 4, 5, "bb")], WHOLE, ASCII, width=20) == [
        "a   |--o--|        2",
        "bb        |--o--|  4",
        "    + 1 ----- 5 +",
    ]


def test_what_is_missing_has_its_reason_in_place_of_a_line() -> None:
    lines = interval_lines([a_bar(1, 2, 3), Bar("b", None, "missing: not raced")], WHOLE, UNICODE)
    assert lines[1] == "b  missing: not raced"
    assert interval_lines([Bar("b", None, "missing: not raced")], WHOLE, UNICODE) == ["b  missing: not raced"]


def test_a_figure_that_was_not_measured_has_another_shape() -> None:
    lines = interval_lines([a_bar(1, 2, 3), a_bar(1, 2, 3, fidelity=Fidelity.EMULATED)], WHOLE, UNICODE)
    assert ["●" in line for line in lines] == [True, False, False]
    assert ["◆" in line for line in lines] == [False, True, False]


def test_figures_far_apart_stand_on_a_logarithmic_axis_that_says_so_at_any_width() -> None:
    for width in (1, 120):
        lines = interval_lines([a_bar(1, 1.1, 1.2), a_bar(90, 95, 100)], WHOLE, ASCII, width)
        assert [word for word in lines[-1].split() if word.strip("-+")] == ["1", "log", "100"]


def test_differences_far_apart_stand_on_a_linear_axis_from_the_zero_that_it_holds() -> None:
    lines = interval_lines([a_bar(0.1, 0.2, 0.3), a_bar(9, 10, 11)], Axis(digits=1, marked=0.0), ASCII)
    assert [word for word in lines[-1].split() if word.strip("-+")] == ["0.0", "11.0"]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=6), st.integers(1, 200))
def test_every_interval_has_its_point_between_its_ends(figures: list[tuple[float, float, float]], width: int) -> None:
    bars = [a_bar(low, at, high) for low, at, high in map(sorted, figures)]
    lines = interval_lines(bars, WHOLE, ASCII, width)
    assert len(lines) == len(bars) + 1
    for line in lines[:-1]:
        drawn = line[3:].rpartition("  ")[0].strip()
        assert drawn.count("o") == 1
        assert set(drawn) <= set("|-o")


def test_a_sparkline_goes_up_and_down_breaks_and_has_gaps() -> None:
    assert sparkline([1.0, 2.0, 3.0, None, 1.0], [4], UNICODE) == "▁▅█ ┊▁"
    assert sparkline([1.0, 2.0, None, 3.0], [3], ASCII) == "_= |#"
    assert sparkline([5.0, 5.0], [], UNICODE) == "▁▁"
    assert sparkline([None], [], UNICODE) == ""
