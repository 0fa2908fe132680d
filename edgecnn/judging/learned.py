"""Whether a network is shown to have learned: its accuracy compared with chance, on the same images.

Every command checks this here: builds, judgements and comparisons (through ``judgement.judge_candidate``), the search for a
custom model's preprocessing, and ensembles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgecnn.errors.wording import first_of
from edgecnn.judging.predictions.average_precision import chance_precision
from edgecnn.judging.predictions.independent_images import Worth
from edgecnn.judging.resolution import enough_images, groups_among, images_for_proportion
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import CHANCE, Gate, GateResult, Interval, Verdict

LEAST_IMAGES = 10
"""Test images of a class that may be called never recognised: with 0 of 10 right, its recall is below 26 % at one-sided 95 %."""
WEAK = 0.4
"""Share of the way from chance to 100 %. Landis and Koch, Biometrics 33 (1977) 159-174, call agreement beyond chance up to here
slight or fair."""


class Chance(NamedTuple):
    """The accuracy of a network that has learned nothing."""

    level: float
    """0…1."""
    how: str
    """The guess that reaches it, as the subject of a sentence."""


def commonest_share(images: Sequence[int]) -> float:
    """Return the accuracy of always predicting the most frequent class, 0…1; ``images``: of each class, not all 0."""
    return max(images) / sum(images)


def beats_chance(accuracy: Interval | None, level: float) -> bool:
    """Whether the whole interval is above chance. Without an accuracy nothing is shown."""
    return accuracy is not None and accuracy.low > level


def chance_verdict(accuracy: Interval, level: float) -> Verdict | None:
    """FAIL below chance, UNSURE where the interval contains it, None above."""
    if beats_chance(accuracy, level):
        return None
    return Verdict.FAIL if accuracy.high < level else Verdict.UNSURE


def chance_of(facts: CandidateFacts) -> Chance | None:
    """Chance on the test images of one candidate; None if its accuracy was not measured there."""
    if (several := facts.multi_label) is not None:
        levels = [chance_precision(several.images, label.images) for label in several.labels if label.images]
        return Chance(sum(levels) / len(levels), "ranking the images at random") if levels else None
    classes = () if facts.test is None or facts.test.quality is None else facts.test.quality.classes.classes
    if not any(figures.images for figures in classes):
        return None
    commonest = max(classes, key=lambda figures: figures.images)
    return Chance(commonest_share([figures.images for figures in classes]), f"always predicting {commonest.name!r}")


def not_learned(facts: CandidateFacts) -> GateResult | None:
    """The result that keeps a network at chance level from passing; None if it beats chance, or no accuracy is known."""
    chance, answered = chance_of(facts), facts.answered
    if chance is None or answered is None or (verdict := chance_verdict(answered.share, chance.level)) is None:
        return None
    figure, several = answered.share, facts.multi_label is not None
    reached = f"{100 * figure.estimate:.1f} % [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
    says = f"mAP is {reached}" if several else f"{reached} of the test images are right"
    folds = facts.test is not None and facts.test.folds is not None
    above = not several and not folds and figure.estimate > chance.level
    needed = images_for_proportion(chance.level, figure.estimate, figure.confidence) if above else None
    if needed is not None and facts.test is not None:
        needed = Worth(facts.test.top1_effect, facts.test.independent_at_most).images_for(needed, facts.test.images, to_pass=True)
    more = "" if needed is None else f"; {enough_images(needed, groups_among(needed, facts.test))}"
    against = f"{says}; {chance.how} gets {100 * chance.level:.1f} %"
    return GateResult(
        gate=Gate(metric="map" if several else "top1", side="min", bound=chance.level, required="always", stated_by=CHANCE),
        candidate=facts.candidate.id,
        verdict=verdict,
        figure=figure,
        fidelity=answered.fidelity,
        reason=f"not shown to have learned: {against}{more}",
        images_to_settle=needed,
    )


def learned_result(gates: Sequence[GateResult]) -> GateResult | None:
    """The result of ``not_learned`` among those of one candidate."""
    return next((result for result in gates if result.gate.stated_by == CHANCE), None)


class Weakness(NamedTuple):
    """Why an accuracy is weak, as facts."""

    accuracy: Interval
    several_labels: bool
    """The accuracy is mAP; else top-1."""
    never: tuple[str, ...]
    """Classes or labels that no test image got right."""
    classes: int


def weakness_of(facts: CandidateFacts) -> Weakness | None:
    """Why a candidate's accuracy on the test images is weak; None if it is not, or is unknown.

    It is weak if a class with ``LEAST_IMAGES`` test images is never recognised, or if even the upper bound of accuracy is less
    than ``WEAK`` of the way from chance to 100 %.
    """
    chance, answered = chance_of(facts), facts.answered
    if chance is None or answered is None:
        return None
    rows = (
        facts.multi_label.labels
        if facts.multi_label
        else facts.test.quality.classes.classes
        if facts.test and facts.test.quality
        else ()
    )
    never = tuple(row.name for row in rows if row.images >= LEAST_IMAGES and row.recall is not None and row.recall.estimate == 0)
    if never or answered.share.high - chance.level < WEAK * (1 - chance.level):
        return Weakness(answered.share, facts.multi_label is not None, never, len(rows))
    return None


_NAMES = 3
"""Classes that a sentence names; report.json has the recall of each."""


def weakness_sentence(candidate: str, weakness: Weakness) -> str:
    """``weak result: onnxruntime-fp32 has 31.0 % top-1; 1 of 10 classes is never recognised ('Shirt')``."""
    metric = "mAP" if weakness.several_labels else "top-1"
    sentence = f"weak result: {candidate} has {100 * weakness.accuracy.estimate:.1f} % {metric}"
    if not weakness.never:
        return sentence
    names = first_of([repr(name) for name in weakness.never], _NAMES)
    noun, verb = "labels" if weakness.several_labels else "classes", "is" if len(weakness.never) == 1 else "are"
    return f"{sentence}; {len(weakness.never)} of {weakness.classes} {noun} {verb} never recognised ({names})"
