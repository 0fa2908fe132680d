from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.measure.loadgen.facts import LoadGenReport, LoadRun, LoadSettings, Scenario, ScenarioResult
from edgecnn.measure.loadgen.run import claim
from edgecnn.render.loadgen import show_loadgen
from edgecnn.values.profile import Environment


def a_run(scenario: Scenario, *, valid: bool, figure: float, qps: float | None = None) -> LoadRun:
    bound = None if qps is None else 15.0
    told = LoadSettings(
        scenario=scenario, min_duration_ms=10_000, min_query_count=64, batch=1, target_qps=qps, target_latency_ms=bound
    )
    percentiles = {"p50": 1.0, "p90": 2.0, "p99": 3.0}
    name = scenario.value if qps is None else f"Server-{qps:g}-qps"
    return LoadRun(
        settings=told, valid=valid, too_short=False, figure=figure, queries=1234, percentiles_ms=percentiles, logs=name
    )


def a_report(*results: ScenarioResult) -> LoadGenReport:
    return LoadGenReport(
        claim=claim("6.0.17", 10),
        made_at="2026-11-20T13:00:00+00:00",
        kit="0" * 64,
        candidate="onnxruntime-fp32",
        images=2,
        loadgen="6.0.17",
        environment=Environment(conditions={"cpu": "AMD EPYC"}, observed={}),
        pilot=(),
        results=results,
    )


def shown(report: LoadGenReport, capsys: pytest.CaptureFixture[str]) -> str:
    show_loadgen(report, Path("builds/x/loadgen/1"))
    return capsys.readouterr().out


def test_the_verdict_the_figure_and_what_they_are_not_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(Scenario.SINGLE_STREAM, valid=True, figure=2.0)
    said = shown(
        a_report(
            ScenarioResult(scenario=Scenario.SINGLE_STREAM, valid=True, figure=2.0, unit="ms", runs=(run,), counts=0),
        ),
        capsys,
    )
    assert "VALID" in said and "90th percentile 2.000 ms" in said and "1,234" in said
    assert "no MLPerf result, and not verified by MLCommons Association" in said
    assert said.splitlines()[-1].strip() == "builds/x/loadgen/1"


def test_what_is_invalid_shows_no_figure_and_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(Scenario.OFFLINE, valid=False, figure=77.7)
    result = ScenarioResult(
        scenario=Scenario.OFFLINE, valid=False, figure=None, unit="images/s", reason="Increase expected QPS", runs=(run,)
    )
    said = shown(a_report(result), capsys)
    assert "INVALID" in said and "Offline: Increase expected QPS" in said
    assert "77.7" not in said


def test_a_servers_rate_stands_with_its_bound_and_the_rate_that_was_too_much(capsys: pytest.CaptureFixture[str]) -> None:
    runs = (a_run(Scenario.SERVER, valid=True, figure=99.0, qps=100), a_run(Scenario.SERVER, valid=False, figure=140.0, qps=150))
    result = ScenarioResult(scenario=Scenario.SERVER, valid=True, figure=99.0, unit="images/s", runs=runs, counts=0)
    said = shown(a_report(result), capsys)
    assert "99.0 images/s" in said and "Server-100-qps" in said
    assert "Server: 99th percentile at most 15 ms, rates halved 2 times; INVALID at 150 images a second" in said


def test_a_scenario_that_was_not_run_is_not_called_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    result = ScenarioResult(scenario=Scenario.SERVER, valid=False, figure=None, unit="images/s", reason="too slow", runs=())
    said = shown(a_report(result), capsys)
    assert "not run" in said and "Server: too slow" in said and "INVALID" not in said
