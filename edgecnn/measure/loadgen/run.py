"""Run MLPerf LoadGen on a kit: its settings, a run in a separate process, and its log."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgecnn.errors.base import system_reason
from edgecnn.errors.measuring import LOADGEN_LOG_UNREADABLE
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.program import Program, package_environment, run_program
from edgecnn.hosts.sandbox import Allowed, needs_of, sandboxed_words, scratch_folder
from edgecnn.installed import installed_version, require_packages
from edgecnn.measure.loadgen.facts import LoadGenReport, LoadRun, LoadSettings, PilotBatch, Scenario, ScenarioResult
from edgecnn.runner.choice import CHOICE, chosen_knobs
from edgecnn.runner.kit import Kit
from edgecnn.runner.packages import installed_version as installed_runtime
from edgecnn.runner.packages import runtime_of
from edgecnn.values.base import Value
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

IMAGES_PER_STREAM_QUERY = 8
"""Images of a MultiStream query, by MLPerf's rules."""
QUERIES_FOR_P90 = 64
QUERIES_FOR_P99 = 662
"""With fewer queries, LoadGen's early stopping cannot estimate the percentile, and the run is INVALID."""
FASTEST_SHARE = 0.5
"""Expected latency of streams as a share of the pilot's fastest call, so that LoadGen prepares at least twice the queries."""
OFFLINE_MARGIN = 1.2
"""Expected rate relative to the pilot's; LoadGen adds a tenth, so an Offline run takes about a third longer than requested."""
AGAIN_MARGIN = 1.5
"""Expected rate of a second try relative to the rate of the first."""
SHORTEST_MS = 0.005
"""Least expected latency: about the time that LoadGen itself takes for a query."""


class LoadRequest(Value):
    """The runs that a user requests."""

    scenarios: tuple[Scenario, ...]
    duration_s: float
    """Least duration of a run; MLPerf's rules require 600 s."""
    server_latency_ms: float
    """Bound on the 99th percentile in Server."""


def settings_for(scenario: Scenario, pilot: Sequence[PilotBatch], request: LoadRequest) -> LoadSettings:
    """Return the settings of one run of SingleStream, MultiStream or Offline; for Server, see ``server_settings``."""
    about: dict[str, Any] = {"scenario": scenario, "min_duration_ms": round(1000 * request.duration_s)}
    single = _batch(pilot, 1)
    if scenario is Scenario.SINGLE_STREAM:
        latency = max(SHORTEST_MS, FASTEST_SHARE * single.fastest_ms)
        return LoadSettings(**about, min_query_count=QUERIES_FOR_P90, batch=1, expected_latency_ms=latency)
    if scenario is Scenario.MULTI_STREAM:
        largest = next((size for size in pilot if size.batch == IMAGES_PER_STREAM_QUERY), single)
        latency = max(SHORTEST_MS, FASTEST_SHARE * largest.fastest_ms * IMAGES_PER_STREAM_QUERY / largest.batch)
        return LoadSettings(**about, min_query_count=QUERIES_FOR_P99, batch=largest.batch, expected_latency_ms=latency)
    best = max(pilot, key=lambda size: size.batch / size.p50_ms)
    qps = OFFLINE_MARGIN * 1000 * best.batch / best.p50_ms
    return LoadSettings(**about, min_query_count=1, batch=best.batch, expected_qps=qps)


def server_settings(qps: float, request: LoadRequest) -> LoadSettings:
    """Return the settings of one Server run at a rate."""
    return LoadSettings(
        scenario=Scenario.SERVER,
        min_duration_ms=round(1000 * request.duration_s),
        min_query_count=QUERIES_FOR_P99,
        batch=1,
        target_qps=qps,
        target_latency_ms=request.server_latency_ms,
    )


def second_try_settings(run: LoadRun) -> LoadSettings:
    """Return the settings of a second try after a run that ended too early, using that run as a pilot."""
    settings = run.settings
    if settings.expected_qps is not None:
        return settings.model_copy(update={"expected_qps": max(settings.expected_qps, run.figure) * AGAIN_MARGIN})
    latency_ms = min(settings.expected_latency_ms or run.figure, run.percentiles_ms["p50"])
    return settings.model_copy(update={"expected_latency_ms": max(SHORTEST_MS, FASTEST_SHARE * latency_ms)})


