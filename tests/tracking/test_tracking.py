"""What a tracker is told of a build."""

from __future__ import annotations

from edgecnn.planning.recipe_settings import RecipeSettings, Setting
from edgecnn.render.tracking import TrackedRun, run_of_build
from edgecnn.values.report import BuildReport, Choice
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_accuracy, an_interval
from tests.render.reports import a_build, a_report, a_row

SETTINGS = RecipeSettings(
    of="builds/flowers",
    settings=(
        Setting(key="model.arch", value="resnet-18", origin="default"),
        Setting(key="train.epochs", value=3, origin="default"),
        Setting(key="train.augment", value=[{"kind": "flip"}], origin="default"),
        Setting(key="data.group_by", value=None, origin="default"),
    ),
)


def report(**changes: object) -> BuildReport:
    """INT8 ships, timed on a board; its accuracy is of a stand-in."""
    answers = an_accuracy(fidelity=Fidelity.EMULATED, machine="x86 stand-in")
    ships = a_row(chosen=True, test=answers, latency=a_latency(an_interval(2.5, 2.4, 2.6), machine="pi-5"))
    fp32 = a_row("onnxruntime-fp32", is_baseline=True, latency=a_latency(an_interval(5.0), selecting=True), residency=None)
    return a_report(ships, fp32, **changes)


def run(given: BuildReport, cell: str | None = None) -> TrackedRun:
    return run_of_build(given, SETTINGS, cell)


def test_what_ships_has_its_figures_with_their_intervals_and_every_candidate_its_estimates() -> None:
    metrics = run(report()).metrics
    assert (metrics["p50_ms.low"], metrics["p50_ms"], metrics["p50_ms.high"]) == (2.4, 2.5, 2.6)
    assert metrics["onnxruntime-int8/p50_ms"] == 2.5 and metrics["onnxruntime-fp32/p50_ms"] == 5.0
    assert metrics["size_mib"] == 5.44 and "size_mib.low" not in metrics
    assert metrics["int8_mac_share"] == 0.97 and "onnxruntime-int8/int8_mac_share" not in metrics


def test_each_figure_says_where_it_comes_from() -> None:
    tags = run(report()).tags
    assert (tags["p50_ms.fidelity"], tags["top1.fidelity"], tags["size_mib.fidelity"]) == ("measured", "emulated", "measured")
    assert (tags["machine"], tags["machine.accuracy"]) == ("pi-5", "x86 stand-in")
    assert tags["onnxruntime-int8/fidelity"].startswith("accuracy: emulated, latency: measured, ")
    assert "latency: measured by the first race" in tags["onnxruntime-fp32/fidelity"]


def test_a_race_that_was_slowed_is_no_undisturbed_one() -> None:
    slowed = a_latency(an_interval(2.5), disturbed="another process took 40 % of the cores")
    found = run(a_report(a_row(chosen=True, latency=slowed)))
    assert found.tags["p50_ms.disturbed"] == "another process took 40 % of the cores"
    assert "p50_ms.disturbed" not in run(report()).tags


def test_figures_that_have_no_tag_are_none() -> None:
    found = run(report())
    shown = {name for name in found.metrics if "/" not in name and not name.endswith((".low", ".high"))}
    assert {f"{name}.fidelity" for name in shown} <= found.tags.keys()


def test_parameters_are_all_values_that_the_build_took() -> None:
    found = {"model.arch": "resnet-18", "train.epochs": "3", "train.augment": '[{"kind": "flip"}]'}
    assert run(report()).parameters == found


def test_the_same_build_timed_anew_is_the_same_build_with_another_report() -> None:
    first = run(report())
    again = run(report(made_at="2026-11-21T10:00:00+00:00", seconds=3.0))
    assert (again.build, again.report) == (first.build, first.report)
    timed = report()
    rows = (timed.candidates[0].model_copy(update={"latency": a_latency(an_interval(2.0), machine="pi-5")}), timed.candidates[1])
    anew = run(timed.model_copy(update={"candidates": rows}))
    assert anew.build == first.build and anew.report != first.report
    assert run(report(keys={"train": "0" * 64})).build != first.build
    assert run(report(build=a_build(name="roses"))).build != first.build
    assert run(report(keys={"train": "0" * 64}), "cell").build == run(report(), "cell").build == "cell"


def test_a_run_ends_at_the_moment_that_its_report_names_whatever_the_offset() -> None:
    ends = {run(report(made_at=text)).ended_ms for text in ("2026-11-21T10:00:00+00:00", "2026-11-21T12:00:00+02:00")}
    assert ends == {1_795_255_200_000}


def test_a_build_that_ships_nothing_has_figures_of_its_candidates_alone() -> None:
    nothing = Choice(state="none", candidate=None, why="none is inside the budget")
    found = run_of_build(a_report(a_row(), choice=nothing), SETTINGS)
    assert found.tags["choice"] == "none" and "machine" not in found.tags
    assert found.metrics and all(name.startswith("onnxruntime-int8/") for name in found.metrics)
