"""The two tables of README.md beside this file, from the results; it puts them in where the README has their marks.

python -m benchmarks.ladder.table [--results FOLDER] [--print]
python -m benchmarks.ladder.table --schema       # writes schema.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.ladder.networks import NETWORKS
from benchmarks.ladder.results import BUDGET_PP, FOLDER, Column, NetworkResult, Photographs, read_all
from benchmarks.ladder.rivals import RIVALS
from benchmarks.marked_sections import renew
from edgecnn.judging.intervals import ratio_interval
from edgecnn.values.candidate import BASELINE_ID
from edgecnn.values.figures import Accuracy
from edgecnn.values.verdict import Interval

README = Path(__file__).with_name("README.md")
SCHEMA = Path(__file__).with_name("schema.json")
NONE = "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=FOLDER)
    parser.add_argument("--print", action="store_true", help="to stdout, and leave README.md as it is")
    parser.add_argument("--schema", action="store_true", help="write schema.json and nothing else")
    options = parser.parse_args()
    if options.schema:
        SCHEMA.write_text(schema(), encoding="utf-8")
        return
    results = read_all(options.results, NETWORKS)
    if not results:
        sys.exit(f"{options.results} holds no result: python -m benchmarks.ladder.race makes them")
    sections = sections_of(results, options.results / "photographs.json")
    if options.print:
        print("\n\n".join(sections.values()))
        return
    renew(README, sections)


def schema() -> str:
    """JSON Schema of a result file."""
    return json.dumps(NetworkResult.model_json_schema(by_alias=True), indent=1) + "\n"


def sections_of(results: Sequence[NetworkResult], photographs: Path) -> dict[str, str]:
    """Mark to Markdown."""
    sections = {
        "machine": machine(results),
        "benchmark": benchmark(results),
        "ladder": ladder(results),
        "layers": layers(results),
    }
    if photographs.is_file():
        sections["photographs"] = photographs_line(Photographs.model_validate_json(photographs.read_bytes()))
    return sections


def machine(results: Sequence[NetworkResult]) -> str:
    """On what, when and with which versions."""
    dates = sorted({result.measured_at[:10] for result in results})
    machines = "; ".join(sorted({result.machine for result in results}))
    loads = [result.load_average for result in results]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results[0].versions.items()))
    load = f"load average {min(loads):.1f} to {max(loads):.1f}"
    return f"Measured {' to '.join(dict.fromkeys((dates[0], dates[-1])))} on {machines}, {load}. {versions}."


def benchmark(results: Sequence[NetworkResult]) -> str:
    """A row a network: each rival, what we chose, and the ratios."""
    titles = [rival.title for rival in RIVALS]
    head = ["network", *titles, "edgecnn", "best rival / edgecnn", "ONNX Runtime fp32 / edgecnn"]
    lines = [_row(head), _row(["---"] * len(head))]
    for result in results:
        rivals = {column.id: column for column in result.columns if column.whose == "rival"}
        cells = [_rival_cell(rivals.get(rival.id), result.best_rival) for rival in RIVALS]
        ours = result.column(result.chosen)
        mine = f"**{_ms(ours)}** {ours.title}"
        lines.append(_row([result.network, *cells, mine, _ratio(result.ratio), _ratio(result.ratio_to_base)]))
    marks = f"✗: loses more than {BUDGET_PP:g} pp at 64 px; **bold**: the best rival that does not."
    note = (
        f"p50 in ms: the median of a column's processes in the final rounds; † of the rounds before, where it had none. {marks}"
    )
    return "\n".join([*lines, "", note, "", overall(results), *surgery_lines(results)])


def overall(results: Sequence[NetworkResult]) -> str:
    """The geometric mean against ONNX Runtime fp32, round by round, and what the networks come to."""
    mean = geometric_mean(results)
    shown = f"Geometric mean of ONNX Runtime fp32 / edgecnn over {len(results)} networks: {_ratio(mean)}."
    equal = [result.network for result in results if result.ratio is not None and result.ratio.low >= 0.97]
    faster = [result.network for result in results if result.ratio is not None and result.ratio.estimate >= 1.1]
    counted = f"The interval of the ratio to the best rival begins at 0.97 or above on {len(equal)} of {len(results)} networks"
    return f"{shown} {counted}; the ratio is at least 1.1 on {len(faster)}{': ' if faster else ''}{', '.join(faster)}."


def surgery_lines(results: Sequence[NetworkResult]) -> list[str]:
    """A sentence for each network that surgery was asked for of."""
    lines: list[str] = []
    for result in results:
        if result.changed is not None:
            ours = result.column(result.changed)
            top1, drop = _accuracy(ours.accuracy)
            lines += [
                "",
                f"After surgery, {result.network}: {ours.title} ({ours.surgery}) takes {_ms(ours)} ms at {result.raced_px} px;"
                f" best rival of the network as given / edgecnn {_ratio(result.ratio_changed)}."
                f" At {result.trained_px} px its top-1 is"
                f" {top1}, a drop of {drop} pp from the network as given.",
            ]
        elif not all(column.as_given for column in result.columns):
            lines += ["", f"After surgery, {result.network}: nothing inside the budget ran."]
    return lines


def geometric_mean(results: Sequence[NetworkResult]) -> Interval | None:
    """Round by round over networks, and over rounds the interval of every other ratio here."""
    by_network = []
    for result in results:
        base, ours = result.column("ort-fp32").of("final"), result.column(result.chosen).of("final")
        by_network.append([base[number] / ours[number] for number in sorted(base.keys() & ours.keys())])
    rounds = min(len(ratios) for ratios in by_network)
    means = [float(np.exp(np.mean([np.log(ratios[number]) for ratios in by_network]))) for number in range(rounds)]
    return ratio_interval(means, [1.0] * rounds)


def ladder(results: Sequence[NetworkResult]) -> str:
    """A table a network, a row a rung."""
    return "\n\n".join(_ladder_of(result) for result in results)


def _ladder_of(result: NetworkResult) -> str:
    head = [
        "rung",
        "top-1 (95 %)",
        "drop pp (90 %)",
        "p50 ms",
        "MiB",
        "MACs",
        "time",
        "bytes",
        "verdict",
        "reason in the 64 px build",
    ]
    lines = [_row(head), _row(["---"] * len(head))]
    for column in _joined(entry for entry in result.columns if entry.whose == "edgecnn"):
        share = column.residency
        shares = [_share(share.macs), _share(share.time), _share(share.bytes)] if share else [NONE] * 3
        name = f"**{column.title}**" if column.id in (result.chosen, result.changed) else column.title
        facts = [
            name,
            *_accuracy(column.accuracy),
            _ms(column),
            _size(column, result),
            *shares,
            column.verdict or NONE,
            _plain(column.reason),
        ]
        lines.append(_row(facts))
    beside = f", the whole ladder beside that in {result.ladder_s:.0f} s" if result.ladder_s is not None else ""
    trained = f"Trained at {result.trained_px} px in {result.train_s:.0f} s{beside}; raced at {result.raced_px} px."
    title = f"#### {result.network}\n\n{trained}"
    return "\n".join([title, "", *lines])


def layers(results: Sequence[NetworkResult]) -> str:
    """Where the time of the chosen kit goes."""
    lines = [_row(["network", "kit", "the layers that take the most of its time"]), _row(["---"] * 3)]
    for result in results:
        named = "; ".join(
            f"{_plain(layer.name)} ({layer.op}, {layer.precision}) {layer.time_share:.1%}" for layer in result.layers
        )
        lines.append(_row([result.network, result.chosen, f"{named}; of {result.layers_total} layers"]))
    return "\n".join(lines)


def photographs_line(photographs: Photographs) -> str:
    """The table of Lite0 on photographs."""
    head = ["candidate", "top-1 (95 %)", "drop pp (90 %)", "verdict", "chosen"]
    lines = [_row(head), _row(["---"] * len(head))]
    for name, reached in photographs.candidates.items():
        lines.append(_row([name, *_accuracy(reached), photographs.verdicts[name], "◀" if name == photographs.chosen else ""]))
    counts = ", ".join(f"{role} {count:,}" for role, count in photographs.images.items())
    return "\n".join([f"{photographs.resolution_px} px, {counts}. {photographs.weights}.", "", *lines])


# ---------------------------------------------------------------------------------------------------------------------


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rival_cell(column: Column | None, best: str) -> str:
    if column is None or not column.runs:
        return NONE
    shown = _ms(column)
    if column.id == best:
        return f"**{shown}**"
    return shown if column.inside else f"{shown} ✗"


def _ms(column: Column) -> str:
    """Of the final rounds, in which nothing was chosen; of a column that had none, of the last that it had, and marked."""
    if final := column.of("final"):
        return f"{statistics.median(final.values()):.2f}"
    return f"{statistics.median(column.selection_medians.values()):.2f} †" if column.runs else NONE


def _joined(columns: Iterable[Column]) -> list[Column]:
    """Rungs that were not built for one and the same reason share a row."""
    rows: dict[str, Column] = {}
    for column in columns:
        absent = column.accuracy is None and not column.runs and column.size_mib is None
        group = column.reason if absent else column.id
        before = rows.get(group)
        rows[group] = column if before is None else before.model_copy(update={"title": f"{before.title}, {column.title}"})
    return list(rows.values())


def _size(column: Column, result: NetworkResult) -> str:
    """With its share of the fp32 file's."""
    whole = next((entry.size_mib for entry in result.columns if entry.id == BASELINE_ID), None)
    if column.size_mib is None:
        return NONE
    return f"{column.size_mib:.1f}" if not whole else f"{column.size_mib:.1f} ({100 * column.size_mib / whole:.1f} %)"


def _ratio(ratio: Interval | None) -> str:
    return NONE if ratio is None else f"{ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _accuracy(reached: Accuracy | None) -> tuple[str, str]:
    if reached is None:
        return NONE, NONE
    top1, drop = reached.top1, reached.drop_pp
    shown = f"{100 * top1.estimate:.2f} % [{100 * top1.low:.2f}, {100 * top1.high:.2f}]"
    return shown, "baseline" if drop is None else f"{drop.estimate:+.2f} [{drop.low:+.2f}, {drop.high:+.2f}]"


def _share(shares: Mapping[str, float] | None) -> str:
    if not shares:
        return NONE
    largest = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{100 * share:.0f} % {name}" for name, share in largest[:3] if share >= 0.005)


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split()) or NONE


if __name__ == "__main__":
    main()
