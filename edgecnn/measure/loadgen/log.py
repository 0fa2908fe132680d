"""Reads LoadGen's detail log: a line an event, each JSON after a mark. The verdict is taken from there and never formed here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.errors.base import system_reason
from edgecnn.errors.measuring import LoadGenLogUnreadable
from edgecnn.measure.loadgen.facts import LoadRun, LoadSettings, Scenario

DETAIL = "mlperf_log_detail.txt"
MARK = ":::MLLOG "
_FIGURE = {
    Scenario.SINGLE_STREAM: ("result_90.00_percentile_latency_ns", 1e-6),
    Scenario.MULTI_STREAM: ("result_99.00_percentile_per_query_latency_ns", 1e-6),
    Scenario.OFFLINE: ("result_samples_per_second", 1.0),
    Scenario.SERVER: ("result_completed_samples_per_sec", 1.0),
}
_EARLY_STOPPING = {Scenario.SINGLE_STREAM: "early_stopping_latency_ss", Scenario.MULTI_STREAM: "early_stopping_latency_ms"}
"""The second is MultiStream's ``ms`` and no unit: both are nanoseconds."""
_PERCENTILES = {"p50": "50.00", "p90": "90.00", "p99": "99.00"}


def read_run(folder: Path, settings: LoadSettings, name: str, observed: Mapping[str, str]) -> LoadRun:
    """LoadGen's verdict and figures of one run.

    Args:
        folder: of its logs.
        settings: what it was told.
        name: of the folder, as the report calls it.
        observed: what the machine did meanwhile.

    Raises:
        LoadGenLogUnreadable: there is no log, or it lacks a verdict or a figure, as where LoadGen was stopped half-way.
    """
    path = folder / DETAIL
    said = _events(path)
    key, scale = _FIGURE[settings.scenario]
    early = said.get(_EARLY_STOPPING.get(settings.scenario, ""), 0)
    query = "_per_query" if settings.scenario is Scenario.MULTI_STREAM else ""
    try:
        valid = said["result_validity"] == "VALID"
        return LoadRun(
            settings=settings,
            valid=valid,
            too_short=not (said["result_min_duration_met"] and said["result_min_queries_met"]),
            figure=float(said[key]) * scale,
            early_stopping_ms=early / 1e6 if early else None,
            queries=said["result_query_count"],
            percentiles_ms={
                short: said[f"result_{percent}_percentile{query}_latency_ns"] / 1e6 for short, percent in _PERCENTILES.items()
            },
            reasons=() if valid else _reasons(said),
            logs=name,
            observed=observed,
        )
    except KeyError as error:
        raise LoadGenLogUnreadable(path=path, because=f"it holds no {error.args[0]}") from error


def _events(path: Path) -> dict[str, Any]:
    """The last value of every key; errors under ``errors``."""
    said: dict[str, Any] = {"errors": []}
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if not line.startswith(MARK):
                continue
            event = json.loads(line.removeprefix(MARK))
            said[event["key"]] = event["value"]
            if event["metadata"]["is_error"]:
                said["errors"].append(event["value"])
    except OSError as error:
        raise LoadGenLogUnreadable(path=path, because=system_reason(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LoadGenLogUnreadable(path=path, because=f"a line is no event of LoadGen: {error}") from error
    return said


def _reasons(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What LoadGen recommends, what its early stopping misses, and its errors, in its own words."""
    found = [said.get("result_invalid_reason", ""), *said["errors"]]
    if said.get("early_stopping_met") is False:
        found.append(said.get("early_stopping_result", ""))
    cleaned = (re.sub(r"\s+", " ", str(each).replace(" * ", " ")).strip() for each in found)
    return tuple(each for each in cleaned if each)
