from pathlib import Path

import numpy as np
import pytest

from edgecnn.render.screens.sweep import fleet_lines
from edgecnn.results.folder import REPORT, report_text
from edgecnn.sweeps.boards import KinBoard, KinRace, kin_races, mark_slower, unraced
from edgecnn.sweeps.fleet import FleetReport, fleet_report
from edgecnn.sweeps.state import CellOutcome, SweepState, build_folder
from edgecnn.values.verdict import Interval
from tests.judging.made import a_latency, an_accuracy, an_interval
from tests.render.reports import a_report, a_row
from tests.sweeps.written import cells

THREE = '[grid]\nmodel.arch = ["lenet-5", "mobilenet-v2", "resnet-18"]\ntarget.device = ["cpu"]'


def board(name: str, p50_ms: Interval | None, disturbed: str | None = None) -> KinBoard:
    return KinBoard(board=name, p50_ms=p50_ms, disturbed=disturbed)


def slower(*boards: KinBoard) -> list[str]:
    return [each.board for each in mark_slower(boards) if each.slower is not None]


def raced(*p50_ms: float) -> list[KinBoard]:
    return [board(f"lab-{number}", an_interval(ms, 0.99 * ms, 1.01 * ms)) for number, ms in enumerate(p50_ms, 1)]


def test_a_board_is_slower_where_it_is_further_from_the_others_than_they_are_among_themselves() -> None:
    alike = (1.0, 1.02, 0.99, 1.01, 1.0)
    assert slower(*raced(*alike, 1.3)) == ["lab-6"]
    assert slower(*raced(*alike, 1.05)) == [], "the others differ by so much from day to day"
    assert slower(*raced(1.0, 1.2, 0.85, 1.1, 0.95, 1.3)) == [], "and these by more"
    assert slower(*raced(*[1.0] * 5, 1.02)) == [], "3 % and less is not named, however alike the others are"
    *others, last = raced(*alike, 1.3)
    assert slower(*others, board("lab-6", last.p50_ms, "other work")) == [], "what slowed its race may be all that it is"
    assert slower(*others, board("lab-6", None)) == []


def test_three_boards_do_not_tell_a_slow_board_from_a_slow_day() -> None:
    assert slower(*raced(1.0, 1.0, 2.0)) == []
    assert slower(*raced(1.0, 1.01, 0.99, 2.0)) == ["lab-4"]


@pytest.mark.parametrize(("boards", "spread"), [(4, 0.02), (10, 0.02), (10, 0.1)])
def test_of_equal_boards_one_is_named_in_at_most_one_of_a_hundred_sweeps(boards: int, spread: float) -> None:
    """Each board was raced on a day of its own; by intervals of their races alone 91 % of sweeps of ten named one."""
    random, sweeps = np.random.default_rng(7), 400
    days = np.exp(random.normal(0.0, spread, (sweeps, boards)))
    named = sum(bool(slower(*raced(*map(float, each)))) for each in days)
    assert named <= sweeps * 0.01 + 3 * (sweeps * 0.01) ** 0.5


def test_a_board_that_is_a_fifth_slower_is_named_in_most_sweeps_of_ten() -> None:
    days = np.exp(np.random.default_rng(8).normal(0.0, 0.02, (100, 10)))
    days[:, 0] *= 1.2
    assert sum("lab-1" in slower(*raced(*map(float, each))) for each in days) > 90


def swept(out: Path, *boards: str) -> tuple[FleetReport, list[tuple[str, str]]]:
    """A sweep whose builds these boards measured; the builds that a board has yet to race."""
    out.mkdir(exist_ok=True)
    found, state = cells(out, THREE), SweepState(sweep="s.toml")
    for cell, name in zip(found, boards, strict=False):
        folder = build_folder(out, cell.name)
        folder.mkdir(parents=True)
        row = a_row(test=an_accuracy(top1=an_interval(0.6, 0.5, 0.7)), latency=a_latency(an_interval(1.0, 0.9, 1.1)), chosen=True)
        (folder / REPORT).write_text(report_text(a_report(row)), encoding="utf-8")
        outcome = CellOutcome(name=cell.name, asked="1", exit_code=0, reported=True, seconds=1.0, ended_at="", board=name)
        state = state.with_outcome(outcome)
    state = state.model_copy(update={"set_aside": {"lab-9": "pi@lab-9: no link: timed out"}})
    fleet = fleet_report(found, {cell.name: "1" for cell in found}, state, out)
    assert kin_races(found, state.outcomes, out) == fleet.kin
    return fleet, [(cell.name, name) for cell, name in unraced(found, state.outcomes, out)]


def test_the_first_build_of_a_device_is_raced_on_every_other_board_that_measured_for_it(tmp_path: Path) -> None:
    fleet, open_races = swept(tmp_path / "a", "lab-1", "lab-2", "lab-1")
    assert open_races == [("lenet-5-cpu", "lab-2")] and fleet.kin == ()
    assert swept(tmp_path / "b", "lab-1", "lab-1", "lab-1")[1] == []


def test_the_report_says_which_board_measured_what_and_which_is_slower(tmp_path: Path) -> None:
    fleet, _ = swept(tmp_path, "lab-1", "lab-2")
    assert [cell.board for cell in fleet.cells] == ["lab-1", "lab-2", None]
    boards = mark_slower(raced(1.0, 1.02, 0.99, 1.01, 1.0, 1.3))
    lines = list(fleet_lines(fleet.model_copy(update={"kin": (a_race(*boards),)})))
    assert [line.startswith("  lab-6 ") for line in lines].count(True) == 1
    assert any(line.endswith(": pi@lab-9: no link: timed out") for line in lines)


def test_a_board_that_cannot_be_compared_is_named_and_not_counted(tmp_path: Path) -> None:
    fleet, _ = swept(tmp_path, "lab-1", "lab-2")
    busy = board("lab-9", an_interval(2.0, 1.9, 2.1), "other programs took 40 %")
    lines = list(fleet_lines(fleet.model_copy(update={"kin": (a_race(*mark_slower([*raced(1.0, 1.0, 1.0), busy])),)})))
    (none,) = (line for line in lines if line.startswith("  no board of cpu is shown to be slower"))
    assert "lab-9" not in none and none.endswith("4 boards are needed to tell a slow board from a slow day")
    assert "  lab-9 is not compared with the others: other programs took 40 %" in lines
    slow = [each.slower for each in mark_slower([*raced(1.0, 1.02, 0.99, 1.01, 1.0, 1.3), busy]) if each.slower]
    assert [round(each.confidence, 4) for each in slow] == [0.9967], "six boards share the error rate, not seven"


def a_race(*boards: KinBoard) -> KinRace:
    return KinRace(device="cpu", build="lenet-5-cpu", candidate="onnxruntime-int8", boards=boards)
