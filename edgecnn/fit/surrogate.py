"""What short trainings make likely of members that had none: a Gaussian process over depth, width, resolution and form.

Which way to be small costs least accuracy depends on the images, so that what stands in for accuracy beforehand only begins. The
next member is the one whose upper confidence bound is highest (Srinivas and others 2010, arXiv:0912.3995): good by what is known,
or unlike all that is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from edgecnn.values.fit import Member

LENGTH = math.log(2)
"""Of the logarithms of multipliers: half of one is another network, a tenth less of it is nearly the same."""
SPREAD, LEAST_SPREAD, NOISE = 0.05, 0.02, 0.01
"""Of top-1: how much networks differ that share nothing, where fewer than two are known; no less than that; and what another
seed makes of one. MobileNets of three epochs spread by 0.05, neighbours by 0.01 (benchmarks/fit/results/regret-xeon.json)."""
BOLD = 1.0
"""Standard deviations of the bound."""
CHANGED = {"relu6": (1.0, 0.0), "hard-swish": (0.0, 1.0)}
"""Each other activation is a direction of its own, as far as half of a multiplier."""


def promises(learned: Sequence[Member], waiting: Sequence[Member]) -> list[float]:
    """Upper bounds of the top-1 on ``validation``, 0…1, that a short training of each waiting member may come to.

    ``learned``: of one kind, each with a training. Raises ValueError: there are none.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    top1 = [each.trained[0].validation_top1 for each in learned]
    middle, spread = fmean(top1), max(LEAST_SPREAD, stdev(top1)) if len(top1) > 1 else SPREAD
    kernel = ConstantKernel(spread**2, "fixed") * Matern(LENGTH, "fixed", nu=2.5) + WhiteKernel(NOISE**2, "fixed")
    process = GaussianProcessRegressor(kernel, optimizer=None)
    process.fit([_place(each) for each in learned], [each - middle for each in top1])
    mean, deviation = process.predict([_place(each) for each in waiting], return_std=True)
    return [middle + gain + BOLD * sd for gain, sd in zip(mean.tolist(), deviation.tolist(), strict=True)]


def _place(member: Member) -> list[float]:
    form = member.form
    changed = (*CHANGED.get(form.activation, (0.0, 0.0)), float(form.squeeze_excite != "keep"))
    return [*map(math.log, member.multipliers), *(LENGTH * each for each in changed)]
