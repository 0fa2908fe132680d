from __future__ import annotations

import pytest

from edgecnn.render import tables
from edgecnn.render.markdown import report_markdown
from edgecnn.values.figures import ClassReport, Groups
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_class, a_quality, an_accuracy, facts, folds_of
from tests.render.reports import a_report, a_row


def chosen(classes: ClassReport) -> CandidateFacts:
    return a_row(test=an_accuracy(quality=a_quality(classes=classes)), chosen=True)


def test_over_folds_classes_and_what_takes_images_for_independent_are_estimates_alone() -> None:
    over_folds = folds_of(an_accuracy(quality=a_quality(classes=ClassReport(classes=(a_class("Shirt", lost=130),), compared=1))))
    row = a_row(test=over_folds, chosen=True)
    assert over_folds.quality is not None and over_folds.quality.classes is not None
    assert tables.class_rows(over_folds.quality.classes) != [] and tables.quality_row(row) is not None
    text = report_markdown(a_report(row))
    assert "| Shirt | 1,000 | 90.0 % | 90.0 % | +12.5 pp |" in text
    assert "| 99.0 % [98.5, 99.4] | 86.0 % | 5.0 % | 97.0 % [96.0, 98.0] |" in text


@pytest.mark.parametrize(("independent", "drop"), [(40.0, "+12.5 [+10.8, +14.4] pp"), (None, "+12.5 pp")])
def test_a_class_in_groups_has_its_interval_save_in_a_report_of_before_groups_were_kept(
    independent: float | None, drop: str
) -> None:
    groups = Groups(groups=40, independent=independent, top1_effect=1.5, drop_effect=1.5)
    shirt = a_quality(classes=ClassReport(classes=(a_class("Shirt", lost=130),), compared=1))
    text = report_markdown(a_report(a_row(test=an_accuracy(quality=shirt, groups=groups), chosen=True)))
    assert f"| 90.0 % | {drop} |" in text
    assert "| 86.0 % | 5.0 % |" in text


def test_nothing_is_shown_of_what_was_not_looked_at() -> None:
    text = report_markdown(a_report(a_row(), facts("onnxruntime-int8")))
    assert "Beyond top-1" not in text
    assert "Classes of" not in text


def test_a_figure_that_is_absent_is_a_dash_and_the_baseline_is_its_own_measure() -> None:
    row = tables.quality_row(a_row(test=an_accuracy(quality=a_quality(top5=None))))
    assert row is not None
    assert row[1] == "–"
    baseline = tables.quality_row(a_row(is_baseline=True, test=an_accuracy(quality=a_quality(agreement=None))))
    assert baseline is not None
    assert baseline[4:] == ("baseline", "baseline")


def test_an_emulated_figure_carries_its_mark() -> None:
    row = tables.quality_row(a_row(test=an_accuracy(quality=a_quality(), fidelity=Fidelity.EMULATED)))
    assert row is not None
    assert all(cell.endswith("ᵉ") for cell in row[1:])


def test_a_class_without_images_is_a_row_of_dashes() -> None:
    nothing = a_class("Bag", images=0, recall=None, drop_pp=None, regression="too few images")
    assert tables.class_rows(ClassReport(classes=(nothing,))) == [("Bag", "0", "–", "–", "–", nothing.regression)]


def test_of_many_classes_those_that_lose_most_stand_and_the_rest_are_counted() -> None:
    many = [a_class(f"c{n}", lost=n, gained=0) for n in range(30)]
    many[3] = a_class("c3", lost=20, gained=0, regression="shown")
    classes = ClassReport(classes=tuple(many), compared=30, lost_to_show=10)
    rows = tables.class_rows(classes)
    assert [row[0] for row in rows[:3]] == ["c3", "c29", "c28"]
    assert len(rows) == 20
    assert tables.unlisted_classes(classes) in report_markdown(a_report(chosen(classes)))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", r"&lt;script>alert(1)&lt;/script>"),
        ("a|b", r"a\|b"),
        ("[x](http://y)", r"[x\](http://y)"),
        ("a\nb", r"a\\nb"),
        ("golden_retriever", "golden_retriever"),
        ("Zürich 猫", "Zürich 猫"),
    ],
)
def test_a_class_may_be_called_anything(name: str, shown: str) -> None:
    text = report_markdown(a_report(chosen(ClassReport(classes=(a_class(name),), compared=1))))
    assert f"\n| {shown} | 1,000 | " in text
