"""A sweep, for people: what it would do, how far it is, and the report of all its builds."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.errors.wording import counted, first_of
from edgecnn.judging.learned import learned_result
from edgecnn.render import figures
from edgecnn.render.columns import COLUMN, legend
from edgecnn.render.sentences import gate_line, unmeasured
from edgecnn.render.terminal import VERDICT_STYLE, show_lines, show_rows
from edgecnn.render.wording import took, took_between
from edgecnn.sweeps.boards import boards_line
from edgecnn.sweeps.fleet import FleetCell, FleetReport
from edgecnn.sweeps.kin import BOARDS_NEEDED, KinRace
from edgecnn.sweeps.plan import PlannedCell, SweepPlan
from edgecnn.sweeps.state import Since
from edgecnn.sweeps.sweep import SweepJudgement
from edgecnn.values.verdict import Verdict

COLUMNS = ("network", "device", "verdict", "ships", "accuracy (95 %)", "p50 ms", "MiB", "mJ", "front")


def show_sweep_plan(found: SweepPlan) -> None:
    """Print every build with what of it is stored, and how long the rest may take."""
    columns = ("build", "stages", "stored", "afar", "shared", "to make", "state")
    show_rows(columns, [_planned_row(each) for each in found.cells])
    show_lines(plan_lines(found))


def _planned_row(each: PlannedCell) -> tuple[str, ...]:
    if each.error is not None:
        return (each.name, "–", "–", "–", "–", "–", f"cannot be planned: {each.error}")
    if each.finished:
        return (each.name, "–", "–", "–", "–", "nothing", "finished")
    missing = each.stages - each.cached - each.afar - each.shared
    spent = "nothing" if missing == 0 else "unknown" if each.seconds is None else took_between(*each.seconds)
    return (each.name, *map(str, (each.stages, each.cached, each.afar, each.shared)), spent, "open")


def plan_lines(found: SweepPlan) -> Iterator[str]:
    """What holds of all builds together."""
    open_builds = sum(not each.finished for each in found.cells)
    yield f"{counted(len(found.cells), 'build')}, {open_builds} open; results in {found.out}"
    known = (
        f"{took_between(*found.make_seconds)}, one after another, by how long its like took here" if found.make_seconds[1] else ""
    )
    unknown = f"{counted(found.unknown, 'stage')} of whose kind none was made here, for unknown time" if found.unknown else ""
    yield f"  making what is missing: {'; and '.join(each for each in (known, unknown) if each) or 'nothing'}"
    measuring = (
        "unknown, since no build of this sweep is finished" if found.measure_seconds is None else took(found.measure_seconds)
    )
    yield f"  evaluating and racing: {measuring}"
    yield from (f"  {boards_line(device, str(found.boards_from), boards)}" for device, boards in found.boards.items())
    yield from (f"  changed: {line}" for line in found.changed)


def show_fleet(found: FleetReport) -> None:
    """Print the table of networks × devices, and what follows from it."""
    show_lines(unlearned_lines(found))
    show_rows(COLUMNS, [row_of(cell) for cell in found.cells], styles=VERDICT_STYLE)
    show_lines(fleet_lines(found))


def unlearned_lines(found: FleetReport) -> list[str]:
    """Which builds ship a network that is not shown to have learned, on one line; nothing if there are none."""
    names = [cell.name for cell in found.cells if learned_result(cell.gates) is not None]
    return [f"not shown to have learned: {', '.join(names)}"] if names else []


def row_of(cell: FleetCell) -> tuple[str, ...]:
    """One build in the order of ``COLUMNS``."""
    facts = cell.facts
    if facts is None:
        word = cell.verdict.value if cell.choice is not None else cell.state
        return (cell.variant, target_text(cell), word, "nothing" if cell.choice is not None else "–", *["–"] * 4, "")
    ships = facts.candidate.id + (" (provisional)" if cell.choice is not None and cell.choice.state == "provisional" else "")
    verdict = ", ".join(filter(None, [cell.verdict.value, beside_verdict(cell)]))
    rest = (COLUMN[name].cell(facts).plain for name in ("p50_ms", "size_mib", "energy_mj"))
    return (cell.variant, target_text(cell), verdict, ships, figures.accuracy(facts.answered), *rest, standing_of(cell))


def beside_verdict(cell: FleetCell) -> str | None:
    """What keeps a verdict from being all that is to be said: its build is asked for otherwise now, or leaves gates open."""
    return unmeasured(cell.verdict, cell.gates) if cell.state == "finished" else cell.state


def target_text(cell: FleetCell) -> str:
    """Its device, the runtime where the sweep names one, and the leased board that measured it."""
    target = cell.device if cell.runtime is None else f"{cell.device}:{cell.runtime}"
    return target if cell.board is None else f"{target} on {cell.board}"


def standing_of(cell: FleetCell) -> str:
    """Whether it is on its device's front."""
    if cell.is_on_front:
        return "◆"
    if cell.beaten_by is None:
        return ""
    return f"behind {cell.beaten_by}" + ("" if cell.beaten_for_sure else ", unsure")


