"""A comparison of two builds, and a latency baseline, for people."""

from __future__ import annotations

from edgecnn.render.figures import milliseconds, points
from edgecnn.render.footprint import energy_words
from edgecnn.render.gate_sheet import error_rates
from edgecnn.render.terminal import show_lines
from edgecnn.values.comparison import Comparison, Contender, LatencyBaseline, PinnedBuild
from edgecnn.values.figures import Energy
from edgecnn.values.knobs import DEFAULT
from edgecnn.values.report import Latency
from edgecnn.values.verdict import Interval

CHANGES_SHOWN = 12


def show_comparison(found: Comparison) -> None:
    """Print it, verdict first."""
    show_lines(comparison_lines(found))


def comparison_lines(found: Comparison) -> list[str]:
    """One fact a line."""
    lines = [
        f"{found.verdict.value}: {side(found.head)} against {side(found.base)}, {found.how}, on {found.machine}",
        *(
            f"  gate {each.gate.side} {each.gate.metric} {each.gate.bound:g}: {each.verdict.value}, {each.reason}"
            for each in found.gates
        ),
        f"  p50 of HEAD: {_p50(found.latency)}",
        f"  p50 of BASE: {_p50(found.base_latency)}",
        f"  top-1 lost against BASE: {_drop(found.drop_pp, found.drop_absent)}",
    ]
    lines += [f"  {rates}"] if (rates := error_rates(found.gates)) is not None else []
    lines += [f"  changed: {line}" for line in found.changed[:CHANGES_SHOWN]]
    if len(found.changed) > CHANGES_SHOWN:
        lines.append(f"  changed: and {len(found.changed) - CHANGES_SHOWN} more fields, all in --json")
    if not found.changed:
        lines.append("  changed: nothing that is recorded")
    return [*lines, *(f"  note: {notice}" for notice in found.notices)]


def show_baseline(baseline: LatencyBaseline, figures: Latency, energy: Energy) -> None:
    """Print what a baseline is of and what it says."""
    samples = sum(len(run.samples_ns) for run in baseline.runs)
    show_lines(
        [
            f"{side(baseline.contender)} on {baseline.machine}, {baseline.observed_at}",
            f"  p50: {_p50(figures)}",
            f"  {len(baseline.runs)} processes, {samples:,} timed inferences",
            f"  energy: {energy_words(energy)}",
            f"  kit: {baseline.contender.kit}",
            *(f"  {name}: {value}" for name, value in baseline.environment.conditions.items()),
            *([f"  note: {figures.disturbed}: nothing will pass against this baseline"] if figures.disturbed else []),
        ]
    )


def show_pin(pin: PinnedBuild, file: str) -> None:
    """Print what a record pins."""
    show_lines(
        [
            f"{side(pin.contender)} is pinned in {file}",
            f"  kit: {pin.contender.kit}",
            f"  {len(pin.keys)} keys of the store, {len(pin.tools)} tool versions, no runs",
        ]
    )


def side(contender: Contender) -> str:
    """``builds/head: onnxruntime-int8 (resnet-18 for cpu)``."""
    known = [part for part in (contender.arch, f"for {contender.device}" if contender.device else None) if part]
    said = f"{contender.candidate.id} of {contender.name}" + (f" ({' '.join(known)})" if known else "")
    return said if contender.knobs == DEFAULT else f"{said} with {contender.knobs.words}"


def _p50(value: Latency) -> str:
    return f"{milliseconds(value.p50_ms)} ms" if value.p50_ms else f"missing: {value.reason}"


def _drop(value: Interval | None, absent: str | None) -> str:
    return points(value) if value is not None else f"not known: {absent}"
