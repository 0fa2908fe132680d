"""Builds held against each other: two with their gates, a baseline or a pin, and several side by side."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

from edgecnn.comparing.facts import BuildChanges, MachineGroup, SideBySide
from edgecnn.errors.wording import counted
from edgecnn.judging.learned import learned_result
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.columns import COLUMN, RESIDENCY, legend
from edgecnn.render.figures import milliseconds, points
from edgecnn.render.plots import Axis, Bar, Signs, interval_lines, stdout_signs
from edgecnn.render.sentences import energy_words, error_rates, gate_line, learned_lines
from edgecnn.render.terminal import WIDE, show_lines, show_rows
from edgecnn.values.candidate import DEFAULT
from edgecnn.values.command import Command
from edgecnn.values.figures import Energy
from edgecnn.values.report import CandidateFacts, Comparison, Latency, LatencyBaseline, PinnedBuild, ShippedKitFacts
from edgecnn.values.verdict import Fidelity

CHANGES_SHOWN = 12


def comparison_lines(found: Comparison) -> list[str]:
    """One fact a line, verdict first."""
    drop = f"not known: {found.drop_absent}" if found.drop_pp is None else points(found.drop_pp)
    drop += " by definition" if found.identical and found.drop_pp is not None else ""
    lines = [
        *learned_lines(found.gates),
        f"{found.verdict.value}: {shipped_text(found.head)} against {shipped_text(found.base)}, {found.how}, on {found.machine}",
        *(f"  {gate_line(each)}" for each in found.gates),
        f"  p50 of HEAD: {_median(found.latency)}",
        f"  p50 of BASE: {_median(found.base_latency)}",
        f"  {found.drop_of} lost against BASE: {drop}",
    ]
    lines += [f"  {rates}"] if (rates := error_rates(found.gates)) is not None else []
    lines += [f"  changed: {line}" for line in found.changed[:CHANGES_SHOWN]]
    if len(found.changed) > CHANGES_SHOWN:
        lines.append(f"  changed: and {len(found.changed) - CHANGES_SHOWN} more fields, all in --json")
    if not found.changed:
        lines.append("  changed: nothing that is recorded")
    return [*lines, *(f"  note: {notice}" for notice in found.notices)]


def baseline_lines(baseline: LatencyBaseline, figures: Latency, energy: Energy) -> list[str]:
    """What a baseline is of and what it says."""
    samples = sum(len(run.samples_ns) for run in baseline.runs)
    return [
        f"{shipped_text(baseline.shipped)} on {baseline.machine}, {baseline.observed_at}",
        f"  p50: {_median(figures)}",
        f"  {len(baseline.runs)} processes, {samples:,} timed inferences",
        f"  energy: {energy_words(energy)}",
        f"  kit: {baseline.shipped.kit}",
        *(f"  {name}: {value}" for name, value in baseline.environment.conditions.items()),
        *([f"  note: {figures.disturbed}: nothing will pass against this baseline"] if figures.disturbed else []),
    ]


def pin_lines(pin: PinnedBuild, file: str) -> list[str]:
    """What a record pins."""
    return [
        f"{shipped_text(pin.shipped)} is pinned in {file}",
        f"  kit: {pin.shipped.kit}",
        f"  {counted(len(pin.keys), 'store key')}, {counted(len(pin.tools), 'tool version')}, no runs",
    ]


def shipped_text(shipped: ShippedKitFacts) -> str:
    """``builds/head: onnxruntime-int8 (resnet-18 for cpu)``."""
    known = [part for part in (shipped.arch, f"for {shipped.device}" if shipped.device else None) if part]
    said = f"{shipped.candidate.id} of {shipped.name}" + (f" ({' '.join(known)})" if known else "")
    return said if shipped.knobs == DEFAULT else f"{said} with {shipped.knobs.words}"


def _median(value: Latency) -> str:
    return f"{milliseconds(value.p50_ms)} ms" if value.p50_ms else f"missing: {value.reason}"


BUILD_COLUMNS = ("", "build", "network", "device", "verdict", "chosen", "made")
_OF_ACCURACY = {"top1": ("top1", "drop_pp"), "map": ("map", "map_drop_pp")}
_BESIDE = ("p50_ms", "peak_memory_mib", "energy_mj", "size_mib")
NOT_IN_BUILD = "not in this build"
WHY_NOT_DIVIDED = "the builds were timed in separate races, so no ratio is computed"
"""Said wherever latencies of several builds are shown."""


def columns(accuracy: str) -> tuple[str, ...]:
    """Of the table of candidates; ``accuracy``: ``top1``, or ``map`` where an image has several labels."""
    names = (*_OF_ACCURACY[accuracy], *_BESIDE, RESIDENCY)
    return ("candidate", "", *(COLUMN[name].heading for name in names), "verdict")


def show_side_by_side(found: SideBySide) -> None:
    """Print it."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    show_lines(unlearned_lines(found))
    show_rows(BUILD_COLUMNS, [_build_cells(found, place) for place in range(len(found.builds))])
    show_rows(columns(found.accuracy), list(_rows(found)))
    show_lines(legend([facts for row in found.candidates for facts in row.facts if facts is not None]))
    show_lines(plot_lines(found, stdout_signs(), width))
    show_lines(change_lines(found))
    show_lines([f"  note: {notice}" for notice in found.notices])


def unlearned_lines(found: SideBySide) -> list[str]:
    """Which builds ship a network that is not shown to have learned, on one line; nothing if there are none."""
    chosen = [(label, facts) for _, label, facts in each_facts(found, [build.label for build in found.builds]) if facts]
    names = sorted(label for label, facts in chosen if facts.chosen and learned_result(facts.gates) is not None)
    return [f"not shown to have learned: {', '.join(names)}"] if names else []


