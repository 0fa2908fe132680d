"""Print the tables of docs/reference/error-rates.md, or the rows of named metrics; ``assumptions`` names the second table."""

import sys

from benchmarks.gate_rates import assumptions
from benchmarks.gate_rates.regression import COLUMNS, rates, row
from benchmarks.gate_rates.table import cases


def main() -> None:
    """``python -m benchmarks.gate_rates [METRIC ...]``."""
    named = sys.argv[1:]
    if named != ["assumptions"]:
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
        for case in cases():
            if case.gate.metric in (named or [case.gate.metric]):
                print(row(case, rates(case)), flush=True)
    if not named or "assumptions" in named:
        print(f"\n| {' | '.join(assumptions.COLUMNS)} |\n|{' --- |' * len(assumptions.COLUMNS)}")
        for assumption in assumptions.cases():
            print(assumptions.row(assumption, assumptions.wrong(assumption)), flush=True)


if __name__ == "__main__":
    main()
