"""The screens of comparisons: two builds with their gates, a baseline or a pin, several side by side, and figures over time."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

from edgecnn.comparing.facts import BuildChanges, MachineGroup, MeasuredHistory, MeasuredPoint, Series, SideBySide
from edgecnn.errors.wording import counted, listed, plural
from edgecnn.judging.judgement import learned_result
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.columns import COLUMN, RESIDENCY, legend
from edgecnn.render.figures import milliseconds, points
from edgecnn.render.plots import Axis, Bar, Signs, interval_lines, sparkline, stdout_signs
from edgecnn.render.sentences import energy_text, error_rates, gate_line, judged_line, not_judged_line
from edgecnn.render.terminal import WIDE, show_lines, show_rows
from edgecnn.values.candidate import DEFAULT
from edgecnn.values.command import Command
from edgecnn.values.figures import Energy
from edgecnn.values.report import CandidateFacts, ClassesApart, Comparison, Latency, LatencyBaseline, PinnedBuild, ShippedKitFacts
from edgecnn.values.verdict import CHANCE, Fidelity, Verdict

CHANGES_SHOWN = 12


def comparison_lines(comparison: Comparison, *, verbose: bool = False) -> list[str]:
    """Return the result, the figures and the changes, one fact a line, and the result again as the last line.

    ``verbose``: also passed gates, their error rates, and notes.
    """
    head, base = shipped_text(comparison.head), shipped_text(comparison.base)
    result = judged_line(comparison.verdict, comparison.gates) or f"{comparison.verdict.value}: no gate was judged"
    lost = comparison.drop_pp
    drop = f"unknown: {comparison.drop_absent}"
    if lost is not None:
        drop = f"{points(lost)}{' by definition' if comparison.identical else f' ({figures.level(lost.confidence)} interval)'}"
    open_gates = [gate for gate in comparison.gates if gate.verdict is not Verdict.PASS and gate.gate.stated_by != CHANCE]
    lines = [
        result,
        f"  HEAD: {head}{_median_clause(comparison, comparison.latency)}",
        f"  BASE: {base}{_median_clause(comparison, comparison.base_latency)}",
        f"  {comparison.drop_of} lost against BASE: {drop}",
        *(f"  {line}" for line in classes_lines(comparison.classes)),
        f"  race: {_race_text(comparison)}",
        *(f"  {gate_line(gate)}" for gate in (comparison.gates if verbose else open_gates)),
        *(f"  changed: {line}" for line in comparison.changed[:CHANGES_SHOWN]),
    ]
    if len(comparison.changed) > CHANGES_SHOWN:
        lines.append(f"  changed: and {len(comparison.changed) - CHANGES_SHOWN} more fields, all in --json")
    if not comparison.changed:
        lines.append("  changed: no recorded difference")
    rates = error_rates(comparison.gates)
    not_judged = not_judged_line(comparison)
    lines += [] if not_judged is None else [f"  {not_judged}"]
    details = [*([] if rates is None else [rates]), *(f"note: {notice}" for notice in comparison.notices)]
    if verbose:
        return [*lines, *(f"  {line}" for line in details), result]
    hidden = len(details) + len(comparison.gates) - len(open_gates)
    return [*lines, *([f"  {counted(hidden, 'more detail')}: add --verbose"] if hidden else []), result]


def classes_lines(apart: ClassesApart | None) -> list[str]:
    """Return the classes that only one build has, and HEAD's result for its own."""
    if apart is None:
        return []
    alone = [
        row.name if row.images is None else f"{row.name} ({row.right:,} of {counted(row.images, 'test image')} right)"
        for row in apart.only_head
    ]
    return [
        f"not compared, because only {side} has {plural(len(names), 'this class', 'these classes')}: {listed(names)}"
        for side, names in (("HEAD", alone), ("BASE", list(apart.only_base)))
        if names
    ]


def _median_clause(comparison: Comparison, latency: Latency) -> str:
    """``, p50 3.1 ms``; nothing if the line about the race says why no kit ran."""
    return f", p50 {_median_text(latency)}" if comparison.rounds or latency.p50_ms else ""


def _race_text(comparison: Comparison) -> str:
    if comparison.rounds:
        return f"{comparison.how}, on {comparison.machine}"
    return comparison.latency.reason or "none"


def baseline_lines(baseline: LatencyBaseline, figures: Latency, energy: Energy) -> list[str]:
    """Return the origin of a baseline and its figures."""
    samples = sum(len(run.samples_ns) for run in baseline.runs)
    return [
        f"{shipped_text(baseline.shipped)} on {baseline.machine}, {baseline.observed_at}",
        f"  p50: {_median_text(figures)}",
        f"  {counted(len(baseline.runs), 'run')}, {samples:,} timed inferences",
        f"  energy: {energy_text(energy)}",
        f"  kit: {baseline.shipped.kit}",
        *(f"  {name}: {value}" for name, value in baseline.environment.conditions.items()),
        *([f"  note: {figures.disturbed}: no build passes against this baseline"] if figures.disturbed else []),
    ]


