"""mAP and F1 are scikit-learn's, leaving an image out is exact, intervals cover what they should, and thresholds are settled."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import LOGITS_DO_NOT_MATCH, NO_IMAGES, LogitsNotFinite
from edgecnn.judging.accuracy import Answers
from edgecnn.judging.average_precision import Ranked, average_precision, chance_precision, mean_average_precision
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_drop_pp
from edgecnn.judging.logits import best_thresholds, labels_over, probabilities
from edgecnn.judging.multi_label import map_interval, multi_label_accuracy
from edgecnn.values.figures import MultiLabelAccuracy

Drawn = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]


def world(
    random: np.random.Generator, images: int, labels: int = 3, apart: float = 2.0, noise: float = 0.3, together: float = 0.0
) -> Drawn:
    """Labels that hang together, a network's answers, and those of the same network, a little disturbed.

    ``together``: how much of what decides an answer all labels of an image have in common, from 0.
    """
    common, luck = random.normal(size=(images, 1)), together * random.normal(size=(images, 1))
    has = random.normal(size=(images, labels)) + (0.7 + 5 * together) * common > 1.0
    answers = random.normal(size=(images, labels)) + apart * has + 0.3 * common + luck
    return (
        has.astype(np.uint8),
        answers.astype(np.float32),
        (answers + noise * random.normal(size=answers.shape)).astype(np.float32),
    )


def judged(drawn: Drawn, threshold: float = 0.8) -> MultiLabelAccuracy:
    has, exact, rounded = drawn
    bounds = {f"label {number}": threshold for number in range(has.shape[1])}
    return multi_label_accuracy(Answers("int8", rounded, "p", "m"), has, bounds, "test", Answers("fp32", exact, "p", "m"))


@pytest.mark.parametrize("digits", [6, 0])
def test_average_precision_is_scikit_learn_s_with_every_image_left_out_and_ties_too(digits: int) -> None:
    random = np.random.default_rng(0)
    has = random.random(60) < 0.3
    scores = np.round(random.normal(size=60) + has, digits)
    found = average_precision(scores, has)
    assert found.estimate == pytest.approx(average_precision_score(has, scores), abs=1e-12)
    for image in range(60):
        rest = np.arange(60) != image
        assert found.without[image] == pytest.approx(average_precision_score(has[rest], scores[rest]), abs=1e-12)


def test_a_label_that_no_image_has_is_left_out_and_said() -> None:
    has, exact, rounded = world(np.random.default_rng(1), 200)
    has[:, 1] = 0
    found = judged((has, exact, rounded))
    kept = [0, 2]
    assert found.map.estimate == pytest.approx(average_precision_score(has[:, kept], rounded[:, kept], average="macro"))
    assert found.left_out == ("label 1",)
    assert (found.labels[1].average_precision, found.labels[1].recall, found.labels[1].f1) == (None, None, None)
    has[:] = 0
    assert mean_average_precision(exact, has) is None
    with pytest.raises(EdgecnnError, check=NO_IMAGES.made):
        judged((has, exact, rounded))


def test_f1_precision_and_recall_are_scikit_learn_s() -> None:
    has, exact, rounded = world(np.random.default_rng(2), 300)
    found = judged((has, exact, rounded))
    given = probabilities(rounded) >= 0.8
    assert found.micro_f1.estimate == pytest.approx(f1_score(has, given, average="micro"))
    assert found.macro_f1.estimate == pytest.approx(f1_score(has, given, average="macro"))
    first = found.labels[0]
    right = int((given[:, 0] & (has[:, 0] == 1)).sum())
    assert first.precision is not None and first.precision.estimate == right / given[:, 0].sum()
    assert first.recall is not None and first.recall.estimate == right / has[:, 0].sum() == right / first.images
    same = (given == (probabilities(exact) >= 0.8)).all(axis=1).mean()
    assert found.agreement is not None and found.agreement.estimate == pytest.approx(same)


WORLDS: dict[str, dict[str, Any]] = {
    "few images": {"apart": 2.0},
    "hardly a mistake": {"apart": 4.0},
    "hardly a difference": {"apart": 1.5, "noise": 0.1},
    "all labels of an image are right or wrong together": {"labels": 8, "together": 2.0},
}


@pytest.mark.parametrize("name", WORLDS)
def test_intervals_cover_the_truth_as_often_as_they_say(name: str) -> None:
    """300 test sets drawn anew; the least share allows four standard errors of so many draws."""
    random, how = np.random.default_rng(5), WORLDS[name]
    truth = judged(world(random, 100_000, **how))
    drawn = [judged(world(random, 150, **how)) for _ in range(300)]
    for figure, least in (("map", 0.90), ("drop_pp", 0.83), ("micro_f1", 0.83), ("macro_f1", 0.83)):
        true = getattr(truth, figure).estimate
        covered = np.mean([getattr(each, figure).low <= true <= getattr(each, figure).high for each in drawn])
        assert covered >= least, (figure, covered)


def test_a_network_on_the_margin_of_the_gate_passes_at_most_one_time_in_twenty() -> None:
    random = np.random.default_rng(6)
    margin = judged(world(random, 200_000)).drop_pp
    assert margin is not None
    passed = [drop.high <= margin.estimate for _ in range(300) if (drop := judged(world(random, 300)).drop_pp) is not None]
    assert np.mean(passed) <= 0.05 + 0.04


def test_two_networks_that_rank_alike_are_not_shown_to_be_the_same_by_few_images() -> None:
    """No difference was seen of 100 images: one that these did not show may still be there, and more images narrow it."""
    widths = []
    for images in (100, 1000):
        has, exact, _ = world(np.random.default_rng(7), images)
        drop = judged((has, exact, exact)).drop_pp
        assert drop is not None and drop.estimate == 0 and drop.low == -drop.high
        top1 = tango_drop_pp(0, 0, images)
        assert top1 is not None
        widths.append(drop.high / top1.high)
    assert all(1 < width < 4 for width in widths), "an image counts more than of top-1, the more the labels hang together"


@pytest.mark.parametrize("labels", [3, 8])
@pytest.mark.parametrize("apart", [2.0, 6.0])
def test_a_few_images_that_int8_answers_as_others_are_allowed_for_where_none_was_seen(labels: int, apart: float) -> None:
    """A bound errs at most one time in twenty; of 200 sets drawn anew, three standard errors more."""

    def drawn(images: int) -> Drawn:
        has, exact, rounded = world(random, images, labels=labels, apart=apart, noise=0.02)
        hit = random.random(images) < 0.02
        rounded[hit] = exact[random.permutation(images)[hit]]
        return has, exact, rounded

    random = np.random.default_rng(11)
    truth = judged(drawn(50_000))
    found = [judged(drawn(120)) for _ in range(200)]
    assert truth.drop_pp is not None and truth.drop_pp.estimate > 1
    assert np.mean([each.drop_pp.high < truth.drop_pp.estimate for each in found if each.drop_pp]) <= 0.05 + 0.045
    for figure in ("map", "micro_f1"):
        assert np.mean([getattr(each, figure).low > getattr(truth, figure).estimate for each in found]) <= 0.05 + 0.045, figure


@pytest.mark.parametrize("digits", [6, 0])
def test_what_an_image_costs_that_is_answered_as_another_is_scikit_learn_s(digits: int) -> None:
    random = np.random.default_rng(12)
    has = random.random(40) < 0.3
    scores = np.round(random.normal(size=40) + has, digits)
    others = random.permutation(40)
    lost = Ranked(scores, has).lost_as(others)
    order = np.argsort(-scores, kind="stable")
    apart = np.empty(40)
    apart[order] = -np.arange(40.0)  # as scores without ties: those with one score in the order in which they came
    for image, other in enumerate(others):
        moved = apart.copy()
        moved[image] = apart[other] + np.sign(apart[other] - apart[image]) / 2
        expected = average_precision_score(has, apart) - average_precision_score(has, moved)
        assert lost[image] == pytest.approx(expected, abs=1e-12)


def test_a_network_that_makes_no_mistake_is_not_said_to_be_certain_of_it() -> None:
    has = np.tile(np.eye(3, dtype=np.uint8), (20, 1))
    logits = np.where(has, 3.0, -3.0).astype(np.float32)
    found = judged((has, logits, logits))
    assert found.map.estimate == found.map.high == 1 and 0.9 < found.map.low < 1


def test_ten_thousand_images_of_twenty_labels_take_seconds() -> None:
    drawn = world(np.random.default_rng(8), 10_000, labels=20)
    began = time.perf_counter()
    judged(drawn)
    assert time.perf_counter() - began < 10


def test_what_does_not_belong_together_is_refused() -> None:
    has, exact, rounded = world(np.random.default_rng(9), 50)
    with pytest.raises(EdgecnnError, check=LOGITS_DO_NOT_MATCH.made):
        multi_label_accuracy(Answers("int8", rounded, "p", "m"), has, {"one": 0.5}, "test")
    with pytest.raises(EdgecnnError, check=LOGITS_DO_NOT_MATCH.made):
        multi_label_accuracy(
            Answers("int8", rounded, "p", "m"), has, dict.fromkeys("abc", 0.5), "test", Answers("fp32", exact, "q", "m")
        )
    rounded[3, 1] = np.nan
    with pytest.raises(LogitsNotFinite):
        judged((has, exact, rounded))


def test_a_threshold_is_that_of_the_largest_f1() -> None:
    has, exact, _ = world(np.random.default_rng(10), 400)
    chosen = best_thresholds(exact, has, ("a", "b", "c"))
    for place, bound in enumerate(chosen.values()):
        shares = probabilities(exact[:, place])
        best = max(f1_score(has[:, place], shares >= tried) for tried in np.unique(shares))
        assert f1_score(has[:, place], shares >= bound) == pytest.approx(best, abs=2e-3)
    again = best_thresholds(exact[::-1], has[::-1], ("a", "b", "c"))
    assert again == chosen, "the order of images decides nothing"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_label_that_is_told_by_tiny_probabilities_has_a_threshold_between_them(sign: int) -> None:
    logits = sign * np.array([[-11.0], [-11.0], [-14.0], [-14.0]], np.float32)
    has = np.array([[1], [1], [0], [0]] if sign > 0 else [[0], [0], [1], [1]], np.uint8)
    chosen = best_thresholds(logits, has, ("rare",))
    assert labels_over(logits, chosen).ravel().tolist() == has.ravel().astype(bool).tolist()


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken_and_half_without_images() -> None:
    logits = np.array([[4.0, 1.0], [4.0, 1.0], [-4.0, 1.0], [-4.0, 1.0]], np.float32)
    has = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], np.uint8)
    assert best_thresholds(logits, has, ("told", "never")) == {"told": 0.5, "never": 0.5}
    assert labels_over(logits, {"told": 0.5, "never": 0.8}).tolist() == [
        [True, False],
        [True, False],
        [False, False],
        [False, False],
    ]


@pytest.mark.parametrize(("images", "positives"), [(20, 1), (40, 4), (60, 30)])
def test_what_a_random_ranking_reaches_is_more_than_the_share_of_few_images(images: int, positives: int) -> None:
    draws = np.random.default_rng(4)
    has = np.arange(images) < positives
    seen = np.mean([average_precision(draws.random(images), has).estimate for _ in range(4000)])
    assert (
        chance_precision(images, positives) == pytest.approx(seen, abs=0.01)
        and chance_precision(images, positives) > positives / images
    )


@pytest.mark.parametrize(("freedom", "apart", "true", "most"), [(1000.0, 3.08, 0.749, 0.09), (3.0, 6.6, 0.6, 0.12)])
def test_map_of_rare_labels_is_freed_of_its_bias(freedom: float, apart: float, true: float, most: float) -> None:
    """20 labels of 400 images that 6 images have each. Of heavy-tailed scores, 66 % passed at the bound before."""
    random, passed = np.random.default_rng(18), 0
    for _ in range(60):
        has = random.random((400, 20)) < 6 / 400
        scores = (apart * has + random.standard_t(freedom, has.shape)).astype(np.float32)
        found = map_interval(Answers("int8", scores, "p", "m"), has.astype(np.uint8), "test", NON_INFERIORITY_CONFIDENCE)
        passed += found.low >= true
    assert passed / 60 <= most


def test_f1_of_rare_labels_is_freed_of_its_bias() -> None:
    """Eight labels that 3 images of 60 have each."""
    random, found, threshold = np.random.default_rng(19), list[MultiLabelAccuracy](), 0.9
    for _ in range(150):
        has = random.random((60, 8)) < 0.05
        has[0] = True
        logits = (2.5 * has + random.normal(size=has.shape)).astype(np.float32)
        bounds = {f"label {number}": threshold for number in range(8)}
        found.append(multi_label_accuracy(Answers("int8", logits, "p", "m"), has.astype(np.uint8), bounds, "test"))
    for figure in ("micro_f1", "macro_f1"):
        intervals = [getattr(each, figure) for each in found]
        true = np.mean([interval.estimate for interval in intervals])
        assert np.mean([interval.low > true for interval in intervals]) <= 0.05 + 0.04, figure
