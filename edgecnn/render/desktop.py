"""The desktop GPU in a sentence and as a table: the reference, then other ways to run the same network."""

from __future__ import annotations

from edgecnn.render import figures
from edgecnn.render.wording import grouped, names_by_reason
from edgecnn.values.figures import Throughput
from edgecnn.values.report import BaselineFacts, BaselineVariant

REFERENCE = "torch-fp32"
COLUMNS = ("setting", "p50 ms", "GPU clock ms", "speed-up", "top-1 (95 %)", "drop", "images/s", "requested execution")
LEGEND = (
    "p50 is wall time, including copies to and from the GPU. GPU clock time is between two CUDA events, without copies. "
    "Speed-up is relative to the first row in the same race; drop is paired with the first row by image."
)
RATIO_ALONE = "The accuracy drop of the first row is relative to fp32 on this computer's CPU."
MISSING = "MISSING"


def sentence(baseline: BaselineFacts) -> str:
    """The GPU and the latency of the reference; or that it is missing, and why."""
    latency = baseline.latency
    timing = f"p50 {figures.p50(latency)} ms ({baseline.how})" if latency.p50_ms else f"{MISSING}, {latency.reason}"
    timing += f"; {latency.steady.unsteady}" if latency.steady and latency.steady.unsteady else ""
    answered = baseline.accuracy
    top1 = f"; top-1 {figures.accuracy(answered)}, drop {figures.drop(answered)}" if answered else ""
    return f"{baseline.device}: {timing}{top1}; {baseline.accuracy_from}"


def rows(baseline: BaselineFacts) -> list[tuple[str, ...]]:
    """Cells in the order of ``COLUMNS``; none if there is only the reference."""
    if not baseline.variants:
        return []
    first = BaselineVariant(
        id=REFERENCE,
        how=baseline.how or "",
        latency=baseline.latency,
        accuracy=baseline.accuracy,
        throughput=baseline.throughput,
    )
    return [_row(first), *(_row(variant) for variant in baseline.variants)]


def _row(way: BaselineVariant) -> tuple[str, ...]:
    latency = way.latency
    return (
        way.id,
        figures.p50(latency) if latency.p50_ms else f"{MISSING}: {latency.reason}",
        figures.milliseconds(latency.on_gpu_ms),
        figures.speed(latency),
        figures.accuracy(way.accuracy),
        figures.drop(way.accuracy),
        _images_per_s(way.throughput),
        way.how,
    )


def notes(baseline: BaselineFacts) -> list[str]:
    """What the cells of the table mean, and why some are empty."""
    if not baseline.variants:
        return []
    every = {REFERENCE: baseline.latency, **{variant.id: variant.latency for variant in baseline.variants}}
    clocks = names_by_reason(
        {name: latency.absent["on_gpu_ms"] for name, latency in every.items() if "on_gpu_ms" in latency.absent}
    )
    where = f"{baseline.latency.fidelity.value} on {baseline.latency.machine}, {baseline.latency.observed_at}"
    own = [RATIO_ALONE] if baseline.accuracy is not None else []
    unsteady = {name: reason for name, latency in every.items() if latency.steady and (reason := latency.steady.unsteady)}
    untimed = [f"no GPU clock time: {names} ({why})" for why, names in clocks.items()]
    return [where, LEGEND, *own, *untimed, *(f"runs of {line}" for line in grouped(unsteady))]


def _images_per_s(value: Throughput | None) -> str:
    """Throughput at the best batch size, else at the requested ones."""
    if value is None:
        return figures.NONE
    known = [figure for figure in value.figures if figure.images_per_s is not None]
    shown = [figure for figure in known if figure.best] or known
    cells = [f"{figure.images_per_s.estimate:.0f} (batch {figure.batch})" for figure in shown if figure.images_per_s]
    return ", ".join(cells) or value.reason or figures.NONE
