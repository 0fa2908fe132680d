"""Every setting that was raced has its sentence, with the figures that decided."""

from __future__ import annotations

from edgecnn.render.sentences import knob_lines
from tests.building.scenes import a_choice


def test_nothing_is_said_where_nothing_was_raced() -> None:
    assert knob_lines(a_choice("int8")) == []
