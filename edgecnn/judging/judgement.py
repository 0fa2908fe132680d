"""Judge rows by the gates of a call, and check whether a network is shown to have learned.

Builds, finished builds, bundles and comparisons are all judged here. The search for a custom model's preprocessing and
ensembles check here only whether the accuracy beats chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors.wording import first_of
from edgecnn.judging.accuracy import Answers, answered_right, share_right
from edgecnn.judging.average_precision import chance_precision
from edgecnn.judging.gates import EffectiveGates, judge, judge_identical, overall, verdict_of
from edgecnn.judging.intervals import Worth
from edgecnn.judging.metrics import ANY_METRIC, COMPARED, LATENCY_RATIO
from edgecnn.judging.multi_label import map_interval
from edgecnn.judging.ratio import RatioFinding, judge_ratio
from edgecnn.judging.resolution import enough_images, groups_among, images_for_proportion
from edgecnn.judging.stopping import OF_A_BUILD
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import CHANCE, Gate, GateResult, Interval, Verdict


class Compared(NamedTuple):
    """The comparison of a row with another build."""

    ratio: RatioFinding
    identical: bool
    """Whether both builds ship the same files."""
    several_labels: bool
    """Whether the network is multi-label."""
    built: CandidateFacts | None
    """The row of the same candidate in the report of its build; None without a report."""
    common: CandidateFacts | None = None
    """The row with its accuracy on the images that are in both test splits, for gates on a difference. None if the splits are the
    same."""


class Judgement(NamedTuple):
    """Judged rows, and the verdict of the chosen row."""

    rows: tuple[CandidateFacts, ...]
    gates: tuple[GateResult, ...]
    """Results of the chosen row; empty without a choice."""
    verdict: Verdict


def judge_rows(rows: Iterable[CandidateFacts], gates: EffectiveGates, absent: Mapping[str, str] | None = None) -> Judgement:
    """Judge every row, see ``judge_row``; the verdict is that of the chosen row."""
    judged = tuple(judge_row(row, gates, absent) for row in rows)
    of_chosen = next((row.gates for row in judged if row.chosen), ())
    return Judgement(judged, of_chosen, overall(of_chosen))


def judge_row(
    row: CandidateFacts,
    gates: EffectiveGates,
    absent: Mapping[str, str] | None = None,
    compared: Compared | None = None,
) -> CandidateFacts:
    """Return the row with its gates and its verdict.

    Args:
        row: the facts of one candidate.
        gates: the gates of the call.
        absent: reason for missing figures, by source of the metric.
        compared: the comparison that gates on a difference refer to.
    """
    results = tuple(
        result.model_copy(update={"reason": reason})
        if result.verdict is Verdict.MISSING and (reason := (absent or {}).get(ANY_METRIC[result.gate.metric].source)) is not None
        else result
        for result in judge_candidate(gates.gates, row, gates.more_rounds, compared)
    )
    return row.model_copy(update={"gates": results, "verdict": verdict_of(row, results)})


def judge_candidate(
    gates: Sequence[Gate], row: CandidateFacts, spelled: str = OF_A_BUILD, compared: Compared | None = None
) -> tuple[GateResult, ...]:
    """Return the result of every gate in order, after that of ``not_learned`` if the network is at chance level."""
    unlearned = not_learned(row)
    if compared is None:
        learned = unlearned is None
        return (*(() if unlearned is None else (unlearned,)), *(judge(gate, row, spelled, learned=learned) for gate in gates))
    if unlearned is None and compared.built is not None:
        unlearned = not_learned(compared.built)
    learned = unlearned is None
    judged = (_judged_against(compared, gate, row, spelled, learned=learned) for gate in gates)
    results = (*(() if unlearned is None else (unlearned,)), *judged)
    return tuple(result.model_copy(update={"kit_failed": row.broken is not None}) for result in results)


def _judged_against(compared: Compared, gate: Gate, row: CandidateFacts, spelled: str, *, learned: bool) -> GateResult:
    is_broken = row.broken is not None and COMPARED[gate.metric].source == "accuracy"
    if compared.identical and not is_broken:
        known = judge_identical(gate, row, several_labels=compared.several_labels)
        if known is not None:
            return known
    if gate.metric == LATENCY_RATIO:
        return judge_ratio(gate, compared.ratio, row.candidate.id, spelled)
    is_difference = COMPARED[gate.metric].identical is not None
    return judge(gate, compared.common if compared.common is not None and is_difference else row, spelled, learned=learned)


LEAST_IMAGES = 10
"""Least test images of a class that is called never recognised: with 0 of 10 right, recall is below 26 % at one-sided 95 %."""
MOST_TIMES = 30
"""Most times the present test images that are advised to show that a network learned. A network that needs more is at chance
level for every purpose, and needs a better training instead."""
WEAK = 0.4
"""Share of the way from chance to 100 % below which an accuracy is weak. Landis and Koch, Biometrics 33 (1977) 159-174, call
agreement beyond chance up to this value slight or fair."""


class Chance(NamedTuple):
    """The accuracy of a network that has learned nothing."""

    level: float
    """0…1."""
    how: str
    """The guess that reaches this level, as the subject of a sentence."""


def commonest_share(images: Sequence[int]) -> float:
    """Return the accuracy of always predicting the most frequent class, 0…1; ``images``: number by class, not all 0."""
    return max(images) / sum(images)


def beats_chance(accuracy: Interval | None, level: float) -> bool:
    """Whether the whole interval is above chance; False without an accuracy."""
    return accuracy is not None and accuracy.low > level


def is_weak(accuracy: Interval, level: float) -> bool:
    """Whether even the upper bound of an accuracy is less than ``WEAK`` of the way from chance to 100 %."""
    return accuracy.high - level < WEAK * (1 - level)


def chance_verdict(accuracy: Interval, level: float, images: float | None = None) -> Verdict | None:
    """Return FAIL for an interval below chance, UNSURE if it contains chance, None if it is above chance.

    With few images per class, the score interval of a share is above chance too often, so the exact binomial test must agree.

    ``images``: number of independent images of a share; None for another figure, such as mAP.
    """
    if beats_chance(accuracy, level) and (images is None or _exactly_above(accuracy, level, images)):
        return None
    return Verdict.FAIL if accuracy.high < level else Verdict.UNSURE


def _exactly_above(share: Interval, level: float, images: float) -> bool:
    """Whether guessing at this level rarely gets as many images right; the level is that of the interval.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413, with fractional counts for images that depend on each other.
    """
    from scipy.special import betainc

    right = share.estimate * images
    return right > 0 and float(betainc(right, images - right + 1, level)) <= (1 - share.confidence) / 2


def is_at_chance(answers: Answers, labels: NDArray[Any]) -> bool:
    """Whether predictions for validation images do not beat guessing.

    ``labels``: a class for each image, (images,), or uint8 (images, labels).
    """
    if labels.ndim == 1:
        accuracy = share_right(answered_right(answers, labels), answers.groups)
        return not beats_chance(accuracy, commonest_share(np.bincount(labels).tolist()))
    levels = [chance_precision(len(labels), int(images)) for images in labels.astype(bool).sum(axis=0) if images]
    return bool(levels) and not beats_chance(map_interval(answers, labels, "validation"), sum(levels) / len(levels))


def chance_of(facts: CandidateFacts) -> Chance | None:
    """Return the chance level on the test images of one candidate; None if its accuracy was not measured on them."""
    if (several := facts.multi_label) is not None:
        levels = [chance_precision(several.images, label.images) for label in several.labels if label.images]
        return Chance(sum(levels) / len(levels), "ranking the images at random") if levels else None
    classes = () if facts.test is None or facts.test.quality is None else facts.test.quality.classes.classes
    if not any(figures.images for figures in classes):
        return None
    commonest = max(classes, key=lambda figures: figures.images)
    return Chance(commonest_share([figures.images for figures in classes]), f"always predicting {commonest.name!r}")


def not_learned(facts: CandidateFacts) -> GateResult | None:
    """Return the result that keeps a network at chance level from passing; None if it beats chance, or without an accuracy."""
    chance, answered = chance_of(facts), facts.answered
    if chance is None or answered is None:
        return None
    independent = None
    if (test := facts.test) is not None:
        independent = Worth(test.top1_effect, test.independent_at_most).independent_to_pass(test.images)
    if (verdict := chance_verdict(answered.share, chance.level, independent)) is None:
        return None
    figure, several = answered.share, facts.multi_label is not None
    reached = f"{100 * figure.estimate:.1f} % [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
    says = f"mAP is {reached}" if several else f"{reached} of the test images are right"
    folds = facts.test is not None and facts.test.folds is not None
    above = not several and not folds and figure.estimate > chance.level
    needed = images_for_proportion(chance.level, figure.estimate, figure.confidence) if above else None
    if needed is not None and facts.test is not None:
        needed = Worth(facts.test.top1_effect, facts.test.independent_at_most).images_for(needed, facts.test.images, to_pass=True)
    if needed is not None and facts.test is not None and needed > MOST_TIMES * facts.test.images:
        needed = None
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
    """Return the result of ``not_learned`` among the results of one candidate, or None."""
    return next((result for result in gates if result.gate.stated_by == CHANCE), None)


class Weakness(NamedTuple):
    """Why an accuracy is weak."""

    accuracy: Interval
    several_labels: bool
    """Whether the accuracy is mAP instead of top-1."""
    never: tuple[str, ...]
    """Classes or labels that no test image got right."""
    classes: int


def weakness_of(facts: CandidateFacts) -> Weakness | None:
    """Return why a candidate's accuracy on the test images is weak; None if it is not weak, or unknown.

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
    if never or is_weak(answered.share, chance.level):
        return Weakness(answered.share, facts.multi_label is not None, never, len(rows))
    return None


_NAMES = 3
"""Number of classes that a sentence names; report.json has the recall of every class."""


def weakness_sentence(candidate: str, weakness: Weakness) -> str:
    """Return ``weak result: onnxruntime-fp32 has 31.0 % top-1; 1 of 10 classes is never recognised ('Shirt')``."""
    metric = "mAP" if weakness.several_labels else "top-1"
    sentence = f"weak result: {candidate} has {100 * weakness.accuracy.estimate:.1f} % {metric}"
    if not weakness.never:
        return sentence
    names = first_of([repr(name) for name in weakness.never], _NAMES)
    noun, verb = "labels" if weakness.several_labels else "classes", "is" if len(weakness.never) == 1 else "are"
    return f"{sentence}; {len(weakness.never)} of {weakness.classes} {noun} {verb} never recognised ({names})"
