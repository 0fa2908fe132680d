"""What LoadGen must be told, from a pilot run: it prepares its queries beforehand from the speed that it is told to expect.

Told too slow a system, it runs out of queries, ends early and says INVALID; told too fast a one, it merely prepares more, or in
Offline runs longer. So every expectation errs on the fast side of what the pilot saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecnn.measure.loadgen.facts import LoadRun, LoadSettings, PilotBatch, Scenario
from edgecnn.values.base import Value

IMAGES_PER_STREAM_QUERY = 8
"""Of MultiStream, by MLPerf's rules."""
QUERIES_FOR_P90 = 64
QUERIES_FOR_P99 = 662
"""Below these LoadGen's early stopping can give no estimate of the percentile, and the run is INVALID."""
FASTEST_SHARE = 0.5
"""Of the pilot's fastest call: what the streams are told to expect. LoadGen then prepares at least twice as many queries."""
OFFLINE_MARGIN = 1.2
"""Times the pilot's rate; LoadGen adds a tenth itself, so that an Offline run takes about a third longer than asked."""
AGAIN_MARGIN = 1.5
"""The same for a second try, from the rate that the first one really had."""
SHORTEST_MS = 0.005
"""About what LoadGen itself needs for a query: nothing is expected to be faster."""


class LoadRequest(Value):
    """What a user wants of the runs."""

    scenarios: tuple[Scenario, ...]
    duration_s: float
    """At least so long a run; MLPerf's own rules want 600 s."""
    server_latency_ms: float
    """Bound on Server's 99th percentile."""


def settings_for(scenario: Scenario, pilot: Sequence[PilotBatch], asked: LoadRequest) -> LoadSettings:
    """What one run of a stream or of Offline is told. Server has ``server_settings``."""
    told: dict[str, Any] = {"scenario": scenario, "min_duration_ms": round(1000 * asked.duration_s)}
    single = _batch(pilot, 1)
    if scenario is Scenario.SINGLE_STREAM:
        latency = max(SHORTEST_MS, FASTEST_SHARE * single.fastest_ms)
        return LoadSettings(**told, min_query_count=QUERIES_FOR_P90, batch=1, expected_latency_ms=latency)
    if scenario is Scenario.MULTI_STREAM:
        whole = next((each for each in pilot if each.batch == IMAGES_PER_STREAM_QUERY), single)
        latency = max(SHORTEST_MS, FASTEST_SHARE * whole.fastest_ms * IMAGES_PER_STREAM_QUERY / whole.batch)
        return LoadSettings(**told, min_query_count=QUERIES_FOR_P99, batch=whole.batch, expected_latency_ms=latency)
    best = max(pilot, key=lambda each: each.batch / each.p50_ms)
    qps = OFFLINE_MARGIN * 1000 * best.batch / best.p50_ms
    return LoadSettings(**told, min_query_count=1, batch=best.batch, expected_qps=qps)


def server_settings(qps: float, asked: LoadRequest) -> LoadSettings:
    """What one run at a rate is told; here the rate is a wish and no expectation."""
    return LoadSettings(
        scenario=Scenario.SERVER,
        min_duration_ms=round(1000 * asked.duration_s),
        min_query_count=QUERIES_FOR_P99,
        batch=1,
        target_qps=qps,
        target_latency_ms=asked.server_latency_ms,
    )


def sharpened(run: LoadRun) -> LoadSettings:
    """For a second try after a run that ended too early: from what the first one saw, which is a pilot of full length."""
    told = run.settings
    if told.expected_qps is not None:
        return told.model_copy(update={"expected_qps": max(told.expected_qps, run.figure) * AGAIN_MARGIN})
    seen = min(told.expected_latency_ms or run.figure, run.percentiles_ms["p50"])
    return told.model_copy(update={"expected_latency_ms": max(SHORTEST_MS, FASTEST_SHARE * seen)})


def seconds_at_most(settings: LoadSettings, pilot: Sequence[PilotBatch]) -> float:
    """A generous estimate of how long LoadGen runs, for a process that may have to be taken for hung."""
    images = IMAGES_PER_STREAM_QUERY if settings.scenario is Scenario.MULTI_STREAM else 1
    one_by_one_s = settings.min_query_count * images * _batch(pilot, 1).p50_ms / 1000
    arrivals_s = settings.min_query_count / settings.target_qps if settings.target_qps else 0.0
    return 3 * (settings.min_duration_ms / 1000 + one_by_one_s + arrivals_s)


def _batch(pilot: Sequence[PilotBatch], size: int) -> PilotBatch:
    return next(each for each in pilot if each.batch == size)
