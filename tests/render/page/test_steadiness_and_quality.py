"""Whether a race's runs were steady, and what top-1 does not say."""

from __future__ import annotations

from edgecnn.render.page.charts.latency import steadiness
from edgecnn.render.page.report import quality_figures
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
    assert [row["runs"] for row in rows_with(figure, "state")] == [5, 2, 1]
    assert len(figure.notes) == 1


def judged(classes: ClassReport | None = None, **changes: object) -> BuildReport:
    found = a_quality(**({"classes": classes} if classes else {}), **changes)
    return a_report(facts(chosen=True, test=an_accuracy(quality=found)))


def test_each_metric_has_its_chart_in_percent_with_its_interval() -> None:
    top5, macro_f1, ece, agreement, _ = quality_figures(judged())
    assert [(row["at"], row["low"], row["high"]) for row in rows_with(top5, "at")] == [(99.0, 98.5, 99.4)]
    assert [cells[0] for figure in (macro_f1, ece, agreement) for cells in figure.table.rows] == ["onnxruntime-int8"] * 3


def test_a_metric_that_is_absent_has_no_chart_and_its_neighbours_do() -> None:
    found = quality_figures(judged(top5=None, absent={"top5": "four classes"}))
    assert [figure.id for figure in found] == ["quality-macro-f1", "quality-ece", "quality-agreement", "classes-lost"]


def test_classes_that_lost_are_named_after_holm_and_their_colour_is_not_alone() -> None:
    figure = quality_figures(judged())[-1]
    rows = {row["class"]: row for row in rows_with(figure, "state")}
    assert (rows["Shirt"]["state"], rows["Bag"]["state"]) == ("shown", "not shown")
    assert next(cells for cells in figure.table.rows if cells[0] == "Shirt")[-2:] == ("< 0.001", "shown")


def test_of_many_classes_those_that_lose_most_are_drawn_and_the_rest_are_counted() -> None:
    every = tuple(a_class(f"{'x' * 40} {number}", lost=number) for number in range(200))
    figure = quality_figures(judged(ClassReport(classes=every, compared=200)))[-1]
    rows = rows_with(figure, "state")
    assert len(rows) == 20
    assert len({row["label"] for row in rows}) == 20, "names cut alike stay apart"
    assert " 180 " in figure.notes[0]


def test_the_baseline_has_lost_no_class_to_itself() -> None:
    report = a_report(facts("onnxruntime-fp32", is_baseline=True, chosen=True, test=an_accuracy(quality=a_quality())))
    assert "classes-lost" not in [figure.id for figure in quality_figures(report)]
    assert quality_figures(a_report(facts(test=an_accuracy()))) == ()


def test_over_folds_the_charts_of_classes_and_of_independent_images_have_no_interval() -> None:
    over_folds = folds_of(an_accuracy(quality=a_quality(classes=ClassReport(classes=(a_class("Shirt", lost=130),), compared=1))))
    _, macro_f1, _, agreement, classes = quality_figures(a_report(facts(chosen=True, test=over_folds)))
    assert [(row["low"], row["high"]) for figure in (macro_f1, classes) for row in rows_with(figure, "low")] == [
        (86.0, 86.0), (12.5, 12.5),
    ]  # fmt: skip
    assert macro_f1.table.rows == (("onnxruntime-int8", "86.0 %"),)
    assert len(macro_f1.notes) == 1 and macro_f1.notes == classes.notes and agreement.notes == ()