def _since(cell: FleetCell, was: Since) -> str:
    """What of a build is otherwise than before it was asked for otherwise, and what was asked."""
    drop = f"no difference known, {was.absent}" if was.drop_pp is None else f"drop {figures.points(was.drop_pp)}"
    ships = was.ships if was.ships == was.shipped else f"{was.shipped or 'nothing'} → {was.ships or 'nothing'}"
    verdict = "" if was.was is cell.verdict else f", {was.was.value} → {cell.verdict.value}"
    return f"{drop} ({ships or 'nothing'}{verdict}); {first_of(was.lines, 3) if was.lines else 'nothing else is known to differ'}"


def judgement_lines(found: SweepJudgement) -> Iterator[str]:
    """A line a build, and one for each gate that it does not pass."""
    for each in found.builds:
        gates = () if each.report is None else each.report.gates
        left = unmeasured(each.verdict, gates)
        yield f"{each.verdict.value}: {each.name}" + (f", but {left}" if left else "") + (f": {each.error}" if each.error else "")
        if each.report is not None:
            open_ = (gate for gate in each.report.gates if gate.verdict is not Verdict.PASS)
            yield from (f"  {gate_line(gate, require_measured=each.require_measured)}" for gate in open_)


def _kin_lines(race: KinRace) -> Iterator[str]:
    """Each board that is slower than the others of its kind; where none is, so much."""
    taken = {each.board: f"{figures.milliseconds(each.p50_ms)} ms{_on_day(each.observed_at)}" for each in race.boards}
    of = f"{race.candidate} of {race.build}"
    for each in race.boards:
        if (ratio := each.slower) is not None:
            times = f"{ratio.estimate:.2f} × their time [{ratio.low:.2f}, {ratio.high:.2f}] at {100 * ratio.confidence:.4g} %"
            yield f"{each.board} is slower than the other boards of {race.device}: {times}, p50 {taken[each.board]}, {of}"
    if all(each.slower is None for each in race.boards):
        said = ", ".join(f"{each.board} {taken[each.board]}" for each in race.compared) or "none can be compared"
        enough = len(race.compared) >= BOARDS_NEEDED
        few = "" if enough else f"; it takes {BOARDS_NEEDED} boards to tell a slow board from a slow day"
        yield f"no board of {race.device} is shown to be slower than the others: {said}, {of}{few}"
    yield from (f"{each.board} is not compared with the others: {each.uncompared}" for each in race.boards if each.uncompared)


def _on_day(observed_at: str) -> str:
    return observed_at and f" on {observed_at[:10]}"


def fleet_lines(found: FleetReport) -> Iterator[str]:
    """What follows from the table."""
    yield f"for all devices: {found.for_all or 'none'}: {found.why}"
    for each in found.devices:
        yield f"  {each.device}: " + (
            f"front, fastest first: {', '.join(each.front)}" if each.front else "no finished build was timed and tested"
        )
    yield from (
        f"  since {cell.since.made_at[:10]}: {cell.name}: {_since(cell, cell.since)}" for cell in found.cells if cell.since
    )
    yield from (f"  failed: {cell.name}: {cell.error}" for cell in found.cells if cell.state == "failed")
    waiting = [cell.name for cell in found.cells if cell.state != "finished"]
    if waiting:
        yield f"  open: {counted(len(waiting), 'build')}: {found.command}"
    yield from (f"  {line}" for race in found.kin for line in _kin_lines(race))
    yield from (f"  set aside: {board}: {reason}" for board, reason in found.set_aside.items())
    yield from (f"  provisional: {name}: {command}" for name, command in found.provisional.items())
    yield from (f"  changed: {line}" for line in found.changed)
    rows = [cell.facts for cell in found.cells if cell.facts is not None]
    yield from (f"  {line}" for line in legend(rows))
