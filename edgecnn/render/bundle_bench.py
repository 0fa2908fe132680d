"""The figures of a bundle alone, for people and for CI."""

from __future__ import annotations

from edgecnn.bench.facts import BundleBench
from edgecnn.render import figures
from edgecnn.render.gate_sheet import GateSheet, error_rates
from edgecnn.render.terminal import show_lines, show_rows

_VERDICTS = {"PASS": "green", "FAIL": "bold red", "UNSURE": "yellow", "MISSING": "yellow"}


def show_bundle_bench(found: BundleBench) -> None:
    """The table of kits, the recorded accuracy where none was measured, gates, and what to know."""
    heads = figures.headings(found.candidates)
    title = f"{found.bundle.name} version {found.bundle.version} on {found.machine}"
    show_rows(tuple(heads.values()), [figures.row(each) for each in found.candidates], title=title, styles=_VERDICTS)
    show_lines([*figures.legend(found.candidates), *bundle_bench_lines(found)])


def bundle_bench_lines(found: BundleBench) -> list[str]:
    """One fact a line."""
    lines = [f"{name}: {_recorded(found, name)}" for name in found.recorded]
    lines += [
        f"gate {each.gate.side} {each.gate.metric} {each.gate.bound:g}: {each.verdict.value}, {each.reason}"
        for each in found.gates
    ]
    lines += [rates] if (rates := error_rates(found.gates)) is not None else []
    lines += [f"note: {notice}" for notice in found.notices]
    return [*(f"  {line}" for line in lines), f"  {found.output}"]


def _recorded(found: BundleBench, name: str) -> str:
    then = found.recorded[name]
    return f"recorded when it was built: top-1 {figures.percent_interval(then.top1)} of {then.images:,} images, on {then.machine}"


def sheet_of_bundle_bench(found: BundleBench, *, require_measured: bool = False) -> GateSheet:
    """The gates of the kit that the bundle uses."""
    return GateSheet(
        title=f"{found.bundle.name} on {found.machine}",
        candidate=found.bundle.chosen or "no candidate",
        verdict=found.verdict,
        why=found.images.said,
        gates=found.gates,
        seconds=found.seconds,
        made_at=found.made_at,
        version=found.version,
        require_measured=require_measured,
        notes=found.notices,
    )
