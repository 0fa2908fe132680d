"""Figures of a cross-validation: what all folds answered, with intervals that allow for networks that differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.judging.accuracy import Answers
from edgecnn.judging.findings import drop
from edgecnn.judging.folds import FoldAnswers, accuracy_over_folds, design_effect, quality_over_folds
from edgecnn.judging.gates import judge
from edgecnn.judging.intervals import tango_drop_pp, wilson
from edgecnn.judging.quality import quality
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, Verdict
from tests.judging.made import a_candidate

CLASSES = 3


def answered(name: str, right: NDArray[np.bool_], labels: NDArray[np.int64], fold: int) -> Answers:
    """Logits whose first class is the labelled one where ``right`` says so."""
    said = np.where(right, labels, (labels + 1) % CLASSES)
    return Answers(name, np.eye(CLASSES, dtype=np.float32)[said], pixels=f"fold {fold}", machine="here")


def both(images: list[int], lost: list[int], gained: list[int]) -> tuple[FoldAnswers, FoldAnswers]:
    """fp32's answers and a candidate's: of each fold, fp32 has a tenth wrong."""
    draws = np.random.default_rng(1)
    labels = [draws.integers(0, CLASSES, count) for count in images]
    fp32 = [np.arange(count) >= count // 10 for count in images]
    mine = [right.copy() for right in fp32]
    for right, less, more in zip(mine, lost, gained, strict=True):
        right[len(right) - less :] = False
        right[:more] = True
    sides = (("fp32", fp32), ("int8", mine))
    return tuple(  # type: ignore[return-value]
        FoldAnswers([answered(name, *pair, fold) for fold, pair in enumerate(zip(rights, labels, strict=True))], labels)
        for name, rights in sides
    )


def test_folds_that_differ_by_chance_are_as_many_independent_images() -> None:
    fp32, int8 = both([60, 70, 70, 70, 70], lost=[1, 1, 2, 1, 1], gained=[1, 1, 1, 1, 1])
    found = accuracy_over_folds(int8, fp32)
    assert (found.images, found.lost, found.gained) == (340, 6, 5)
    assert found.folds is not None and found.folds.drop_effect == 1.0
    assert found.drop_pp == tango_drop_pp(6, 5, 340) and found.folds.alone_drop_pp == tango_drop_pp(1, 1, 60)
    assert [(each.images, each.lost, each.gained) for each in found.folds.each][:3] == [(60, 1, 1), (70, 1, 1), (70, 2, 1)]
    assert found.folds.worth_images == 280
    alone = accuracy_over_folds(fp32, None)
    assert alone.drop_pp is None and alone.top1 == wilson(306, 340) and alone.folds is not None
    assert alone.folds.alone_top1 == wilson(54, 60)


def test_a_network_that_loses_much_in_one_fold_widens_the_interval_and_the_gate_sees_it() -> None:
    fp32, int8 = both([70] * 5, lost=[0, 0, 0, 0, 12], gained=[1] * 5)
    found = accuracy_over_folds(int8, fp32)
    plain = tango_drop_pp(12, 5, 350)
    assert found.folds is not None and found.folds.drop_effect > 4 and found.drop_pp is not None and plain is not None
    assert found.drop_pp.estimate == pytest.approx(plain.estimate) and found.drop_pp.high > plain.high + 2
    facts = CandidateFacts(candidate=a_candidate("onnxruntime-int8"), test=found)
    figure = drop(facts).figure
    assert figure is not None and figure == found.drop_pp
    result = judge(Gate(metric="drop_pp", side="max", bound=1.0, required="advisory"), facts)
    assert (result.verdict, result.figure) == (Verdict.UNSURE, figure)
    assert (figure.confidence, round(figure.low, 2), round(figure.high, 2)) == (0.9, -10.33, 15.13)


@pytest.mark.slow  # thousands of simulated builds
@pytest.mark.parametrize("folds", [5, 10])
@pytest.mark.parametrize("spread", [0.0, 0.01, 0.02])
def test_a_bound_errs_as_seldom_as_a_gate_says_however_networks_differ(folds: int, spread: float) -> None:
    """The drop of each network is drawn, then its images; one in twenty is what a gate promised_top1."""
    draws, runs, images, discordant = np.random.default_rng(3), 1500, 60, 0.05
    below = 0
    for _ in range(runs):
        drops = np.clip(draws.normal(0, spread, folds), -discordant, discordant)
        uniform = draws.random((folds, images))
        lost = uniform < ((discordant + drops) / 2)[:, None]
        values = np.where(lost, 1.0, np.where(uniform < discordant, -1.0, 0.0))
        effect = design_effect(list(values))
        bounds = tango_drop_pp((values > 0).sum() / effect, (values < 0).sum() / effect, values.size / effect)
        assert bounds is not None
        below += bounds.high < 0
    assert below / runs <= 0.065


def test_answers_that_never_differ_have_no_effect() -> None:
    assert design_effect([np.zeros(60)] * 5) == 1.0
    assert design_effect([np.ones(60), np.zeros(60), np.zeros(60), np.zeros(60), np.zeros(60)]) == 60.0


def test_shares_of_all_folds_allow_for_networks_that_differ_and_no_gate_takes_what_does_not() -> None:
    fp32, int8 = both([70] * 5, lost=[0, 0, 0, 0, 12], gained=[1] * 5)
    answers, labels = int8.together()
    plain = quality(answers, labels, ("a", "b", "c"), fp32.together()[0])
    found = quality_over_folds(plain, int8, fp32)
    assert found.agreement is not None and plain.agreement is not None and found.top5 is None
    assert found.agreement.estimate == pytest.approx(plain.agreement.estimate)
    assert found.agreement.high - found.agreement.low > 1.8 * (plain.agreement.high - plain.agreement.low)
    test = accuracy_over_folds(int8, fp32).model_copy(update={"quality": found})
    facts = CandidateFacts(candidate=a_candidate("onnxruntime-int8"), test=test)
    for metric in ("macro_f1", "ece", "worst_class_drop_pp"):
        result = judge(Gate(metric=metric, side="min" if metric == "macro_f1" else "max", bound=0.5, required="always"), facts)
        assert result.verdict is Verdict.UNSURE and (test.dependence or "never said") in result.reason


def test_folds_in_groups_are_as_sure_as_their_groups_allow_and_a_fold_may_have_none() -> None:
    fp32, int8 = both([60] * 5, lost=[4] * 5, gained=[0] * 5)
    plain = accuracy_over_folds(int8, fp32)
    groups = [np.arange(60) // 12, np.arange(60) // 12, None, np.arange(60) // 12, np.arange(60) // 12]
    mine, theirs = (
        FoldAnswers([replace(each, groups=of) for each, of in zip(side.answers, groups, strict=True)], side.labels)
        for side in (int8, fp32)
    )
    together = mine.groups()
    assert together is not None and len(set(together)) == 4 * 5 + 60, "the images of one fold are of no group, each by itself"
    found = accuracy_over_folds(mine, theirs)
    assert found.folds is not None and plain.folds is not None and found.drop_pp is not None and plain.drop_pp is not None
    assert found.folds.drop_effect > plain.folds.drop_effect and found.drop_pp.high > plain.drop_pp.high
    assert found.folds.worth_images == plain.folds.worth_images == 240, "in such groups as those of the first fold"
    assert found.folds.alone_drop_pp is not None and plain.folds.alone_drop_pp is not None
    assert found.folds.alone_drop_pp.high > plain.folds.alone_drop_pp.high


@pytest.mark.parametrize("size", [2, 4, 12])
def test_what_folds_are_worth_is_counted_in_images_in_such_groups_as_the_first_fold_s(size: int) -> None:
    draw, labels = np.random.default_rng(1), [np.zeros(60, np.int64)] * 5
    rights = [np.repeat(draw.random(60 // size) < 0.7, size) for _ in labels]
    mine, theirs = (
        FoldAnswers(
            [replace(answered(name, each & (np.arange(60) != lost), labels[0], fold), groups=np.arange(60) // size)
             for fold, each in enumerate(rights)], labels)
        for name, lost in (("int8", 7), ("fp32", -1))
    )  # fmt: skip
    found = accuracy_over_folds(mine, theirs).folds
    assert found is not None and found.drop_effect > 1.3
    assert 120 < found.worth_images <= 240, "five folds of one size tell at most what four more of the first tell"
