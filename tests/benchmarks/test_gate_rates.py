import pytest

from benchmarks.gate_rates.regression import Regression, rates
from benchmarks.gate_rates.table import WITHOUT_RATE, cases
from edgecnn.judging.metrics import COMPARED, METRICS

SHORTLY = 300
FAST = [case for case in cases() if case.gate.metric in ("top1", "macro_f1", "energy_mj", "p99_ms")]


def test_every_gate_with_an_error_rate_is_simulated_and_no_other() -> None:
    assert {case.gate.metric for case in cases()} == {*METRICS, *COMPARED} - set(WITHOUT_RATE)


@pytest.mark.parametrize("case", FAST, ids=lambda case: f"{case.gate.metric} of {case.what}")
def test_a_simulated_regression_passes_no_more_often_than_is_printed(case: Regression) -> None:
    found = rates(case, draws=SHORTLY)
    assert max(found.passed_at, found.failed_at) <= found.printed + 3 * (found.printed / SHORTLY) ** 0.5
    assert max(found.passed_beyond, found.failed_inside) <= found.printed
