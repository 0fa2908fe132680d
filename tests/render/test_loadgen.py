from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.measure.loadgen.facts import LoadGenReport, LoadRun, LoadSettings, Scenario, ScenarioResult
from edgecnn.measure.loadgen.run import claim
from edgecnn.render.screens.studies import show_loadgen
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


def test_what_is_invalid_shows_no_figure_and_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(Scenario.OFFLINE, valid=False, figure=77.7)
    result = ScenarioResult(
        scenario=Scenario.OFFLINE, valid=False, figure=None, unit="images/s", reason="Increase expected QPS", runs=(run,)
    )
    said = shown(a_report(result), capsys)
    assert "INVALID" in said and "Offline: Increase expected QPS" in said
    assert "77.7" not in said


def test_a_scenario_that_was_not_run_is_not_called_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    result = ScenarioResult(scenario=Scenario.SERVER, valid=False, figure=None, unit="images/s", reason="too slow", runs=())
    said = shown(a_report(result), capsys)
    assert "not run" in said and "Server: too slow" in said and "INVALID" not in said
