"""How well a latency table predicts networks of a family that it does not hold, beside two simpler ways.

    python -m benchmarks.fit.predictor TABLE.json [--out results/predictor-MACHINE.json]

Of each family in turn the table forgets all members of all versions, and predicts them from the others and from its networks of
random blocks. *MACs* is a straight line through the logarithms of multiply-adds and times; *layers* is the sum of what executed
layers are learned to take, as nn-Meter sums kernels, without the Gaussian process.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgecnn.fit.predictor import ExecutedLayers, Predictor, count_cost
from edgecnn.fit.prices import read_table_file
from edgecnn.models.catalogue import BLOCKS, timed_arch
from edgecnn.values.fit import LEAST_TIMED, LatencyTable, Probe, TimedProbe

FAMILIES = ("mobilenet", "efficientnet", "resnet", "densenet", "shufflenet")
Way = Callable[[Sequence[TimedProbe], Sequence[Probe]], list[float]]


def macs_line(known: Sequence[TimedProbe], wanted: Sequence[Probe]) -> list[float]:
    x, y = [math.log(count_cost(probe.probe).macs) for probe in known], [math.log(probe.least_ms) for probe in known]
    slope, start = np.polyfit(x, y, 1)
    return [math.exp(start + slope * math.log(count_cost(probe).macs)) for probe in wanted]


def layer_times(known: Sequence[TimedProbe], wanted: Sequence[Probe]) -> list[float]:
    counted = [count_cost(probe.probe) for probe in known]
    rows = [(one, probe) for one, probe in zip(counted, known, strict=True) if probe.traced]
    if not rows:
        return [math.nan] * len(wanted)  # of a runtime that times no layer
    ms = np.array([row.least_ms for _, row in rows])
    layers = ExecutedLayers([one for one, _ in rows], [row.traced for _, row in rows if row.traced], ms)
    return [float(value) for value in layers([count_cost(probe) for probe in wanted])]


def family_of(probe: Probe) -> str:
    """MobileNets of all versions are one, as are ResNets and ResNeXts."""
    name = timed_arch(probe.arch).family.replace("resnext", "resnet")
    return next((family for family in FAMILIES if name.startswith(family)), name)


def one_out(rows: Sequence[TimedProbe]) -> list[dict[str, float | str]]:
    """Every network, predicted by what knows nothing of its family."""
    errors: list[dict[str, float | str]] = []
    for family in sorted({family_of(row.probe) for row in rows} - {BLOCKS}):
        mine = [row for row in rows if family_of(row.probe) == family]
        known = [row for row in rows if row not in mine]
        if len(known) < LEAST_TIMED:
            continue
        wanted = [row.probe for row in mine]
        ours = Predictor(known).predict(wanted)
        simple = {name: way(known, wanted) for name, way in (("macs", macs_line), ("layers", layer_times))}
        for index, row in enumerate(mine):
            ms, predicted = row.least_ms, ours[index]
            errors.append(
                {
                    "family": family,
                    "network": row.probe.name,
                    "ms": round(ms, 4),
                    "off": round(predicted.p50_ms.estimate / ms - 1, 4),
                    "held": float(predicted.p50_ms.low <= ms <= predicted.p50_ms.high),
                    "width": round(math.log(predicted.p50_ms.high / predicted.p50_ms.low), 4),
                    "extrapolated": float(bool(predicted.extrapolated)),
                    **{name: round(of[index] / ms - 1, 4) for name, of in simple.items()},
                }
            )
    return errors


def shares(rows: Sequence[dict[str, float | str]], name: str) -> str:
    off = [abs(float(row[name])) for row in rows]
    return (
        f"{np.mean([error <= 0.05 for error in off]):.0%} | {np.mean([error <= 0.1 for error in off]):.0%} | {np.median(off):.1%}"
    )


def table_text(every: dict[str, list[dict[str, float | str]]]) -> str:
    lines = [
        "| candidate | family left out | networks | ±5 % | ±10 % | median | 90 % interval holds | by MACs | by layers |",
        f"|{' --- |' * 9}",
    ]
    for candidate, rows in every.items():
        for family in [*sorted({str(row["family"]) for row in rows}), "all"]:
            of = [row for row in rows if family in (row["family"], "all")]
            held = np.mean([row["held"] for row in of])
            simple = [f"{np.median([abs(float(row[name])) for row in of]):.1%}" for name in ("macs", "layers")]
            lines.append(f"| {candidate} | {family} | {len(of)} | {shares(of, 'off')} | {held:.0%} | {' | '.join(simple)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table: LatencyTable = read_table_file(options.table)
    every = {name: one_out(rows) for name, rows in table.timed.items()}
    if options.out is not None:
        facts = {"machine": table.machine, "observed_at": table.observed_at, "seconds": table.seconds, "networks": every}
        options.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(table_text(every))


if __name__ == "__main__":
    main()
