import json
import re
from pathlib import Path

import pytest

from edgecnn.render.ci import junit_of, sheets_of_fleet
from edgecnn.render.page.fronts import fleet_page
from edgecnn.render.screens.sweep import fleet_lines, row_of, show_fleet, verdict_caveat
from edgecnn.results.folder import REPORT, report_text
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.fleet import FleetReport, fleet_report
from edgecnn.sweeps.state import CellOutcome, SweepState, build_folder
from edgecnn.sweeps.sweep import worst_exit_code
from edgecnn.values.report import Choice
from edgecnn.values.verdict import Gate, Interval, Verdict
from tests.judging.made import a_forecast, a_latency, an_accuracy, an_interval
from tests.render.reports import a_build, a_gate, a_report, a_row
from tests.sweeps.written import cells

THREE = '[grid]\nmodel.arch = ["lenet-5", "mobilenet-v2", "resnet-18"]\ntarget.device = ["cpu"]'
UNTIMED = a_gate(Verdict.MISSING, "raspberry-pi-5 was not attached").model_copy(
    update={"gate": Gate(metric="p99_ms", side="max", bound=20.0, required="when-measured")}
)


def share(estimate: float, half: float = 0.01) -> Interval:
    return an_interval(estimate, estimate - half, estimate + half, 0.95)


def fleet(out: Path, found: tuple[Cell, ...], *figures: tuple[Interval, Interval] | None, **changes: object) -> FleetReport:
    """Of builds whose reports say so much accuracy and so many milliseconds; None failed."""
    state = SweepState(sweep="s.toml")
    for cell, each in zip(found, figures, strict=False):
        folder = build_folder(out, cell.name)
        folder.mkdir(parents=True)
        if each is not None:
            latency = a_latency(each[1], disturbed="other work" if changes.get("disturbed") == cell.name else None)
            row = a_row(test=an_accuracy(top1=each[0]), latency=latency, chosen=True)
            verdict = Verdict.FAIL if changes.get("fails") == cell.name else Verdict.PASS
            known = {"gates": (a_gate(), UNTIMED), "build": a_build(device="raspberry-pi-5", device_attached=False)}
            untimed = known if changes.get("untimed") == cell.name else {}
            required = bool(changes.get("require_measured"))
            report = a_report(row, verdict=verdict, **untimed).model_copy(update={"require_measured": required})
            (folder / REPORT).write_text(report_text(report), encoding="utf-8")
        outcome = CellOutcome(
            name=cell.name, asked="1", exit_code=0 if each else 2, reported=each is not None, seconds=1.0,
            ended_at="2026-11-26T10:00:00+00:00", error=None if each else "there is no folder photos [no-data]",
            board="lab-2" if changes.get("elsewhere") == cell.name else None,
        )  # fmt: skip
        state = state.with_outcome(outcome)
    if "interrupted" in changes:
        state = state.with_begun(changes["interrupted"])
    return fleet_report(found, {cell.name: "1" for cell in found}, state, out)


def test_the_front_is_what_no_other_build_of_the_device_beats_in_both(tmp_path: Path) -> None:
    slow, fast = an_interval(5.0, 4.9, 5.1), an_interval(1.0, 0.9, 1.1)
    found = fleet(tmp_path, cells(tmp_path, THREE), (share(0.6), slow), (share(0.7), fast), (share(0.8), slow))
    assert found.devices[0].front == ("mobilenet-v2-cpu", "resnet-18-cpu")
    behind = found.cells[0]
    assert (behind.beaten_by, behind.beaten_for_sure) == ("mobilenet-v2-cpu", True)


def test_where_intervals_overlap_boards_differ_or_a_race_was_disturbed_nothing_is_sure(tmp_path: Path) -> None:
    near = (share(0.6), an_interval(1.05, 0.9, 1.2)), (share(0.7), an_interval(1.0, 0.9, 1.1))
    assert not fleet(tmp_path / "a", cells(tmp_path, THREE), *near).cells[0].beaten_for_sure
    drifted = (share(0.6), an_interval(1.15, 1.14, 1.16)), (share(0.7), an_interval(1.05, 1.04, 1.06))
    assert not fleet(tmp_path / "d", cells(tmp_path, THREE), *drifted).cells[0].beaten_for_sure, "two days may differ so much"
    untold = an_interval(5.0, confidence=0.0), an_interval(1.0, confidence=0.0)
    estimated = fleet(tmp_path / "e", cells(tmp_path, THREE), (share(0.6), untold[0]), (share(0.7), untold[1]))
    assert not estimated.cells[0].beaten_for_sure, "estimates have no interval that would keep them apart"
    far = (share(0.6), an_interval(5.0, 4.9, 5.1)), (share(0.7), an_interval(1.0, 0.9, 1.1))
    disturbed = fleet(tmp_path / "b", cells(tmp_path, THREE), *far, disturbed="lenet-5-cpu")
    assert (disturbed.cells[0].beaten_by, disturbed.cells[0].beaten_for_sure) == ("mobilenet-v2-cpu", False)
    elsewhere = fleet(tmp_path / "c", cells(tmp_path, THREE), *far, elsewhere="mobilenet-v2-cpu")
    assert (elsewhere.cells[0].beaten_by, elsewhere.cells[0].beaten_for_sure) == ("mobilenet-v2-cpu", False), "another board"


