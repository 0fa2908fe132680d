"""One view against ten, as a table and sentences."""

from __future__ import annotations

from edgecnn.render.figures import percent_interval, points
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.studies.facts import TenCrop

COLUMNS = ("shown", "top-1 (95 %)", "multiply-adds")


def show_ten_crop(found: TenCrop) -> None:
    """Print it."""
    single = ("centre crop, as kits are shown it", percent_interval(found.single_top1), f"{found.macs:,}")
    ten = ("ten crops, probabilities averaged", percent_interval(found.ten_top1), f"{found.ten_macs:,}")
    show_rows(COLUMNS, [single, ten])
    show_lines(ten_crop_lines(found))


def ten_crop_lines(found: TenCrop) -> list[str]:
    """What is gained, for what, and what the views could not be."""
    lines = [
        f"{found.network} (fp32), {found.images:,} test images: {points(found.difference_pp)} for 10× the multiply-adds "
        f"({found.gained:,} images gained, {found.lost:,} lost)",
        "no kit does this: what ships sees the centre crop alone",
    ]
    if found.without_room:
        lines.append(
            f"{found.without_room:,} images are no larger than the crop: their ten views are two, the image and its mirror"
        )
    return lines
