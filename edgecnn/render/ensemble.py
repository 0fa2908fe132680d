"""An ensemble beside its members, as a table and sentences."""

from __future__ import annotations

from edgecnn.render.figures import percent_interval, points
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.studies.facts import Ensemble, EnsembleRow

COLUMNS = ("network", "parameters", "multiply-adds", "MiB", "top-1 on choose (95 %)", "from")


def show_ensemble(found: Ensemble) -> None:
    """Print it."""
    show_rows(COLUMNS, [*map(_row, found.members), _row(found.whole)])
    show_lines(ensemble_lines(found))


def ensemble_lines(found: Ensemble) -> list[str]:
    """What was gained for what, and how the file is built."""
    difference = (
        "no accuracy: the builds do not share labelled choose images"
        if found.difference_pp is None
        else f"gain over {found.best} on the same {found.images:,} images: {points(found.difference_pp)}, in fp32"
    )
    dearest = max(row.macs for row in found.members)
    times = f"{found.whole.macs / dearest:.1f}× the multiply-adds of the dearest member" if dearest else "no multiply-adds"
    return [
        f"{found.file}: the mean of {len(found.members)} networks' probabilities; {times}",
        difference,
        f"build it: {found.command}",
    ]


def _row(row: EnsembleRow) -> tuple[str, ...]:
    top1 = "–" if row.accuracy_top1 is None else percent_interval(row.accuracy_top1)
    return row.name, f"{row.parameters:,}", f"{row.macs:,}", f"{row.size_bytes / 2**20:.1f}", top1, row.folder or "all of them"