def test_what_an_interrupted_build_left_is_no_finished_build_even_where_its_edit_was_taken_back(tmp_path: Path) -> None:
    one = share(0.6), an_interval(1.0, 0.9, 1.1)
    found = fleet(tmp_path, cells(tmp_path, THREE), one, one, one, interrupted="lenet-5-cpu")
    assert [cell.state for cell in found.cells] == ["changed", "finished", "finished"]
    assert found.cells[0].exit_code == 3


def test_the_network_for_all_devices_passes_in_every_build(tmp_path: Path) -> None:
    two = '[grid]\nmodel.arch = ["lenet-5", "mobilenet-v2"]\ntarget.device = ["cpu", "raspberry-pi-5"]'
    ms = an_interval(1.0, 0.9, 1.1)
    figures = (share(0.6), ms), (share(0.5), ms), (share(0.7), ms), (share(0.58), ms)
    both = fleet(tmp_path / "a", cells(tmp_path, two), *figures)
    assert both.for_all == "mobilenet-v2"
    one = fleet(tmp_path / "b", cells(tmp_path, two), *figures, fails="mobilenet-v2-raspberry-pi-5")
    assert one.for_all == "lenet-5" and one.why.startswith("1 of 2 ")
    none = fleet(tmp_path / "c", cells(tmp_path, two), figures[0], None, None, None)
    assert none.for_all is None
    assert "lenet-5 " in none.why and "1 of 2 " in none.why


def test_a_network_whose_budget_was_not_measured_is_not_for_all_and_what_measures_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = '[grid]\nmodel.arch = ["lenet-5", "mobilenet-v2"]\ntarget.device = ["cpu", "raspberry-pi-5"]'
    name, ms = "mobilenet-v2-raspberry-pi-5", an_interval(1.0, 0.9, 1.1)
    of = f"{name} for p99_ms ≤ 20: edgecnn bench {{}}/builds/{name} --host USER@raspberry-pi-5"
    one = fleet(tmp_path / "a", cells(tmp_path, two)[2:], (share(0.7), ms), (share(0.58), ms), untimed=name)
    assert (one.for_all, one.variants[0].passes) == (None, False)
    assert one.why.endswith(of.format(tmp_path / "a"))
    assert one.variants[0].not_measured == {name: "p99_ms ≤ 20"}
    figures = (share(0.6), ms), (share(0.5), ms), (share(0.7), ms), (share(0.58), ms)
    other = fleet(tmp_path / "b", cells(tmp_path, two), *figures, untimed=name)
    assert other.for_all == "lenet-5" and other.why.endswith(of.format(tmp_path / "b"))
    (beside,) = [said for cell in other.cells if (said := verdict_caveat(cell)) is not None]
    show_fleet(other)
    assert f"PASS, {beside}" in capsys.readouterr().out
    page = re.sub("</?a[^>]*>", "", fleet_page(other))  # words link to their definitions
    assert page.count(f'<span class="interval">{beside}</span>') == 1


def test_a_network_without_a_build_for_each_device_is_not_for_all(tmp_path: Path) -> None:
    text = '[grid]\nmodel.arch = ["lenet-5"]\ntarget.device = ["cpu", "pi5"]\n[[build]]\nmodel.arch = "resnet-18"'
    ms = an_interval(1.0, 0.9, 1.1)
    found = fleet(tmp_path, cells(tmp_path, text), (share(0.6), ms), (share(0.6), ms), (share(0.9), ms))
    assert found.for_all == "lenet-5" and found.variants[1].lacks == ("raspberry-pi-5",)


def test_accuracies_on_other_images_are_not_held_against_each_other(tmp_path: Path) -> None:
    text = '[grid]\nmodel.arch = ["lenet-5"]\ndata.path = ["cats", "birds"]'
    figures = (share(0.6), an_interval(5.0, 4.9, 5.1)), (share(0.9), an_interval(1.0, 0.9, 1.1))
    found = fleet(tmp_path, cells(tmp_path, text), *figures)
    assert [cell.beaten_by for cell in found.cells] == [None, None]
    assert found.for_all is None


