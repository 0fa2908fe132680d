"""The page of builds side by side: who they are, every figure by candidate, what may be paired, and what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgecnn.comparing.side_by_side_facts import BuildChanges, MachineGroup, SideBySide
from edgecnn.render import figures
from edgecnn.render.page.builds import Drawn, Line, by_build
from edgecnn.render.page.candidates import COLUMNS, Cell, figure_cells
from edgecnn.render.page.document import document
from edgecnn.render.page.figure import Figure, Source
from edgecnn.render.page.marks import MEASURED, OF_FIDELITY
from edgecnn.render.side_by_side import latency_advice, machine_text, one_digit
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Interval

TEMPLATE = "compare.html.j2"
CHANGE_KINDS = {"recipe ": "recipe", "weights": "weights", "images": "data", "device ": "device"}
"""How a line of what changed begins, and what it is about; the rest are kits' own, stages and tools."""
_KIT = ("candidate ", "needs ", "preprocessing ", "model", "[")


@dataclass(frozen=True)
class BuildRow:
    """One candidate in one build, as the table has it."""

    candidate: str
    label: str
    facts: CandidateFacts | None
    cells: tuple[Cell, ...]
    verdict: str
    first: bool
    """Of its candidate: its name stands there, over this many rows."""
    rows: int


Figured = Callable[[CandidateFacts], tuple[Interval, str, str] | None]
"""A figure, how it is spelt, and of what it is."""


def comparison_page(found: SideBySide) -> str:
    """The whole file as text, to be written in UTF-8."""
    shown = {
        "accuracy": tuple(each for each in (_top1s(found), *_differences(found)) if each is not None),
        "latency": _by_machine(found, "latency", _p50),
        "cost": tuple(
            each
            for each in (_sizes(found), *_by_machine(found, "memory", _memory), *_by_machine(found, "energy", _energy))
            if each is not None
        ),
    }
    return document(
        TEMPLATE,
        [figure for figures in shown.values() for figure in figures],
        found=found,
        figures=shown,
        rows=tuple(_rows(found)),
        columns=COLUMNS,
        changes=[(each, tuple(_kinds(each))) for each in found.changed],
        advice=[line.strip() for line in latency_advice(found)],
        unmeasured=[name for name in ("memory", "energy") if not any(each.id.startswith(name) for each in shown["cost"])],
    )


def _rows(found: SideBySide) -> Iterator[BuildRow]:
    for row in found.candidates:
        for place, (build, facts) in enumerate(zip(found.builds, row.facts, strict=True)):
            yield BuildRow(
                candidate=row.candidate,
                label=build.label,
                facts=facts,
                cells=() if facts is None else figure_cells(facts),
                verdict="" if facts is None else figures.verdict(facts),
                first=place == 0,
                rows=len(found.builds),
            )


def _kinds(each: BuildChanges) -> Iterator[tuple[str, str]]:
    """Each line with what it is about."""
    for line in each.lines:
        told = next((kind for begins, kind in CHANGE_KINDS.items() if line.startswith(begins)), None)
        yield told or ("kit" if line.startswith(_KIT) else "tools"), line.removeprefix(f"{told} ")


# ---------------------------------------------------------------------------------------------------------------------


def _lines(found: SideBySide, labels: Sequence[str], figured: Figured, fidelity: str) -> list[Line]:
    lines = []
    for row in found.candidates:
        for build, facts in zip(found.builds, row.facts, strict=True):
            told = None if facts is None or build.label not in labels else figured(facts)
            if facts is None or told is None:
                continue
            of = getattr(facts, fidelity, None)
            mark = MEASURED if of is None else OF_FIDELITY[of.fidelity]
            lines.append(Line(row.candidate, build.label, told[0], told[1], mark, told[2]))
    return lines


def _every(found: SideBySide) -> list[str]:
    return [build.label for build in found.builds]


def _top1s(found: SideBySide) -> Figure | None:
    lines = _lines(found, _every(found), _top1, "report")
    return by_build(
        lines,
        Drawn(
            id="top1",
            title="Top-1 on each build's test split",
            says="Further right is better. Bars are 95 % intervals of each build alone: where they overlap, the paired "
            "difference below may still tell two builds apart.",
            axis="top-1, %",
            caption="Top-1 of each candidate in each build, with its 95 % interval",
            sources=_sources(lines, "accuracy on each build's test split"),
            notes=_absent(found, _every(found), _top1, "not evaluated"),
        ),
    )


