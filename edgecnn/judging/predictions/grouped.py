"""Images that came in groups, as frames of one video do: as sure as of how many independent ones a mean over them is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, two_sided_z

Groups = NDArray[np.int64]
"""(images,): equal numbers are of one group."""
_ROUNDING: Final = 1e-9
"""By which values differ that are alike but for what is left of sums."""


def group_effect(values: NDArray[Any], groups: Groups | None, confidence: float = NON_INFERIORITY_CONFIDENCE) -> float:
    """How many times the variance of independent images the variance of a mean over images in groups is, at least 1.

    The variance of the groups' sums over that of as many independent images; few groups do not tell it better than Student's
    distribution is wide. Where all values are alike nothing is seen of how alike those of a group are: each group is then worth
    one image.

    Args:
        values: one an image, (images,): such as 1 or True for a right answer.
        groups: None where images are independent.
        confidence: of the two-sided interval that the effect is for.

    Source: Kish, Survey Sampling (1965), section 5.4; Rao and Scott, Biometrics 48 (1992) 577-585, for divided counts.
    """
    if groups is None:
        return 1.0
    _, place = np.unique(groups, return_inverse=True)
    images, count = len(values), int(place.max(initial=-1)) + 1
    if count in (0, images):
        return 1.0
    if count == 1:
        return float(images)
    apart = values.astype(float) - values.mean()
    squares = float((apart**2).sum())
    if squares <= images * (_ROUNDING * max(1.0, float(np.abs(values).max()))) ** 2:
        return images / count
    from scipy.special import stdtrit

    few = float(stdtrit(count - 1, (1 + confidence) / 2) / two_sided_z(confidence)) ** 2
    sums = np.bincount(place, apart)
    return min(float(images), max(1.0, few * count / (count - 1) * float((sums**2).sum()) / squares))


def drop_effect(theirs: NDArray[np.bool_], ours: NDArray[np.bool_], groups: Groups | None) -> float:
    """The same of a paired drop. Few images change, which says little of how alike a group's are: at least that of the baseline's
    own answers.

    ``theirs``, ``ours``: (images,), which the baseline network and the candidate answer rightly.
    """
    lost = theirs.astype(np.int64) - ours
    return max(group_effect(theirs, groups), group_effect(lost, groups) if lost.any() else 1.0)
