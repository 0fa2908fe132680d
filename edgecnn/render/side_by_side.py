"""Builds side by side for a terminal: who they are, every figure by candidate, plots of intervals, and what changed."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence

from edgecnn.comparing.side_by_side_facts import BuildChanges, MachineGroup, SideBySide
from edgecnn.render import figures
from edgecnn.render.plots import Signs, stdout_signs
from edgecnn.render.terminal import WIDE, show_lines, show_rows
from edgecnn.render.text_plot import Axis, Bar, interval_lines
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

BUILD_COLUMNS = ("", "build", "network", "device", "verdict", "chosen", "made")
COLUMNS = ("candidate", "", "top-1 (95 %)", "drop", "p50 ms", "peak MiB", "energy mJ", "MiB", "MACs in precision", "verdict")
NOT_IN_BUILD = "not in this build"
CHANGES_SHOWN = 12
WHY_NOT_DIVIDED = (
    "times of two builds are of two races, on a machine that drifts between them: they stand side by side and are not divided"
)
"""Said wherever latencies of several builds are shown."""


def show_side_by_side(found: SideBySide) -> None:
    """Print it."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    show_rows(BUILD_COLUMNS, [_build_cells(found, place) for place in range(len(found.builds))])
    show_rows(COLUMNS, list(_rows(found)))
    show_lines(figures.legend([facts for row in found.candidates for facts in row.facts if facts is not None]))
    show_lines(plot_lines(found, stdout_signs(), width))
    show_lines(change_lines(found))
    show_lines([f"  note: {notice}" for notice in found.notices])


def _build_cells(found: SideBySide, place: int) -> tuple[str, ...]:
    each = found.builds[place]
    attached = each.build.device if each.build.device_attached else f"{each.build.device} (not attached)"
    chosen = each.choice.candidate or "none"
    state = " (provisional)" if each.choice.state == "provisional" else ""
    return (each.label, each.folder, each.build.arch, attached, each.verdict.value, chosen + state, each.made_at)


def _rows(found: SideBySide) -> Iterator[tuple[str, ...]]:
    for row in found.candidates:
        for build, facts in zip(found.builds, row.facts, strict=True):
            if facts is None:
                yield (row.candidate, build.label, *([figures.NONE] * (len(COLUMNS) - 3)), NOT_IN_BUILD)
                continue
            yield (row.candidate, build.label, *cells(facts))


def cells(facts: CandidateFacts) -> tuple[str, ...]:
    """One candidate's figures in one build, in the order of ``COLUMNS`` after its first two."""
    memory, energy = facts.memory, facts.energy
    return (
        figures.accuracy(facts.test),
        "baseline" if facts.is_baseline else figures.drop(facts.test),
        figures.p50(facts.latency) + figures.MARKS[facts.latency.fidelity if facts.latency else Fidelity.MISSING],
        figures.NONE if memory is None else one_digit(memory.peak_mib),
        figures.NONE if energy is None else one_digit(energy.total_mj),
        figures.size(facts.size_mib),
        figures.residency(facts),
        figures.verdict(facts) + (" ◀" if facts.chosen else ""),
    )


def one_digit(figure: Interval | None) -> str:
    """A figure and its interval with one digit after the point, or a dash."""
    return figures.NONE if figure is None else f"{figure.estimate:.1f} [{figure.low:.1f}, {figure.high:.1f}]"


# ---------------------------------------------------------------------------------------------------------------------


def plot_lines(found: SideBySide, signs: Signs, width: int) -> list[str]:
    """Top-1, paired differences and latencies as intervals; of each machine's latencies a plot of its own."""
    every = [build.label for build in found.builds]
    lines = ["", "top-1 on the test split, %, 95 %:"]
    lines += _indented(interval_lines(_bars(found, every, _top1), Axis(digits=1), signs, width))
    paired = [
        Bar(
            f"{each.candidate} {each.base} → {each.head}",
            each.drop_pp,
            f"missing: {each.absent}" if each.drop_pp is None else figures.points(each.drop_pp) + figures.MARKS[each.fidelity],
            each.fidelity,
        )
        for each in found.paired
    ]
    if paired:
        lines += ["", "top-1 lost, image by image, pp, 90 %; right is worse:"]
        lines += _indented(interval_lines(paired, Axis(digits=2, marked=0.0), signs, width))
    for number, group in enumerate(found.machines):
        lines += ["", f"p50, ms, {machine_text(group, number)}:"]
        lines += _indented(interval_lines(_bars(found, group.labels, _p50), Axis(digits=2), signs, width))
    return [*lines, "", *latency_advice(found)]


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
    command = shlex.join(["edgecnn", "judge", folders[timed[1]], "--against", folders[timed[0]]])
    return [*lines, f"  for a ratio, race both: {command}"]


def change_lines(found: SideBySide, shown: int = CHANGES_SHOWN) -> list[str]:
    """What differs between what the builds were made from and with."""
    lines = list[str]()
    for each in found.changed:
        lines += [f"  {line}" for line in _changed(each, shown)]
    return lines


def _changed(each: BuildChanges, shown: int) -> Iterator[str]:
    between = f"changed {each.base} → {each.head}"
    yield from (f"{between}: {line}" for line in each.lines[:shown])
    if len(each.lines) > shown:
        yield f"{between}: and {len(each.lines) - shown} more, all in --json and on the page"
    if each.unknown:
        yield f"{between}: not all is known: {each.unknown}"
    elif not each.lines:
        yield f"{between}: nothing that is recorded"


def _bars(found: SideBySide, labels: Sequence[str], bar: Callable[[str, CandidateFacts], Bar]) -> list[Bar]:
    return [
        bar(f"{row.candidate} {build.label}", facts)
        for row in found.candidates
        for build, facts in zip(found.builds, row.facts, strict=True)
        if facts is not None and build.label in labels
    ]


def _top1(name: str, facts: CandidateFacts) -> Bar:
    if facts.test is None:
        return Bar(name, None, "missing: not evaluated")
    top1 = facts.test.top1
    percent = top1.model_copy(update={end: 100 * getattr(top1, end) for end in ("estimate", "low", "high")})
    return Bar(name, percent, figures.accuracy(facts.test), facts.test.fidelity)


def _p50(name: str, facts: CandidateFacts) -> Bar:
    latency = facts.latency
    if latency is None or latency.p50_ms is None:
        return Bar(name, None, f"missing: {(latency.reason if latency else None) or 'not raced'}")
    text = figures.milliseconds(latency.p50_ms) + figures.MARKS[latency.fidelity] + (" disturbed" if latency.disturbed else "")
    return Bar(name, latency.p50_ms, text, latency.fidelity)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