def seconds_at_most(settings: LoadSettings, pilot: Sequence[PilotBatch]) -> float:
    """Return a generous limit of LoadGen's run time, after which a process counts as hung."""
    images = IMAGES_PER_STREAM_QUERY if settings.scenario is Scenario.MULTI_STREAM else 1
    one_by_one_s = settings.min_query_count * images * _batch(pilot, 1).p50_ms / 1000
    arrivals_s = settings.min_query_count / settings.target_qps if settings.target_qps else 0.0
    return 3 * (settings.min_duration_ms / 1000 + one_by_one_s + arrivals_s)


def _batch(pilot: Sequence[PilotBatch], size: int) -> PilotBatch:
    return next(row for row in pilot if row.batch == size)


DETAIL = "mlperf_log_detail.txt"
MARK = ":::MLLOG "
_FIGURE = {
    Scenario.SINGLE_STREAM: ("result_90.00_percentile_latency_ns", 1e-6),
    Scenario.MULTI_STREAM: ("result_99.00_percentile_per_query_latency_ns", 1e-6),
    Scenario.OFFLINE: ("result_samples_per_second", 1.0),
    Scenario.SERVER: ("result_completed_samples_per_sec", 1.0),
}
_EARLY_STOPPING = {Scenario.SINGLE_STREAM: "early_stopping_latency_ss", Scenario.MULTI_STREAM: "early_stopping_latency_ms"}
"""MultiStream's key has ``ms`` in its name, but both are in nanoseconds."""
_PERCENTILES = {"p50": "50.00", "p90": "90.00", "p99": "99.00"}


def read_run(folder: Path, settings: LoadSettings, name: str, observed: Mapping[str, str]) -> LoadRun:
    """Return LoadGen's verdict and figures of one run.

    Raises LOADGEN_LOG_UNREADABLE: the log is missing, or lacks a verdict or a figure because LoadGen was stopped.
    """
    path = folder / DETAIL
    events = _events(path)
    key, scale = _FIGURE[settings.scenario]
    early = events.get(_EARLY_STOPPING.get(settings.scenario, ""), 0)
    query = "_per_query" if settings.scenario is Scenario.MULTI_STREAM else ""
    try:
        valid = events["result_validity"] == "VALID"
        return LoadRun(
            settings=settings,
            valid=valid,
            too_short=not (events["result_min_duration_met"] and events["result_min_queries_met"]),
            figure=float(events[key]) * scale,
            early_stopping_ms=early / 1e6 if early else None,
            queries=events["result_query_count"],
            percentiles_ms={
                short: events[f"result_{percent}_percentile{query}_latency_ns"] / 1e6 for short, percent in _PERCENTILES.items()
            },
            reasons=() if valid else _reasons(events),
            logs=name,
            observed=observed,
        )
    except KeyError as error:
        raise LOADGEN_LOG_UNREADABLE(path=path, because=f"it holds no {error.args[0]}") from error


