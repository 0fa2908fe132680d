"""Builds compared with each other: two with their gates, a baseline or a pin, and several side by side."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

from edgecnn.comparing.facts import BuildChanges, MachineGroup, SideBySide
from edgecnn.errors.wording import counted
from edgecnn.judging.judgement import learned_result
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.columns import COLUMN, RESIDENCY, legend
from edgecnn.render.figures import milliseconds, points
from edgecnn.render.plots import Axis, Bar, Signs, interval_lines, stdout_signs
from edgecnn.render.sentences import energy_words, error_rates, gate_line, judged_line
from edgecnn.render.terminal import WIDE, show_lines, show_rows
from edgecnn.values.candidate import DEFAULT
from edgecnn.values.command import Command
from edgecnn.values.figures import Energy
from edgecnn.values.report import CandidateFacts, Comparison, Latency, LatencyBaseline, PinnedBuild, ShippedKitFacts
from edgecnn.values.verdict import CHANCE, Fidelity, Verdict

CHANGES_SHOWN = 12


def comparison_lines(comparison: Comparison, *, verbose: bool = False) -> list[str]:
    """The result, figures and what changed, one fact a line; the result again as the last line.

    ``verbose``: also gates that pass, their error rates, and notes.
    """
    head, base = shipped_text(comparison.head), shipped_text(comparison.base)
    result = judged_line(comparison.verdict, comparison.gates) or f"{comparison.verdict.value}: no gate was judged"
    drop = f"unknown: {comparison.drop_absent}" if comparison.drop_pp is None else points(comparison.drop_pp)
    drop += " by definition" if comparison.identical and comparison.drop_pp is not None else ""
    open_gates = [gate for gate in comparison.gates if gate.verdict is not Verdict.PASS and gate.gate.stated_by != CHANCE]
    lines = [
        result,
        f"  HEAD: {head}, p50 {_median(comparison.latency)}",
        f"  BASE: {base}, p50 {_median(comparison.base_latency)}",
        f"  {comparison.drop_of} lost against BASE: {drop}",
        f"  race: {comparison.how}, on {comparison.machine}",
        *(f"  {gate_line(gate)}" for gate in (comparison.gates if verbose else open_gates)),
        *(f"  changed: {line}" for line in comparison.changed[:CHANGES_SHOWN]),
    ]
    if len(comparison.changed) > CHANGES_SHOWN:
        lines.append(f"  changed: and {len(comparison.changed) - CHANGES_SHOWN} more fields, all in --json")
    if not comparison.changed:
        lines.append("  changed: no recorded difference")
    rates = error_rates(comparison.gates)
    details = [*([] if rates is None else [rates]), *(f"note: {notice}" for notice in comparison.notices)]
    if verbose:
        return [*lines, *(f"  {line}" for line in details), result]
    hidden = len(details) + len(comparison.gates) - len(open_gates)
    return [*lines, *([f"  {counted(hidden, 'more detail')}: add --verbose"] if hidden else []), result]


def baseline_lines(baseline: LatencyBaseline, figures: Latency, energy: Energy) -> list[str]:
    """Return the origin of a baseline and its figures."""
    samples = sum(len(run.samples_ns) for run in baseline.runs)
    return [
        f"{shipped_text(baseline.shipped)} on {baseline.machine}, {baseline.observed_at}",
        f"  p50: {_median(figures)}",
        f"  {counted(len(baseline.runs), 'run')}, {samples:,} timed inferences",
        f"  energy: {energy_words(energy)}",
        f"  kit: {baseline.shipped.kit}",
        *(f"  {name}: {value}" for name, value in baseline.environment.conditions.items()),
        *([f"  note: {figures.disturbed}: no build passes against this baseline"] if figures.disturbed else []),
    ]


def pin_lines(pin: PinnedBuild, file: str) -> list[str]:
    """Return what a record pins."""
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


def _median(value: Latency) -> str:
    return f"{milliseconds(value.p50_ms)} ms" if value.p50_ms else f"missing: {value.reason}"


BUILD_COLUMNS = ("", "build", "network", "device", "verdict", "chosen", "made")
_OF_ACCURACY = {"top1": ("top1", "drop_pp"), "map": ("map", "map_drop_pp")}
_BESIDE = ("p50_ms", "peak_memory_mib", "energy_mj", "size_mib")
NOT_IN_BUILD = "not in this build"
WHY_NOT_DIVIDED = "no ratio of latencies: the builds were timed in separate races"
"""Shown with latencies of several builds."""


def columns(accuracy: str) -> tuple[str, ...]:
    """Headings of the table of candidates; ``accuracy``: ``top1``, or ``map`` if images have several labels."""
    names = (*_OF_ACCURACY[accuracy], *_BESIDE, RESIDENCY)
    return ("candidate", "", *(COLUMN[name].heading for name in names), "verdict")


def show_side_by_side(side_by_side: SideBySide) -> None:
    """Print builds, candidates, plots and changes."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    show_lines(unlearned_lines(side_by_side))
    show_rows(BUILD_COLUMNS, [_build_cells(side_by_side, place) for place in range(len(side_by_side.builds))])
    show_rows(columns(side_by_side.accuracy), list(_rows(side_by_side)))
    show_lines(legend([facts for row in side_by_side.candidates for facts in row.facts if facts is not None]))
    show_lines(plot_lines(side_by_side, stdout_signs(), width))
    show_lines(change_lines(side_by_side))
    show_lines([f"  note: {notice}" for notice in side_by_side.notices])