def pin_lines(pin: PinnedBuild, file: str) -> list[str]:
    """Return the contents of a pin."""
    return [
        f"{shipped_text(pin.shipped)} is pinned in {file}",
        f"  kit: {pin.shipped.kit}",
        f"  {counted(len(pin.keys), 'store key')}, {counted(len(pin.tools), 'tool version')}, no runs",
    ]


def shipped_text(shipped: ShippedKitFacts) -> str:
    """``builds/head: onnxruntime-int8 (resnet-18 for cpu)``."""
    parts = [part for part in (shipped.arch, f"for {shipped.device}" if shipped.device else None) if part]
    text = f"{shipped.candidate.id} of {shipped.name}" + (f" ({' '.join(parts)})" if parts else "")
    return text if shipped.knobs == DEFAULT else f"{text} with {shipped.knobs.words}"


def _median_text(value: Latency) -> str:
    if value.p50_ms is None:
        return f"missing: {value.reason}"
    level = f"{figures.level(value.p50_ms.confidence)} interval, " if value.p50_ms.confidence else ""
    return f"{milliseconds(value.p50_ms)} ms ({level}{counted(value.runs, 'run')})"


BUILD_COLUMNS = ("", "build", "network", "device", "verdict", "chosen", "made")
_ACCURACY_METRICS = {"top1": ("top1", "drop_pp"), "map": ("map", "map_drop_pp")}
_OTHER_METRICS = ("p50_ms", "peak_memory_mib", "energy_mj", "size_mib")
NOT_IN_BUILD = "not in this build"
WHY_NOT_DIVIDED = "no ratio of latencies: the builds were timed in separate races"


def side_by_side_columns(accuracy: str) -> tuple[str, ...]:
    """Return the headings of the table of candidates. ``accuracy``: ``top1``, or ``map`` if images have several labels."""
    names = (*_ACCURACY_METRICS[accuracy], *_OTHER_METRICS, RESIDENCY)
    return ("candidate", "", *(COLUMN[name].heading for name in names), "verdict")


def show_side_by_side(side_by_side: SideBySide) -> None:
    """Print builds, candidates, plots and changes."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    show_lines(unlearned_lines(side_by_side))
    builds = []
    for build in side_by_side.builds:
        device = build.build.device + ("" if build.build.device_attached else " (not attached)")
        chosen = (build.choice.candidate or "none") + (" (provisional)" if build.choice.state == "provisional" else "")
        builds.append((build.label, build.folder, build.build.arch, device, build.verdict.value, chosen, build.made_at))
    show_rows(BUILD_COLUMNS, builds)
    headings = side_by_side_columns(side_by_side.accuracy)
    absent = (*([figures.NONE] * (len(headings) - 3)), NOT_IN_BUILD)
    labels = [build.label for build in side_by_side.builds]
    rows = [
        (candidate, label, *(absent if facts is None else side_by_side_cells(facts, side_by_side.accuracy)))
        for candidate, label, facts in facts_by_build(side_by_side, labels)
    ]
    show_rows(headings, rows)
    show_lines(legend([facts for row in side_by_side.candidates for facts in row.facts if facts is not None]))
    show_lines(interval_plot_lines(side_by_side, stdout_signs(), width))
    show_lines(change_lines(side_by_side))
    show_lines([f"  note: {notice}" for notice in side_by_side.notices])


def unlearned_lines(side_by_side: SideBySide) -> list[str]:
    """Return one line with the builds that are not shown to have learned, if there are any."""
    chosen = [
        (label, facts)
        for _, label, facts in facts_by_build(side_by_side, [build.label for build in side_by_side.builds])
        if facts
    ]
    names = sorted(label for label, facts in chosen if facts.chosen and learned_result(facts.gates) is not None)
    return [f"not shown to have learned: {', '.join(names)}"] if names else []


def side_by_side_cells(facts: CandidateFacts, accuracy: str = "top1") -> tuple[str, ...]:
    """Return a candidate's figures in one build, in the order of ``side_by_side_columns`` after the first two."""
    texts = {name: COLUMN[name].cell(facts).plain for name in (*_ACCURACY_METRICS[accuracy], *_OTHER_METRICS, RESIDENCY)}
    texts["energy_mj"] = figures.number(SHOWN["energy_mj"].value(facts), 1)
    return (*texts.values(), figures.verdict(facts) + (" ◀" if facts.chosen else ""))


