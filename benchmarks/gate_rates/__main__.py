"""Print the tables of docs/reference/error-rates.md, the rows of named metrics, or the table ``assumptions`` or ``machines``."""

import sys

from benchmarks.gate_rates import assumptions, machines
from benchmarks.gate_rates.regression import COLUMNS, rates, row
from benchmarks.gate_rates.table import cases


def main() -> None:
    """``python -m benchmarks.gate_rates [METRIC ...]``."""
    named = sys.argv[1:]
    if named not in (["assumptions"], ["machines"]):
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
        for case in cases():
            if case.gate.metric in (named or [case.gate.metric]):
                print(row(case, rates(case)), flush=True)
    if not named or "assumptions" in named:
        print(f"\n| {' | '.join(assumptions.COLUMNS)} |\n|{' --- |' * len(assumptions.COLUMNS)}")
        for assumption in assumptions.cases():
            print(assumptions.row(assumption, assumptions.wrong(assumption)), flush=True)
    if not named or "machines" in named:
        print(f"\n| {' | '.join(machines.COLUMNS)} |\n|{' --- |' * len(machines.COLUMNS)}")
        for machine in machines.cases():
            print(machines.row(machine), flush=True)


if __name__ == "__main__":
    main()
