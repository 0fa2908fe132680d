"""The pictures of a look: filters as tiles, and channels as blocks of the image parts that excite them, as M. D. Zeiler and
R. Fergus drew them ("Visualizing and Understanding Convolutional Networks", arXiv:1311.2901, figure 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from edgecnn.studies.facts import ChannelPictures, MapPictures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


GAP_PX = 6
TILE_PX = 48
"""Smallest side of a filter."""
CELL_PX = 64
"""Side of an image part."""
BLOCKS_ACROSS = 4
TILES_ACROSS = 16
_TEXT_PX = 18
_SMALL_PX = 32
"""Smaller parts are enlarged without smoothing, to show how few pixels the network sees."""


def filters_sheet(weights: NDArray[np.float32], blue_first: bool) -> Image.Image:
    """Draw every filter in colour, in channel order; in grey, as the mean of its inputs, if these are not colours.

    ``weights``: (filters, colours, rows, columns). ``blue_first``: the colours are in the order blue, green, red.
    """
    import numpy as np

    count, colours, rows, columns = weights.shape
    inputs = weights[:, ::-1] if blue_first and colours == 3 else weights
    inputs = inputs if colours == 3 else np.repeat(inputs.mean(axis=1, keepdims=True), 3, axis=1)
    reach = np.maximum(np.abs(inputs).max(axis=(1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
    pixels = np.rint(127.5 + 127.5 * inputs / reach).astype(np.uint8).transpose(0, 2, 3, 1)
    larger = -(-TILE_PX // max(rows, columns))
    size = columns * larger, rows * larger
    across = min(TILES_ACROSS, math.ceil(math.sqrt(count)))
    down = -(-count // across)
    sheet = Image.new("RGB", (across * (size[0] + GAP_PX) + GAP_PX, down * (size[1] + GAP_PX) + GAP_PX), "white")
    for number, tile in enumerate(pixels):
        place = GAP_PX + number % across * (size[0] + GAP_PX), GAP_PX + number // across * (size[1] + GAP_PX)
        sheet.paste(Image.fromarray(tile).resize(size, Image.Resampling.NEAREST), place)
    return sheet


def map_sheet(looked: MapPictures, pixels: NDArray[Any]) -> Image.Image:
    """Draw a block for each channel of a feature map, with its strongest image parts in rows.

    ``pixels``: uint8 (images, H, W, 3), of the ``validation`` split.
    """
    most = max((len(drawn.strongest) for drawn in looked.drawn), default=1)
    side = math.ceil(math.sqrt(most))
    rows = -(-most // side)
    width, height = side * CELL_PX + 2 * GAP_PX, _TEXT_PX + rows * CELL_PX + 2 * GAP_PX
    across = min(BLOCKS_ACROSS, max(1, len(looked.drawn)))
    down = -(-len(looked.drawn) // across)
    font = ImageFont.load_default(13)
    beyond = "the whole image" if pixels.shape[1] == pixels.shape[2] else "more than is drawn"
    head = _title(looked, across * width, font, beyond)
    sheet = Image.new("RGB", (across * width + 2 * GAP_PX, head.height + down * height + GAP_PX), "white")
    sheet.paste(head, (GAP_PX, 0))
    for number, channel in enumerate(looked.drawn):
        left, top = GAP_PX + number % across * width, head.height + number // across * height
        ImageDraw.Draw(sheet).text((left + GAP_PX, top), f"channel {channel.channel}", "black", font)
        _draw_block(sheet, (left + GAP_PX, top + _TEXT_PX), (channel, side), pixels)
    return sheet


def _draw_block(sheet: Image.Image, corner: tuple[int, int], drawn: tuple[ChannelPictures, int], pixels: NDArray[Any]) -> None:
    channel, side = drawn
    for number, image in enumerate(channel.strongest):
        part = Image.fromarray(
            pixels[image.image][image.top_px : image.top_px + image.side_px, image.left_px : image.left_px + image.side_px]
        )
        how = Image.Resampling.NEAREST if image.side_px < _SMALL_PX else Image.Resampling.BICUBIC
        place = corner[0] + number % side * CELL_PX, corner[1] + number // side * CELL_PX
        sheet.paste(part.resize((CELL_PX - 2, CELL_PX - 2), how), place)


def _title(looked: MapPictures, width_px: int, font: Any, beyond: str) -> Image.Image:
    constant = f", {looked.constant_channels} of them the same for every image" if looked.constant_channels else ""
    crops = [crop for channel in looked.drawn for crop in channel.strongest]
    whole = f" ({beyond})" if all(crop.side_px < looked.receptive_field_px for crop in crops) else ""
    description = (
        f"{looked.after}: {looked.channels:,} channels of {looked.columns} x {looked.rows}{constant}; "
        f"each position sees {looked.receptive_field_px} px{whole}"
    )
    lines = _wrapped(description.split(), width_px - GAP_PX, font)
    head = Image.new("RGB", (width_px, len(lines) * _TEXT_PX + 3 * GAP_PX), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(head).text((GAP_PX, GAP_PX + number * _TEXT_PX), line, "black", font)
    return head


def _wrapped(words: Sequence[str], width_px: int, font: Any) -> list[str]:
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width_px or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
