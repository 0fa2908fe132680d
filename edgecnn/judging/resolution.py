"""The smallest difference that a test set can show, and the number of images that would decide a gate."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

from edgecnn.errors.wording import counted, plural
from edgecnn.judging.intervals import (
    ACCURACY_CONFIDENCE,
    NON_INFERIORITY_CONFIDENCE,
    score_variance,
    tango_bounds,
    two_sided_z,
)
from edgecnn.values.figures import Accuracy, Agreement, MultiLabelAccuracy, group_count
from edgecnn.values.verdict import Interval

EXPECTED_DISAGREEMENT = 0.02
"""Assumed share of discordant images before an evaluation: INT8 against fp32 had 1 to 5 % on the networks tried."""

POWER = 0.8
"""Probability that the recommended number of images or rounds decides a gate, if the estimate is the truth."""
POWER_Z = NormalDist().inv_cdf(POWER)


def resolvable_drop_pp(images: int, disagreement: float = EXPECTED_DISAGREEMENT) -> float | None:
    """Return half the width, in percentage points, of the 95 % interval of a drop estimated as zero; None without images.

    It uses Tango's interval, as the report does. The common formula 1.96 √(disagreement / images) is a tenth narrower at 1,000
    images, and gives ± 0 without expected disagreement.

    ``disagreement``: expected share of discordant images, 0…1.
    """
    if images < 1:
        return None
    discordant = images * disagreement / 2
    _, high = tango_bounds(discordant, discordant, images, two_sided_z(ACCURACY_CONFIDENCE))
    return 100 * float(high)


def fewest_images_to_pass(margin_pp: float, confidence: float = NON_INFERIORITY_CONFIDENCE) -> int:
    """Return the fewest images with which a gate on a drop can pass, which they do if no prediction changes.

    The upper end of Tango's interval is then z² / (images + z²).

    ``margin_pp``: the bound of the gate, above 0.
    """
    squared, margin = two_sided_z(confidence) ** 2, margin_pp / 100
    return math.ceil(squared * (1 - margin) / margin)


GROUPED = "; this holds for independent images, and for a PASS each group counts as at most one image"
"""End of the following two sentences if images are in groups."""


def resolution_sentence(images: int, disagreement: float = EXPECTED_DISAGREEMENT) -> str:
    """Return the sentence of ``plan``: "1,000 images at about 2 % disagreement resolve ± 1.0 pp"."""
    half = resolvable_drop_pp(images, disagreement)
    if half is None:
        return "0 images resolve nothing"
    verb = plural(images, "resolves", "resolve")
    return f"{counted(images, 'image')} at about {100 * disagreement:g} % disagreement {verb} ± {half:.1f} pp"


FEW_VALIDATION_IMAGES: Final = 30
"""Number of validation images below which one image decides more than 3 percentage points of every choice."""


def validation_sentence(images: int) -> str:
    """Return what few validation images can resolve, for training and choices; empty if there are enough or none."""
    if not 0 < images < FEW_VALIDATION_IMAGES:
        return ""
    share = 100 / images
    decide = plural(images, "decides", "decide")
    return f"only {counted(images, 'validation image')} {decide} when training stops and what is chosen: each is {share:.0f} pp"


def labels_sentence(images: int) -> str:
    """Return the sentence for multi-label images, whose resolution is unknown before predictions exist."""
    return f"{counted(images, 'image')}; the smallest drop of mAP that they show depends on the predictions"


def images_needed(
    margin_pp: float, disagreement: float, estimate_pp: float = 0.0, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> int | None:
    """Return how many new images decide a drop gate in ``POWER`` of cases; None if no number would.

    It assumes that the true drop is the estimate, and that at most ``disagreement`` of the images are discordant. The images must
    be new, because judging the images of the estimate again would be a second judgement.

    Args:
        margin_pp: the bound of the gate.
        disagreement: share of discordant images, 0…1; an upper bound, because a pilot may show too few.
        estimate_pp: the assumed true drop; if it equals the margin, no number of images decides.
        confidence: two-sided.
    """
    margin, estimate = margin_pp / 100, estimate_pp / 100
    if math.isclose(margin, estimate, abs_tol=1e-9):
        return None
    shared = max(disagreement, abs(estimate))
    lost, gained = (shared + estimate) / 2, (shared - estimate) / 2
    at_margin, at_estimate = float(score_variance(margin, lost, gained, 1.0)), max(shared - estimate * estimate, 0.0)
    return enough_to_tell_apart(margin - estimate, at_margin, at_estimate, confidence)


def images_for_proportion(
    bound: float, share: float, confidence: float = NON_INFERIORITY_CONFIDENCE, widest: Interval | None = None
) -> int | None:
    """Return how many new images decide a gate on a share (0…1) in ``POWER`` of cases; None if no number would.

    ``widest``: the interval of the share; its value nearest to a half has the largest variance. None: the share itself.
    """
    if math.isclose(bound, share, abs_tol=1e-9):
        return None
    low, high = (share, share) if widest is None else (widest.low, widest.high)
    nearest = min(max(0.5, low), high)
    return enough_to_tell_apart(bound - share, bound * (1 - bound), nearest * (1 - nearest), confidence)


def enough_to_tell_apart(apart: float, at_bound: float, at_truth: float, confidence: float) -> int:
    """Return the images or rounds with which a test rejects the bound in ``POWER`` of cases.

    ``at_bound``, ``at_truth``: the variance of one image or round if the bound, or the estimate, is the truth.
    """
    return math.ceil(((two_sided_z(confidence) * math.sqrt(at_bound) + POWER_Z * math.sqrt(at_truth)) / apart) ** 2)


def groups_among(images: int, judged: Accuracy | MultiLabelAccuracy | Agreement | None) -> int | None:
    """Return the number of groups with that many images, if groups have the size of the judged ones; None without groups."""
    groups = None if judged is None else group_count(judged)
    return math.ceil(images * groups / judged.images) if judged is not None and groups else None


def enough_images(needed: int, groups: int | None = None) -> str:
    """Return the end of a sentence: how many images, of how many groups, would decide an UNSURE gate."""
    of = "" if groups is None else f" of {counted(two_digits(groups), 'group')}"
    odds = f"in {100 * POWER:.0f} % of cases"
    return f"about {two_digits(needed):,} new test images{of}, judged separately, would settle it {odds} if the estimate is right"


def two_digits(number: int) -> int:
    """Round up to two digits, because the number comes from estimates."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // unit) * unit
