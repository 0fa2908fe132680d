"""A comparison in lines: verdict, gates, figures, what changed."""

from __future__ import annotations

from typing import Any

from edgecnn.render.screens.comparing import comparison_lines
from edgecnn.values.profile import Environment
from edgecnn.values.report import Comparison, ShippedKitFacts
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_candidate, a_latency, an_interval
from tests.render.ci.sheets import a_verdict


def a_comparison(**changes: Any) -> Comparison:
    sides = {
        name: ShippedKitFacts(name=name, candidate=a_candidate("onnxruntime-int8"), kit="k", arch="resnet-18", device="cpu")
        for name in ("head", "base")
    }
    known: dict[str, Any] = {
        **sides,
        "version": "0.1.0",
        "made_at": "2026-11-20T10:00:00+00:00",
        "how": "paired",
        "machine": "AMD EPYC",
        "environment": Environment(conditions={}, observed={}),
        "rounds": 10,
        "ratio": an_interval(1.1, 1.05, 1.15),
        "latency": a_latency(an_interval(1.1, 1.0, 1.2)),
        "base_latency": a_latency(None, reason="nothing ran"),
        "drop_pp": an_interval(0.5, -0.1, 1.1, 0.9),
        "verdict": Verdict.FAIL,
        "gates": (a_verdict(Verdict.FAIL, metric="latency_ratio", reason="it is slower"),),
        "changed": (),
        "seconds": 1.0,
    }
    return Comparison(**{**known, **changes})


def test_a_long_list_of_changes_is_cut_and_says_where_the_rest_is() -> None:
    lines = comparison_lines(a_comparison(changed=tuple(f"tool {number}: 1 → 2" for number in range(20))))
    assert sum(line.startswith("  changed: tool") for line in lines) == 12
    assert sum(" 8 more fields" in line for line in lines) == 1


def test_the_verdict_is_on_the_first_and_the_last_line_and_details_are_only_in_the_verbose_screen() -> None:
    comparison = a_comparison(notices=("the clock was not read",))
    brief, verbose = comparison_lines(comparison), comparison_lines(comparison, verbose=True)
    for lines in (brief, verbose):
        assert lines[0] == lines[-1] == "FAIL: onnxruntime-int8 breaks latency_ratio ≤ 1"
    assert [any("the clock was not read" in line for line in lines) for lines in (brief, verbose)] == [False, True]
