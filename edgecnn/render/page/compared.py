"""The page of builds side by side: who they are, every figure by candidate, what may be paired, and what changed."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.comparing.side_by_side_facts import MachineGroup, PairedAccuracy, SideBySide
from edgecnn.judging.metrics import SHOWN, Metric
from edgecnn.render import figures
from edgecnn.render.page.builds import Drawn, Line, by_build
from edgecnn.render.page.candidates import COLUMNS, figure_cells
from edgecnn.render.page.charts.figure import MEASURED, OF_FIDELITY, Figure, drawn
from edgecnn.render.page.charts.intervals import PLACES
from edgecnn.render.page.document import document
from edgecnn.render.screens.comparing import NOT_IN_BUILD, each_facts, latency_advice, machine_text, unlearned_lines
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Interval

TEMPLATE = "compare.html.j2"


def comparison_page(found: SideBySide) -> str:
    """The whole file as text, to be written in UTF-8."""
    shown = {
        "accuracy": drawn((_top1s(found), _differences(found))),
        "latency": _by_machine(found, "latency"),
        "cost": (*drawn([_sizes(found)]), *_by_machine(found, "memory"), *_by_machine(found, "energy")),
    }
    return document(
        TEMPLATE,
        [figure for section in shown.values() for figure in section],
        found=found,
        figures=shown,
        cells_of=figure_cells,
        verdict_of=figures.verdict,
        unlearned=unlearned_lines(found),
        columns=COLUMNS,
        changes=found.changed,
        advice=[line.strip() for line in latency_advice(found)],
        unmeasured=[name for name in ("memory", "energy") if not any(each.id.startswith(name) for each in shown["cost"])],
    )


def _lines(found: SideBySide, labels: Sequence[str], metric: Metric) -> list[Line]:
    lines = []
    for name, label, facts in each_facts(found, labels):
        if facts is None or (figure := metric.value(facts)) is None:
            continue
        of = getattr(facts, PLACES.get(metric.source, ""), None)
        mark = MEASURED if of is None else OF_FIDELITY[of.fidelity]
        shown = figures.percent(figure) if metric.unit == "share" else figure
        lines.append(Line(name, label, shown, _text(metric, figure), mark, _detail(metric, facts)))
    return lines


def _top1s(found: SideBySide) -> Figure | None:
    metric, labels = SHOWN[found.accuracy], [build.label for build in found.builds]
    return by_build(
        _lines(found, labels, metric),
        Drawn(
            id="top1",
            title=f"{metric.title} on each build's test split",
            says="Further right is better. Bars are 95 % intervals of each build alone: where they overlap, the paired "
            "difference below may still tell two builds apart.",
            axis=f"{metric.words}, %",
            caption=f"{metric.title} of each candidate in each build, with its 95 % interval",
            of="accuracy on each build's test split",
            notes=_absent(found, labels, metric, "not evaluated"),
        ),
    )


def _discordant(each: PairedAccuracy) -> str:
    images = f"{each.images or 0:,} images"
    return images if each.lost is None else f"{images}: {each.lost} lost, {each.gained} gained against {each.base}"


def _differences(found: SideBySide) -> Figure | None:
    lines = [
        Line(
            each.candidate, each.head, each.drop_pp, figures.points(each.drop_pp), OF_FIDELITY[each.fidelity],
            _discordant(each),
        )
        for each in found.paired
        if each.drop_pp is not None
    ]  # fmt: skip
    base, metric = found.builds[0].label, SHOWN[found.accuracy]
    absent = [each for each in found.paired if each.absent]
    return by_build(
        lines,
        Drawn(
            id="paired",
            title=f"{metric.title} lost against {base}, image by image",
            says="Further right is worse. An interval that holds 0 shows no difference; intervals are 90 %.",
            axis=f"{metric.words} lost against {base}, pp",
            caption=f"{metric.title} lost against {base}, paired on the same images, with its 90 % interval",
            of="both builds' stored answers to the same images",
            notes=tuple(f"{each.candidate}, {each.head} against {each.base}: missing, {each.absent}" for each in absent),
            zero=True,
        ),
    )


_ON_A_MACHINE = {"latency": "p50_ms", "memory": "peak_memory_mib", "energy": "energy_mj"}
_SAYS = {"latency": "Further left is faster", "memory": "Further left is less", "energy": "Further left is less"}


def _by_machine(found: SideBySide, source: str) -> tuple[Figure, ...]:
    return drawn(_of_machine(found, group, number, source) for number, group in enumerate(found.machines))


def _of_machine(found: SideBySide, group: MachineGroup, number: int, source: str) -> Figure | None:
    metric = SHOWN[_ON_A_MACHINE[source]]
    alone = len(found.machines) == 1
    where = "" if alone else f", {machine_text(group, number)}"
    apart = "" if alone else " Figures of another machine, or another state of it, have an axis of their own."
    return by_build(
        _lines(found, group.labels, metric),
        Drawn(
            id=f"{source}-{number}",
            title=metric.title + where,
            says=f"{_SAYS[source]}; 98 % intervals over process runs.{apart}",
            axis=metric.axis_title,
            caption=f"{metric.title} of each candidate in each build{where}",
            of=f"on {group.machine}",
            notes=_absent(found, group.labels, metric, f"no {source}"),
        ),
    )


def _sizes(found: SideBySide) -> Figure | None:
    metric = SHOWN["size_mib"]
    return by_build(
        _lines(found, [build.label for build in found.builds], metric),
        Drawn(
            id="sizes",
            title=metric.title,
            says="Further left is smaller. Bytes are exact, so there is no interval.",
            axis=metric.unit,
            caption=f"{metric.title} in each build",
            of="bytes of the model's own files in each kit",
        ),
    )


def _text(metric: Metric, figure: Interval) -> str:
    """With its unit; of energy one digit tells builds apart."""
    if metric.unit == "share":
        return figures.spelt(metric, figure)
    return f"{figures.number(figure, 1) if metric.unit == 'mJ' else figures.spelt(metric, figure)} {metric.unit}"


def _detail(metric: Metric, facts: CandidateFacts) -> str:
    """What a figure is of."""
    latency, memory, energy = facts.latency, facts.memory, facts.energy
    if metric.source == "accuracy" and facts.test:
        return f"{facts.test.images:,} images"
    if metric.source == "latency" and latency:
        return f"{latency.runs} runs of {latency.observed_at}{figures.disturbance(latency)}"
    if metric.source == "memory" and memory:
        own = f", {memory.baseline_mib.estimate:.1f} MiB of it the runtime's own" if memory.baseline_mib else ""
        return f"{memory.runs} runs{own}"
    if metric.source == "energy" and energy:
        return f"{energy.meter}: {energy.covers}, {energy.runs} runs"
    return "files that ship"


def _absent(found: SideBySide, labels: Sequence[str], metric: Metric, otherwise: str) -> tuple[str, ...]:
    notes = []
    for name, label, facts in each_facts(found, labels):
        if facts is None or metric.value(facts) is None:
            raced = facts.latency if facts is not None and metric.source == "latency" else None
            reason = NOT_IN_BUILD if facts is None else raced.reason if raced else None
            notes.append(f"{name} of {label} is not drawn: {reason or otherwise}")
    return tuple(notes)
