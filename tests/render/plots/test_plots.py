"""Plots of signs: each as wide as it was asked to be, the same shape in Unicode and in ASCII, and true to its numbers."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.render.plots import (
    ASCII,
    UNICODE,
    Signs,
    Span,
    axis_line,
    bars_line,
    interval_bar,
    signs_for,
    span_of,
    stdout_signs,
)
from edgecnn.values.verdict import Fidelity, Interval
from tests.judging.made import an_interval

FINITE = st.floats(min_value=1e-6, max_value=1e6)


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    low, middle, high = sorted(draw(st.tuples(FINITE, FINITE, FINITE)))
    return an_interval(middle, low, high)


def test_an_interval_is_its_estimate_between_its_bounds() -> None:
    span = Span(0.0, 10.0, 11)
    assert interval_bar(an_interval(5, 2, 8), span, UNICODE) == "  ├──●──┤  "
    assert interval_bar(an_interval(5, 2, 8), span, ASCII) == "  |--o--|  "
    assert interval_bar(an_interval(5), span, UNICODE) == "     ●     "


def test_a_figure_that_was_not_measured_has_another_shape() -> None:
    shown = {fidelity: interval_bar(an_interval(0), Span(0, 1, 1), UNICODE, fidelity) for fidelity in Fidelity}
    assert len(set(shown.values())) == len(Fidelity)
    assert {interval_bar(an_interval(0), Span(0, 1, 1), ASCII, fidelity) for fidelity in Fidelity} == set("o*^=?")


def test_figures_far_apart_stand_on_a_logarithmic_axis() -> None:
    span = span_of([an_interval(1), an_interval(100)], 21)
    assert span.logarithmic
    assert span.cell(10) == 10
    assert not span_of([an_interval(1), an_interval(2)], 21).logarithmic
    assert not span_of([an_interval(-1), an_interval(100)], 21).logarithmic


def test_an_axis_that_holds_zero_is_never_logarithmic() -> None:
    assert span_of([an_interval(1), an_interval(100)], 21, marked=0.0) == Span(0.0, 100, 21)
    assert span_of([an_interval(1), an_interval(2)], 21, marked=4.0) == Span(1, 4.0, 21)


def test_an_axis_says_from_where_to_where() -> None:
    assert axis_line(Span(1.0, 2.0, 20), UNICODE, 2) == "└ 1.00 ────── 2.00 ┘"
    assert axis_line(Span(1.0, 20.0, 24, logarithmic=True), ASCII, 0) == "+ 1 ----- log ----- 20 +"


def test_a_logarithmic_axis_says_so_where_there_is_no_room_either() -> None:
    assert axis_line(Span(1.0, 20.0, 10, logarithmic=True), ASCII, 0) == "+ 1  log  20 +"


@given(st.lists(intervals(), min_size=1, max_size=8), st.integers(8, 90), st.sampled_from([UNICODE, ASCII]))
def test_every_bar_is_as_wide_as_its_axis_and_in_the_order_of_its_estimate(
    found: list[Interval], width: int, drawn: Signs
) -> None:
    span = span_of(found, width)
    bars = [interval_bar(each, span, drawn) for each in found]
    assert {len(bar) for bar in bars} == {width}
    places = [bar.index(drawn.points[Fidelity.MEASURED]) for bar in bars]
    ordered = sorted(zip((each.estimate for each in found), places, strict=True))
    assert [place for _, place in ordered] == sorted(places)


@given(st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=1, max_size=40))
def test_a_row_of_bars_has_a_sign_for_every_value_and_the_largest_is_the_highest(values: list[float]) -> None:
    for drawn in (UNICODE, ASCII):
        line = bars_line(values, drawn)
        assert len(line) == len(values)
        assert drawn.bars.index(line[values.index(max(values))]) == max(drawn.bars.index(each) for each in line)


def test_bars_count_from_where_they_are_told() -> None:
    assert bars_line([1.0, 1.1], UNICODE, low=0.0) == "▇█"
    assert bars_line([1.0, 1.1], UNICODE) == "▁█"
    assert bars_line([2.0, 2.0], ASCII) == "__"


def test_ascii_is_ascii() -> None:
    drawn = (ASCII.left, ASCII.right, ASCII.line, ASCII.axis_left, ASCII.axis_right, ASCII.bars, ASCII.chosen, ASCII.broken)
    assert all(each.isascii() for each in (*drawn, *ASCII.points.values()))


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8", "utf-16", None])
def test_in_utf_signs_are_unicode(encoding: str | None) -> None:
    assert signs_for(encoding) is UNICODE


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "gb18030", "no-such-encoding"])
def test_elsewhere_they_are_ascii(encoding: str) -> None:
    assert signs_for(encoding) is ASCII


def test_the_signs_are_those_of_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, drawn in (("latin-1", ASCII), ("utf-8", UNICODE)):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
        assert stdout_signs() is drawn
