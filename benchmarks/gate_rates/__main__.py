"""Print the table of docs/ci.md, or the rows of the metrics that are named."""

import sys

from benchmarks.gate_rates.regression import COLUMNS, rates, row
from benchmarks.gate_rates.table import cases


def main() -> None:
    """``python -m benchmarks.gate_rates [METRIC ...]``."""
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for case in cases():
        if case.gate.metric in (sys.argv[1:] or [case.gate.metric]):
            print(row(case, rates(case)), flush=True)


if __name__ == "__main__":
    main()
