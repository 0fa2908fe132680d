"""A judgement as a CI system is told it, with defaults."""

from __future__ import annotations

from typing import Any

from edgecnn.render.ci import GateSheet
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Verdict


def a_sheet(*gates: GateResult, **changes: Any) -> GateSheet:
    known: dict[str, Any] = {
        "title": "resnet-18 on cpu",
        "candidate": "onnxruntime-int8",
        "verdict": Verdict.FAIL,
        "why": "onnxruntime-int8 is the fastest",
        "gates": gates,
        "seconds": 12.5,
        "made_at": "2026-11-20T10:00:00+00:00",
        "version": "0.1.0",
    }
    return GateSheet(**{**known, **changes})


def a_verdict(verdict: Verdict, *, required: str = "always", reason: str = "drop 2.00 pp", metric: str = "drop_pp") -> GateResult:
    gate = Gate.model_validate({"metric": metric, "side": "max", "bound": 1.0, "required": required})
    return GateResult(
        gate=gate, candidate="onnxruntime-int8", verdict=verdict, figure=None, fidelity=Fidelity.MEASURED, reason=reason
    )
