"""The shared structure on times whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.forecast.structure import Array, learn_structure, place_runs, predicted_log_ms

RUNS, NETWORKS, FEATURES = 40, 20, 3


@pytest.fixture
def truth() -> tuple[Array, Array]:
    """Log times (runs, networks) of rank 1 besides levels, and the work that decides them."""
    rng = np.random.default_rng(0)
    work = rng.normal(size=(NETWORKS, FEATURES))
    size, shape = work @ rng.normal(size=FEATURES), 0.2 * work @ rng.normal(size=FEATURES)
    level, own = rng.normal(size=RUNS), rng.normal(size=RUNS)
    return level[:, None] + size + own[:, None] * shape, work


def _off(log_ms: Array, work: Array, truth: Array) -> Array:
    known = ~np.isnan(log_ms)
    networks = learn_structure(log_ms, work).networks
    return np.abs(predicted_log_ms(place_runs(np.where(known, log_ms, 0.0), known, networks), networks) - truth)


def test_a_network_that_was_timed_on_a_few_runs_is_predicted_on_the_others(truth: tuple[Array, Array]) -> None:
    times, work = truth
    log_ms = times.copy()
    log_ms[5:, 0] = np.nan
    assert _off(log_ms, work, times)[5:, 0].max() < 0.1


def test_a_network_that_was_timed_nowhere_is_predicted_by_its_work(truth: tuple[Array, Array]) -> None:
    times, work = truth
    log_ms = times.copy()
    log_ms[:, 0] = np.nan
    assert np.median(_off(log_ms, work, times)[:, 0]) < 0.1


def test_a_run_that_knows_three_networks_is_predicted_on_the_others(truth: tuple[Array, Array]) -> None:
    times, work = truth
    log_ms = times.copy()
    log_ms[0, 3:] = np.nan
    assert np.median(_off(log_ms, work, times)[0]) < 0.15


def test_networks_that_nobody_timed_change_nothing_of_the_others(truth: tuple[Array, Array]) -> None:
    times, work = truth
    alone = learn_structure(times, work).networks
    more = np.column_stack([times, np.full((RUNS, 5), np.nan)]), np.vstack([work, np.ones((5, FEATURES))])
    assert np.allclose(learn_structure(*more).networks[:NETWORKS], alone)
