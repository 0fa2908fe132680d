"""What short trainings make likely of members that had none: a Gaussian process over depth, width, resolution and form.

Which way to be small costs least accuracy depends on the images, so that what stands in for accuracy beforehand only begins. The
next member is the one whose upper confidence bound is highest (Srinivas and others 2010, arXiv:0912.3995): good by what is known,
or unlike all that is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from edgecnn.values.fit import Member
from edgecnn.values.scale import CompoundScale

ALIKE = math.log(2)
"""Length scale of each multiplier's logarithm: half of one is another network, a tenth of it is nearly the same."""
DIFFERENCE, NOISE = 0.05, 0.01
"""Of top-1: by how much networks differ that share nothing, and trainings that differ in their seed alone. Of the grid in
benchmarks/fit/results/regret-xeon.json top-1 spreads by 0.05, and neighbours differ by 0.01 either way."""
BOLD = 1.0
"""Standard deviations of the bound."""


def promises(learned: Sequence[Member], waiting: Sequence[Member]) -> list[float]:
    """What each waiting member may come to on ``validation``, by those of one kind that had a training of one length.

    Raises ValueError: none had a training.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    top1 = [each.trained[0].validation_top1 for each in learned if each.trained]
    middle = fmean(top1)
    alike = Matern(ALIKE, "fixed", nu=2.5)
    kernel = ConstantKernel(DIFFERENCE**2, "fixed") * alike + WhiteKernel(NOISE**2, "fixed")
    process = GaussianProcessRegressor(kernel, optimizer=None)
    process.fit([_shape(each) for each in learned if each.trained], [each - middle for each in top1])
    mean, spread = process.predict([_shape(each) for each in waiting], return_std=True)
    return [middle + gain + BOLD * sd for gain, sd in zip(mean.tolist(), spread.tolist(), strict=True)]


def _shape(member: Member) -> list[float]:
    """A network that lost channels is as wide as those that are left; another form is as far as half of a multiplier."""
    scale = CompoundScale.from_text(member.scale)
    multipliers = (scale.depth or 1.0, (scale.width or 1.0) * (1 - member.form.pruned), float(member.resolution_px))
    changed = (member.form.activation != "keep", member.form.squeeze_excite != "keep")
    return [*map(math.log, multipliers), *(ALIKE * each for each in changed)]
