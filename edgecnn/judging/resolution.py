"""What a test set can show, said before any time is spent on it."""

from __future__ import annotations

import math

from edgecnn.errors.wording import counted, plural
from edgecnn.judging.intervals import (
    ACCURACY_CONFIDENCE,
    NON_INFERIORITY_CONFIDENCE,
    score_variance,
    tango_bounds,
    two_sided_z,
)

EXPECTED_DISAGREEMENT = 0.02
"""Share of discordant images assumed before anything was evaluated: INT8 against fp32 showed 1 to 5 % on the networks tried."""


def resolvable_drop_pp(images: int, disagreement: float = EXPECTED_DISAGREEMENT) -> float | None:
    """Half the width, in percentage points, of the 95 % interval of a drop whose estimate is zero; None of no images.

    By Tango's interval, the one that will be reported. The familiar 1.96 √(disagreement / images) is a tenth narrower at
    1,000 images, and says ± 0 where no disagreement is expected.

    ``disagreement``: expected share of discordant images, 0…1.
    """
    if images < 1:
        return None
    each = images * disagreement / 2
    _, high = tango_bounds(each, each, images, two_sided_z(ACCURACY_CONFIDENCE))
    return 100 * float(high)


GROUPED = "; so many independent ones would, and images of a group that are alike show less"
"""What a sentence of either kind ends with where images came in groups."""


def resolution_sentence(images: int, disagreement: float = EXPECTED_DISAGREEMENT) -> str:
    """What ``plan`` says: "1,000 images at about 2 % disagreement resolve ± 1.0 pp"."""
    half = resolvable_drop_pp(images, disagreement)
    if half is None:
        return "0 images resolve nothing"
    verb = plural(images, "resolves", "resolve")
    return f"{counted(images, 'image')} at about {100 * disagreement:g} % disagreement {verb} ± {half:.1f} pp"


def labels_sentence(images: int) -> str:
    """The same of several labels an image, of which nothing can be said before there are answers."""
    return f"{counted(images, 'image')}; how small a drop of mAP they show hangs on the answers, and its interval says it"


def images_needed(
    margin_pp: float, disagreement: float, estimate_pp: float = 0.0, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> int | None:
    """How many images settle a drop gate, were disagreement and estimate to stay as they are; None where no number would.

    Exact for Tango's interval, because its nuisance estimate depends on shares alone: the score statistic grows with the
    square root of the number of images.

    Args:
        margin_pp: the bound of the gate.
        disagreement: share of discordant images, 0…1.
        estimate_pp: the drop seen; on the margin itself nothing settles it.
        confidence: two-sided.
    """
    margin, estimate = margin_pp / 100, estimate_pp / 100
    if math.isclose(margin, estimate, abs_tol=1e-9):
        return None
    shared = max(disagreement, abs(estimate))
    lost, gained = (shared + estimate) / 2, (shared - estimate) / 2
    variance = float(score_variance(margin, lost, gained, 1.0))
    return math.ceil(two_sided_z(confidence) ** 2 * variance / (margin - estimate) ** 2)


def images_for_proportion(bound: float, seen: float, confidence: float = NON_INFERIORITY_CONFIDENCE) -> int | None:
    """The same for a bound on top-1 (0…1), by Wilson's interval; None where no number would."""
    if math.isclose(bound, seen, abs_tol=1e-9):
        return None
    return math.ceil(two_sided_z(confidence) ** 2 * bound * (1 - bound) / (bound - seen) ** 2)


def enough_images(needed: int) -> str:
    """The end of a sentence: what would turn UNSURE into an answer."""
    return f"about {needed:,} images would settle it"
