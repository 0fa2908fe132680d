"""The screens of a sweep: its plan, its progress, and the report of all its builds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgecnn.errors.wording import counted, first_of
from edgecnn.judging.judgement import learned_result
from edgecnn.render import figures
from edgecnn.render.columns import COLUMN, legend
from edgecnn.render.sentences import dropped_lines, gate_line, unmeasured_note
from edgecnn.render.terminal import VERDICT_STYLE, show_lines, show_rows
from edgecnn.render.wording import duration_range_text, duration_text
from edgecnn.sweeps.boards import BOARDS_NEEDED, KinRace, boards_line
from edgecnn.sweeps.fleet import FleetCell, FleetReport
from edgecnn.sweeps.plan import PlannedCell, SweepPlan
from edgecnn.sweeps.state import Since
from edgecnn.sweeps.sweep import SweepJudgement
from edgecnn.values.verdict import Verdict

FLEET_COLUMNS = ("network", "device", "verdict", "ships", "accuracy (95 %)", "p50 ms", "MiB", "mJ", "front")


def show_sweep_plan(plan: SweepPlan) -> None:
    """Print each build with its stored stages and the time that the others may take."""
    columns = ("build", "stages", "stored", "remote", "shared", "time to make", "state")
    show_rows(columns, [_planned_row(cell) for cell in plan.cells])
    show_lines(plan_lines(plan))


def _planned_row(cell: PlannedCell) -> tuple[str, ...]:
    if cell.error is not None:
        return (cell.name, "–", "–", "–", "–", "–", f"cannot be planned: {cell.error}")
    if cell.finished:
        return (cell.name, "–", "–", "–", "–", "nothing", "finished")
    missing = cell.stages - cell.cached - cell.afar - cell.shared
    spent = "nothing" if missing == 0 else "unknown" if cell.seconds is None else duration_range_text(*cell.seconds)
    return (cell.name, *map(str, (cell.stages, cell.cached, cell.afar, cell.shared)), spent, "open")


def plan_lines(plan: SweepPlan) -> Iterator[str]:
    """Yield the number of builds, the missing time, the boards and the changes."""
    open_builds = sum(not cell.finished for cell in plan.cells)
    yield f"{counted(len(plan.cells), 'build')}, {open_builds} open; results in {plan.out}"
    timed = (
        f"{duration_range_text(*plan.make_seconds)}, one after another, estimated from similar stages that ran here"
        if plan.make_seconds[1]
        else ""
    )
    unknown = f"unknown for {counted(plan.unknown, 'stage')} of a kind that never ran here" if plan.unknown else ""
    yield f"  time for missing stages: {'; and '.join(part for part in (timed, unknown) if part) or 'nothing'}"
    seconds = plan.measure_seconds
    measuring = "unknown until a build of this sweep is finished" if seconds is None else duration_text(seconds)
    yield f"  time to evaluate and race: {measuring}"
    yield from (f"  {boards_line(device, str(plan.boards_from), boards)}" for device, boards in plan.boards.items())
    yield from (f"  changed: {line}" for line in plan.changed)


def show_fleet(fleet: FleetReport) -> None:
    """Print the result, the table of networks × devices, its conclusions, and the number of builds by verdict."""
    result, *details = fleet_lines(fleet)
    show_lines([*unlearned_fleet_lines(fleet), result])
    show_rows(FLEET_COLUMNS, [row_of(cell) for cell in fleet.cells], styles=VERDICT_STYLE)
    show_lines([*details, verdict_counts(fleet)])


def verdict_counts(fleet: FleetReport) -> str:
    """``2 builds: 1 PASS, 1 UNSURE``. Unfinished builds are counted by their state."""
    words = Counter(cell.verdict.value if cell.state == "finished" else cell.state for cell in fleet.cells)
    return f"{counted(len(fleet.cells), 'build')}: {', '.join(f'{count} {word}' for word, count in words.items())}"


def unlearned_fleet_lines(fleet: FleetReport) -> list[str]:
    """Return the builds that are not shown to have learned, one line for each remedy."""
    names = dict[str, list[str]]()
    for cell in fleet.cells:
        if learned_result(cell.gates) is not None:
            names.setdefault("" if cell.remedy is None else f"; {cell.remedy.sentence}", []).append(cell.name)
    return [f"not shown to have learned: {', '.join(builds)}{remedy}" for remedy, builds in names.items()]


def row_of(cell: FleetCell) -> tuple[str, ...]:
    """Return the cells of one build, in the order of ``FLEET_COLUMNS``."""
    facts = cell.facts
    if facts is None:
        word = cell.verdict.value if cell.choice is not None else cell.state
        return (cell.variant, target_text(cell), word, "nothing" if cell.choice is not None else "–", *["–"] * 4, "")
    ships = facts.candidate.id + (" (provisional)" if cell.choice is not None and cell.choice.state == "provisional" else "")
    verdict = ", ".join(filter(None, [cell.verdict.value, verdict_caveat(cell)]))
    figures_cells = (COLUMN[name].cell(facts).plain for name in ("p50_ms", "size_mib", "energy_mj"))
    return (cell.variant, target_text(cell), verdict, ships, figures.accuracy(facts.answered), *figures_cells, front_text(cell))


def verdict_caveat(cell: FleetCell) -> str | None:
    """Return why a verdict is incomplete: gates were not measured, or the request changed since the build."""
    return unmeasured_note(cell.verdict, cell.gates) if cell.state == "finished" else cell.state


def target_text(cell: FleetCell) -> str:
    """``cpu:openvino on board-2``: the device, a runtime that the sweep names, and the board that measured it."""
    target = cell.device if cell.runtime is None else f"{cell.device}:{cell.runtime}"
    return target if cell.board is None else f"{target} on {cell.board}"


def front_text(cell: FleetCell) -> str:
    """``◆`` for a build on the front of its device, else the build that is better."""
    if cell.is_on_front:
        return "◆"
    if cell.beaten_by is None:
        return ""
    return f"behind {cell.beaten_by}" + ("" if cell.beaten_for_sure else ", unsure")


def _change_text(cell: FleetCell, was: Since) -> str:
    """Return how a build differs from the build before the request changed."""
    drop = f"drop not known, {was.absent}" if was.drop_pp is None else f"drop {figures.points(was.drop_pp)}"
    ships = was.ships if was.ships == was.shipped else f"{was.shipped or 'nothing'} → {was.ships or 'nothing'}"
    verdict = "" if was.was is cell.verdict else f", {was.was.value} → {cell.verdict.value}"
    return f"{drop} ({ships or 'nothing'}{verdict}); {first_of(was.lines, 3) if was.lines else 'no other difference is known'}"


def judgement_lines(judgement: SweepJudgement) -> Iterator[str]:
    """Yield a line for each build, and one for each gate that it does not pass."""
    for build in judgement.builds:
        gates = () if build.report is None else build.report.gates
        gap = unmeasured_note(build.verdict, gates)
        yield (
            f"{build.verdict.value}: {build.name}" + (f", but {gap}" if gap else "") + (f": {build.error}" if build.error else "")
        )
        if build.report is not None:
            open_ = (gate for gate in build.report.gates if gate.verdict is not Verdict.PASS)
            yield from (f"  {gate_line(gate, require_measured=build.require_measured)}" for gate in open_)


def _board_race_lines(race: KinRace) -> Iterator[str]:
    """Yield each board that is slower than the others of its device, or that no board is."""
    times_text = {
        board.board: f"{figures.milliseconds(board.p50_ms)} ms" + (board.observed_at and f" on {board.observed_at[:10]}")
        for board in race.boards
    }
    of = f"{race.candidate} of {race.build}"
    for board in race.boards:
        if (ratio := board.slower) is not None:
            times = (
                f"its time is {ratio.estimate:.2f} × theirs [{ratio.low:.2f}, {ratio.high:.2f}] at {100 * ratio.confidence:.4g} %"
            )
            yield f"{board.board} is slower than the other boards of {race.device}: {times}, p50 {times_text[board.board]}, {of}"
    if all(board.slower is None for board in race.boards):
        compared = ", ".join(f"{board.board} {times_text[board.board]}" for board in race.compared) or "no board can be compared"
        enough = len(race.compared) >= BOARDS_NEEDED
        few = "" if enough else f"; at least {BOARDS_NEEDED} boards are needed to tell a slow board from a slow day"
        yield f"no board of {race.device} is shown to be slower than the others: {compared}, {of}{few}"
    yield from (f"{board.board} is not compared with the others: {board.uncompared}" for board in race.boards if board.uncompared)


def fleet_lines(fleet: FleetReport) -> Iterator[str]:
    """Yield the network for all devices, then the conclusions from the table."""
    yield f"for all devices: {fleet.for_all or 'none'}: {fleet.why}"
    for device in fleet.devices:
        yield f"  {device.device}: " + (
            f"front, fastest first: {', '.join(device.front)}" if device.front else "no finished build has an accuracy and a time"
        )
    yield from (
        f"  since {cell.since.made_at[:10]}: {cell.name}: {_change_text(cell, cell.since)}" for cell in fleet.cells if cell.since
    )
    yield from (f"  {line}" for line in dropped_lines(cell.gates_dropped for cell in fleet.cells))
    yield from (f"  failed: {cell.name}: {cell.error}" for cell in fleet.cells if cell.state == "failed")
    waiting = [cell.name for cell in fleet.cells if cell.state != "finished"]
    if waiting:
        yield f"  open: {counted(len(waiting), 'build')}: {fleet.command}"
    yield from (f"  {line}" for race in fleet.kin for line in _board_race_lines(race))
    yield from (f"  excluded: {board}: {reason}" for board, reason in fleet.set_aside.items())
    yield from (f"  provisional: {name}: {command}" for name, command in fleet.provisional.items())
    yield from (f"  changed: {line}" for line in fleet.changed)
    rows = [cell.facts for cell in fleet.cells if cell.facts is not None]
    yield from (f"  {line}" for line in legend(rows))
