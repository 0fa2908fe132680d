"""What a CI system is told of a judgement, whatever was judged: one line a gate, and whether that line stops the job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgecnn.errors.base import ExitCode
from edgecnn.judging.bounds import LATENCY_RATIO, METRICS
from edgecnn.judging.gates import exit_code_of
from edgecnn.values.comparison import Comparison
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Gate, GateResult, Verdict


@dataclass(frozen=True)
class GateSheet:
    """A judgement in the words of a job."""

    title: str
    """Such as ``resnet-18 on cpu``."""
    candidate: str
    verdict: Verdict
    why: str
    """One sentence."""
    gates: tuple[GateResult, ...]
    seconds: float
    made_at: str
    version: str
    require_measured: bool = False
    unsure_passes: bool = False
    """Whether the job goes on where a required gate is UNSURE."""
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def stops(self, result: GateResult) -> bool:
        """True where this gate alone keeps the exit code from 0."""
        passing = (ExitCode.OK, ExitCode.UNSURE) if self.unsure_passes else (ExitCode.OK,)
        return exit_code_of((result,), require_measured=self.require_measured) not in passing


def sheet_of_report(report: BuildReport, *, require_measured: bool = False) -> GateSheet:
    """The gates of the chosen candidate of a build."""
    return GateSheet(
        title=f"{report.build.arch} on {report.build.device}",
        candidate=report.choice.candidate or "no candidate",
        verdict=report.verdict,
        why=report.choice.why,
        gates=report.gates,
        seconds=report.seconds,
        made_at=report.made_at,
        version=report.version,
        require_measured=require_measured,
        notes=report.notices,
    )


def sheet_of_comparison(found: Comparison) -> GateSheet:
    """The gates of HEAD, held against BASE."""
    head, base = found.head, found.base
    return GateSheet(
        title=f"{head.name} against {base.name}",
        candidate=head.candidate.id,
        verdict=found.verdict,
        why=f"{head.candidate.id} of HEAD against {base.candidate.id} of BASE, {found.how}, on {found.machine}",
        gates=found.gates,
        seconds=found.seconds,
        made_at=found.made_at,
        version=found.version,
        changed=found.changed,
        notes=found.notices,
    )


def bound_of(gate: Gate) -> str:
    """``drop_pp ≤ 1``."""
    return f"{gate.metric} {'≤' if gate.side == 'max' else '≥'} {gate.bound:g}"


def error_rates(gates: Iterable[GateResult]) -> str | None:
    """α and margin of every gate that had a figure, in a sentence; None where none had.

    α is how often one bound of the interval may lie on the wrong side, so that PASS or FAIL is wrong; a margin is what a gate on
    a difference allows. What is counted and not estimated, such as a size, has no α, nor has the largest of some runs or a share
    of the time of one. A ratio of two builds says both itself.
    """
    said = [_error_rate(each) for each in gates if each.figure is not None and each.gate.metric != LATENCY_RATIO]
    return f"one-sided error rates: {'; '.join(said)}" if said else None


def _error_rate(result: GateResult) -> str:
    metric, parts = result.gate.metric, [f"{result.gate.metric} {_how_sure(result)}"]
    if metric in ("drop_pp", "worst_class_drop_pp"):
        parts.append(f"margin {result.gate.bound:g} pp")
    return ", ".join(parts)


def _how_sure(result: GateResult) -> str:
    source = METRICS[result.gate.metric].source
    if source == "memory":
        runs = f"{result.largest_of} runs" if result.largest_of else "its runs"
        return f"is the largest of {runs}, no error rate"
    if result.gate.metric == "int8_time_share":
        return "is of one traced run, no error rate"
    if source == "residency":
        return "is counted, no error rate"
    if source == "size" or result.figure is None:
        return "exact"
    return f"α {100 * (1 - result.figure.confidence) / 2:.3g} %"