def _build_cells(found: SideBySide, place: int) -> tuple[str, ...]:
    each = found.builds[place]
    attached = each.build.device if each.build.device_attached else f"{each.build.device} (not attached)"
    chosen = each.choice.candidate or "none"
    state = " (provisional)" if each.choice.state == "provisional" else ""
    return (each.label, each.folder, each.build.arch, attached, each.verdict.value, chosen + state, each.made_at)


def _rows(found: SideBySide) -> Iterator[tuple[str, ...]]:
    absent = (*([figures.NONE] * (len(columns(found.accuracy)) - 3)), NOT_IN_BUILD)
    for candidate, label, facts in each_facts(found, [build.label for build in found.builds]):
        yield (candidate, label, *(absent if facts is None else cells(facts, found.accuracy)))


def cells(facts: CandidateFacts, accuracy: str = "top1") -> tuple[str, ...]:
    """One candidate's figures in one build, in the order of ``columns`` after its first two."""
    found = {name: COLUMN[name].cell(facts).plain for name in (*_OF_ACCURACY[accuracy], *_BESIDE, RESIDENCY)}
    found["energy_mj"] = figures.number(SHOWN["energy_mj"].value(facts), 1)
    return (*found.values(), figures.verdict(facts) + (" ◀" if facts.chosen else ""))


def plot_lines(found: SideBySide, signs: Signs, width: int) -> list[str]:
    """Top-1, paired differences and latencies as intervals; of each machine's latencies a plot of its own."""
    every = [build.label for build in found.builds]
    what = SHOWN[found.accuracy].words
    lines = ["", f"{what} on the test split, %, 95 %:"]
    lines += _indented(interval_lines(_bars(found, every, found.accuracy), Axis(digits=1), signs, width))
    paired = []
    for each in found.paired:
        drop = f"missing: {each.absent}" if each.drop_pp is None else points(each.drop_pp) + figures.MARKS[each.fidelity]
        paired.append(Bar(f"{each.candidate} {each.base} → {each.head}", each.drop_pp, drop, each.fidelity))
    if paired:
        lines += ["", f"{what} lost, image by image, pp, 90 %; right is worse:"]
        lines += _indented(interval_lines(paired, Axis(digits=2, marked=0.0), signs, width))
        lines += [f"  {sentence}" for sentence in pairing_sentences(found)]
        lines += [f"  {figures.LEGEND[Fidelity.DEFINED]}"] * any(bar.fidelity is Fidelity.DEFINED for bar in paired)
    for number, group in enumerate(found.machines):
        lines += ["", f"p50, ms, {machine_text(group, number)}:"]
        lines += _indented(interval_lines(_bars(found, group.labels, "p50_ms"), Axis(digits=2), signs, width))
    return [*lines, "", *latency_advice(found)]


def pairing_sentences(found: SideBySide) -> tuple[str, ...]:
    """How the images of two builds were paired where their test splits differ, once for each pair of builds."""
    pairings = {(difference.base, difference.head): difference.pairing for difference in found.paired if difference.pairing}
    return tuple(pairing.sentence(base, head) for (base, head), pairing in pairings.items())


def machine_text(group: MachineGroup, number: int) -> str:
    """Which builds were timed on which machine."""
    state = "" if number == 0 else ", another machine or another state of it"
    return f"of {', '.join(group.labels)} on {group.machine}{state}"


def latency_advice(found: SideBySide) -> list[str]:
    """Why nothing is divided, what differs between the machines, and the command that gives a ratio."""
    timed = [label for group in found.machines for label in group.labels]
    if len(timed) < 2:
        return ["  no ratio of latencies: fewer than two of the builds were timed"]
    lines = [f"  {WHY_NOT_DIVIDED}"]
    for group in found.machines[1:]:
        lines.append(f"  {found.machines[0].labels[0]} → {group.labels[0]}: {'; '.join(group.differs)}")
    folders = {build.label: build.folder for build in found.builds}
    command = Command(verb=("judge",), parts=((folders[timed[1]],), ("--against", folders[timed[0]])))
    return [*lines, f"  for a ratio, race both: {command}"]


def change_lines(found: SideBySide, shown: int = CHANGES_SHOWN) -> list[str]:
    """What differs between what the builds were made from and with."""
    return [f"  {line}" for each in found.changed for line in _changed(each, shown)]


def _changed(each: BuildChanges, shown: int) -> Iterator[str]:
    between = f"changed {each.base} → {each.head}"
    yield from (f"{between}: {line}" for line in each.lines[:shown])
    if len(each.lines) > shown:
        yield f"{between}: and {len(each.lines) - shown} more, all in --json and on the page"
    if each.unknown:
        yield f"{between}: not all is known: {each.unknown}"
    elif not each.lines:
        yield f"{between}: nothing that is recorded"


def each_facts(found: SideBySide, labels: Sequence[str]) -> Iterator[tuple[str, str, CandidateFacts | None]]:
    """Candidate, build and what is known of it there, of the builds with these labels."""
    for row in found.candidates:
        for build, facts in zip(found.builds, row.facts, strict=True):
            if build.label in labels:
                yield row.candidate, build.label, facts


def _bars(found: SideBySide, labels: Sequence[str], name: Literal["top1", "map", "p50_ms"]) -> list[Bar]:
    return [_bar(f"{one} {label}", facts, SHOWN[name]) for one, label, facts in each_facts(found, labels) if facts is not None]


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
