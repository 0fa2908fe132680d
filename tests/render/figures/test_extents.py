from __future__ import annotations

from edgecnn.render.sentences import extent_lines
from tests.judging.made import facts


def test_what_was_not_asked_for_has_no_line() -> None:
    assert extent_lines([facts()]) == []
