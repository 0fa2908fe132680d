import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.judging.gates import exit_code_of, overall
from edgecnn.judging.judgement import judge_candidate
from edgecnn.values.artifact import Failed
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_gate, a_result, facts

PASS, FAIL, UNSURE, MISSING = Verdict.PASS, Verdict.FAIL, Verdict.UNSURE, Verdict.MISSING


@pytest.mark.parametrize(
    ("verdict", "required", "code", "strict_code"),
    [
        (PASS, "always", 0, 0), (PASS, "when-measured", 0, 0), (PASS, "advisory", 0, 0),
        (FAIL, "always", 1, 1), (FAIL, "when-measured", 1, 1), (FAIL, "advisory", 1, 1),
        (UNSURE, "always", 4, 4), (UNSURE, "when-measured", 4, 4), (UNSURE, "advisory", 0, 0),
        (MISSING, "always", 3, 3), (MISSING, "when-measured", 0, 3), (MISSING, "advisory", 0, 3),
    ],
)  # fmt: skip
def test_exit_code_of_one_gate(verdict, required, code, strict_code):
    assert exit_code_of([a_result(verdict, required)]) == code
    assert exit_code_of([a_result(verdict, required)], require_measured=True) == strict_code


@pytest.mark.parametrize(
    ("verdicts", "code", "word"),
    [
        ((PASS, UNSURE, FAIL, MISSING), ExitCode.MISSING, MISSING),
        ((PASS, UNSURE, FAIL), ExitCode.GATE_FAILED, FAIL),
        ((PASS, UNSURE), ExitCode.UNSURE, UNSURE),
        ((PASS, PASS), ExitCode.OK, PASS),
    ],
)
def test_missing_outranks_fail_outranks_unsure_outranks_pass(verdicts, code, word):
    results = [a_result(verdict) for verdict in verdicts]
    for order in (results, results[::-1]):
        assert (exit_code_of(order), overall(order)) == (code, word)


def test_what_is_missing_of_a_kit_that_failed_never_ends_with_0():
    """Of a build, a bench, a bundle alone, a sweep and a fit alike: all judge a row by its gates."""
    gates = [a_gate(metric, required="advisory") for metric in ("drop_pp", "p50_ms")]
    failed = facts(outcomes={"measure": Failed(ref="wrong-feed", what="no")})
    assert exit_code_of(judge_candidate(gates, facts())) == ExitCode.OK
    assert exit_code_of(judge_candidate(gates, failed)) == ExitCode.MISSING


def test_a_kit_that_failed_passes_nothing_though_a_gate_needs_no_run():
    failed = facts(outcomes={"measure": Failed(ref="wrong-feed", what="no")}, size_mib=1.0)
    for gates in ([a_gate("size_mib", 5.0)], [a_gate("size_mib", 5.0), a_gate("p50_ms", required="when-measured")]):
        results = judge_candidate(gates, failed)
        assert results[0].verdict is PASS
        assert (exit_code_of(results), overall(results)) == (ExitCode.MISSING, MISSING)
    too_large = judge_candidate([a_gate("size_mib", 0.5)], failed)
    assert (exit_code_of(too_large), overall(too_large)) == (ExitCode.GATE_FAILED, FAIL)


def test_a_missing_that_does_not_count_hides_nothing():
    results = [a_result(MISSING, "when-measured"), a_result(FAIL)]
    assert (exit_code_of(results), overall(results)) == (ExitCode.GATE_FAILED, FAIL)
    assert overall([a_result(MISSING, "when-measured"), a_result(PASS, "advisory")]) is PASS


def test_nothing_but_missing_is_missing_and_not_a_pass():
    assert overall([a_result(MISSING, "when-measured")]) is MISSING
    assert overall([a_result(MISSING, "advisory")]) is MISSING


def test_no_results_are_missing_and_not_a_pass():
    assert (overall([]), exit_code_of([])) == (MISSING, ExitCode.MISSING)
