"""Runs LoadGen's scenarios over one kit, a fresh process each, and reports what LoadGen said of them.

A pilot comes first, so that LoadGen expects the right speed. A run that nevertheless ended early is tried once more with what it
taught; both stay in the report. INVALID is never turned into a figure.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgecnn.backends.installed import installed_version, require_packages
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.program import Program, package_environment, run_program
from edgecnn.measure.loadgen.facts import LoadGenReport, LoadRun, LoadSettings, PilotBatch, Scenario, ScenarioResult
from edgecnn.measure.loadgen.log import read_run
from edgecnn.measure.loadgen.settings import LoadRequest, seconds_at_most, server_settings, settings_for, sharpened
from edgecnn.runner.kit import Kit
from edgecnn.runner.knobs import chosen_knobs
from edgecnn.runner.runtimes import installed_version as installed_runtime
from edgecnn.runner.runtimes import runtime_of
from edgecnn.values.base import Value
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

DISTRIBUTION = "mlcommons-loadgen"
PILOT_LEASE_S = 300.0
RUN_LEASE_S = 120.0
"""Beside LoadGen's own time: hashing the kit, importing, loading."""


@dataclass(frozen=True)
class Bench:
    """What stays the same from one run to the next."""

    kit: Kit
    asked: LoadRequest
    out: Path
    """Existing folder of the logs."""
    tell: Progress


def measure(bench: Bench) -> LoadGenReport:
    """Every scenario that was asked for, in turn.

    Raises:
        MissingPackage: LoadGen is not installed.
        RunnerFailed, RunnerCrashed, RunnerTimedOut: the kit cannot run here, or a process did not end well.
        LoadGenLogUnreadable: LoadGen left no verdict.
    """
    require_packages((DISTRIBUTION,), extra="loadgen", needed_for="edgecnn loadgen")
    said = _process(bench, ("--kit", str(bench.kit.folder)), PILOT_LEASE_S)
    pilot = tuple(PilotBatch.model_validate(each) for each in said["pilot"])
    results = []
    for number, scenario in enumerate(bench.asked.scenarios):
        bench.tell.step("run LoadGen", number, len(bench.asked.scenarios), "scenarios")
        results.append(search_server(bench, pilot) if scenario is Scenario.SERVER else run_scenario(bench, scenario, pilot))
    bench.tell.step("run LoadGen", len(bench.asked.scenarios), len(bench.asked.scenarios), "scenarios")
    version = installed_version(DISTRIBUTION) or "unknown"
    return LoadGenReport(
        claim=claim(version, bench.asked.duration_s),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        kit=bench.kit.sha256,
        candidate=str(bench.kit.manifest.candidate.get("id", bench.kit.manifest.name)),
        images=said["images"],
        knobs=chosen_knobs(bench.kit),
        loadgen=version,
        environment=_environment(bench.kit),
        pilot=pilot,
        results=tuple(results),
    )


def run_scenario(bench: Bench, scenario: Scenario, pilot: Sequence[PilotBatch]) -> ScenarioResult:
    """A stream or Offline: one run, and one more where the first ended too early."""
    runs = [_run(bench, settings_for(scenario, pilot, bench.asked), pilot, scenario.value)]
    if runs[0].too_short:
        bench.tell.note(f"{scenario.value}: LoadGen ran out of queries, since the pilot was slower than the run; once more")
        runs.append(_run(bench, sharpened(runs[0]), pilot, f"{scenario.value}-again"))
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
    """The highest rate that LoadGen calls VALID; nothing is run where one image alone takes longer than the bound."""
    bound_ms, fastest_ms = bench.asked.server_latency_ms, pilot[0].fastest_ms
    if fastest_ms >= bound_ms:
        why = f"one image takes {fastest_ms:.2f} ms at least, so that no rate has a 99th percentile inside {bound_ms:g} ms"
        return ScenarioResult(scenario=Scenario.SERVER, valid=False, figure=None, unit="images/s", reason=why, runs=())

    def run_at(qps: float) -> LoadRun:
        bench.tell.note(f"{Scenario.SERVER.value}: {qps:.4g} images a second")
        return _run(bench, server_settings(qps, bench.asked), pilot, f"{Scenario.SERVER.value}-{qps:.4g}-qps")

    capacity = 1000 / fastest_ms  # of the fastest call: a pilot that was disturbed must not hide rates that can be held
    found = highest_valid(capacity, run_at)
    best = None if found.best is None else found.runs[found.best]
    lowest = LOWEST_SHARE * capacity
    return ScenarioResult(
        scenario=Scenario.SERVER,
        valid=best is not None,
        figure=None if best is None else best.figure,
        unit="images/s",
        reason=None
        if best is not None
        else f"INVALID at {found.invalid_qps:.4g} images a second already; below {lowest:.4g} none is tried",
        runs=found.runs,
        counts=found.best,
    )


def claim(version: str, duration_s: float) -> str:
    """What the figures are. MLCommons' rules ask of whoever uses its tools to say what was not verified."""
    return (
        f"MLCommons' LoadGen {version} on this network and its golden pictures, at least {duration_s:g} s a run: "
        "no MLPerf result, and not verified by MLCommons Association"
    )


def _run(bench: Bench, settings: LoadSettings, pilot: Sequence[PilotBatch], name: str) -> LoadRun:
    logs = bench.out / name
    logs.mkdir()
    words = ("--kit", str(bench.kit.folder), "--settings", settings.model_dump_json(), "--logs", str(logs.resolve()))
    said = _process(bench, words, seconds_at_most(settings, pilot) + RUN_LEASE_S)
    return read_run(logs, settings, name, said["observed"])


def _process(bench: Bench, words: Sequence[str], lease_s: float) -> Mapping[str, Any]:
    command = (sys.executable, "-P", "-m", "edgecnn.measure.loadgen.worker", "--lease-s", str(lease_s), *words)
    return run_program(Program(command, ("loadgen",), bench.out, package_environment()), lease_s=lease_s, tell=bench.tell)


def _environment(kit: Kit) -> Environment:
    """This machine, and the runtime that the kit opens."""
    here, runtime = LocalHost().identify(), runtime_of(kit.manifest.session.module)
    own = {"runtime": runtime, "runtime_version": installed_runtime(runtime) or "unknown"}
    return here.model_copy(update={"conditions": {**here.conditions, **own}})


PROBES = 6
"""Leaves the answer known to 1/64 of what the system could do with no waiting at all."""
LOWEST_SHARE = 1 / 16
"""Of that: a system which cannot hold its bound at this rate is not tried at lower ones, where 662 queries take ever longer."""


class Found(Value):
    """What the search ended with."""

    runs: tuple[LoadRun, ...]
    best: int | None
    """Index of the VALID run with the highest rate, or None."""
    invalid_qps: float
    """The lowest rate that was INVALID; the capacity itself where none was."""


def highest_valid(capacity_qps: float, run_at: Callable[[float], LoadRun], probes: int = PROBES) -> Found:
    """Halve between the highest VALID rate and the lowest INVALID one.

    ``capacity_qps``: one over the least time of an image: no rate above it can be held, so it is never tried.
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
    return Found(runs=tuple(runs), best=best, invalid_qps=high)
