"""Latency tables and the search that reads them, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecnn.errors.wording import counted
from edgecnn.render.figures import MARKS, NONE, milliseconds, percent_interval
from edgecnn.render.sentences import learned_lines
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import took
from edgecnn.values.fit import LEAST_TIMED, FitReport, LatencyTable, Member
from edgecnn.values.forecast import MARK
from edgecnn.values.verdict import Fidelity, Interval

COLUMNS = ("network", "px", "M MACs", "predicted p50 ms", "p50 ms", "top-1, validation", "top-1, test", "budget", "")


def show_fit(found: FitReport, out: Path) -> None:
    """Print what was trained, and what ships and why."""
    show_lines(unlearned_lines(found))
    show_rows(COLUMNS, [cells_of(each, found) for each in found.members])
    if found.elsewhere:
        show_rows(elsewhere_columns(found), elsewhere_rows(found))
    show_lines([*fit_lines(found), f"  {out}"])


def unlearned_lines(found: FitReport) -> list[str]:
    """That what ships is not shown to have learned, if so."""
    return [line for each in found.members if each.name == found.shipped for line in learned_lines(each.gates)]


def cells_of(member: Member, found: FitReport) -> tuple[str, ...]:
    """One member as a row of ``COLUMNS``."""
    predicted, mark = member.best_predicted, "◀" if member.name == found.shipped else ""
    return (
        member.name, str(member.resolution_px), f"{member.macs / 1e6:.1f}",
        f"{MARK} {milliseconds(predicted.p50_ms)}" if predicted else NONE, _timed(member),
        _share(member.validation_top1), _share(member.test_top1),
        _of_budget(member), mark,
    )  # fmt: skip


def _timed(member: Member) -> str:
    """Of the kit that was raced, or of the network before anything was learned; marked where no device ran it."""
    if member.p50_ms is None:
        return "–" if member.untrained_ms is None else f"{milliseconds(member.untrained_ms)} untrained"
    return milliseconds(member.p50_ms) + (MARKS[member.fidelity] if member.fidelity else "")


def elsewhere_columns(found: FitReport) -> tuple[str, ...]:
    """Devices, those of which a table speaks with a word for how it came to be."""
    words = {Fidelity.EMULATED: "predicted from an emulated machine"}
    others = (f"{each.device}, p50 ms {words.get(each.table.fidelity, 'predicted')}" for each in found.elsewhere)
    return ("network", f"top-1 on validation, {found.device}", f"{found.device}, p50 ms", *others)


def elsewhere_rows(found: FitReport) -> list[tuple[str, ...]]:
    """What was built, device by device: which is enough?"""
    return [
        (each.name, _share(each.validation_top1), *_by_device(each, found)) for each in found.members if each.build is not None
    ]


def _by_device(member: Member, found: FitReport) -> Iterator[str]:
    yield f"{member.candidate or '–'}: {_against(member.p50_ms, found)}"
    for other in found.elsewhere:
        said = other.predicted[member.name]
        yield f"{said.candidate}: {_against(said.p50_ms, found, said.extrapolated)}"


def _share(top1: Interval | None) -> str:
    return "–" if top1 is None else percent_interval(top1)


def _against(p50_ms: Interval | None, found: FitReport, extrapolated: Sequence[str] = ()) -> str:
    """A latency, and where a budget bounds it, on which side it is."""
    bound = found.within.get("p50_ms")
    if extrapolated:
        return "unlike that table's networks"
    if p50_ms is None or bound is None:
        return milliseconds(p50_ms)
    side = "inside" if p50_ms.high <= bound else "outside" if p50_ms.low > bound else "unsure"
    return f"{milliseconds(p50_ms)} {side}"


def _of_budget(member: Member) -> str:
    if member.failed is not None:
        return f"failed: {member.failed}"
    return "–" if member.inside is None else member.inside.value


def fit_lines(found: FitReport) -> Iterator[str]:
    """What ships and why, what predictions were from, how well they and the stand-in did."""
    yield f"{found.shipped or 'nothing ships'}: {found.why}" + (" (provisional)" if found.state == "provisional" else "")
    table, words = found.table, {Fidelity.EMULATED: "emulated", Fidelity.PREDICTED: "published of"}
    word = words.get(table.fidelity, "measured")
    on = "" if table.fidelity is Fidelity.PREDICTED else "on "
    yield f"  {MARK} predicted from {table.networks} networks {word} {on}{table.machine}, {table.observed_at}: {table.file}"
    trained = sum(bool(each.trained) for each in found.members)
    yield f"  {counted(len(found.trials), 'network')} predicted, {trained} trained"
    if found.left_out:
        yield f"  {counted(found.left_out, 'training')} left out: the time was over"
    if found.rank_correlation is not None:
        of = f"{found.ranked} short trainings with a rank correlation of {found.rank_correlation:+.2f}"
        yield f"  the stand-in for accuracy ordered {of}"
    if found.against_first_pp is not None:
        gain = _gain(found.against_first_pp)
        yield f"  {gain} of top-1 against the family's first network, one training each, paired on the test images"
    if found.distillation_gain_pp is not None:
        which = _which_ships(found.distillation_gain_pp, distilled=found.shipped_distilled)
        trainings = "on that one's answers over one on labels alone, a single seed each"
        covers = "paired too; the interval covers the images, not the seeds"
        yield f"  {_gain(found.distillation_gain_pp)} of a training {trainings} ({covers}): {which}"


def _which_ships(gain: Interval, *, distilled: bool) -> str:
    if not distilled:
        return "as labels alone taught it, it is better on validation and ships so"
    if gain.high < 0:
        return "so taught it ships still; --no-teacher searches without"
    return "so taught it ships"


def _gain(found: Interval) -> str:
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}] pp"


def table_lines(table: LatencyTable) -> Iterator[str]:
    """What was timed, where, and what is left."""
    word = "emulated" if table.fidelity is Fidelity.EMULATED else "measured"
    yield f"{table.device}: {word} on {table.machine} in {took(table.seconds)}"
    for name, rows in table.timed.items():
        marked = sum(row.disturbed is not None for row in rows)
        beside = f", {marked} of them beside other work" if marked else ""
        yield f"  {name}: {counted(len(rows), 'network')}{beside}"
    for name, why in table.failed.items():
        yield f"  not timed: {name}: {why}"
    if table.left:
        yield f"  {counted(table.left, 'network')} of the plan not timed: the same command goes on with them"
    if (most := max(map(len, table.timed.values()), default=0)) < LEAST_TIMED:
        yield f"  too few for `edgecnn fit`: {LEAST_TIMED} of one runtime and precision are needed, and {most} are there"
