"""Small plots in text: on one axis, true to the figures, and in any encoding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.render.text_plot import ASCII, UNICODE, Bar, interval_lines, signs_for, sparkline
from edgecnn.values.verdict import Interval

NUMBERS = st.floats(min_value=0.001, max_value=1e6)


def a_bar(low: float, at: float, high: float, name: str = "a") -> Bar:
    return Bar(name, Interval(estimate=at, low=low, high=high, confidence=0.95), f"{at:g}")


def test_an_interval_that_lies_further_right_is_drawn_further_right() -> None:
    assert interval_lines([a_bar(1, 2, 3), a_bar(3, 4, 5, "bb")], ASCII, width=20) == [
        "a   |--o--|        2",
        "bb        |--o--|  4",
        "    1           5",
    ]


def test_what_is_missing_has_its_reason_in_place_of_a_line() -> None:
    lines = interval_lines([a_bar(1, 2, 3), Bar("b", None, "missing: not raced")], UNICODE)
    assert lines[1] == "b  missing: not raced"
    assert interval_lines([Bar("b", None, "missing: not raced")], UNICODE) == ["b  missing: not raced"]


def test_figures_far_apart_stand_on_a_logarithmic_axis_that_says_so() -> None:
    lines = interval_lines([a_bar(1, 1.1, 1.2), a_bar(90, 95, 100)], ASCII)
    assert lines[-1].endswith("logarithmic")
    assert lines[-1].split()[:2] == ["1", "100"]


def test_the_axis_holds_a_marked_value() -> None:
    assert interval_lines([a_bar(1, 2, 3)], ASCII, marked=0.0)[-1].split() == ["0", "3"]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=6), st.integers(1, 200))
def test_every_interval_has_its_point_between_its_ends(figures: list[tuple[float, float, float]], width: int) -> None:
    bars = [a_bar(*sorted(figure)) for figure in figures]
    lines = interval_lines(bars, ASCII, width)
    assert len(lines) == len(bars) + 1
    for line in lines[:-1]:
        drawn = line[3:].rpartition("  ")[0].strip()
        assert drawn.count("o") == 1
        assert set(drawn) <= set("|-o")


def test_a_sparkline_goes_up_and_down_breaks_and_has_gaps() -> None:
    assert sparkline([1.0, 2.0, 3.0, None, 1.0], [4], UNICODE) == "▁▅█ ┊▁"
    assert sparkline([1.0, 2.0, 3.0], [], ASCII) == "_+#"
    assert sparkline([5.0, 5.0], [], UNICODE) == "▅▅"
    assert sparkline([None], [], UNICODE) == ""


def test_an_encoding_without_the_signs_gets_others() -> None:
    assert signs_for("utf-8") is UNICODE
    assert signs_for("latin-1") is ASCII
    assert signs_for("no-such-encoding") is ASCII
