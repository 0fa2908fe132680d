"""What LoadGen was asked, what it said and where its own logs lie, scenario by scenario."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.profile import Environment


class Scenario(StrEnum):
    """MLPerf Inference's four, by LoadGen's names."""

    SINGLE_STREAM = "SingleStream"
    """One image after another; the figure is the 90th percentile of a query's latency."""
    MULTI_STREAM = "MultiStream"
    """Eight images a query, one query after another; the figure is the 99th percentile of a query's latency."""
    OFFLINE = "Offline"
    """All images at once; the figure is images a second."""
    SERVER = "Server"
    """Images arrive at random times; the figure is the highest rate whose 99th percentile stays inside the bound."""


class PilotBatch(Value):
    """Calls of one batch size, before any scenario."""

    batch: int
    calls: int
    p50_ms: float
    fastest_ms: float


class LoadSettings(Value):
    """What LoadGen is told for one run; the rest are its defaults. A rate or a latency is None where its scenario has none."""

    scenario: Scenario
    min_duration_ms: int
    min_query_count: int
    """Below 64 queries no 90th percentile, below 662 no 99th is VALID: LoadGen's early stopping wants so many."""
    batch: int
    """Images a call of the runtime, where a query holds more than one."""
    expected_latency_ms: float | None = None
    """SingleStream, MultiStream: at or below the truth, or LoadGen runs out of the queries that it prepared."""
    expected_qps: float | None = None
    """Offline: at or above the truth, for the same reason."""
    target_qps: float | None = None
    """Server: the rate that is tried."""
    target_latency_ms: float | None = None
    """Server: the bound on the 99th percentile."""


class LoadRun(Value):
    """One run of LoadGen: a process of its own, and LoadGen's verdict on it."""

    settings: LoadSettings
    valid: bool
    """LoadGen's word, as it stands in ``mlperf_log_summary.txt``."""
    too_short: bool
    """It ended before the time asked: the rate or latency it was told to expect was wrong."""
    figure: float
    """Milliseconds in the two streams, images a second in Offline, images a second that were answered in Server."""
    early_stopping_ms: float | None = None
    """Streams: LoadGen's own cautious estimate of the same percentile."""
    queries: int
    percentiles_ms: Mapping[str, float]
    """``p50``, ``p90``, ``p99`` of a query; of an image in Offline, which waits for those before it."""
    reasons: tuple[str, ...] = ()
    """LoadGen's own words on an INVALID run."""
    logs: str
    """Folder of its logs, relative to the report."""
    observed: Mapping[str, str] = {}
    """What the machine did meanwhile."""


class ScenarioResult(Value):
    """One scenario's outcome."""

    scenario: Scenario
    valid: bool
    figure: float | None
    unit: Literal["ms", "images/s"]
    reason: str | None = None
    """Why there is no VALID figure."""
    runs: tuple[LoadRun, ...]
    """Every run that was made, the one that counts included: runs that ended too early, rates that were too high."""
    counts: int | None = None
    """Index of the run that the figure is from."""


class LoadGenReport(Value):
    """``loadgen.json``, schema edgecnn.loadgen/1."""

    schema_: Literal["edgecnn.loadgen/1"] = Field(default="edgecnn.loadgen/1", alias="schema")
    claim: str
    """What these figures are, and what they are not."""
    made_at: str
    kit: str
    """sha256 of the kit's manifest."""
    candidate: str
    images: int
    """How many different images LoadGen chose from."""
    knobs: Mapping[str, str] = {}
    """Session options that the bundle around the kit was chosen with, beside the kit's own."""
    loadgen: str
    """Version of mlcommons-loadgen."""
    environment: Environment
    pilot: tuple[PilotBatch, ...]
    results: tuple[ScenarioResult, ...]
