"""What was looked at, as a table and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.studies.facts import FeaturePictures

COLUMNS = ("after", "channels", "map", "sees px", "the same everywhere", "drawn", "picture")


def show_look(found: FeaturePictures, out: Path) -> None:
    """Print it."""
    show_rows(COLUMNS, look_rows(found))
    show_lines(look_lines(found, out))


def look_rows(found: FeaturePictures) -> Sequence[tuple[str, ...]]:
    """A row a map."""
    return [
        (
            each.after, f"{each.channels:,}", f"{each.columns} × {each.rows}", f"{each.receptive_field_px:,}",
            str(each.constant_channels), str(len(each.drawn)), each.picture,
        )
        for each in found.maps
    ]  # fmt: skip


def look_lines(found: FeaturePictures, out: Path) -> list[str]:
    """What was shown to it, and where the results lie."""
    first = found.filters
    filters = (
        "no picture of filters: the first convolution keeps no floating-point weights"
        if first is None
        else f"{first.picture}: {first.filters} filters of {first.columns} × {first.rows} in {first.layer}, grey is zero"
    )
    return [
        f"{found.network} (fp32) was shown {found.images:,} images of the role choose at {found.resolution_px} px",
        filters,
        f"{out}: look.json and the pictures",
    ]
