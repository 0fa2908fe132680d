from __future__ import annotations

import pytest

from edgecnn.measure.loadgen.facts import LoadRun, LoadSettings, PilotBatch, Scenario
from edgecnn.measure.loadgen.run import LoadRequest, second_try_settings, seconds_at_most, server_settings, settings_for

PILOT = (
    PilotBatch(batch=1, calls=300, p50_ms=2.0, fastest_ms=1.8),
    PilotBatch(batch=8, calls=60, p50_ms=12.0, fastest_ms=11.0),
    PilotBatch(batch=32, calls=12, p50_ms=64.0, fastest_ms=60.0),
)
ASKED = LoadRequest(scenarios=tuple(Scenario), duration_s=10, server_latency_ms=15)


def a_run(settings: LoadSettings, figure: float) -> LoadRun:
    percentiles = {"p50": figure, "p90": figure, "p99": figure}
    return LoadRun(settings=settings, valid=False, too_short=True, figure=figure, queries=9, percentiles_ms=percentiles, logs="x")


def test_a_stream_is_told_to_expect_less_than_the_fastest_call_so_that_queries_do_not_run_out() -> None:
    told = settings_for(Scenario.SINGLE_STREAM, PILOT, ASKED)
    assert told.expected_latency_ms == pytest.approx(0.9)
    assert (told.batch, told.min_duration_ms, told.min_query_count) == (1, 10_000, 64)


def test_a_query_of_eight_images_is_one_call_where_the_kit_takes_eight() -> None:
    told = settings_for(Scenario.MULTI_STREAM, PILOT, ASKED)
    assert (told.batch, told.expected_latency_ms, told.min_query_count) == (8, 5.5, 662)


def test_and_eight_calls_where_it_takes_one() -> None:
    told = settings_for(Scenario.MULTI_STREAM, PILOT[:1], ASKED)
    assert (told.batch, told.expected_latency_ms) == (1, pytest.approx(8 * 0.9))


def test_offline_takes_the_batch_with_the_highest_rate_and_expects_more_than_it() -> None:
    told = settings_for(Scenario.OFFLINE, PILOT, ASKED)
    assert told.batch == 8
    assert told.expected_qps is not None and told.expected_qps > 1000 * 8 / 12.0


def test_nothing_is_expected_to_be_faster_than_loadgen_itself() -> None:
    quick = (PilotBatch(batch=1, calls=9, p50_ms=0.001, fastest_ms=0.001),)
    assert settings_for(Scenario.SINGLE_STREAM, quick, ASKED).expected_latency_ms == 0.005
    assert settings_for(Scenario.MULTI_STREAM, quick, ASKED).expected_latency_ms == 0.005


def test_server_is_told_its_rate_its_bound_and_as_many_queries_as_a_99th_percentile_needs() -> None:
    told = server_settings(120.0, ASKED)
    assert (told.target_qps, told.target_latency_ms, told.min_query_count) == (120.0, 15.0, 662)


def test_a_second_try_expects_a_faster_system_than_the_first_one_met() -> None:
    stream = settings_for(Scenario.SINGLE_STREAM, PILOT, ASKED)
    assert (second_try_settings(a_run(stream, 0.4)).expected_latency_ms or 9) <= 0.2
    offline = settings_for(Scenario.OFFLINE, PILOT, ASKED)
    assert (second_try_settings(a_run(offline, 5000.0)).expected_qps or 0) >= 7500


def test_a_slow_network_at_a_low_rate_is_given_the_time_that_662_queries_take() -> None:
    slow = (PilotBatch(batch=1, calls=9, p50_ms=50.0, fastest_ms=50.0),)
    assert seconds_at_most(server_settings(2.0, ASKED), slow) > 662 / 2.0
    assert seconds_at_most(settings_for(Scenario.MULTI_STREAM, slow, ASKED), slow) > 662 * 8 * 0.05
