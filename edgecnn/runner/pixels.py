"""Decode an image file to uint8 RGB pixels, and convert pixels to a model's input, for edgecnn and every kit.

Pillow is the reference, because kits use it on boards. Resizing tensors differs from it by up to two levels.
"""

from __future__ import annotations

import hashlib
import json
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Sequence, Tuple, Union

import numpy as np
from PIL import Image, UnidentifiedImageError

from .causes import why_no_image
from .files import open_regular
from .pixel_recipe import ALL_LEVELS
from .pixel_recipe import MAX_PIXELS as MAX_PIXELS
from .pixel_recipe import ImageSize as ImageSize
from .pixel_recipe import PixelRecipe as PixelRecipe

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
    Source = Union[str, "os.PathLike[str]", IO[bytes]]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF")
"""Pillow's names of the formats that cameras and browsers write; a JPEG of several images (MPO) is a JPEG. Other formats are
refused: some of Pillow's readers start a program on PATH (PostScript), and some formats may contain any other."""
UNSUPPORTED_FORMAT = "unsupported image format (supported: JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, AVIF)"

# Pillow warns above half of ``MAX_PIXELS``.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# Pillow before 9.1, which old boards have, keeps these names on the module itself.
_RESAMPLING: Any = getattr(Image, "Resampling", Image)
_TRANSPOSE: Any = getattr(Image, "Transpose", Image)
_FILTERS = {"bilinear": _RESAMPLING.BILINEAR, "bicubic": _RESAMPLING.BICUBIC}
_TOO_LARGE = "{:,} x {:,} pixels, more than {:,} in all"
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_270,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_90,
}
"""EXIF 2.32, tag 0x0112 (Orientation): the operation that turns the stored image upright."""

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    MemoryError,
    EOFError,
    AttributeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""Exceptions of Pillow's format readers on damaged files; they document no single type."""


class UnreadableImage(ValueError):
    """Raised when a file is not an image, is damaged, or has undefined colours. ``why``: the reason."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def open_picture(source: Source) -> Image.Image:
    """Open an image file lazily with Pillow, if it has one of ``FORMATS``. Every image is opened here.

    Raises:
        UnidentifiedImageError: the format is not one of them. OSError, and others of ``BROKEN``.
    """
    Image.init()
    if not hasattr(source, "read"):
        open_regular(Path(source)).close()  # refuses pipes, which would block
    return Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])


def decode(source: Source, grey_window: Tuple[int, int] = ALL_LEVELS) -> Image.Image:
    """Decode an image to upright RGB, eight bits a channel.

    EXIF orientation is applied. Transparent pixels are blended with white, as on web pages; without blending, their hidden colour
    would show. 16-bit grey is scaled from its window to 0 to 255. CMYK is converted by Pillow's formula, without colour profiles.
    The first frame of an animation is used.

    Args:
        source: a path or an open binary file.
        grey_window: the levels of 16-bit grey that become black and white; levels beyond are clipped.

    Raises:
        UnreadableImage: not an image, truncated, over ``MAX_PIXELS``, or of a pixel type without a defined white.
        FileNotFoundError: the path does not exist.
        PermissionError: this user may not read the file.
        IsADirectoryError: the path is a folder.
    """
    try:
        with open_picture(source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(_TOO_LARGE.format(*image.size, MAX_PIXELS))
            return _upright(image, grey_window)
    except (UnreadableImage, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Image.DecompressionBombError:
        raise UnreadableImage("more than {:,} pixels".format(MAX_PIXELS)) from None
    except UnidentifiedImageError:
        raise UnreadableImage(why_no_image(source, UNSUPPORTED_FORMAT)) from None
    except BROKEN as error:
        raise UnreadableImage(why_no_image(source, fault_text(error))) from error


def decode_opened(image: Image.Image, grey_window: Tuple[int, int] = ALL_LEVELS) -> Image.Image:
    """Convert an opened PIL image to upright RGB as ``decode`` does, with EXIF orientation and transparency.

    Raises:
        UnreadableImage: see ``decode``; a truncated file is detected only here.
    """
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(_TOO_LARGE.format(*image.size, MAX_PIXELS))
    try:
        return _upright(image, grey_window)
    except UnreadableImage:
        raise
    except BROKEN as error:
        raise UnreadableImage(fault_text(error)) from error


def to_pixels(image: Image.Image, recipe: PixelRecipe) -> Pixels:
    """Resize and crop the centre. A square by ``crop`` equals torchvision's ``Resize`` and ``CenterCrop`` on a PIL image.

    Args:
        image: RGB.
        recipe: sizes in pixels, the filter, and the fill around a smaller image.

    Returns:
        uint8 (crop height, crop width, 3), contiguous and writeable.

    Raises:
        UnreadableImage: the image is so narrow that the resized one would exceed ``MAX_PIXELS``.
    """
    image = resized(image, recipe)
    left, top = centre_corner(image, recipe.crop_px)
    return np.array(image.crop((left, top, left + recipe.crop_px.width_px, top + recipe.crop_px.height_px)))


def resized(image: Image.Image, recipe: PixelRecipe) -> Image.Image:
    """Return the image before the crop of ``to_pixels``: resized, with ``fill`` around it if the crop is larger.

    Raises:
        UnreadableImage: see ``to_pixels``.
    """
    size = _resized_size(image.size, recipe)
    if size[0] * size[1] > MAX_PIXELS:
        why = "{:,} x {:,} pixels would be {:,} x {:,} when resized, more than {:,} in all"
        raise UnreadableImage(why.format(image.width, image.height, size[0], size[1], MAX_PIXELS))
    if size != image.size:
        # In Pillow 13's order: rows first if far more rows are removed than columns. Older versions begin with columns.
        rows_first = image.height - size[1] > 2 * max(0, image.width - size[0])
        first, filter_ = (image.width, size[1]) if rows_first else (size[0], image.height), _FILTERS[recipe.interpolation]
        image = image.resize(first, filter_).resize(size, filter_)
    return _padded(image, recipe)


def _resized_size(size: Tuple[int, int], recipe: PixelRecipe) -> Tuple[int, int]:
    """Return the resized width and height of an image of this width and height."""
    (width, height), (high, wide) = size, recipe.resize_px
    if recipe.resize == "stretch":
        return wide, high
    if recipe.resize == "line":
        return min(wide, -(-width * high // height)), high  # rounded up, as PaddleOCR does
    upright = width * high <= wide * height  # relatively narrower than the target
    if recipe.resize == "letterbox":
        return (max(1, round(width * high / height)), high) if upright else (wide, max(1, round(height * wide / width)))
    # int() as torchvision does
    return (wide, max(high, int(wide * height / width))) if upright else (max(wide, int(high * width / height)), high)


def centre_corner(image: Image.Image, crop_px: ImageSize) -> Tuple[int, int]:
    """Return the left and upper edge, in pixels, of a resized image's centre crop."""
    # round() halves to even, as torchvision does
    return round((image.width - crop_px.width_px) / 2), round((image.height - crop_px.height_px) / 2)


