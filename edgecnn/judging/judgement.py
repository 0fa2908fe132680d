"""Judge rows by the gates of a call. Builds, finished builds, bundles and comparisons are all judged here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from edgecnn.judging.gates import EffectiveGates, judge, judge_identical, overall, verdict_of
from edgecnn.judging.learned import not_learned
from edgecnn.judging.metrics import ANY_METRIC, COMPARED, LATENCY_RATIO
from edgecnn.judging.runs.ratio import RatioFinding, judge_ratio
from edgecnn.judging.runs.stopping import OF_A_BUILD
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, GateResult, Verdict


class Compared(NamedTuple):
    """The other build of a comparison."""

    ratio: RatioFinding
    identical: bool
    """Whether both ship the same files."""
    several_labels: bool
    built: CandidateFacts | None
    """The row's candidate in the report of its own build; None without a report."""
    common: CandidateFacts | None = None
    """The row with accuracy on the images in both test splits, by which gates on a difference are judged. None if the splits are
    the same."""


class Judgement(NamedTuple):
    """Rows with their gates and verdicts."""

    rows: tuple[CandidateFacts, ...]
    gates: tuple[GateResult, ...]
    """Gates of the chosen row; empty without a choice."""
    verdict: Verdict


def judge_rows(rows: Iterable[CandidateFacts], gates: EffectiveGates, absent: Mapping[str, str] | None = None) -> Judgement:
    """Judge every row, and the shipped candidate by the chosen row. See ``judge_row``."""
    judged = tuple(judge_row(row, gates, absent) for row in rows)
    of_chosen = next((row.gates for row in judged if row.chosen), ())
    return Judgement(judged, of_chosen, overall(of_chosen))


def judge_row(
    row: CandidateFacts,
    gates: EffectiveGates,
    absent: Mapping[str, str] | None = None,
    compared: Compared | None = None,
) -> CandidateFacts:
    """Return the row with its gates and its verdict.

    Args:
        row: the facts of one candidate.
        gates: of the call.
        absent: source of a metric to the reason for a missing figure.
        compared: the build that gates on a difference refer to.
    """
    results = judge_candidate(gates.gates, row, gates.more_rounds, compared)
    results = tuple(_replace_reason(result, absent or {}) for result in results)
    return row.model_copy(update={"gates": results, "verdict": verdict_of(row, results)})


def judge_candidate(
    gates: Sequence[Gate], row: CandidateFacts, spelled: str = OF_A_BUILD, compared: Compared | None = None
) -> tuple[GateResult, ...]:
    """Return the result of every gate in order; first, if it applies, that the network is not shown to have learned."""
    unlearned = not_learned(row)
    if compared is None:
        return (*(() if unlearned is None else (unlearned,)), *(judge(gate, row, spelled) for gate in gates))
    if unlearned is None and compared.built is not None:
        unlearned = not_learned(compared.built)
    results = (*(() if unlearned is None else (unlearned,)), *(_judged_against(compared, gate, row, spelled) for gate in gates))
    return tuple(result.model_copy(update={"kit_failed": row.broken is not None}) for result in results)


def _judged_against(compared: Compared, gate: Gate, row: CandidateFacts, spelled: str) -> GateResult:
    is_broken = row.broken is not None and COMPARED[gate.metric].source == "accuracy"
    if compared.identical and not is_broken:
        known = judge_identical(gate, row, several_labels=compared.several_labels)
        if known is not None:
            return known
    if gate.metric == LATENCY_RATIO:
        return judge_ratio(gate, compared.ratio, row.candidate.id, spelled)
    is_difference = COMPARED[gate.metric].identical is not None
    return judge(gate, compared.common if compared.common is not None and is_difference else row, spelled)


def _replace_reason(result: GateResult, absent: Mapping[str, str]) -> GateResult:
    reason = absent.get(ANY_METRIC[result.gate.metric].source)
    return result if reason is None or result.verdict is not Verdict.MISSING else result.model_copy(update={"reason": reason})