def _events(path: Path) -> dict[str, Any]:
    """Return the last value of every key in LoadGen's log, and all errors under ``errors``."""
    events: dict[str, Any] = {"errors": []}
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if not line.startswith(MARK):
                continue
            event = json.loads(line.removeprefix(MARK))
            events[event["key"]] = event["value"]
            if event["metadata"]["is_error"]:
                events["errors"].append(event["value"])
    except OSError as error:
        raise LOADGEN_LOG_UNREADABLE(path=path, because=system_reason(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LOADGEN_LOG_UNREADABLE(path=path, because=f"a line is no event of LoadGen: {error}") from error
    return events


def _reasons(events: Mapping[str, Any]) -> tuple[str, ...]:
    """Return LoadGen's recommendations, unmet early-stopping conditions and errors, in LoadGen's words."""
    reasons = [events.get("result_invalid_reason", ""), *events["errors"]]
    if events.get("early_stopping_met") is False:
        reasons.append(events.get("early_stopping_result", ""))
    cleaned = (re.sub(r"\s+", " ", str(reason).replace(" * ", " ")).strip() for reason in reasons)
    return tuple(reason for reason in cleaned if reason)


DISTRIBUTION = "mlcommons-loadgen"
PILOT_LEASE_S = 300.0
RUN_LEASE_S = 120.0
"""Time of a process in addition to LoadGen's: hashing the kit, importing, loading."""


_LOG_BYTES = 2 << 30
"""Largest log of LoadGen, which lists every query."""


@dataclass(frozen=True)
class Bench:
    """Everything that is constant between runs."""

    kit: Kit
    request: LoadRequest
    out: Path
    """Existing folder of the logs."""
    tell: Progress


def measure(bench: Bench) -> LoadGenReport:
    """Run every requested scenario in turn.

    Raises:
        MissingPackage: LoadGen is not installed.
        RunnerFailed, RunnerCrashed, RunnerTimedOut: the kit cannot run here, or a process failed.
        LOADGEN_LOG_UNREADABLE: LoadGen left no verdict.
    """
    require_packages((DISTRIBUTION,), extra="loadgen", needed_for="edgecnn study loadgen")
    answer = _process(bench, ("--kit", str(bench.kit.folder)), PILOT_LEASE_S)
    pilot = tuple(PilotBatch.model_validate(row) for row in answer["pilot"])
    results = []
    for number, scenario in enumerate(bench.request.scenarios):
        bench.tell.step("run LoadGen", number, len(bench.request.scenarios), "scenarios")
        results.append(search_server(bench, pilot) if scenario is Scenario.SERVER else run_scenario(bench, scenario, pilot))
    bench.tell.step("run LoadGen", len(bench.request.scenarios), len(bench.request.scenarios), "scenarios")
    version = installed_version(DISTRIBUTION) or "unknown"
    return LoadGenReport(
        claim=claim(version, bench.request.duration_s),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        kit=bench.kit.sha256,
        candidate=str(bench.kit.manifest.candidate.get("id", bench.kit.manifest.name)),
        images=answer["images"],
        knobs=chosen_knobs(bench.kit),
        loadgen=version,
        environment=_environment(bench.kit),
        pilot=pilot,
        results=tuple(results),
    )


def run_scenario(bench: Bench, scenario: Scenario, pilot: Sequence[PilotBatch]) -> ScenarioResult:
    """Run a stream or Offline once, and again if the first run ended too early."""
    runs = [_run(bench, settings_for(scenario, pilot, bench.request), pilot, scenario.value)]
    if runs[0].too_short:
        bench.tell.note(f"{scenario.value}: LoadGen ran out of queries, because the pilot was slower than the run; repeating")
        runs.append(_run(bench, second_try_settings(runs[0]), pilot, f"{scenario.value}-again"))
    last = runs[-1]
    return ScenarioResult(
        scenario=scenario,
        valid=last.valid,
        figure=last.figure if last.valid else None,
        unit="images/s" if scenario is Scenario.OFFLINE else "ms",
        reason=None if last.valid else "; ".join(last.reasons) or "LoadGen gave no reason",
        runs=tuple(runs),
        counts=len(runs) - 1 if last.valid else None,
    )


def search_server(bench: Bench, pilot: Sequence[PilotBatch]) -> ScenarioResult:
    """Search for the highest rate that LoadGen calls VALID; nothing runs if a single image takes longer than the bound."""
    bound_ms, fastest_ms = bench.request.server_latency_ms, pilot[0].fastest_ms
    if fastest_ms >= bound_ms:
        why = f"one image takes {fastest_ms:.2f} ms at least, so no rate keeps the 99th percentile within {bound_ms:g} ms"
        return ScenarioResult(scenario=Scenario.SERVER, valid=False, figure=None, unit="images/s", reason=why, runs=())

    def run_at(qps: float) -> LoadRun:
        bench.tell.note(f"{Scenario.SERVER.value}: {qps:.4g} images a second")
        return _run(bench, server_settings(qps, bench.request), pilot, f"{Scenario.SERVER.value}-{qps:.4g}-qps")

    capacity = 1000 / fastest_ms  # from the fastest call, because a disturbed pilot must not hide achievable rates
    search = highest_valid(capacity, run_at)
    best = None if search.best is None else search.runs[search.best]
    lowest = LOWEST_SHARE * capacity
    return ScenarioResult(
        scenario=Scenario.SERVER,
        valid=best is not None,
        figure=None if best is None else best.figure,
        unit="images/s",
        reason=None
        if best is not None
        else f"INVALID at {search.invalid_qps:.4g} images a second; rates below {lowest:.4g} are not tried",
        runs=search.runs,
        counts=search.best,
    )


def claim(version: str, duration_s: float) -> str:
    """Return the disclaimer of the figures. MLCommons requires users of its tools to state what was not verified."""
    return (
        f"MLCommons' LoadGen {version} on this network and its golden pictures, at least {duration_s:g} s a run: "
        "no MLPerf result, and not verified by MLCommons Association"
    )


def _run(bench: Bench, settings: LoadSettings, pilot: Sequence[PilotBatch], name: str) -> LoadRun:
    logs = bench.out / name
    logs.mkdir()
    words = ("--kit", str(bench.kit.folder), "--settings", settings.model_dump_json(), "--logs", str(logs.resolve()))
    answer = _process(bench, words, seconds_at_most(settings, pilot) + RUN_LEASE_S)
    return read_run(logs, settings, name, answer["observed"])


def _process(bench: Bench, words: Sequence[str], lease_s: float) -> Mapping[str, Any]:
    """Run the worker in a sandbox, unless the kit needs a GPU or a browser."""
    kit, command = bench.kit, ("-m", "edgecnn.measure.loadgen.worker", "--lease-s", str(lease_s), *words)
    allowed = Allowed(
        read=(kit.folder, kit.folder.parent.parent / CHOICE),
        write=(bench.out.resolve(),),
        file_bytes=_LOG_BYTES,
        sandboxed=needs_of(kit.manifest.session.module) is None,
    )
    with scratch_folder(allowed, package_environment()) as (permitted, environment):
        program = Program(sandboxed_words(sys.executable, permitted, command), ("loadgen",), bench.out, environment)
        return run_program(program, lease_s=lease_s, tell=bench.tell)


def _environment(kit: Kit) -> Environment:
    """Return this machine's environment, with the runtime of the kit."""
    here, runtime = LocalHost().identify(), runtime_of(kit.manifest.session.module)
    own = {"runtime": runtime, "runtime_version": installed_runtime(runtime) or "unknown"}
    return here.model_copy(update={"conditions": {**here.conditions, **own}})


PROBES = 6
"""Steps of the search, which determine the rate to 1/64 of the system's capacity."""
LOWEST_SHARE = 1 / 16
"""Least rate that is tried, as a share of the capacity, because 662 queries take longer at lower rates."""


class RateSearch(Value):
    """Result of the search for the highest VALID rate."""

    runs: tuple[LoadRun, ...]
    best: int | None
    """Index of the VALID run with the highest rate, or None."""
    invalid_qps: float
    """Lowest INVALID rate; the capacity if no rate was INVALID."""


def highest_valid(capacity_qps: float, run_at: Callable[[float], LoadRun], probes: int = PROBES) -> RateSearch:
    """Bisect between the highest VALID rate and the lowest INVALID one.

    ``capacity_qps``: the inverse of the least time of an image; higher rates are impossible and never tried.
    """
    runs: list[LoadRun] = []
    best: int | None = None
    low, high = 0.0, capacity_qps
    while len(runs) < probes:
        rate = (low + high) / 2
        if rate < LOWEST_SHARE * capacity_qps:
            break
        run = run_at(rate)
        runs.append(run)
        if run.valid:
            best, low = len(runs) - 1, rate
        else:
            high = rate
    return RateSearch(runs=tuple(runs), best=best, invalid_qps=high)