def pixels_sha256(pixels: npt.NDArray[Any]) -> str:
    """Return SHA-256 of dtype, shape and bytes in C order, which is equal only for equal pixels."""
    digest = hashlib.sha256(json.dumps([pixels.dtype.str, list(pixels.shape)]).encode("ascii"))
    digest.update(np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def to_feed(
    pixels: Pixels,
    dtype: str,
    layout: str,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
) -> npt.NDArray[Any]:
    """Convert pixels to a model's input: ``(pixel / 255 - mean) / std`` for floats, the pixels for uint8.

    Args:
        pixels: uint8 (N, H, W, 3).
        dtype: ``float32`` or ``uint8``.
        layout: ``NCHW`` or ``NHWC``.
        mean, std: by channel in RGB order, on the scale 0 to 1; not used for uint8.

    Returns:
        a contiguous array of that dtype and layout.
    """
    if dtype == "uint8":
        return np.ascontiguousarray(pixels if layout == "NHWC" else pixels.transpose(0, 3, 1, 2))
    count, height, width, channels = pixels.shape
    planes = np.empty((count, channels, height, width), np.float32)
    for channel in range(channels):
        # Convert first, then scale in place: 14 us an image at 64 px, 85 us at 224 px. A 256-entry table takes 26 and 150 us.
        plane = planes[:, channel]
        plane[...] = pixels[..., channel]
        plane *= np.float32(1.0 / (255.0 * std[channel]))
        plane += np.float32(-mean[channel] / std[channel])
    return planes if layout == "NCHW" else np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _upright(image: Image.Image, grey_window: Tuple[int, int]) -> Image.Image:
    image.load()
    try:  # after load(), since Pillow turns TIFF upright itself and then clears the tag
        turn = _UPRIGHT.get(int(image.getexif().get(_ORIENTATION_TAG, 1)))
    except BROKEN:
        turn = None  # the image may be intact even if its EXIF block is damaged
    return _rgb(image if turn is None else image.transpose(turn), grey_window)


def _rgb(image: Image.Image, grey_window: Tuple[int, int]) -> Image.Image:
    if image.mode.startswith("I"):
        return _grey16(image, grey_window)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels have no defined white")
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey16(image: Image.Image, window: Tuple[int, int]) -> Image.Image:
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise UnreadableImage("32-bit grey levels have no defined white")
    (black, white), span = window, window[1] - window[0]
    levels = np.clip(levels, black, white) - black
    return Image.fromarray(((255 * levels + span // 2) // span).astype(np.uint8)).convert("RGB")


def levels_of(image: Image.Image) -> Tuple[int, int]:
    """Return the darkest and the lightest level of an opened 16-bit grey image.

    Raises:
        OSError, and others of ``BROKEN``.
    """
    levels = np.asarray(image)
    return int(levels.min()), int(levels.max())


def _padded(image: Image.Image, recipe: PixelRecipe) -> Image.Image:
    (width, height), (high, wide) = image.size, recipe.crop_px
    if wide <= width and high <= height:
        return image
    padded = Image.new("RGB", (max(width, wide), max(height, high)), recipe.fill)
    left = 0 if recipe.resize == "line" else max(wide - width, 0) // 2
    padded.paste(image, (left, max(high - height, 0) // 2))
    return padded


def fault_text(error: BaseException) -> str:
    """Return the text of one of ``BROKEN`` on one line."""
    if isinstance(error, MemoryError):
        return "it needs more memory than is available"
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
