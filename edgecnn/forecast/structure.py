"""The structure that times share: a few numbers of a network times a few numbers of a run give a log time.

``log ms = level of the run + size of the network + shape of the run · shape of the network``, by alternating ridge regression. A
network's numbers are regularised towards those predicted from its counted work by a regression over all networks; a run's shape
is regularised towards the mean run. A network that was never timed therefore gets the prediction from its work, and a run with
three networks gets its level.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
COMPONENTS = 2
"""Shapes in addition to the size; a third one overfits single runs (benchmarks/forecast)."""
RIDGE_RUN = 0.1
"""Regularisation of a run's shape, in units of its spread over runs."""
RIDGE_NETWORK = 0.5
RIDGE_WORK = 0.003
"""Regularisation of a network towards the regression on counted work."""
ROUNDS = 15
_NEARLY_FREE = 1e-3


class Structure(NamedTuple):
    """Parameters learned from many runs."""

    networks: Array
    """(networks, 1 + components): size and shape of each."""
    by_work: Array
    """(networks, 1 + components): the same from counted work alone."""


def learn(log_ms: Array, work: Array) -> Structure:
    """Learn the shared structure.

    log_ms: (runs, networks), NaN where a network was not timed. work: (networks, features), standardized.
    """
    known = ~np.isnan(log_ms)
    times, timed = np.where(known, log_ms, 0.0), known.any(axis=0)
    level, size = _levels(times, known)
    centred = np.where(known, times - level[:, None] - size, 0.0)
    _, strengths, right = np.linalg.svd(centred, full_matrices=False)
    shapes = right[:COMPONENTS].T * strengths[:COMPONENTS] / np.sqrt(len(times))
    networks = np.column_stack([size, shapes])
    design = np.column_stack([np.ones(len(work)), work])
    penalty = np.diag([_NEARLY_FREE, *[RIDGE_WORK * int(timed.sum())] * work.shape[1]])
    by_work = networks
    for _ in range(ROUNDS):
        runs = place(times, known, networks)
        mean, spread = runs[:, 1:].mean(axis=0), runs[:, 1:].std(axis=0) + 1e-9
        networks[:, 0] += networks[:, 1:] @ mean
        networks[:, 1:] *= spread
        runs[:, 1:] = (runs[:, 1:] - mean) / spread
        rows = design[timed]
        by_work = design @ np.linalg.solve(rows.T @ rows + penalty, rows.T @ networks[timed])
        factors = np.column_stack([np.ones(len(runs)), runs[:, 1:]])
        rest = np.where(known, times - runs[:, :1] - factors @ by_work.T, 0.0)
        networks = by_work + _ridge(factors, rest.T, known.T, np.full(1 + COMPONENTS, RIDGE_NETWORK))
    return Structure(networks, by_work)


def place(times: Array, known: NDArray[np.bool_], networks: Array) -> Array:
    """Return level and shape of runs (runs, 1 + components), from the networks that each has timed."""
    factors = np.column_stack([np.ones(len(networks)), networks[:, 1:]])
    rest = np.where(known, times - networks[:, 0], 0.0)
    return _ridge(factors, rest, known, np.array([_NEARLY_FREE, *[RIDGE_RUN] * COMPONENTS]))


def predicted(runs: Array, networks: Array) -> Array:
    """Return log ms (runs, networks)."""
    return runs[:, :1] + networks[:, 0] + runs[:, 1:] @ networks[:, 1:].T


def _ridge(factors: Array, rest: Array, known: NDArray[np.bool_], penalty: Array) -> Array:
    """Return one regression for each row of ``rest`` on its known factors."""
    weights = known.astype(np.float64)
    square = np.einsum("rn,ni,nj->rij", weights, factors, factors) + np.diag(penalty)
    return np.linalg.solve(square, ((rest * weights) @ factors)[..., None])[..., 0]


def _levels(times: Array, known: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return additive levels of runs and of networks."""
    size = np.zeros(times.shape[1])
    for _ in range(5):
        level = np.where(known, times - size, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        size = np.where(known, times - level[:, None], 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return level, size
