"""The outcome of a search inside budgets, as a table and sentences."""

from __future__ import annotations

from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.studies.facts import ScalePoint, ScaleSearch

MIB = 1 << 20
COLUMNS = ("depth ×", "width ×", "px", "multiply-adds", "parameters", "memory MiB", "apart, φ", "")


def show_search(found: ScaleSearch) -> None:
    """Print the frontier, best first, and what it means."""
    show_rows(COLUMNS, [_row(point, best=point == found.best) for point in found.frontier])
    show_lines(search_lines(found))


def search_lines(found: ScaleSearch) -> list[str]:
    """What was asked, the best, and how to build it."""
    limits = ", ".join(limit_text(name, most) for name, most in found.budgets.items())
    target = f" (memory of {found.from_target})" if found.from_target else ""
    return [
        f"{found.arch} inside {limits}{target}: --scale {found.best.scale}",
        found.rule,
        "memory: weights and the most that activations take at once, in float32; a runtime's own comes on top",
        f"build it: edgecnn build --arch {found.arch} --scale {found.best.scale}",
    ]


def limit_text(name: str, most: int) -> str:
    """A budget in words."""
    return f"{name} ≤ {most / MIB:,.1f} MiB" if name == "memory" else f"{name} ≤ {most:,}"


def _row(point: ScalePoint, *, best: bool) -> tuple[str, ...]:
    return (
        f"{point.depth:g}", f"{point.width:g}", str(point.resolution), f"{point.macs:,}", f"{point.parameters:,}",
        f"{point.memory_bytes / MIB:.1f}", f"{point.imbalance:.2f}", "best" if best else "",
    )  # fmt: skip
