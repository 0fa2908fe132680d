from __future__ import annotations

from edgecnn.render.sentences import latency_lines
from tests.judging.made import a_latency, facts


def test_who_was_not_raced_has_no_line() -> None:
    assert latency_lines([facts(), facts(latency=a_latency(None, runs=0, reason="not raced"))]) == []
