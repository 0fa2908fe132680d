"""The tables of README.md beside this file, from the results; it puts them in where the README has their marks.

python -m benchmarks.accuracy.table [--results FOLDER] [--print]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.accuracy.pairing import Gain, gain
from benchmarks.accuracy.results import FOLDER, RunResult, read_all
from benchmarks.accuracy.studies import ALL, AUTO, DEFAULT, DEPTH, FORCED, HEAD, LAST, RIVALS, STUDIES, Study
from benchmarks.marked_sections import renew

README = Path(__file__).with_name("README.md")
NONE = "–"
WORSE_BY_AT_MOST_PP = 2.0
"""What `auto` may be behind the best forced choice."""
Rows = Mapping[str, Sequence[RunResult]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=FOLDER)
    parser.add_argument("--print", action="store_true", help="to stdout, and leave README.md as it is")
    options = parser.parse_args()
    if not (results := read_all(options.results)):
        sys.exit(f"{options.results} holds no result: python -m benchmarks.accuracy.learn makes them")
    sections = sections_of(results)
    if options.print:
        print("\n\n".join(sections.values()))
        return
    renew(README, sections)


def sections_of(results: Sequence[RunResult]) -> dict[str, str]:
    """Mark to Markdown."""
    rows: dict[str, list[RunResult]] = defaultdict(list)
    for result in results:
        rows[result.study].append(result)
    return {"machine": machine(results), "accuracy": accuracies(rows), "differences": differences(rows), "auto": auto(rows)}


def machine(results: Sequence[RunResult]) -> str:
    """When, on what and with which versions."""
    dates = sorted({result.measured_at[:10] for result in results})
    machines = "; ".join(sorted({result.machine for result in results}))
    found = {package for result in results for package in result.versions.items()}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found))
    total = sum(len(study.divisions) * 3 for study in STUDIES)
    return f"{len(results)} of {total} runs, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}, on {machines}. {versions}."


def accuracies(rows: Rows) -> str:
    """A row a study: mean and standard deviation over runs."""
    lines = [
        _row(["data", "row", "runs", "test images", "top-1, mean ± sd", "lowest to highest", "processor seconds", "goal"]),
        _row(["---"] * 8),
    ]
    for study in STUDIES:
        if results_of_study := rows.get(study.id):
            values = [100 * result.accuracy for result in results_of_study]
            images = f"{results_of_study[0].images['test']:,}"
            spread = f"{min(values):.2f} to {max(values):.2f}"
            seconds = [result.cpu_s for result in results_of_study if result.cpu_s is not None]
            cost = f"{statistics.mean(seconds):,.0f}" if seconds else NONE
            cells = [str(len(results_of_study)), images, mean_sd(values), spread, cost, goal(study, values)]
            lines.append(_row([study.data, study.title, *cells]))
    return "\n".join(lines)


def mean_sd(values: Sequence[float]) -> str:
    """In percent; one value has no standard deviation."""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def goal(study: Study, values: Sequence[float]) -> str:
    """Whether the mean reaches it."""
    if study.goal is None:
        return NONE
    return f"≥ {100 * study.goal:g}: {'reached' if statistics.mean(values) >= 100 * study.goal else 'MISSED'}"


def differences(rows: Rows) -> str:
    """By how much a row is ahead of another."""
    compared = [(rival, DEFAULT) for rival in RIVALS]
    for place in (0, 1):
        compared += [(HEAD[place], ALL[place]), (HEAD[place], LAST[place]), (LAST[place], ALL[place])]
    compared.append((DEPTH[1], DEPTH[0]))
    head = ["data", "row", "ahead of", "runs", "answers", "only it is right", "only the other", "pp (95 %)", "pp by image (95 %)"]
    lines = [_row([*head, "supported"]), _row(["---"] * 10)]
    for first, second in compared:
        if difference := gain(rows.get(first.id, ()), rows.get(second.id, ())):
            lines.append(
                _row([second.data, second.title, first.title, *_gain(difference), "yes" if difference.by_image.low > 0 else "no"])
            )
    return "\n".join(lines)


def auto(rows: Rows) -> str:
    """`--transfer auto` against the best forced choice, and what it said."""
    pairs = {name: pair[1] for name, pair in zip(FORCED, (HEAD, LAST, ALL), strict=True)}
    auto_rows = rows.get(AUTO[1].id, ())
    forced = {name: rows.get(study.id, ()) for name, study in pairs.items()}
    complete = {name: results_ for name, results_ in forced.items() if len(results_) >= max(1, len(auto_rows))}
    if not auto_rows or len(complete) < len(FORCED):
        return "Not every row was run yet."
    best = max(complete, key=lambda name: statistics.mean(result.accuracy for result in complete[name]))
    difference = gain(complete[best], auto_rows)
    if difference is None:
        return "No run of it has its like yet."
    held = "it holds" if difference.by_image.low > -WORSE_BY_AT_MOST_PP else "it does NOT hold"
    chosen = sorted({row.transfer.partition(":")[0] for row in auto_rows})
    return (
        f"The best forced choice is `{best}`; auto is {difference.by_image.estimate:+.2f} pp [{difference.by_image.low:+.2f}, "
        f"{difference.by_image.high:+.2f}] from it (by image, {difference.runs} runs, {difference.answers:,} answers). "
        f"Not worse by more than {WORSE_BY_AT_MOST_PP:g} pp: {held}. It said: {'; '.join(chosen)}."
    )


def _gain(difference: Gain) -> list[str]:
    intervals = [
        f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"
        for interval in (difference.by_answer, difference.by_image)
    ]
    return [str(difference.runs), f"{difference.answers:,}", str(difference.gained), str(difference.lost), *intervals]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