def interval_plot_lines(side_by_side: SideBySide, signs: Signs, width: int) -> list[str]:
    """Return plots of intervals: accuracy, paired differences, and latencies with a separate plot for each machine."""
    every = [build.label for build in side_by_side.builds]
    measure = SHOWN[side_by_side.accuracy].words
    lines = ["", f"{measure} on the test split in %, with 95 % intervals:"]
    lines += _indented(interval_lines(_bars_of(side_by_side, every, side_by_side.accuracy), Axis(digits=1), signs, width))
    paired = []
    for difference in side_by_side.paired:
        drop = (
            f"missing: {difference.absent}"
            if difference.drop_pp is None
            else points(difference.drop_pp) + figures.MARKS[difference.fidelity]
        )
        paired.append(
            Bar(f"{difference.candidate} {difference.base} → {difference.head}", difference.drop_pp, drop, difference.fidelity)
        )
    if paired:
        lines += ["", f"{measure} lost in pp, paired by image, with 90 % intervals; further right is worse:"]
        lines += _indented(interval_lines(paired, Axis(digits=2, marked=0.0), signs, width))
        lines += [f"  {sentence}" for sentence in pairing_sentences(side_by_side)]
        lines += [f"  {figures.LEGEND[Fidelity.DEFINED]}"] * any(bar.fidelity is Fidelity.DEFINED for bar in paired)
    for number, group in enumerate(side_by_side.machines):
        lines += ["", f"p50 in ms: {machine_text(group, number)}:"]
        lines += _indented(interval_lines(_bars_of(side_by_side, group.labels, "p50_ms"), Axis(digits=2), signs, width))
    return [*lines, "", *latency_advice(side_by_side)]


def pairing_sentences(side_by_side: SideBySide) -> tuple[str, ...]:
    """Return how images were paired, for each pair of builds with different test splits."""
    pairings = {
        (difference.base, difference.head): difference.pairing for difference in side_by_side.paired if difference.pairing
    }
    return tuple(pairing.sentence(base, head) for (base, head), pairing in pairings.items())


def machine_text(group: MachineGroup, number: int) -> str:
    """Return the builds that were timed on one machine."""
    state = "" if number == 0 else " (another machine, or the same one in another state)"
    return f"{', '.join(group.labels)} on {group.machine}{state}"


def latency_advice(side_by_side: SideBySide) -> list[str]:
    """Return why there is no ratio of latencies, how the machines differ, and the command that measures a ratio."""
    timed = [label for group in side_by_side.machines for label in group.labels]
    if len(timed) < 2:
        return ["  no ratio of latencies: fewer than two of the builds were timed"]
    lines = [f"  {WHY_NOT_DIVIDED}"]
    for group in side_by_side.machines[1:]:
        lines.append(f"  {side_by_side.machines[0].labels[0]} → {group.labels[0]}: {'; '.join(group.differs)}")
    folders = {build.label: build.folder for build in side_by_side.builds}
    command = Command(verb=("judge",), parts=((folders[timed[1]],), ("--against", folders[timed[0]])))
    return [*lines, f"  to get a ratio, race both builds: {command}"]


def change_lines(side_by_side: SideBySide, shown: int = CHANGES_SHOWN) -> list[str]:
    """Return the differences between the inputs and tools of the builds."""
    return [f"  {line}" for changes in side_by_side.changed for line in _change_lines(changes, shown)]


def _change_lines(changes: BuildChanges, shown: int) -> Iterator[str]:
    between = f"changed {changes.base} → {changes.head}"
    yield from (f"{between}: {line}" for line in changes.lines[:shown])
    if len(changes.lines) > shown:
        yield f"{between}: and {len(changes.lines) - shown} more, all in --json and on the page"
    if changes.unknown:
        yield f"{between}: some inputs are unknown: {changes.unknown}"
    elif not changes.lines:
        yield f"{between}: no recorded difference"


def facts_by_build(side_by_side: SideBySide, labels: Sequence[str]) -> Iterator[tuple[str, str, CandidateFacts | None]]:
    """Yield candidate, build label and facts for the builds with these labels."""
    for row in side_by_side.candidates:
        for build, facts in zip(side_by_side.builds, row.facts, strict=True):
            if build.label in labels:
                yield row.candidate, build.label, facts


def _bars_of(side_by_side: SideBySide, labels: Sequence[str], name: Literal["top1", "map", "p50_ms"]) -> list[Bar]:
    return [
        _bar_of(f"{candidate} {label}", facts, SHOWN[name])
        for candidate, label, facts in facts_by_build(side_by_side, labels)
        if facts is not None
    ]


