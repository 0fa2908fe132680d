"""A comparison in lines: verdict, gates, figures, what changed."""

from __future__ import annotations

from typing import Any

from edgecnn.judging.gates import judge_identical
from edgecnn.judging.metrics import exactly
from edgecnn.render.screens.comparing import comparison_lines
from edgecnn.values.profile import Environment
from edgecnn.values.report import Comparison, ShippedKitFacts
from edgecnn.values.verdict import Gate, Verdict
from tests.judging.made import a_candidate, a_latency, an_interval, facts
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


def test_the_lines_say_verdict_gates_figures_and_that_nothing_changed() -> None:
    assert comparison_lines(a_comparison(notices=("take care",))) == [
        "FAIL: onnxruntime-int8 of head (resnet-18 for cpu) against onnxruntime-int8 of base (resnet-18 for cpu), paired,"
        " on AMD EPYC",
        "  gate max latency_ratio 1: FAIL, it is slower",
        "  p50 of HEAD: 1.10 [1.00, 1.20] ms",
        "  p50 of BASE: missing: nothing ran",
        "  top-1 lost against BASE: +0.50 [-0.10, +1.10] pp",
        "  changed: nothing that is recorded",
        "  note: take care",
    ]


def test_a_drop_that_is_not_known_says_why() -> None:
    assert "  top-1 lost against BASE: not known: other pixels" in comparison_lines(
        a_comparison(drop_pp=None, drop_absent="other pixels")
    )


def test_what_holds_by_definition_is_marked_and_has_no_interval_or_error_rate() -> None:
    gates = tuple(
        judge_identical(Gate(metric=metric, side="max", bound=1.03, required="always"), facts(), several_labels=False)
        for metric in ("latency_ratio", "drop_pp")
    )
    lines = comparison_lines(a_comparison(identical=True, ratio=exactly(1.0), drop_pp=exactly(0.0), gates=gates))
    because = "by definition: HEAD and BASE are the same files"
    assert lines[1:3] == [
        f"  gate max latency_ratio 1.03: PASS, latency_ratio 1.00 × ({because}) meets latency_ratio ≤ 1.03",
        f"  gate max drop_pp 1.03: PASS, drop 0.00 pp ({because}) meets drop_pp ≤ 1.03",
    ]
    assert "  top-1 lost against BASE: +0.00 pp by definition" in lines
    assert "  one-sided error rates: drop_pp holds by definition, no error rate, margin 1.03 pp" in lines


def test_a_long_list_of_changes_is_cut_and_says_where_the_rest_is() -> None:
    lines = comparison_lines(a_comparison(changed=tuple(f"tool {number}: 1 → 2" for number in range(20))))
    assert sum(line.startswith("  changed: tool") for line in lines) == 12
    assert lines[-1] == "  changed: and 8 more fields, all in --json"
