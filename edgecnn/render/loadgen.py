"""LoadGen's report in words: its verdict first, then its figure, then why not."""

from __future__ import annotations

from pathlib import Path

from edgecnn.judging.run_settings import knobs_said
from edgecnn.measure.loadgen.facts import LoadGenReport, LoadRun, Scenario, ScenarioResult
from edgecnn.render.terminal import show_lines, show_rows

COLUMNS = ("scenario", "LoadGen", "figure", "queries", "p50 ms", "p90 ms", "p99 ms", "its logs")
_FIGURE = {
    Scenario.SINGLE_STREAM: "90th percentile {:.3f} ms",
    Scenario.MULTI_STREAM: "99th percentile {:.3f} ms of 8 images",
    Scenario.OFFLINE: "{:.1f} images/s",
    Scenario.SERVER: "{:.1f} images/s",
}


def show_loadgen(report: LoadGenReport, out: Path) -> None:
    """A table, what is INVALID and why, what the figures are, and where everything lies."""
    cpu = report.environment.conditions.get("gpu") or report.environment.conditions.get("cpu", "this machine")
    manner = f" with {knobs_said(report.knobs)}" if report.knobs else ""
    show_rows(COLUMNS, [_row(result) for result in report.results], title=f"{report.candidate} on {cpu}{manner}")
    show_lines([f"  {result.scenario.value}: {result.reason}" for result in report.results if result.reason])
    show_lines([f"  {line}" for result in report.results if (line := _bound(result))])
    show_lines([f"  {report.claim}", f"  {out}"])


def _row(result: ScenarioResult) -> tuple[str, ...]:
    run = _told_of(result)
    verdict = "VALID" if result.valid else "INVALID"
    figure = "–" if result.figure is None else _FIGURE[result.scenario].format(result.figure)
    if run is None:
        return (result.scenario.value, "not run", figure, "–", "–", "–", "–", "–")
    waits = result.scenario is Scenario.OFFLINE  # each image for those before it, which is no latency
    percentiles = ("–" if waits else f"{run.percentiles_ms[name]:.3f}" for name in ("p50", "p90", "p99"))
    return (result.scenario.value, verdict, figure, f"{run.queries:,}", *percentiles, run.logs)


def _told_of(result: ScenarioResult) -> LoadRun | None:
    """The run that counts; where none does, the last one."""
    if result.counts is not None:
        return result.runs[result.counts]
    return result.runs[-1] if result.runs else None


def _bound(result: ScenarioResult) -> str | None:
    """Server's figure is worth nothing without its bound and the rate that was too much."""
    run = _told_of(result)
    if result.scenario is not Scenario.SERVER or run is None:
        return None
    refused = [each.settings.target_qps for each in result.runs if not each.valid and each.settings.target_qps is not None]
    too_much = f"; INVALID at {min(refused):.4g} images a second" if refused else ""
    return (
        f"Server: 99th percentile at most {run.settings.target_latency_ms:g} ms, rates halved {len(result.runs)} times{too_much}"
    )