def _bar_of(name: str, facts: CandidateFacts, metric: Metric) -> Bar:
    of, figure = facts.latency if metric.source == "latency" else facts.multi_label or facts.test, metric.value(facts)
    if of is None or figure is None:
        reason = (facts.latency.reason if facts.latency else None) or "not raced"
        return Bar(name, None, f"missing: {reason if metric.source == 'latency' else 'not evaluated'}")
    disturbed = " disturbed" if metric.source == "latency" and facts.latency and facts.latency.disturbed else ""
    drawn = figures.percent(figure) if metric.unit == "share" else figure
    return Bar(name, drawn, figures.metric_text(metric, figure) + figures.MARKS[of.fidelity] + disturbed, of.fidelity)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


HISTORY_COLUMNS = ("metric", "observed at", "figure", "from", "kit", "changed since the row above")
KIT_SHOWN = 12


def show_history(history: MeasuredHistory) -> None:
    """Print each series."""
    show_lines([f"{history.asked}: {counted(len(history.series), 'series', 'series')} in {history.store}"])
    for series in history.series:
        show_lines(["", *series_lines(series, stdout_signs())])
        show_rows(HISTORY_COLUMNS, list(history_rows(series)))
    show_lines([f"  note: {notice}" for notice in history.notices])


def series_lines(series: Series, signs: Signs) -> list[str]:
    """Return the title of a series, and a sparkline for each kind of figure."""
    kits = counted(len(series.kits), "kit")
    title = " ".join(part for part in (series.arch, series.candidate, input_text(series)) if part)
    title += f", {series.knobs}" if series.knobs else ""
    lines = [f"{title} on {series.machine} ({', '.join(series.devices)}), {kits}"]
    for metric, measured in _metric_points(series):
        if measured:
            lines.append(f"  {metric.words}: {_summary_text(measured, metric, signs)}")
    return lines


def _metric_points(series: Series) -> tuple[tuple[Metric, Sequence[MeasuredPoint]], ...]:
    return (SHOWN["p50_ms"], series.latency), (SHOWN[series.accuracy_of], series.accuracy)


def metric_name(metric: Metric) -> str:
    """``p50 ms``, ``top-1``: the metric, with its unit if figures do not show it."""
    return metric.words if metric.unit == "share" else metric.heading


def input_text(series: Series) -> str:
    """``at 224 px, 10 classes``, as far as known."""
    parts = [] if series.resolution_px is None else [f"at {series.resolution_px} px"]
    return ", ".join([*parts, *([] if series.classes is None else [f"{series.classes} classes"])])


def _summary_text(points: Sequence[MeasuredPoint], metric: Metric, signs: Signs) -> str:
    values = [point.figure.estimate if point.figure else None for point in points]
    known = [value for value in values if value is not None]
    if not known:
        return f"missing: {points[-1].reason or 'no figure'}"
    breaks = segment_starts(points)
    breaks_text = f"; {counted(len(breaks), 'break')}, because conditions that must match changed" if breaks else ""
    low, high, last = (
        f"{value * 100:.1f} %" if metric.unit == "share" else f"{value:.2f} {metric.unit}"
        for value in (min(known), max(known), known[-1])
    )
    return f"{sparkline(values, breaks, signs)}  {low} to {high}, last {last}{breaks_text}"


def segment_starts(points: Sequence[MeasuredPoint]) -> list[int]:
    """Return the places of the points that begin a new segment."""
    return [place for place in range(1, len(points)) if points[place].segment != points[place - 1].segment]


def history_rows(series: Series) -> Iterator[tuple[str, ...]]:
    """Yield a row for each measurement, the oldest first."""
    for metric, measured in _metric_points(series):
        for point in measured:
            figure, name = figure_text(point, metric), metric_name(metric)
            yield (name, point.observed_at, figure, sample_text(point), point.kit[:KIT_SHOWN], changes_text(point))


def figure_text(point: MeasuredPoint, metric: Metric) -> str:
    """Return the figure with its interval and mark, or why it is missing."""
    if point.figure is None:
        return f"missing: {point.reason or 'no figure'}"
    return figures.metric_text(metric, point.figure) + figures.MARKS[point.fidelity]


PURPOSES = {"select": "first race", "report": "final race"}
"""Names of the races by purpose."""


def sample_text(point: MeasuredPoint) -> str:
    """``17 runs, final race`` or ``341 images``."""
    if point.purpose is None:
        return counted(point.count, "image")
    race = PURPOSES.get(point.purpose, point.purpose)
    return f"{counted(point.count, 'run')}, {race}" + (", disturbed" if point.disturbed else "")


def changes_text(point: MeasuredPoint) -> str:
    """Return the differences from the previous point."""
    return "; ".join([*(["new kit"] if point.new_kit else []), *point.changed])
