"""Latency in words, beyond the two figures of the table: each with its interval, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edgecnn.render import figures
from edgecnn.values.report import CandidateFacts, Latency
from edgecnn.values.verdict import Interval

_FIGURES = (
    ("p50", "p50_ms"),
    ("p90", "p90_ms"),
    ("p99", "p99_ms"),
    ("opening the model", "load_ms"),
    ("first inference", "first_ms"),
    ("from the start of a process to its first answer", "cold_start_ms"),
    ("by the GPU's own clock with copies outside", "on_gpu_ms"),
)


def latency_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """Two lines a raced candidate: its figures, and what its runs were like. Who was not raced has its reason elsewhere."""
    lines = []
    for facts in candidates:
        if facts.latency is not None and facts.latency.runs:
            name, runs = f"`{facts.candidate.id}`", _runs_said(facts.latency)
            lines.append(f"{name}: {_said(facts.latency)}")
            lines += [f"runs of {name}: {runs}"] if runs else []
    return lines


def _said(value: Latency) -> str:
    shown = [(name, figure) for name, field in _FIGURES if (figure := _figure(value, field)) is not None]
    absent: dict[str, list[str]] = {}
    for name, field in _FIGURES:
        if field in value.absent:
            absent.setdefault(value.absent[field], []).append(name)
    parts = [", ".join(f"{name} {figures.milliseconds(figure)}" for name, figure in shown) + " ms"] if shown else []
    parts += [f"not known: {', '.join(names)} ({why})" for why, names in absent.items()]
    return "; ".join(parts) or value.reason or "nothing ran"


def _runs_said(value: Latency) -> str:
    """On how many threads they ran, how the race ended, whether they were steady, and what it could have shown."""
    parts = [value.run_settings, value.stopped, value.steady.says if value.steady else None]
    parts += [noise_said(value.smallest_ratio) if value.smallest_ratio else None]
    return "; ".join(part for part in parts if part)


def noise_said(ratio: float) -> str:
    """What a race could have shown. Rounded up: a race shows no more than is said."""
    said = f"{math.ceil(100 * ratio - 1e-9) / 100:.2f}"
    return f"this race could have shown a ratio of {said} or more (each kit against itself, a round later)"


def _figure(value: Latency, field: str) -> Interval | None:
    found: Interval | None = getattr(value, field)
    return found
