from pathlib import Path

from edgecnn.render.screens.sweep import fleet_lines
from edgecnn.results.folder import REPORT, report_text
from edgecnn.sweeps.fleet import FleetReport, fleet_of
from edgecnn.sweeps.kin import KinBoard, KinRace, compared, kin_of, unraced
from edgecnn.sweeps.state import CellOutcome, SweepState, build_folder
from edgecnn.values.verdict import Interval
from tests.judging.made import a_latency, an_accuracy, an_interval
from tests.render.reports import a_report, a_row
from tests.sweeps.written import cells

THREE = '[grid]\nmodel.arch = ["lenet-5", "mobilenet-v2", "resnet-18"]\ntarget.device = ["cpu"]'


def board(name: str, p50_ms: Interval | None, disturbed: str | None = None) -> KinBoard:
    return KinBoard(board=name, p50_ms=p50_ms, disturbed=disturbed)


def slower(*boards: KinBoard) -> list[str | None]:
    return [each.slower_than for each in compared(boards)]


def test_a_board_is_slower_where_its_whole_interval_lies_above_another_s() -> None:
    fast, slow = board("lab-1", an_interval(1.0, 0.9, 1.1)), board("lab-2", an_interval(1.3, 1.2, 1.4))
    near, none = board("lab-3", an_interval(1.2, 1.05, 1.3)), board("lab-4", None)
    assert slower(fast, slow, near, none) == [None, "lab-1", None, None]
    drifted = board("lab-6", an_interval(1.12, 1.11, 1.13))
    assert slower(fast, drifted) == [None, None], "another day's race of one board may differ by so much"
    busy = board("lab-2", slow.p50_ms, "other work")
    assert slower(fast, busy) == [None, None], "what slowed its race may be all that it is"
    fastest = board("lab-5", an_interval(0.8, 0.7, 0.85))
    assert slower(fast, slow, fastest) == ["lab-5", "lab-5", None]


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
    fleet = fleet_of(found, {cell.name: "1" for cell in found}, state, out)
    assert kin_of(found, state.outcomes, out) == fleet.kin
    return fleet, [(cell.name, name) for cell, name in unraced(found, state.outcomes, out)]


def test_the_first_build_of_a_device_is_raced_on_every_other_board_that_measured_for_it(tmp_path: Path) -> None:
    fleet, open_races = swept(tmp_path / "a", "lab-1", "lab-2", "lab-1")
    assert open_races == [("lenet-5-cpu", "lab-2")] and fleet.kin == ()
    assert swept(tmp_path / "b", "lab-1", "lab-1", "lab-1")[1] == []


def test_the_report_says_which_board_measured_what_and_which_is_slower(tmp_path: Path) -> None:
    fleet, _ = swept(tmp_path, "lab-1", "lab-2")
    assert [cell.board for cell in fleet.cells] == ["lab-1", "lab-2", None]
    boards = compared([board("lab-1", an_interval(1.0, 0.9, 1.1)), board("lab-2", an_interval(1.3, 1.2, 1.4))])
    lines = list(fleet_lines(fleet.model_copy(update={"kin": (a_race(*boards),)})))
    assert (
        "  lab-2 is slower than lab-1, which is a cpu too: p50 1.30 [1.20, 1.40] ms against 1.00 [0.90, 1.10] ms, "
        "onnxruntime-int8 of lenet-5-cpu" in lines
    )
    assert "  set aside: lab-9: pi@lab-9: no link: timed out" in lines
    alike = compared([board("lab-1", an_interval(1.0, 0.9, 1.1)), board("lab-2", an_interval(1.0, 0.9, 1.1))])
    lines = list(fleet_lines(fleet.model_copy(update={"kin": (a_race(*alike),)})))
    assert any(
        line.startswith("  no cpu is shown to be slower than another: lab-1 1.00 [0.90, 1.10] ms, lab-2 ") for line in lines
    )


def a_race(*boards: KinBoard) -> KinRace:
    return KinRace(device="cpu", build="lenet-5-cpu", candidate="onnxruntime-int8", boards=boards)
