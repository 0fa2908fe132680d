"""How an image becomes a network's input: size, resizing and normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from edgecnn.runner.pixel_recipe import ALL_LEVELS, BLACK, MAX_PIXELS, ImageSize
from edgecnn.runner.pixel_recipe import PixelRecipe as RunnerRecipe
from edgecnn.values.base import Value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


LARGEST_PX = 2048
"""Limits of an input's side for training a network of the catalogue."""
Interpolation = Literal["bilinear", "bicubic"]
Level = Annotated[int, Field(ge=0, le=255)]
ResizeMode = Literal["crop", "letterbox", "stretch", "line"]
BORDERED: tuple[ResizeMode, ...] = ("letterbox", "line")
"""Resizes that leave a border if the image does not fill the frame."""
Mean = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Scale = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
"""Divisor of a normalization."""
Colour = tuple[Level, Level, Level]
"""Red, green and blue."""
Level16 = Annotated[int, Field(ge=0, le=ALL_LEVELS[1])]


def _require_rising(window: tuple[int, int]) -> tuple[int, int]:
    if window[0] >= window[1]:
        raise PydanticCustomError("no_window", "the first level (black) must be below the second (white)")
    return window


GreyWindow = Annotated[tuple[Level16, Level16], AfterValidator(_require_rising)]
"""Levels of 16-bit grey that become black and white."""


def _size(stated: Any) -> ImageSize:
    try:
        size = ImageSize.of(stated)
    except ValueError as error:
        raise PydanticCustomError("no_size", "{because}", {"because": str(error)}) from error
    if size.area_px > MAX_PIXELS:
        raise PydanticCustomError("no_size", "{because}", {"because": f"{size} is more than {MAX_PIXELS:,} pixels"})
    return size


_SIZE_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]{1,6}x[0-9]{1,6}$"}]}
_AS_JSON = (PlainSerializer(lambda size: size.stated), WithJsonSchema(_SIZE_SCHEMA))
Resolution = Annotated[ImageSize, PlainValidator(_size), *_AS_JSON]
"""Height and width of a network's input. In JSON: a square is its side, 224, any other size a text, ``48x192``."""


class PixelRecipe(Value):
    """Image → uint8 RGB pixels: EXIF orientation, RGB, resize, centre crop; ``fill`` surrounds smaller images."""

    resize_px: Resolution
    """The size that the image covers (crop), fits into (letterbox, line), or is stretched to (stretch)."""
    crop_px: Resolution
    interpolation: Interpolation
    resize: ResizeMode = Field(default="crop", exclude_if=lambda mode: mode == "crop")
    fill: Colour = Field(default=BLACK, exclude_if=lambda colour: colour == BLACK)
    grey_window: GreyWindow = Field(default=ALL_LEVELS, exclude_if=lambda window: window == ALL_LEVELS)

    @property
    def decoded_px(self) -> ImageSize:
        """The stored size of a training image, of which each epoch shows a part."""
        return self.resize_px.larger_of(self.crop_px)

    def describe(self) -> str:
        """Describe the recipe for readers."""
        if self.resize == "crop" and self.crop_px.is_square and self.resize_px.is_square:
            shape = f"short side {self.resize_px}, crop {self.crop_px}"
        else:
            way = {"crop": "cover", "letterbox": "fit into", "stretch": "be", "line": "the height of"}[self.resize]
            where = " to its right" if self.resize == "line" else ""
            around = f" with a border of {', '.join(map(str, self.fill))}{where}" if self.resize in BORDERED else ""
            cut = f", crop {self.crop_px}" if self.resize_px != self.crop_px else ""
            shape = f"{'stretched' if self.resize == 'stretch' else 'scaled'} to {way} {self.resize_px}{around}{cut}"
        levels = "" if self.grey_window == ALL_LEVELS else ", 16-bit levels {} to {}".format(*self.grey_window)
        return f"{shape}, {self.interpolation}{levels}"

    def runner_recipe(self) -> RunnerRecipe:
        """Return the recipe for the runner's code, here and on a device."""
        return RunnerRecipe(self.resize_px, self.crop_px, self.interpolation, self.resize, self.fill, self.grey_window)


