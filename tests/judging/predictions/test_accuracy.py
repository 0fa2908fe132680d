import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import (
    LOGITS_DO_NOT_MATCH,
    NO_IMAGES,
    ONE_CLASS_ANSWERED,
    LogitsNotFinite,
)
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.values.verdict import Fidelity


def answering(classes, *, candidate="onnxruntime-int8", pixels="p", width=3, fidelity=Fidelity.MEASURED):
    logits = np.eye(width, dtype=np.float32)[np.array(classes, dtype=np.int64)]
    return Answers(candidate=candidate, logits=logits, pixels=pixels, machine="AMD EPYC", fidelity=fidelity)


LABELS = np.array([0, 1, 2, 0])


def test_top1_counts_what_is_right():
    found = accuracy(answering([0, 1, 2, 1]), LABELS, "test")
    assert (found.images, found.top1.estimate, found.drop_pp, found.discordant) == (4, 0.75, None, None)
    assert found.top1.low < 0.75 < found.top1.high
    assert (found.split, found.machine, found.pixels) == ("test", "AMD EPYC", "p")


def test_drop_is_paired_image_by_image():
    found = accuracy(answering([0, 1, 0, 1]), LABELS, "validation", answering([0, 0, 2, 0], candidate="onnxruntime-fp32"))
    # Right where the baseline is wrong on image 1; wrong where it is right on images 2 and 3.
    assert (found.lost, found.gained, found.discordant) == (2, 1, 3)
    assert found.drop_pp.estimate == 25.0
    assert found.drop_pp.confidence == 0.90


def test_identical_answers_have_no_discordant_image_and_still_an_interval():
    found = accuracy(answering([0, 1, 2, 0]), LABELS, "test", answering([0, 1, 2, 0]))
    assert (found.discordant, found.drop_pp.estimate) == (0, 0)
    assert found.drop_pp.high > 40


def test_both_wrong_is_concordant_whatever_they_said():
    found = accuracy(answering([1, 1, 2, 0]), LABELS, "test", answering([2, 1, 2, 0]))
    assert found.discordant == 0


def test_one_image_is_judged_with_what_one_image_can_show():
    found = accuracy(answering([0]), np.array([0]), "test", answering([0]))
    assert found.top1.low < 0.3
    assert found.drop_pp.high > 70


def test_an_emulated_answer_stays_labelled():
    assert accuracy(answering([0], fidelity=Fidelity.EMULATED), np.array([0]), "test").fidelity is Fidelity.EMULATED


def test_no_images_are_not_a_hundred_percent():
    with pytest.raises(EdgecnnError, check=NO_IMAGES.made):
        accuracy(answering([]), np.array([], dtype=np.int64), "test")


@pytest.mark.parametrize("width", [0, 1])
def test_fewer_than_two_classes_have_no_accuracy(width):
    answers = Answers(candidate="onnxruntime-int8", logits=np.ones((4, width), np.float32), pixels="p", machine="m")
    with pytest.raises(EdgecnnError, check=ONE_CLASS_ANSWERED.made):
        accuracy(answers, np.zeros(4, np.int64), "test")


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_name_the_candidate_and_the_first_image(poison):
    answers = answering([0, 1, 2, 0])
    answers.logits[2, 1] = answers.logits[3, 0] = poison
    with pytest.raises(LogitsNotFinite, match=rf"the logits of onnxruntime-int8 for image 2 contain {poison}: 2 of 4 images"):
        accuracy(answers, LABELS, "test")


def test_a_broken_baseline_is_named_itself():
    baseline = answering([0, 1, 2, 0], candidate="onnxruntime-fp32")
    baseline.logits[1, 0] = np.nan
    with pytest.raises(LogitsNotFinite, match="the logits of onnxruntime-fp32 for image 1"):
        accuracy(answering([0, 1, 2, 0]), LABELS, "test", baseline)


@pytest.mark.parametrize(
    ("answers", "labels", "says"),
    [
        (answering([0, 1, 2]), LABELS, r"logits of shape \(3, 3\) cannot be compared with labels of shape \(4,\)"),
        (answering([0, 1, 1, 0], width=2), LABELS, "logits of 2 classes cannot be compared with labels 0 to 2"),
        (answering([0, 1, 2, 0]), np.array([0, -1, 2, 0]), "labels -1 to 2"),
        (answering([0, 1, 2, 0]), LABELS[:, None], r"labels of shape \(4, 1\)"),
    ],
)
def test_logits_and_labels_of_other_images_are_refused(answers, labels, says):
    with pytest.raises(EdgecnnError, match=says, check=LOGITS_DO_NOT_MATCH.made):
        accuracy(answers, labels, "test")


def test_answers_to_other_pixels_are_not_paired():
    with pytest.raises(EdgecnnError, check=LOGITS_DO_NOT_MATCH.made):
        accuracy(answering([0, 1, 2, 0]), LABELS, "test", answering([0, 1, 2, 0], candidate="onnxruntime-fp32", pixels="q"))
