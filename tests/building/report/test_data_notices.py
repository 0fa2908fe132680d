"""A class that was lost is named in a sentence with its points, and a class too small to be judged is not passed over."""

from __future__ import annotations

import re
from typing import Literal

from edgecnn.building.notices import class_notices, fold_notices
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.figures import ClassFigures, ClassReport, Groups, UnitLosses
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_class, a_quality, an_accuracy, facts


def lost(name: str, points: int = 12, images: int = 1000) -> ClassFigures:
    return a_class(name, lost=images * points // 100 + 10, gained=10, images=images, regression="shown")


def row(*classes: ClassFigures, fidelity: Fidelity = Fidelity.MEASURED, compared: int = 10) -> CandidateFacts:
    report = ClassReport(classes=classes, compared=compared, lost_to_show=8)
    return facts("openvino-int8", test=an_accuracy(quality=a_quality(classes=report), fidelity=fidelity))


def test_a_class_that_was_lost_is_told_in_one_sentence() -> None:
    (said,) = class_notices([row(a_class("Bag"), lost("Shirt"))])
    assert "'Shirt'" in said and "12.0 pp" in said and "'Bag'" not in said


def test_where_no_class_is_shown_to_lose_nothing_is_said() -> None:
    assert class_notices([row(a_class("Bag"), a_class("Shirt", lost=30, gained=20))]) == ()


def test_a_row_without_accuracy_and_the_baseline_itself_say_nothing() -> None:
    itself = ClassFigures(name="Bag", images=1000, right=900, recall=None, f1=None)
    baseline = row(itself, compared=0)
    assert class_notices([facts("onnxruntime-int8"), facts("onnxruntime-int8", test=an_accuracy()), baseline]) == ()


def test_an_emulated_loss_says_so() -> None:
    (said,) = class_notices([row(lost("Shirt"), fidelity=Fidelity.EMULATED)])
    assert "(emulated)" in said


def test_beyond_five_classes_the_rest_is_told_in_one_sentence_with_their_names() -> None:
    said = class_notices([row(*(lost(f"class {points}", points) for points in range(10, 27)), compared=17)])
    assert [each.split(" on class ")[1].split(" (")[0] for each in said[:5]] == [f"'class {n}'" for n in range(26, 21, -1)]
    names = ", ".join(f"'class {n}'" for n in range(21, 11, -1))
    assert [f"{names} and 2 more" in each for each in said[5:]] == [True]


def test_classes_too_small_to_be_judged_are_named_once_for_all_candidates() -> None:
    small = [a_class(name, images=3, lost=1, gained=0, regression="too few images") for name in ("Bag", "Boot")]
    (said,) = class_notices([row(*small), row(*small)])
    assert " 8 " in said and said.endswith("'Bag', 'Boot'")


def test_a_name_with_a_line_break_or_an_escape_is_shown_and_not_obeyed() -> None:
    (said,) = class_notices([row(lost("a\n\x1b[31mb"))])
    assert r"on class 'a\n\x1b[31mb' (" in said


def grouped(kind: Literal["group", "fold"], **changes: object) -> ClassFigures:
    return lost("Shirt").model_copy(update={"units": UnitLosses(kind=kind, count=16, lost=14, gained=1), **changes})


def test_of_groups_and_of_several_candidates_the_sentence_says_what_was_counted() -> None:
    seen = row(grouped("group"))
    assert seen.test is not None and seen.test.quality is not None
    of_three = seen.test.quality.classes.model_copy(update={"candidates": 3})
    test = seen.test.model_copy(update={"quality": seen.test.quality.model_copy(update={"classes": of_three})})
    (said,) = class_notices([seen.model_copy(update={"test": test})])
    assert re.findall(r"\d+", said.partition("'Shirt'")[2]) == ["1", "000", "16", "14", "1", "10", "3"]


def test_of_folds_the_sentence_counts_folds() -> None:
    (said,) = class_notices([row(grouped("fold"))])
    assert "16 folds" in said and "14 lose" in said


def test_groups_of_test_images_are_worth_what_a_pass_takes_them_for() -> None:
    groups = Groups(groups=40, independent=40.0, top1_effect=1.5, drop_effect=1.5)
    seen = facts("onnxruntime-fp32", is_baseline=True, test=an_accuracy(images=600, groups=groups))
    (said,) = fold_notices([seen], WeightsAnswer(choice="none", kind="none", why="asked"))
    assert [number for number in re.findall(r"\d+", said) if number not in ("1", "32")] == ["600", "40", "400", "40"]
