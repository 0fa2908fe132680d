"""Gates in words: what was bounded, what was found, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.errors.base import ExitCode
from edgecnn.errors.wording import listed
from edgecnn.judging.bounds import bound_of
from edgecnn.judging.gates import exit_code_of
from edgecnn.judging.learned import learned_result
from edgecnn.judging.metrics import LATENCY_RATIO, METRICS
from edgecnn.values.verdict import CHANCE, Fidelity, GateResult, Verdict

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
    bounds = [bound_of(each.gate) for each in deciding if each.gate.stated_by != CHANCE]
    said = ["is not shown to have learned"] if len(bounds) < len(deciding) else []
    said += [_DECIDED[verdict].format(listed(bounds))] if bounds else []
    return f"{deciding[0].candidate} {' and '.join(said)}"


def learned_lines(gates: Sequence[GateResult]) -> list[str]:
    """The first line of whatever shows these gates, if their network is not shown to have learned; else nothing."""
    unlearned = learned_result(gates)
    return [] if unlearned is None else [f"{unlearned.verdict.value}: {unlearned.reason}"]


def unmeasured(verdict: Verdict, gates: Sequence[GateResult]) -> str | None:
    """``1 of 2 gates not measured``: what a PASS leaves open; None where it leaves nothing, and of any other verdict."""
    missing = sum(each.verdict is Verdict.MISSING for each in gates)
    return f"{missing} of {len(gates)} gates not measured" if missing and verdict is Verdict.PASS else None


def gate_reason(result: GateResult, *, require_measured: bool = False) -> str:
    """Why a gate has its verdict; where its figure is missing and the exit code ignores that, this is part of it."""
    ignored = exit_code_of((result,), require_measured=require_measured) is ExitCode.OK
    missing = result.verdict is Verdict.MISSING and ignored
    return f"{result.reason}; this does not stop the job unless you pass --require-measured" if missing else result.reason


def gate_line(result: GateResult, *, require_measured: bool = False) -> str:
    """``gate max drop_pp 1: PASS, and why``."""
    gate, reason = result.gate, gate_reason(result, require_measured=require_measured)
    if gate.stated_by == CHANCE:
        return f"gate chance: {result.verdict.value}, {reason}"
    return f"gate {gate.side} {gate.metric} {gate.bound:g}: {result.verdict.value}, {reason}"


def gate_lines(gates: Sequence[GateResult], *, require_measured: bool = False) -> list[str]:
    """A line a gate, then their error rates."""
    lines, rates = [gate_line(each, require_measured=require_measured) for each in gates], error_rates(gates)
    return [*lines, *([] if rates is None else [rates])]


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