def test_a_build_whose_report_is_gone_or_that_asks_otherwise_now_is_no_success(tmp_path: Path) -> None:
    found = cells(tmp_path, THREE)
    figures = [(share(0.6), an_interval(1.0, 0.9, 1.1))] * 3
    fleet(tmp_path, found, *figures)
    (build_folder(tmp_path, found[0].name) / REPORT).write_text("{")
    ended = {"asked": "1", "exit_code": 0, "reported": True, "seconds": 1.0, "ended_at": ""}
    outcomes = {cell.name: CellOutcome.model_validate({"name": cell.name, **ended}) for cell in found}
    asked = {found[0].name: "1", found[1].name: "2", found[2].name: "1"}
    again = fleet_report(found, asked, SweepState(sweep="s.toml", outcomes=outcomes), tmp_path)
    assert [(cell.state, cell.exit_code) for cell in again.cells] == [("failed", 3), ("changed", 3), ("finished", 0)]
    assert again.cells[1].beaten_by is None and not again.cells[1].is_on_front
    assert worst_exit_code(cell.exit_code for cell in again.cells) == 3


def test_what_the_bounds_of_a_run_want_measured_stops_it_where_it_was_not(tmp_path: Path) -> None:
    (found, *_) = cells(tmp_path, THREE)
    for wanted, code in ((False, 0), (True, 3)):
        figures = (share(0.6), an_interval(1.0, 0.9, 1.1))
        cell = fleet(tmp_path / str(wanted), (found,), figures, untimed=found.name, require_measured=wanted).cells[0]
        assert (cell.require_measured, cell.exit_code) == (wanted, code), "its report says it"


def test_accuracies_that_overlap_are_not_called_different(tmp_path: Path) -> None:
    ms = an_interval(1.0, 0.9, 1.1)
    found = fleet(tmp_path, cells(tmp_path, THREE), (share(0.60), ms), (share(0.61), ms), (share(0.5), ms))
    assert found.why.index("lenet-5") > found.why.index(";")


def test_what_failed_is_open_or_asks_otherwise_now_stands_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = fleet(tmp_path, cells(tmp_path, THREE), (share(0.6), an_interval(1.0, 0.9, 1.1)), None)
    assert [cell.state for cell in found.cells] == ["finished", "failed", "waiting"]
    show_fleet(found)
    said = capsys.readouterr().out
    assert ": mobilenet-v2-cpu: there is no folder photos [no-data]" in said
    assert f": edgecnn sweep run s.toml --out {tmp_path}" in said


def test_a_provisional_choice_has_the_command_that_settles_it(tmp_path: Path) -> None:
    found = cells(tmp_path, THREE)
    made = fleet(tmp_path, found, (share(0.6), an_interval(1.0, 0.9, 1.1)))
    choice = Choice(state="provisional", candidate="onnxruntime-int8", why="…", settle_command="edgecnn bench x --host USER@pi")
    first = made.cells[0].model_copy(update={"choice": choice})
    lines = list(fleet_lines(made.model_copy(update={"cells": (first,), "provisional": {first.name: "edgecnn bench x"}})))
    assert any(line.endswith(": lenet-5-cpu: edgecnn bench x") for line in lines)


def test_a_job_hears_of_every_build_and_a_failed_one_is_an_error(tmp_path: Path) -> None:
    found = fleet(tmp_path, cells(tmp_path, THREE), (share(0.6), an_interval(1.0, 0.9, 1.1)), None)
    document = junit_of(*sheets_of_fleet(found))
    assert document.count("<testsuite ") == 3
    assert document.count("<error ") == 2 and "there is no folder photos" in document


def test_a_page_of_a_hundred_builds_is_below_three_megabytes(tmp_path: Path) -> None:
    values = list(range(1, 101))
    many = cells(tmp_path, f"[grid]\ntrain.epochs = {values}\nmodel.arch = ['lenet-5']")
    found = fleet(tmp_path, many, *[(share(0.5 + each / 300), an_interval(each, 0.9 * each, 1.1 * each)) for each in values])
    page = fleet_page(found)
    assert len(page.encode()) < 3_000_000
    hostile = found.model_copy(update={"why": "<script>alert(1)", "command": "<script>alert"})
    assert "<script>alert" not in fleet_page(hostile)
    assert FleetReport.model_validate(json.loads(found.model_dump_json(by_alias=True))) == found


def test_a_build_whose_device_is_away_shows_its_forecast_and_is_on_no_front(tmp_path: Path) -> None:
    made = fleet(tmp_path, cells(tmp_path, THREE), (share(0.6), an_interval(1.0, 0.9, 1.1)))
    facts = made.cells[0].facts
    assert facts is not None
    away = facts.model_copy(update={"latency": a_latency(None, reason="not measured"), "forecast": a_forecast(24, 18, 31)})
    cell = made.cells[0].model_copy(update={"facts": away})
    assert row_of(cell)[5] == "▲ 24 [18, 31]"
    assert (cell.p50_ms, cell.is_on_front) == (None, False)
    found = made.model_copy(update={"cells": (cell,)})
    assert "▲ 24 [18, 31]" in fleet_page(found)
    assert any("does not count towards any gate" in line for line in fleet_lines(found))
