from __future__ import annotations

import pytest

from edgecnn.judging.gates import Circumstances, EffectiveGates, StatedBounds
from edgecnn.judging.judgement import Compared, judge_row, judge_rows
from edgecnn.judging.ratio import RatioFinding
from edgecnn.judging.stopping import OF_A_BUILD, OF_A_FINISHED_BUILD
from edgecnn.values.artifact import Failed
from edgecnn.values.recipe import GateChoice
from edgecnn.values.verdict import Fidelity, Gate, Verdict
from tests.judging.made import a_gate, a_judged_latency, an_interval, facts

SIZE, TOP1 = a_gate("size_mib", 5.0), Gate(metric="top1", side="min", bound=0.5, required="always")
RATIO = Gate(metric="latency_ratio", side="max", bound=1.03, required="always")
NOT_RACED = RatioFinding(ratio=None, absent="not raced")
SAME_FILES = Compared(NOT_RACED, identical=True, several_labels=False, built=None)


def test_the_verdict_is_that_of_the_chosen_row_and_every_row_has_its_own() -> None:
    small, large = facts("openvino-fp32", size_mib=1.0, chosen=True), facts("openvino-int8", size_mib=9.0)
    found = judge_rows([small, large], EffectiveGates(gates=(SIZE,)))
    assert (found.verdict, [row.verdict for row in found.rows]) == (Verdict.PASS, [Verdict.PASS, Verdict.FAIL])
    assert found.gates == found.rows[0].gates


def test_where_nothing_is_chosen_nothing_passes() -> None:
    found = judge_rows([facts(size_mib=1.0)], EffectiveGates(gates=(SIZE,)))
    assert (found.verdict, found.gates) == (Verdict.MISSING, ())


def test_a_missing_figure_is_missing_for_the_reason_that_its_source_has() -> None:
    row = judge_row(facts(test=None, size_mib=1.0), EffectiveGates(gates=(TOP1, SIZE)), absent={"accuracy": "gone", "size": "?"})
    assert [(result.verdict, result.reason == "gone") for result in row.gates] == [
        (Verdict.MISSING, True),
        (Verdict.PASS, False),
    ]


def test_what_ships_the_same_files_meets_gates_on_a_difference_by_definition() -> None:
    gates = EffectiveGates(gates=(RATIO, a_gate("drop_pp", 1.0)))
    row = judge_row(facts(), gates, compared=SAME_FILES)
    assert [result.fidelity for result in row.gates] == [Fidelity.DEFINED, Fidelity.DEFINED]
    other = judge_row(facts(), gates, compared=SAME_FILES._replace(identical=False))
    assert other.gates[0].verdict is Verdict.MISSING


@pytest.mark.parametrize("way", [OF_A_BUILD, OF_A_FINISHED_BUILD])
def test_an_open_gate_asks_for_rounds_in_the_way_of_the_call(way: str) -> None:
    gates = EffectiveGates.of(StatedBounds(GateChoice(max={"p50_ms": 2.0})), Circumstances(more_rounds=way))
    row = judge_row(facts(latency=a_judged_latency(an_interval(1.9, 1.7, 2.1))), gates)
    result = next(result for result in row.gates if result.gate.metric == "p50_ms")
    assert way.format(result.rounds_to_settle) in result.reason


@pytest.mark.parametrize("identical", [True, False])
def test_a_kit_that_failed_meets_no_gate_on_accuracy_by_definition(identical: bool) -> None:
    broken = facts(outcomes={"measure": Failed(ref="logits-not-finite", what="NaN")})
    gates = EffectiveGates(gates=(a_gate("drop_pp", 1.0),))
    row = judge_row(broken, gates, compared=SAME_FILES._replace(identical=identical))
    assert row.gates[0].fidelity is not Fidelity.DEFINED and row.gates[0].kit_failed
    assert row.verdict is not Verdict.PASS
