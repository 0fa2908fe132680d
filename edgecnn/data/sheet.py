"""A contact sheet: a few images of every class in rows, upright, as the network receives them before any crop."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from edgecnn.data.decoders import decoders
from edgecnn.data.images import LARGEST_BYTES
from edgecnn.data.roles import Listed, ListedImage, labels_of
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_INSIDE_DATA, OUTPUT_UNWRITABLE
from edgecnn.errors.wording import counted
from edgecnn.runner.files import bounded_content, open_regular
from edgecnn.runner.pixel_recipe import ALL_LEVELS
from edgecnn.runner.pixels import UnreadableImage
from edgecnn.store.disk import write_bytes_atomically

_HEAD_BYTES: Final = 1 << 10
IMAGES: Final = 8
"""Maximum number of images of a class, evenly spaced in path order."""
CLASSES: Final = 60
"""Maximum number of rows. It limits the sheet to 1,200 × 7,200 pixels."""
CELL_PX: Final = 112
GAP_PX: Final = 6
_NAMES_PX: Final = 220
_OURS: Final = "edgecnn contact sheet"


def check_sheet(path: Path, root: Path | None) -> None:
    """Check the file's location before any work.

    Raises:
        OUTPUT_INSIDE_DATA: the sheet would become an image of the data.
        NOT_OVERWRITTEN: the file exists and is not a contact sheet of edgecnn.
        OUTPUT_UNWRITABLE: the folder does not exist, or writing is not permitted.
    """
    if root is not None and path.absolute().resolve().is_relative_to(root.resolve()):
        raise OUTPUT_INSIDE_DATA(path=path, root=root)
    try:
        if path.is_symlink() or path.exists():
            if not _is_ours(path):
                raise NOT_OVERWRITTEN(path=path, because="it is not a contact sheet of edgecnn")
        elif not path.absolute().parent.is_dir():
            raise OUTPUT_UNWRITABLE(path=path, because="its folder does not exist")
    except OSError as error:  # such as a name that is too long
        raise OUTPUT_UNWRITABLE(path=path, because=system_reason(error)) from error


def write_sheet(listed: Listed, path: Path, grey_window: tuple[int, int] = ALL_LEVELS) -> None:
    """Draw the sheet and write it atomically as PNG. Images that have disappeared meanwhile are skipped.

    Args:
        listed: the images and their labels.
        path: of the sheet.
        grey_window: the levels of 16-bit grey that become black and white.

    Raises:
        OUTPUT_UNWRITABLE: no space, or not permitted.
    """
    by_label: dict[int, list[ListedImage]] = {label: [] for label in range(len(listed.classes))}
    for image in sorted(listed.images):
        for label in labels_of(image):
            by_label[label].append(image)
    shown = list(by_label.items())[:CLASSES]
    row_px = CELL_PX + GAP_PX
    more = len(by_label) - len(shown)
    size = (_NAMES_PX + IMAGES * row_px + GAP_PX, len(shown) * row_px + GAP_PX + (24 if more else 0))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (label, images) in enumerate(shown):
        top = GAP_PX + row * row_px
        draw.text((GAP_PX, top), _fit_name(draw, listed.classes[label], font), "black", font)
        draw.text((GAP_PX, top + 22), counted(len(images), "image"), "dimgrey", font)
        for column in range(count := min(IMAGES, len(images))):
            image = images[column * len(images) // count]
            if (thumbnail := _thumbnail(listed.root / image.path, grey_window)) is not None:
                left = _NAMES_PX + column * row_px
                sheet.paste(thumbnail, (left + (CELL_PX - thumbnail.width) // 2, top + (CELL_PX - thumbnail.height) // 2))
    if more:
        draw.text((GAP_PX, size[1] - 22), f"and {more:,} more classes", "black", font)
    save_sheet(sheet, path)


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet as PNG with edgecnn's mark, so that a later sheet may replace it.

    Raises OUTPUT_UNWRITABLE: no space, or not permitted.
    """
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", _OURS)
    data = io.BytesIO()
    sheet.save(data, "PNG", pnginfo=notes, optimize=True)
    try:
        write_bytes_atomically(path, data.getvalue())
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=path, because=system_reason(error)) from error


def _is_ours(path: Path) -> bool:
    """Whether a file begins as a sheet of ``save_sheet`` does: a PNG whose first text is edgecnn's mark."""
    with open_regular(path) as file:
        head = file.read(_HEAD_BYTES)
    return head.startswith(b"\x89PNG\r\n\x1a\n") and b"tEXtSoftware\0" + _OURS.encode() in head


def _thumbnail(path: Path, grey_window: tuple[int, int]) -> Image.Image | None:
    try:
        image = decoders().rgb(bounded_content(path, LARGEST_BYTES), grey_window)
    except (OSError, UnreadableImage):
        return None
    image.thumbnail((CELL_PX, CELL_PX))
    return image


def _fit_name(draw: ImageDraw.ImageDraw, name: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Fit a name on one line of its column. Characters that break lines or cannot be drawn become their code points."""
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)[:200]
    while draw.textlength(text, font) > _NAMES_PX - 2 * GAP_PX:
        text = f"{text[:-4]}..."
    return text
