"""Images a second, the whole way from a file, and minutes without a pause, in words; nothing of what was not asked for."""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.errors.wording import plural
from edgecnn.render import figures
from edgecnn.values.figures import BatchFigure, Sustained, Throughput
from edgecnn.values.report import CandidateFacts, EndToEnd


def extent_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """A line for each figure of each candidate."""
    lines = []
    for facts in candidates:
        name = f"`{facts.candidate.id}`"
        lines += [f"throughput of {name}: {_throughput(facts.throughput)}"] if facts.throughput else []
        lines += [f"end to end of {name}: {_end_to_end(facts.end_to_end)}"] if facts.end_to_end else []
        lines += [f"sustained, {name}: {_sustained(facts.sustained)}"] if facts.sustained else []
    return lines


def _throughput(value: Throughput) -> str:
    said = [_batch(figure) for figure in value.figures]
    said += [f"not known: {value.reason}"] if value.reason else []
    said += [value.disturbed] if value.disturbed else []
    seen = ", ".join(f"{batch}: {each:.0f}" for batch, each in value.screened.items())
    said += [f"seen in one run of each number of images: {seen}"] if seen else []
    return "; ".join(said)


def _batch(figure: BatchFigure) -> str:
    images = f"{figure.batch} {plural(figure.batch, 'image')} a call"
    best = " (the best)" if figure.best else ""
    if figure.images_per_s is None:
        return f"{images}{best}: not known, {figure.reason}"
    rate = figure.images_per_s
    call = f", {figures.milliseconds(figure.call_ms)} ms a call" if figure.call_ms else ""
    return f"{images}{best}: {rate.estimate:.1f} [{rate.low:.1f}, {rate.high:.1f}] images/s{call}"


def _end_to_end(value: EndToEnd) -> str:
    what = f"from the file of a {value.picture} to logits"
    seen = value.latency
    if seen.p50_ms is None:
        return f"not known: {seen.reason}"
    tails = [f"{name} {figures.milliseconds(figure)}" for name, figure in (("p90", seen.p90_ms), ("p99", seen.p99_ms)) if figure]
    besides = f"; {seen.disturbed}" if seen.disturbed else ""
    return ", ".join([f"p50 {figures.p50(seen)}", *tails]) + f" ms {what}{besides}"


def _sustained(value: Sustained) -> str:
    shown = ", ".join(figures.NONE if window.p50_ms is None else f"{window.p50_ms:.2f}" for window in value.windows)
    return f"{value.says}; p50 by window {shown} ms"
