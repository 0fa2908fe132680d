from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.judging.intervals import wilson
from edgecnn.results.page import MATRIX_CLASSES_MAX, Answered, mistakes_of, plain_names, thumbnail
from edgecnn.values.figures import Groups
from tests.judging.made import an_accuracy, folds_of

CLASSES = ("bag", "boot", "shirt")


def answered(truth: list[int], said: list[int], **changes: Any) -> Answered:
    """Answers given with logits that grow from image to image."""
    classes = changes.pop("classes", CLASSES)
    logits = np.zeros((len(truth), len(classes)), dtype=np.float32)
    logits[np.arange(len(truth)), said] = 1 + np.arange(len(truth))
    known: dict[str, Any] = {
        "candidate": "onnxruntime-int8",
        "accuracy": an_accuracy(),
        "classes": classes,
        "labels": np.array(truth, dtype=np.int64),
        "pixels": np.full((len(truth), 8, 8, 3), 128, dtype=np.uint8),
        "logits": logits,
        "baseline": None,
    }
    return Answered(**{**known, **changes})


def test_each_class_is_counted_against_each_answer() -> None:
    found = mistakes_of(answered([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 0, 0]))
    assert found.counts == ((1, 1, 0), (0, 1, 0), (2, 0, 1))
    assert (found.wrong, found.images) == (3, 6)


def test_a_class_says_its_recall_and_what_it_is_taken_for_most_often_first() -> None:
    found = mistakes_of(answered([2, 2, 2, 2], [0, 0, 1, 2])).classes[2]
    assert found.recall is not None
    assert (found.recall.estimate, found.images, found.confusions) == (0.25, 4, (("bag", 2), ("boot", 1)))


def test_a_class_without_images_has_no_recall() -> None:
    found = mistakes_of(answered([0], [0])).classes[1]
    assert (found.images, found.recall, found.confusions) == (0, None, ())


def test_the_baseline_s_recall_stands_beside_it() -> None:
    baseline = answered([0, 0, 1], [0, 0, 0]).logits
    found = mistakes_of(answered([0, 0, 1], [0, 1, 1], baseline=baseline))
    assert [each.baseline_recall for each in found.classes] == [1.0, 0.0, None]


def test_the_worst_mistakes_are_the_surest_ones_and_no_more_than_twelve() -> None:
    found = mistakes_of(answered([0] * 30, [1] * 30)).worst
    assert [each.image for each in found] == list(range(29, 17, -1))
    assert found[0].confidence > found[-1].confidence > 0.9
    assert (found[0].truth, found[0].answer) == ("bag", "boot")


def test_a_mistake_says_what_the_baseline_said_of_the_same_image() -> None:
    baseline = answered([0, 0], [0, 2]).logits
    found = mistakes_of(answered([0, 0], [1, 1], baseline=baseline)).worst
    assert {each.image: each.baseline_answer for each in found} == {0: "bag", 1: "shirt"}


def test_many_classes_are_listed_and_not_put_into_a_matrix() -> None:
    names = tuple(f"class {number}" for number in range(MATRIX_CLASSES_MAX + 1))
    found = mistakes_of(answered([0, 5], [5, 5], classes=names))
    assert found.counts is None
    assert len(found.classes) == MATRIX_CLASSES_MAX + 1


def test_logits_of_any_size_give_a_confidence_between_0_and_1() -> None:
    logits = np.array([[0, 1e30, 0], [1e4, 0, 0]], dtype=np.float32)
    assert [each.confidence for each in mistakes_of(answered([0, 1], [1, 0], logits=logits)).worst] == [1.0, 1.0]


@pytest.mark.parametrize(("size", "shown"), [((8, 8), (8, 8)), ((224, 224), (96, 96)), ((300, 150), (48, 96))])
def test_a_thumbnail_is_a_small_jpeg_in_the_image_s_own_proportions(size: tuple[int, int], shown: tuple[int, int]) -> None:
    picture = Image.open(io.BytesIO(base64.b64decode(thumbnail(np.full((*size, 3), 200, dtype=np.uint8)))))
    assert (picture.format, picture.size) == ("JPEG", shown)


def test_a_name_with_half_a_surrogate_can_be_written() -> None:
    assert plain_names(["Größe", "bo\ud800ot"]) == ("Größe", "bo?ot")


def test_recall_of_a_class_is_as_sure_as_its_groups_and_alone_where_how_images_depend_is_not_known() -> None:
    """Four videos of ten frames, of which one is answered wrongly throughout."""
    truth, said, of = [0] * 40, [0] * 30 + [1] * 10, np.repeat(np.arange(4), 10)
    effects = Groups(groups=4, independent=4.0, top1_effect=10.0, drop_effect=10.0)
    in_groups = an_accuracy(groups=effects)
    alone, grouped, unknown, folded = (
        mistakes_of(answered(truth, said, accuracy=seen, groups=groups)).classes[0].recall
        for seen, groups in ((an_accuracy(), None), (in_groups, of), (in_groups, None), (folds_of(an_accuracy()), None))
    )
    assert alone == wilson(30, 40) and grouped is not None
    assert grouped.low < 0.31 and grouped.high > 0.94, "as of four images at most"
    assert unknown == folded == wilson(30, 40).alone  # type: ignore[union-attr]
