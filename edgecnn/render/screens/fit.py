"""Latency tables and the search that reads them, for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.wording import counted
from edgecnn.render.figures import percent_interval
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import took
from edgecnn.values.fit import FitReport, Member
from edgecnn.values.latency_table import LatencyTable
from edgecnn.values.verdict import Fidelity, Interval

COLUMNS = ("scale", "px", "M MACs", "predicted p50 ms", "p50 ms", "top-1, validation", "top-1, test", "budget", "")


def show_fit(found: FitReport, out: Path) -> None:
    """Print what was trained, and what ships and why."""
    show_rows(COLUMNS, [cells_of(each, found) for each in found.members])
    show_lines([*fit_lines(found), f"  {out}"])


def cells_of(member: Member, found: FitReport) -> tuple[str, ...]:
    """One member as a row of ``COLUMNS``."""
    predicted, mark = member.best_predicted, "◀" if member.scale == found.shipped else ""
    return (
        member.scale, str(member.resolution_px), f"{member.macs / 1e6:.1f}",
        _interval(predicted.p50_ms if predicted else None), _interval(member.p50_ms or member.untrained_ms),
        "–" if member.validation_top1 is None else percent_interval(member.validation_top1),
        "–" if member.test_top1 is None else percent_interval(member.test_top1),
        "–" if member.inside is None else member.inside.value, mark,
    )  # fmt: skip


def _interval(found: Interval | None) -> str:
    return "–" if found is None else f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def fit_lines(found: FitReport) -> Iterator[str]:
    """What ships and why, what predictions were from, how well they and the stand-in did."""
    yield f"{found.shipped or 'nothing ships'}: {found.why}" + (" (provisional)" if found.state == "provisional" else "")
    if found.table is not None:
        table, word = found.table, "emulated" if found.table.fidelity is Fidelity.EMULATED else "measured"
        yield f"  predicted from {table.networks} networks {word} on {table.machine}, {table.observed_at}: {table.file}"
    yield f"  {counted(len(found.trials), 'network')} predicted, {len(found.members)} trained"
    if found.rank_correlation is not None:
        yield f"  the stand-in for accuracy ordered them with a rank correlation of {found.rank_correlation:+.2f}"
    if found.against_first_pp is not None:
        yield f"  {_gain(found.against_first_pp)} of top-1 against the family's first network, paired on the test images"
    if found.taught_gain_pp is not None:
        which = (
            "so taught it ships" if found.shipped_taught else "as labels alone taught it, it is better on validation and ships so"
        )
        yield f"  {_gain(found.taught_gain_pp)} by learning that one's answers instead of labels, paired too: {which}"


def _gain(found: Interval) -> str:
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}] pp"


def fit_exit_code(found: FitReport) -> ExitCode:
    """1 where nothing is inside, 4 where the device was asked and that is open."""
    if found.state == "none":
        return ExitCode.GATE_FAILED
    return ExitCode.UNSURE if found.state == "provisional" and found.attached else ExitCode.OK


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