class Normalization(Value):
    """Pixels → network input: ``(pixel / 255 - mean) / std`` for each channel, in RGB order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def mean_levels(self) -> Colour:
        """The colour that becomes 0 in the network's input, rounded to whole levels."""
        red, green, blue = (min(255, max(0, round(255 * mean))) for mean in self.mean)
        return red, green, blue

    def feed(self, pixels: npt.NDArray[np.uint8], dtype: str = "float32", layout: str = "NCHW") -> npt.NDArray[Any]:
        """Convert pixels uint8 (N, H, W, 3) to a file's input; for ``uint8`` inputs they stay unchanged."""
        from edgecnn.runner.pixels import to_feed

        return to_feed(pixels, dtype, layout, self.mean, self.std)


class Preprocessing(Value):
    """Pixels and normalization: everything that a kit needs to feed its model."""

    pixels: PixelRecipe
    normalization: Normalization


class PreprocessingChoice(Value):
    """``[preprocessing]``: how an image becomes the network's input. A network of the catalogue has its own mean, scale and
    margin. For a custom model (``model.onnx``), unset values are searched by accuracy.
    """

    like: str | None = None
    """imagenet, half, unit or bytes, each also with -bgr, or caffe: see ``models/preprocessings.py``."""
    mean: tuple[Mean, Mean, Mean] | None = None
    """Mean of red, green and blue, on the scale 0 to 1; with ``std``, instead of ``like``."""
    std: tuple[Scale, Scale, Scale] | None = None
    """Standard deviation on the same scale, with ``mean``."""
    channels: Literal["rgb", "bgr"] | None = None
    """Order of the colours in the network's input. Unset: that of ``like``; with a custom model's ``mean`` and ``std``, both are
    tried."""
    resize: ResizeMode | None = None
    """crop: scale the image to cover the input, and take the centre. letterbox: scale it to fit, and add a border. stretch: scale
    each side separately. line: scale a line of text to the input's height; squeeze it if it is too wide, otherwise add a border
    on the right. Unset: crop; searched for a custom model, unless ``resize_px`` is stated."""
    resize_px: Resolution | None = None
    """For a crop: the short side before cropping, or the height and width to cover."""
    fill: Colour | None = None
    """Red, green and blue of the border of letterbox or line, 0 to 255. Unset: the colour that becomes 0 in the network's input.
    """
    interpolation: Interpolation | None = None
    """Interpolation of the resizing. Unset: the network's own; bilinear for a custom model."""
    grey_window: GreyWindow = ALL_LEVELS
    """For 16-bit grey images, as from X-ray and thermal cameras: the levels that become black and white, such as [0, 4095] if 12
    bits are used. Values outside are clipped; other images are unchanged."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> PreprocessingChoice:
        mode = self.resize or ("crop" if self.resize_px else None)
        if self.fill is not None and mode is not None and mode not in BORDERED:
            because = f"fill is the border colour of letterbox and line, and resize = {mode!r} has no border"
            raise PydanticCustomError("no_border", "{because}", {"because": because})
        if self.resize_px is not None and mode != "crop":
            because = f"resize_px applies to resize = 'crop', and resize is {mode!r}"
            raise PydanticCustomError("no_crop", "{because}", {"because": because})
        return self

    def shaped(self, crop_px: ImageSize, resize_px: ImageSize, usual: Normalization, interpolation: Interpolation) -> PixelRecipe:
        """Return the pixel recipe for an input of ``crop_px``; a crop is taken from an image resized to ``resize_px``."""
        mode = self.resize or "crop"
        covered = self.resize_px or resize_px
        if covered.is_square:
            covered = crop_px.scaled_to_short(covered.short_px)
        return PixelRecipe(
            resize_px=covered.larger_of(crop_px) if mode == "crop" else crop_px,
            crop_px=crop_px,
            interpolation=self.interpolation or interpolation,
            resize=mode,
            fill=self.fill or usual.mean_levels if mode in BORDERED else BLACK,
            grey_window=self.grey_window,
        )
