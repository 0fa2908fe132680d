"""A network that is not shown to have learned is the first thing that a reader is told, wherever a verdict is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgecnn.judging.judgement import not_learned
from edgecnn.render.bundle import bundle_readme
from edgecnn.render.ci import annotation_lines, junit_of, sheet_of_report, summary_markdown
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.compared import comparison_page
from edgecnn.render.page.fronts import fit_page, fleet_page
from edgecnn.render.page.report import report_page
from edgecnn.render.screens.comparing import comparison_lines, show_side_by_side
from edgecnn.render.screens.fit import show_fit
from edgecnn.render.screens.report import explanation_lines, show_measured, show_report
from edgecnn.render.screens.studies import show_ensemble
from edgecnn.render.screens.sweep import judgement_lines, show_fleet
from edgecnn.render.sentences import learned_lines, verdict_reason
from edgecnn.results.explain import explain
from edgecnn.results.folder import REPORT, report_text
from edgecnn.results.page import PageFacts
from edgecnn.studies.facts import Ensemble, EnsembleRow
from edgecnn.sweeps.fleet import FleetReport, fleet_report
from edgecnn.sweeps.state import CellOutcome, SweepState, build_folder
from edgecnn.sweeps.sweep import JudgedBuild, SweepJudgement
from edgecnn.values.figures import ClassReport
from edgecnn.values.report import BuildReport, Choice, Remedy
from edgecnn.values.verdict import Verdict
from tests.fit.made import report as fit_report
from tests.fit.test_choose import member
from tests.judging.made import a_class, a_quality, an_accuracy, an_interval
from tests.render.page.comparisons import some_builds
from tests.render.page.reading import read
from tests.render.reports import a_gate, a_report, a_row
from tests.render.test_comparison import a_comparison
from tests.sweeps.test_fleet import cells

CHANCE = an_accuracy(
    right=117, quality=a_quality(classes=ClassReport(classes=tuple(a_class(f"c{n}", images=100) for n in range(10))))
)
_UNLEARNED = not_learned(a_row(test=CHANCE))
assert _UNLEARNED is not None
GATES = (_UNLEARNED, a_gate())
SAID = learned_lines(GATES)[0]
CHOICE = Choice(state="settled", candidate="onnxruntime-int8", why="it is the fastest", carried=("onnxruntime-int8",))


def built() -> BuildReport:
    row = a_row(test=CHANCE, chosen=True, gates=GATES, verdict=Verdict.UNSURE)
    return a_report(row, gates=GATES, verdict=Verdict.UNSURE, choice=CHOICE)


def first_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Of what was printed, whose lines a narrow terminal breaks."""
    return " ".join(capsys.readouterr().out.split())[: len(SAID)]


@pytest.mark.parametrize("show", [show_report, show_measured])
def test_a_terminal_begins_with_it(show: Callable[[BuildReport], None], capsys: pytest.CaptureFixture[str]) -> None:
    show(built())
    assert first_line(capsys) == SAID


def test_the_verdict_s_own_line_names_it_with_the_bounds_beside_it() -> None:
    open_ = a_gate(Verdict.UNSURE)
    assert verdict_reason(Verdict.UNSURE, GATES) == "onnxruntime-int8 is not shown to have learned"
    unlearned = "onnxruntime-int8 is not shown to have learned"
    assert verdict_reason(Verdict.UNSURE, (*GATES, open_)) == f"{unlearned} and leaves drop_pp ≤ 1 open"
    assert learned_lines((a_gate(), open_)) == []


def test_markdown_says_it_in_its_heading() -> None:
    heading, _, sentence, *_ = report_markdown(built()).split("\n")
    assert heading == "# resnet-18 on cpu: UNSURE, not shown to have learned"
    assert sentence == f"**{SAID}**"


def test_a_page_begins_with_it() -> None:
    page = read(report_page(PageFacts(report=built())))
    assert page.first("main").first("p").words == "UNSURE onnxruntime-int8 is not shown to have learned."
    assert page.by_id("why").first("p").words == SAID


def test_a_bundle_s_own_page_begins_with_it() -> None:
    heading, _, sentence, *_ = bundle_readme(built()).split("\n")
    assert (heading, sentence.replace("\\", "")) == ("# flowers", f"**{SAID}**")


