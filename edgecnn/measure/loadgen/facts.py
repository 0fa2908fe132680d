"""Settings and results of LoadGen, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.profile import Environment


class Scenario(StrEnum):
    """The four scenarios of MLPerf Inference, with LoadGen's names."""

    SINGLE_STREAM = "SingleStream"
    """One image after another; the figure is the 90th percentile of a query's latency."""
    MULTI_STREAM = "MultiStream"
    """Eight images a query, one query after another; the figure is the 99th percentile of a query's latency."""
    OFFLINE = "Offline"
    """All images at once; the figure is images a second."""
    SERVER = "Server"
    """Images arrive at random times; the figure is the highest rate whose 99th percentile stays within the bound."""


class PilotBatch(Value):
    """Calls of one batch size, before any scenario."""

    batch: int
    calls: int
    p50_ms: float
    fastest_ms: float


class LoadSettings(Value):
    """LoadGen's settings for one run; others have its defaults. A rate or a latency is None if its scenario has none."""

    scenario: Scenario
    min_duration_ms: int
    min_query_count: int
    """LoadGen's early stopping needs 64 queries for a 90th percentile, and 662 for a 99th."""
    batch: int
    """Images a call of the runtime, if a query has more than one."""
    expected_latency_ms: float | None = None
    """SingleStream, MultiStream: expected latency, not above the true one, or LoadGen runs out of prepared queries."""
    expected_qps: float | None = None
    """Offline: expected rate, not below the true one, for the same reason."""
    target_qps: float | None = None
    """Server: the rate to try."""
    target_latency_ms: float | None = None
    """Server: the bound on the 99th percentile."""


class LoadRun(Value):
    """One run of LoadGen in a separate process, and its verdict."""

    settings: LoadSettings
    valid: bool
    """LoadGen's verdict in ``mlperf_log_summary.txt``."""
    too_short: bool
    """Whether it ended before the requested time, because the expected rate or latency was wrong."""
    figure: float
    """Milliseconds in the two streams, images a second in Offline, completed images a second in Server."""
    early_stopping_ms: float | None = None
    """Streams: LoadGen's own conservative estimate of the same percentile."""
    queries: int
    percentiles_ms: Mapping[str, float]
    """``p50``, ``p90``, ``p99`` of a query; for Offline of an image, which waits for earlier ones."""
    reasons: tuple[str, ...] = ()
    """LoadGen's reasons for an INVALID run."""
    logs: str
    """Folder of its logs, relative to the report."""
    observed: Mapping[str, str] = {}
    """The machine's state during the run."""


class ScenarioResult(Value):
    """One scenario's outcome."""

    scenario: Scenario
    valid: bool
    figure: float | None
    unit: Literal["ms", "images/s"]
    reason: str | None = None
    """Why there is no VALID figure."""
    runs: tuple[LoadRun, ...]
    """All runs, including the one that counts, runs that ended too early, and rates that were too high."""
    counts: int | None = None
    """Index of the run with the figure."""


class LoadGenReport(Value):
    """``loadgen.json``, schema edgecnn.loadgen/1."""

    schema_: Literal["edgecnn.loadgen/1"] = Field(default="edgecnn.loadgen/1", alias="schema")
    claim: str
    """The meaning of these figures."""
    made_at: str
    kit: str
    """SHA-256 of the kit's manifest."""
    candidate: str
    images: int
    """Number of different images for LoadGen."""
    knobs: Mapping[str, str] = {}
    """Session options that the bundle chose, in addition to the kit's own."""
    loadgen: str
    """Version of mlcommons-loadgen."""
    environment: Environment
    pilot: tuple[PilotBatch, ...]
    results: tuple[ScenarioResult, ...]
