"""Which classes a candidate shows to have lost, and how large the largest loss of any class may be.

Naming a class is an accusation, so all names of one candidate together are wrong at most one time in twenty: the family-wise
rate, by Holm's step-down procedure. (The false discovery rate, of Benjamini and Hochberg, would let a few false names ride along
with the true ones.) The test of one class is exact: of its images that exactly one of two networks gets right, each is as likely
lost as gained where nothing is wrong.

Most classes of a thousand have so few such images that no outcome could be significant. They cannot raise a false alarm either,
and are counted with what they can: each p value is added up over the levels that the classes can really attain. That is exact
still, never more than Holm's, and what lets 10 lost of 50 images show among a thousand classes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_bounds, two_sided_z

FAMILY_ALPHA = 0.05
"""How often at most any class is named, where none lost."""

Counts = NDArray[np.int64]


def sign_test(lost: Counts, gained: Counts) -> NDArray[np.float64]:
    """The chance that a fair coin shows at least ``lost`` heads in ``lost + gained`` throws; 1 of nothing lost.

    By the regularised incomplete beta function. ``scipy.special`` is imported here, so that ``plan``, which judges nothing, does
    not wait for it.
    """
    from scipy.special import betainc

    some = np.maximum(lost, 1)
    return np.where(lost > 0, betainc(some, gained + 1, 0.5), 1.0)


def adjusted_p(lost: Counts, gained: Counts) -> NDArray[np.float64]:
    """Of each class, the smallest family-wise rate at which its loss is shown: one-sided, (classes,).

    Sources: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70; Westfall and Wolfinger, The American Statistician 51 (1997)
    3-8, for attained levels.
    """
    alone = sign_test(lost, gained)
    order = np.argsort(alone, kind="stable")
    ascending = alone[order]
    discordant, which = np.unique((lost + gained)[order], return_inverse=True)
    together = np.zeros(len(alone))
    for kind, throws in enumerate(discordant):
        of_kind = which.ravel() == kind
        remaining = of_kind[::-1].cumsum()[::-1]
        together += remaining * _attained(ascending, int(throws))
    adjusted = np.empty(len(alone))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(together))
    return adjusted


def _attained(levels: NDArray[np.float64], throws: int) -> NDArray[np.float64]:
    """The chance that the p value of a class with so many discordant images is at most each of ``levels``."""
    heads = np.arange(throws, -1, -1)
    possible = np.concatenate([[0.0], sign_test(heads, throws - heads)])
    # The same tail by two routes may differ in its last bits, and must count as equal.
    return possible[np.searchsorted(possible, levels * (1 + 1e-9), side="right") - 1]


def lost_to_show(classes: int) -> int:
    """How many images, lost with none gained, show a class whatever the others do: 8 of ten classes, 15 of a thousand."""
    return math.ceil(math.log2(max(classes, 1) / FAMILY_ALPHA))


def least_drops(
    lost: Counts, gained: Counts, images: Counts, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> NDArray[np.float64]:
    """Lower bounds of every class's drop, -1…1, holding for all classes at once: Tango's, each at its share of the error.

    Any of them is wrong about as often as one bound of a single interval at ``confidence`` may be (Bonferroni).
    """
    low, _ = tango_bounds(lost, gained, images, two_sided_z(1 - (1 - confidence) / len(images)))
    return low


def most_drops(
    lost: Counts, gained: Counts, images: Counts, confidence: float = NON_INFERIORITY_CONFIDENCE
) -> NDArray[np.float64]:
    """Upper bounds of every class's drop, 0…1, each for itself (Tango's); 1 where a class has no images.

    That the largest of them holds for the largest drop needs no adjustment: it does where the one bound holds that belongs to
    the class with the largest drop.
    """
    some = images > 0
    _, high = tango_bounds(lost, gained, np.maximum(images, 1), two_sided_z(confidence))
    return np.where(some, high, 1.0)
