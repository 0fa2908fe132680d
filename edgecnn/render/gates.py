"""Gates in words: what was bounded, what was found, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.errors.wording import listed
from edgecnn.judging.bounds import bound_of
from edgecnn.judging.metrics import LATENCY_RATIO, METRICS
from edgecnn.values.verdict import Fidelity, GateResult, Verdict

_DIFFERENCES = ("drop_pp", "map_drop_pp", "worst_class_drop_pp")


_DECIDED = {
    Verdict.PASS: "meets {}",
    Verdict.FAIL: "breaks {}",
    Verdict.UNSURE: "leaves {} open",
    Verdict.MISSING: "was not measured for {}",
}


def decided(verdict: Verdict, gates: Sequence[GateResult]) -> str | None:
    """``onnxruntime-fp32 breaks size_mib ≤ 3``: what the verdict comes from; None where no gate says it."""
    deciding = [each for each in gates if each.verdict is verdict]
    if not deciding:
        return None
    return f"{deciding[0].candidate} {_DECIDED[verdict].format(listed([bound_of(each.gate) for each in deciding]))}"


def unmeasured(verdict: Verdict, gates: Sequence[GateResult]) -> str | None:
    """``1 of 2 gates not measured``: what a PASS leaves open; None where it leaves nothing, and of any other verdict."""
    missing = sum(each.verdict is Verdict.MISSING for each in gates)
    return f"{missing} of {len(gates)} gates not measured" if missing and verdict is Verdict.PASS else None


def gate_line(result: GateResult) -> str:
    """``gate max drop_pp 1: PASS, and why``."""
    gate = result.gate
    return f"gate {gate.side} {gate.metric} {gate.bound:g}: {result.verdict.value}, {result.reason}"


def gate_lines(gates: Sequence[GateResult]) -> list[str]:
    """A line a gate, then their error rates."""
    rates = error_rates(gates)
    return [*map(gate_line, gates), *([] if rates is None else [rates])]


def error_rates(gates: Iterable[GateResult]) -> str | None:
    """α and margin of every gate that had a figure, in a sentence; None where none had.

    α is how often one bound of the interval may lie on the wrong side, so that PASS or FAIL is wrong; a margin is what a gate on
    a difference allows. What is counted and not estimated, such as a size, has no α, nor has the largest of some runs or a share
    of the time of one. A ratio of two builds says both itself.
    """
    said = [
        f"{each.gate.metric} {_how_sure(each)}" + (f", margin {each.gate.bound:g} pp" if each.gate.metric in _DIFFERENCES else "")
        for each in gates
        if each.figure is not None and each.gate.metric != LATENCY_RATIO
    ]
    return f"one-sided error rates: {'; '.join(said)}" if said else None


def _how_sure(result: GateResult) -> str:
    source = METRICS[result.gate.metric].source
    if result.fidelity is Fidelity.DEFINED:
        return "holds by definition, no error rate"
    if source == "memory":
        runs = f"{result.largest_of} runs" if result.largest_of else "its runs"
        return f"is the largest of {runs}, no error rate"
    if source == "residency":
        return "is of one traced run, no error rate" if result.gate.metric == "int8_time_share" else "is counted, no error rate"
    if source == "size" or result.figure is None:
        return "exact"
    raced = " of the machine as it was in this race" if source == "latency" else ""
    return f"α {100 * (1 - result.figure.confidence) / 2:.3g} %{raced}"