def _differences(found: SideBySide) -> Iterator[Figure | None]:
    lines = [
        Line(
            each.candidate, each.head, each.drop_pp, figures.points(each.drop_pp), OF_FIDELITY[each.fidelity],
            f"{each.images or 0:,} images: {each.lost} lost, {each.gained} gained against {each.base}",
        )
        for each in found.paired
        if each.drop_pp is not None
    ]  # fmt: skip
    base = found.builds[0].label
    yield by_build(
        lines,
        Drawn(
            id="paired",
            title=f"Top-1 lost against {base}, image by image",
            says="Further right is worse. An interval that holds 0 shows no difference; intervals are 90 %.",
            axis=f"top-1 lost against {base}, pp",
            caption=f"Top-1 lost against {base}, paired on the same images, with its 90 % interval",
            sources=_sources(lines, "both builds' stored answers to the same images"),
            notes=tuple(
                f"{each.candidate}, {each.head} against {each.base}: missing, {each.absent}"
                for each in found.paired
                if each.absent
            ),
            zero=True,
        ),
    )


def _by_machine(found: SideBySide, name: str, figured: Figured) -> tuple[Figure, ...]:
    made = (_of_machine(found, group, number, name, figured) for number, group in enumerate(found.machines))
    return tuple(figure for figure in made if figure is not None)


_SAID = {
    "latency": ("Median latency", "median latency, ms", "Further left is faster; 98 % intervals over process runs."),
    "memory": ("Peak resident memory", "peak memory, MiB", "Further left is less; 98 % intervals over process runs."),
    "energy": ("Energy per image", "energy, mJ", "Further left is less; 98 % intervals over process runs."),
}


def _of_machine(found: SideBySide, group: MachineGroup, number: int, name: str, figured: Figured) -> Figure | None:
    lines = _lines(found, group.labels, figured, name)
    title, axis, says = _SAID[name]
    alone = len(found.machines) == 1
    where = "" if alone else f", {machine_text(group, number)}"
    apart = "" if alone else " Figures of another machine, or another state of it, have an axis of their own."
    absent = _absent(found, group.labels, figured, f"no {name}") if lines else ()
    return by_build(
        lines,
        Drawn(
            id=f"{name}-{number}",
            title=title + where,
            says=says + apart,
            axis=axis,
            caption=f"{title} of each candidate in each build{where}",
            sources=_sources(lines, f"on {group.machine}"),
            notes=absent,
        ),
    )


def _sizes(found: SideBySide) -> Figure | None:
    lines = _lines(found, _every(found), _size, "size")
    return by_build(
        lines,
        Drawn(
            id="sizes",
            title="Size of the model's files",
            says="Further left is smaller. Bytes are exact, so there is no interval.",
            axis="MiB",
            caption="Size of the model's files in each build",
            sources=_sources(lines, "bytes of the model's own files in each kit"),
        ),
    )


def _top1(facts: CandidateFacts) -> tuple[Interval, str, str] | None:
    if facts.test is None:
        return None
    top1 = facts.test.top1
    shown = top1.model_copy(update={name: 100 * getattr(top1, name) for name in ("estimate", "low", "high")})
    return shown, figures.percent_interval(top1), f"{facts.test.images:,} images"


def _p50(facts: CandidateFacts) -> tuple[Interval, str, str] | None:
    latency = facts.latency
    if latency is None or latency.p50_ms is None:
        return None
    of = f"{latency.runs} runs of {latency.observed_at}" + (f", disturbed: {latency.disturbed}" if latency.disturbed else "")
    return latency.p50_ms, f"{figures.milliseconds(latency.p50_ms)} ms", of


def _memory(facts: CandidateFacts) -> tuple[Interval, str, str] | None:
    memory = facts.memory
    if memory is None or memory.peak_mib is None:
        return None
    own = f", {memory.baseline_mib.estimate:.1f} MiB of it the runtime's own" if memory.baseline_mib else ""
    return memory.peak_mib, f"{one_digit(memory.peak_mib)} MiB", f"{memory.runs} runs{own}"


def _energy(facts: CandidateFacts) -> tuple[Interval, str, str] | None:
    energy = facts.energy
    if energy is None or energy.total_mj is None:
        return None
    return energy.total_mj, f"{one_digit(energy.total_mj)} mJ", f"{energy.meter}: {energy.covers}, {energy.runs} runs"


def _size(facts: CandidateFacts) -> tuple[Interval, str, str] | None:
    size = facts.size_mib
    if size is None:
        return None
    return Interval(estimate=size, low=size, high=size, confidence=1.0), f"{figures.size(size)} MiB", "files that ship"


def _sources(lines: Sequence[Line], what: str) -> tuple[Source, ...]:
    return tuple(Source(mark, what) for mark in dict.fromkeys(line.mark for line in lines))


def _absent(found: SideBySide, labels: Sequence[str], figured: Figured, otherwise: str) -> tuple[str, ...]:
    notes = []
    for row in found.candidates:
        for build, facts in zip(found.builds, row.facts, strict=True):
            if build.label not in labels or (facts is not None and figured(facts) is not None):
                continue
            reason = (
                "not in this build" if facts is None else (facts.latency.reason if figured is _p50 and facts.latency else None)
            )
            notes.append(f"{row.candidate} of {build.label} is not drawn: {reason or otherwise}")
    return tuple(notes)
