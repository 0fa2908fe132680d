"""The tables in docs/reference/error-rates.md are what the program prints, with every gate that has an error rate."""

from __future__ import annotations

import pytest

from benchmarks.gate_rates import assumptions
from benchmarks.gate_rates.assumptions import Assumption
from benchmarks.gate_rates.regression import COLUMNS, Rates, Regression, rates, row
from benchmarks.gate_rates.table import WITHOUT_RATE, cases
from edgecnn.judging.metrics import COMPARED, METRICS
from tests.house.source_tree import ROOT

SHORTLY = 300
PASSES = {"agreement": 0.068}
FAILS = {"agreement": 0.083, "worst_class_drop_pp": 0.067}
"""At the bound, where docs/reference/error-rates.md says that it is more than what is printed."""
CASES = cases()
FAST = [
    case
    for case in CASES
    if (case.gate.metric in ("top1", "energy_mj", "p99_ms") and "groups" not in case.what)
    or case.what in ("3 classes of 20 images", "20 groups of uneven sizes")
]
PAGE = (ROOT / "docs" / "reference" / "error-rates.md").read_text(encoding="utf-8")
TABLE = [line for line in PAGE.splitlines() if line.startswith("| `")]
ASSUMPTIONS = assumptions.cases()
QUICK = [
    case
    for case in ASSUMPTIONS
    if case.claim in ("a board is slower", "behind, and not unsure", "FAIL of `baseline compare`")
    or case.drawn_of.endswith("0.7")
]


def cells(line: str) -> list[str]:
    return [each.strip() for each in line.strip("|").split("|")]


def share_in(cell: str) -> float:
    return float(cell.split(" %")[0]) / 100


def documented(case: Regression) -> list[str]:
    key = cells(row(case, Rates(0, 0, 0, 0, 0)))[:3]
    (found,) = [each for each in map(cells, TABLE) if each[:3] == key]
    return found


def test_every_gate_with_an_error_rate_has_a_row_and_no_other() -> None:
    simulated = {case.gate.metric for case in CASES}
    assert simulated == {*METRICS, *COMPARED} - set(WITHOUT_RATE)
    rows = [cells(line) for line in TABLE if len(cells(line)) == len(COLUMNS)]
    assert [each[:3] for each in rows] == [documented(case)[:3] for case in CASES]


def test_no_documented_rate_is_above_the_printed_one_by_more_than_chance_or_what_is_said() -> None:
    """Three standard errors about the printed rate, or about the larger one that the page says of it."""
    for case in CASES:
        _, _, builds, printed, passed, beyond, failed, inside = documented(case)
        rate, draws = share_in(printed), int(builds.replace(",", ""))
        assert max(share_in(beyond), share_in(inside)) <= rate, case
        for cell, known in ((passed, PASSES), (failed, FAILS)):
            true = max(rate, known.get(case.gate.metric, 0.0))
            assert share_in(cell) <= true + 3 * (true * (1 - true) / draws) ** 0.5, case


@pytest.mark.parametrize("case", FAST, ids=lambda case: f"{case.gate.metric} of {case.what}")
def test_a_row_is_what_a_short_simulation_finds(case: Regression) -> None:
    line, found = documented(case), rates(case, SHORTLY, seed=8)
    assert line[3] == f"{100 * found.printed:.3g} %"
    shares = (found.passed_at, found.passed_beyond, found.failed_at, found.failed_inside)
    for cell, share in zip(line[4:], shares, strict=True):
        said = share_in(cell)
        chance = (max(said, 1 / SHORTLY) * (1 / SHORTLY + 1 / case.draws)) ** 0.5
        assert abs(share - said) <= 4 * chance + 0.0005, (cell, share)


def documented_assumptions() -> list[list[str]]:
    (head,) = [at for at, line in enumerate(PAGE.splitlines()) if cells(line) == list(assumptions.COLUMNS)]
    return [cells(line) for line in PAGE.splitlines()[head + 2 : head + 2 + len(ASSUMPTIONS)]]


def test_the_table_of_assumptions_has_every_claim_that_was_drawn_and_no_other() -> None:
    assert [each[:3] for each in documented_assumptions()] == [
        cells(assumptions.row(case, (0.0, 0.0)))[:3] for case in ASSUMPTIONS
    ]


def test_no_claim_errs_more_than_before_and_of_independent_runs_no_more_than_stated() -> None:
    for claim, drawn_of, stated, before, now in documented_assumptions():
        assert share_in(now) <= share_in(before), (claim, drawn_of)
        if "independent" in drawn_of or "equal" in drawn_of:
            assert share_in(now) <= share_in(stated) + 3 * (share_in(stated) / 2_000) ** 0.5, (claim, drawn_of)


@pytest.mark.parametrize("case", QUICK, ids=lambda case: f"{case.claim} of {case.drawn_of}")
def test_a_row_of_assumptions_is_what_a_short_simulation_finds(case: Assumption) -> None:
    draws = 300
    line = documented_assumptions()[ASSUMPTIONS.index(case)]
    for cell, share in zip(line[3:], assumptions.wrong(case, draws, seed=8), strict=True):
        said = share_in(cell)
        assert abs(share - said) <= 4 * (max(said, 0.01) * (1 / draws + 1 / case.draws)) ** 0.5, (cell, share)
