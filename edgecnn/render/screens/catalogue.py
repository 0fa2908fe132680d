"""The catalogue as a table: what a network costs and what was published of it, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.render.figures import NONE
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.values.arch import ListedArch

COLUMNS = (
    "name", "year", "parameters", "MACs", "depth", "fp32 MiB", "px", "least px", "top-1 %", "top-5 %", "weights", "paper",
    "accuracy as in",
)  # fmt: skip


def show_archs(rows: Sequence[ListedArch]) -> None:
    """Print the table, what its columns mean, and what they are not."""
    show_rows(COLUMNS, [_cells(row) for row in rows])
    show_lines(
        (
            "MACs: multiply-adds for one image at px. depth: convolutions and fully connected layers on the longest way.",
            "top-1, top-5: as published, ImageNet-1k validation; none measured here. –: no published figure.",
        )
    )


def _cells(row: ListedArch) -> tuple[str, ...]:
    return (
        row.name, str(row.year), f"{row.parameters:,}", macs_text(row.macs), str(row.depth), f"{row.weights_mib:.1f}",
        str(row.resolution_px), str(row.least_px), percent(row.accuracy_top1), percent(row.accuracy_top5),
        row.weights or (f"none; needs {', '.join(row.needs)}" if row.needs else "none"), row.paper,
        row.accuracy_source or NONE,
    )  # fmt: skip


def macs_text(macs: int) -> str:
    """``385.8 M``, ``4.09 G``."""
    return f"{macs / 1e9:.2f} G" if macs >= 1e9 else f"{macs / 1e6:.1f} M"  # noqa: PLR2004 - a thousand millions


def percent(share: float | None) -> str:
    """``76.1``."""
    return NONE if share is None else f"{share * 100:.1f}"
