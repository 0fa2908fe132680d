"""Whether a race's runs were steady, and what top-1 does not say."""

from __future__ import annotations

from edgecnn.render.page.charts.latency import steadiness
from edgecnn.render.page.sections import quality
from edgecnn.values.figures import ClassReport
from edgecnn.values.report import BuildReport
from tests.judging.made import a_class, a_latency, a_quality, an_accuracy, an_interval, facts, folds_of
from tests.render.page.measured import a_steady
from tests.render.page.reading import rows_with
from tests.render.reports import a_report


def test_a_candidate_that_was_not_timed_has_no_such_chart() -> None:
    assert steadiness(a_report(facts())) == ()


def test_runs_are_counted_by_how_they_went() -> None:
    steady = a_latency(an_interval(1.0), steady=a_steady(flat=5, faster=2, unsettled=1))
    (figure,) = steadiness(a_report(facts(latency=steady)))
    assert {row["state"]: row["runs"] for row in rows_with(figure, "state")} == {
        "steady at once": 5, "warmed up, then steady": 2, "still changing at the end": 1,
    }  # fmt: skip
    assert "still changing at the end in some runs: onnxruntime-int8" in figure.says
    assert figure.notes == ("onnxruntime-int8: does not settle: 1 of 8 runs still changes",)


def judged(classes: ClassReport | None = None, **changes: object) -> BuildReport:
    found = a_quality(**({"classes": classes} if classes else {}), **changes)
    return a_report(facts(chosen=True, test=an_accuracy(quality=found)))


def test_each_metric_has_its_chart_in_percent_with_its_interval() -> None:
    top5, macro_f1, ece, agreement, _ = quality(judged())
    assert [(row["at"], row["low"], row["high"]) for row in rows_with(top5, "at")] == [(99.0, 98.5, 99.4)]
    assert ece.table.rows == (("onnxruntime-int8", "5.0 % [3.0, 6.0]"),)
    assert "lower is better" in ece.says and "higher is better" in agreement.says
    assert macro_f1.sources[0].what == "the answers to 1,000 images, on AMD EPYC"


def test_a_metric_that_is_absent_has_no_chart_and_its_neighbours_do() -> None:
    found = quality(judged(top5=None, absent={"top5": "the network has four classes"}))
    assert [figure.id for figure in found] == ["quality-macro-f1", "quality-ece", "quality-agreement", "classes-lost"]


def test_classes_that_lost_are_named_after_holm_and_their_colour_is_not_alone() -> None:
    figure = quality(judged())[-1]
    assert figure.says.startswith("Shown to lose, after Holm's adjustment over 10 classes: Shirt.")
    rows = {row["class"]: row for row in rows_with(figure, "state")}
    assert (rows["Shirt"]["state"], rows["Bag"]["state"]) == ("shown", "not shown")
    assert next(cells for cells in figure.table.rows if cells[0] == "Shirt")[-2:] == ("< 0.001", "shown")


def test_of_many_classes_those_that_lose_most_are_drawn_and_the_rest_are_counted() -> None:
    every = tuple(a_class(f"{'x' * 40} {number}", lost=number) for number in range(200))
    figure = quality(judged(ClassReport(classes=every, compared=200)))[-1]
    rows = rows_with(figure, "state")
    assert len(rows) == 20
    assert len({row["label"] for row in rows}) == 20, "names cut alike stay apart"
    assert figure.notes == ("The 20 that lose most; 180 more in report.json.",)


def test_the_baseline_has_lost_no_class_to_itself() -> None:
    report = a_report(facts("onnxruntime-fp32", is_baseline=True, chosen=True, test=an_accuracy(quality=a_quality())))
    assert "classes-lost" not in [figure.id for figure in quality(report)]
    assert quality(a_report(facts(test=an_accuracy()))) == ()


def test_over_folds_the_charts_of_classes_and_of_independent_images_have_no_interval() -> None:
    over_folds = folds_of(an_accuracy(quality=a_quality(classes=ClassReport(classes=(a_class("Shirt", lost=130),), compared=1))))
    _, macro_f1, _, agreement, classes = quality(a_report(facts(chosen=True, test=over_folds)))
    assert [(row["low"], row["high"]) for figure in (macro_f1, classes) for row in rows_with(figure, "low")] == [
        (86.0, 86.0), (12.5, 12.5),
    ]  # fmt: skip
    assert macro_f1.table.rows == (("onnxruntime-int8", "86.0 %"),) and "Intervals at" not in macro_f1.says
    assert classes.says.endswith("No interval of a class is known.") and "drop, 90 %" not in classes.table.columns
    why = "A figure without an interval: none is known that allows for networks that differ from fold to fold."
    assert macro_f1.notes == classes.notes == (why,) and agreement.notes == () and "Intervals at 90 %" in agreement.says
