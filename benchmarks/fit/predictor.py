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

from edgecnn.fit.features import counted_of
from edgecnn.fit.predictor import ExecutedLayers, Predictor
from edgecnn.fit.tables import read_table_file
from edgecnn.models.catalogue import BLOCKS, timed_arch
from edgecnn.values.fit import LEAST_TIMED, LatencyTable, Probe, TimedProbe

FAMILIES = ("mobilenet", "efficientnet", "resnet", "densenet", "shufflenet")
Way = Callable[[Sequence[TimedProbe], Sequence[Probe]], list[float]]


def by_macs(known: Sequence[TimedProbe], wanted: Sequence[Probe]) -> list[float]:
    x, y = [math.log(counted_of(each.probe).macs) for each in known], [math.log(each.least_ms) for each in known]
    slope, start = np.polyfit(x, y, 1)
    return [math.exp(start + slope * math.log(counted_of(probe).macs)) for probe in wanted]


def by_layers(known: Sequence[TimedProbe], wanted: Sequence[Probe]) -> list[float]:
    counted = [counted_of(each.probe) for each in known]
    rows = [(one, each) for one, each in zip(counted, known, strict=True) if each.traced]
    if not rows:
        return [math.nan] * len(wanted)  # of a runtime that times no layer
    ms = np.array([each.least_ms for _, each in rows])
    layers = ExecutedLayers([one for one, _ in rows], [each.traced for _, each in rows if each.traced], ms)
    return [float(each) for each in layers([counted_of(probe) for probe in wanted])]


def family_of(probe: Probe) -> str:
    """MobileNets of all versions are one, as are ResNets and ResNeXts."""
    name = timed_arch(probe.arch).family.replace("resnext", "resnet")
    return next((family for family in FAMILIES if name.startswith(family)), name)


def one_out(rows: Sequence[TimedProbe]) -> list[dict[str, float | str]]:
    """Every network, predicted by what knows nothing of its family."""
    found: list[dict[str, float | str]] = []
    for family in sorted({family_of(each.probe) for each in rows} - {BLOCKS}):
        mine = [each for each in rows if family_of(each.probe) == family]
        known = [each for each in rows if each not in mine]
        if len(known) < LEAST_TIMED:
            continue
        wanted = [each.probe for each in mine]
        ours = Predictor(known).predict(wanted)
        simple = {name: way(known, wanted) for name, way in (("macs", by_macs), ("layers", by_layers))}
        for index, each in enumerate(mine):
            ms, said = each.least_ms, ours[index]
            found.append(
                {
                    "family": family,
                    "network": each.probe.name,
                    "ms": round(ms, 4),
                    "off": round(said.p50_ms.estimate / ms - 1, 4),
                    "held": float(said.p50_ms.low <= ms <= said.p50_ms.high),
                    "width": round(math.log(said.p50_ms.high / said.p50_ms.low), 4),
                    "extrapolated": float(bool(said.extrapolated)),
                    **{name: round(of[index] / ms - 1, 4) for name, of in simple.items()},
                }
            )
    return found


def shares(rows: Sequence[dict[str, float | str]], name: str) -> str:
    off = [abs(float(each[name])) for each in rows]
    return f"{np.mean([each <= 0.05 for each in off]):.0%} | {np.mean([each <= 0.1 for each in off]):.0%} | {np.median(off):.1%}"


def table_text(every: dict[str, list[dict[str, float | str]]]) -> str:
    lines = [
        "| candidate | family left out | networks | ±5 % | ±10 % | median | 90 % interval holds | by MACs | by layers |",
        f"|{' --- |' * 9}",
    ]
    for candidate, rows in every.items():
        for family in [*sorted({str(each["family"]) for each in rows}), "all"]:
            of = [each for each in rows if family in (each["family"], "all")]
            held = np.mean([each["held"] for each in of])
            simple = [f"{np.median([abs(float(each[name])) for each in of]):.1%}" for name in ("macs", "layers")]
            lines.append(f"| {candidate} | {family} | {len(of)} | {shares(of, 'off')} | {held:.0%} | {' | '.join(simple)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    table: LatencyTable = read_table_file(asked.table)
    every = {name: one_out(rows) for name, rows in table.timed.items()}
    if asked.out is not None:
        facts = {"machine": table.machine, "observed_at": table.observed_at, "seconds": table.seconds, "networks": every}
        asked.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(table_text(every))


if __name__ == "__main__":
    main()
