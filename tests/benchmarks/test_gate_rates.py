import pytest

from benchmarks.gate_rates import Regression, cases, rates

SHORTLY = 1_000
CHANCE = 3 * (0.05 * 0.95 / SHORTLY) ** 0.5
"""Three standard errors of a share of so many draws."""


@pytest.mark.parametrize("case", [cases()[0], cases()[4], cases()[6]], ids=lambda case: case.what)
def test_a_simulated_regression_passes_no_more_often_than_is_printed(case: Regression) -> None:
    at, beyond, failed, inside = rates(case, draws=SHORTLY)
    assert max(at, failed) <= case.printed + CHANCE
    assert max(beyond, inside) < case.printed