def test_an_explanation_begins_with_it() -> None:
    assert explanation_lines(explain(built()))[0] == SAID


def test_a_job_is_told_in_each_of_its_files() -> None:
    sheet = sheet_of_report(built())
    (error,) = ElementTree.fromstring(junit_of(sheet)).iter("error")
    assert error.get("message") == f"UNSURE: {_UNLEARNED.reason}"
    (line,) = annotation_lines(sheet)
    assert line.startswith("::error ")
    assert "is not shown to have learned" in summary_markdown(sheet)


def test_a_search_and_its_page_begin_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = fit_report(member("a", 0.117, 3.0, gates=GATES), state="provisional")
    show_fit(found, Path("out"))
    assert first_line(capsys) == SAID
    assert read(fit_page(found)).first("main").first("li").words == SAID


def test_a_sweep_and_its_page_name_such_builds_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remedy = Remedy(cause="short-training", options=(("--set", "train.epochs=6"),))
    found = swept(tmp_path, remedy)
    show_fleet(found)
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"not shown to have learned: lenet-5-cpu; {remedy.sentence}"
    assert read(fleet_page(found)).first("main").first("li").words == first
    assert (found.cells[0].verdict, found.cells[0].exit_code, found.for_all) == (Verdict.UNSURE, 4, None)


def swept(folder: Path, remedy: Remedy) -> FleetReport:
    (cell,) = cells(folder, '[grid]\nmodel.arch = ["lenet-5"]\ntarget.device = ["cpu"]')
    out = build_folder(folder, cell.name)
    out.mkdir(parents=True)
    (out / REPORT).write_text(report_text(built().model_copy(update={"remedy": remedy})), encoding="utf-8")
    ended = CellOutcome(name=cell.name, asked="1", exit_code=4, reported=True, seconds=1.0, ended_at="2026-11-26T10:00:00+00:00")
    return fleet_report((cell,), {cell.name: "1"}, SweepState(sweep="s.toml").with_outcome(ended), folder)


def test_a_sweep_that_is_judged_again_says_it_below_the_verdict() -> None:
    again = SweepJudgement(sweep="s", builds=(JudgedBuild(name="a", exit_code=4, verdict=Verdict.UNSURE, report=built()),))
    first, second = judgement_lines(again)
    assert first == "UNSURE: a"
    assert second.endswith(f"UNSURE, {_UNLEARNED.reason}")


def test_a_comparison_begins_with_it() -> None:
    assert comparison_lines(a_comparison(verdict=Verdict.UNSURE, gates=GATES))[0] == SAID


def test_builds_side_by_side_and_their_page_name_such_builds_first(capsys: pytest.CaptureFixture[str]) -> None:
    builds = some_builds()
    row = builds.candidates[0]
    chosen = tuple(
        facts and facts.model_copy(update={"chosen": True, "gates": gates})
        for facts, gates in zip(row.facts, (GATES, (), GATES), strict=True)
    )
    found = builds.model_copy(update={"candidates": (row.model_copy(update={"facts": chosen}), *builds.candidates[1:])})
    show_side_by_side(found)
    assert capsys.readouterr().out.splitlines()[0] == "not shown to have learned: A, C"
    assert read(comparison_page(found)).first("main").first("p").words == "not shown to have learned: A, C"
    assert "not shown to have learned" not in comparison_page(builds)


@pytest.mark.parametrize(("low", "begins"), [(0.05, True), (0.15, False)])
def test_an_ensemble_begins_with_it(low: float, begins: bool, capsys: pytest.CaptureFixture[str]) -> None:
    top1 = an_interval(0.17, low, 0.3, 0.95)
    row = EnsembleRow(name="e.onnx", folder=None, parameters=1, macs=1, size_bytes=1, accuracy_top1=top1)
    found = Ensemble(
        file="e.onnx",
        images=600,
        chance_top1=0.1,
        whole=row,
        members=(row,),
        difference_pp=None,
        best=None,
        command="edgecnn build",
    )
    show_ensemble(found)
    assert capsys.readouterr().out.startswith("UNSURE: e.onnx is not shown to have learned") is begins
    assert (found.verdict is not None) is begins