def unlearned_lines(side_by_side: SideBySide) -> list[str]:
    """One line with the builds whose network is not shown to have learned; none if there are none."""
    chosen = [
        (label, facts)
        for _, label, facts in facts_by_build(side_by_side, [build.label for build in side_by_side.builds])
        if facts
    ]
    names = sorted(label for label, facts in chosen if facts.chosen and learned_result(facts.gates) is not None)
    return [f"not shown to have learned: {', '.join(names)}"] if names else []


def _build_cells(side_by_side: SideBySide, place: int) -> tuple[str, ...]:
    build = side_by_side.builds[place]
    attached = build.build.device if build.build.device_attached else f"{build.build.device} (not attached)"
    chosen = build.choice.candidate or "none"
    state = " (provisional)" if build.choice.state == "provisional" else ""
    return (build.label, build.folder, build.build.arch, attached, build.verdict.value, chosen + state, build.made_at)


def _rows(side_by_side: SideBySide) -> Iterator[tuple[str, ...]]:
    absent = (*([figures.NONE] * (len(columns(side_by_side.accuracy)) - 3)), NOT_IN_BUILD)
    for candidate, label, facts in facts_by_build(side_by_side, [build.label for build in side_by_side.builds]):
        yield (candidate, label, *(absent if facts is None else cells(facts, side_by_side.accuracy)))


def cells(facts: CandidateFacts, accuracy: str = "top1") -> tuple[str, ...]:
    """One candidate's figures in one build: ``columns`` without the first two."""
    texts = {name: COLUMN[name].cell(facts).plain for name in (*_OF_ACCURACY[accuracy], *_BESIDE, RESIDENCY)}
    texts["energy_mj"] = figures.number(SHOWN["energy_mj"].value(facts), 1)
    return (*texts.values(), figures.verdict(facts) + (" ◀" if facts.chosen else ""))


def plot_lines(side_by_side: SideBySide, signs: Signs, width: int) -> list[str]:
    """Return plots of intervals: accuracy, paired differences, and latencies with a separate plot for each machine."""
    every = [build.label for build in side_by_side.builds]
    measure = SHOWN[side_by_side.accuracy].words
    lines = ["", f"{measure} on the test split in %, with 95 % intervals:"]
    lines += _indented(interval_lines(_bars(side_by_side, every, side_by_side.accuracy), Axis(digits=1), signs, width))
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
        lines += _indented(interval_lines(_bars(side_by_side, group.labels, "p50_ms"), Axis(digits=2), signs, width))
    return [*lines, "", *latency_advice(side_by_side)]


def pairing_sentences(side_by_side: SideBySide) -> tuple[str, ...]:
    """How images were paired, for each pair of builds with different test splits."""
    pairings = {
        (difference.base, difference.head): difference.pairing for difference in side_by_side.paired if difference.pairing
    }
    return tuple(pairing.sentence(base, head) for (base, head), pairing in pairings.items())


def machine_text(group: MachineGroup, number: int) -> str:
    """The builds that were timed on one machine."""
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
    return [f"  {line}" for changes in side_by_side.changed for line in _changed(changes, shown)]


def _changed(changes: BuildChanges, shown: int) -> Iterator[str]:
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


def _bars(side_by_side: SideBySide, labels: Sequence[str], name: Literal["top1", "map", "p50_ms"]) -> list[Bar]:
    return [
        _bar(f"{candidate} {label}", facts, SHOWN[name])
        for candidate, label, facts in facts_by_build(side_by_side, labels)
        if facts is not None
    ]


def _bar(name: str, facts: CandidateFacts, metric: Metric) -> Bar:
    of, figure = facts.latency if metric.source == "latency" else facts.multi_label or facts.test, metric.value(facts)
    if of is None or figure is None:
        reason = (facts.latency.reason if facts.latency else None) or "not raced"
        return Bar(name, None, f"missing: {reason if metric.source == 'latency' else 'not evaluated'}")
    disturbed = " disturbed" if metric.source == "latency" and facts.latency and facts.latency.disturbed else ""
    drawn = figures.percent(figure) if metric.unit == "share" else figure
    return Bar(name, drawn, figures.spelt(metric, figure) + figures.MARKS[of.fidelity] + disturbed, of.fidelity)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
