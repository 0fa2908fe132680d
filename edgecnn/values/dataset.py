"""Which images there are, in which roles, by content; what was found in them; and how their pixels are prepared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from edgecnn.runner.pixel_recipe import BLACK, ImageSize
from edgecnn.runner.pixel_recipe import PixelRecipe as RunnerRecipe
from edgecnn.values.base import Value
from edgecnn.values.stage import Key

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Level = Annotated[int, Field(ge=0, le=255)]
SplitRole = Literal["train", "calibration", "validation", "test"]
UNLABELLED = -1
SPLIT_ROLES: tuple[SplitRole, ...] = ("train", "calibration", "validation", "test")


class ImageEntry(Value):
    """One image: where it is under the manifest's root, its class index, its role and its bytes' digest."""

    path: str
    label: int
    """``UNLABELLED`` where nobody said what it shows."""
    role: SplitRole
    sha256: str


class DataManifest(Value):
    """Every image of a data set. ``content`` ignores where the root is."""

    schema_: Literal["edgecnn.data/2"] = "edgecnn.data/2"
    origin: Literal["demo", "folder"]
    root: str
    classes: tuple[str, ...]
    """Empty where the images have no labels."""
    images: tuple[ImageEntry, ...]
    skipped: tuple[str, ...] = ()
    """Files that are no readable image, with the reason."""
    copies: tuple[str, ...] = ()
    """Images left out because the same bytes stand in another split or under another class."""


class DataSummary(Value):
    """What planning needs of a manifest, without its 100,000 lines."""

    origin: Literal["demo", "folder"]
    root: str
    content: Key
    """Digest of classes and images; the key under which stages name this data."""
    manifest_path: str
    classes: tuple[str, ...]
    counts: Mapping[SplitRole, int]
    skipped: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    splits_from: str
    """One sentence: which folder became which role."""

    @property
    def labelled(self) -> bool:
        """False where nobody said what the images show: then nothing is known but whether two networks agree."""
        return bool(self.classes)


class DataDivision(Value):
    """``edgecnn data split FOLDER --out FOLDER``, schema edgecnn.division/2."""

    schema_: Literal["edgecnn.division/2"] = Field(default="edgecnn.division/2", alias="schema")
    version: str
    root: str
    out: str
    seed: int
    content: Key
    """Of the folder that was divided, as a build names it."""
    images: Mapping[Literal["train", "validation", "test"], int]
    roles: Mapping[SplitRole, int]
    """As a build draws them, of either folder: train/ holds train and calibration."""
    roles_from: str
    linked: bool
    """Hard links: both names are one file, and whoever writes into one changes the other."""
    skipped: tuple[str, ...]
    """Files that are no readable image, with the reason."""
    copies: tuple[str, ...]
    """Left out: the same bytes stand in another split or under another class."""


class ClassCount(Value):
    """One class: its name, its images by split folder, and its files that cannot be used."""

    name: str
    images: int
    by_split: Mapping[Literal["train", "validation", "test"], int]
    unreadable: int


class FileProblem(Value):
    """A file that a build cannot use, and why. ``path`` is relative to the root."""

    path: str
    why: str


class Alike(Value):
    """Files that hold the same bytes, or pictures that look alike."""

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    """Of these files; more than one is a contradiction."""
    roles: tuple[SplitRole, ...]
    """That a build would give them; more than one is a leak. Empty where it would use none of them."""


class NameSlip(Value):
    """Two classes whose names nobody would tell apart on purpose."""

    one: str
    other: str
    why: str


class Spread(Value):
    """Of all images, in pixels of the upright picture's shorter and longer side."""

    min: int
    p5: int
    median: int
    p95: int
    max: int


class Finding(Value):
    """One thing to know, in one sentence. ``serious``: there would be no build, or its figures would mislead."""

    kind: Literal[
        "leak", "contradiction", "copies", "alike", "unreadable", "imbalance", "names", "roles", "stored-turned", "animated",
        "transparent", "wide-pixels", "mixed-modes", "ignored",
    ]  # fmt: skip
    serious: bool
    sentence: str


class DataInspection(Value):
    """``edgecnn data inspect FOLDER``, schema edgecnn.inspection/2. Nothing here is an opinion of a network."""

    schema_: Literal["edgecnn.inspection/2"] = Field(default="edgecnn.inspection/2", alias="schema")
    version: str
    root: str
    images: int
    """Readable ones."""
    bytes: int
    classes: tuple[ClassCount, ...]
    roles: Mapping[SplitRole, int] | None
    """As a build with the default shares and seed would draw them; None where it could not."""
    roles_from: str
    """One sentence: which folder became which role, or why none can be drawn."""
    unreadable: tuple[FileProblem, ...]
    copies: tuple[Alike, ...]
    """The same bytes more than once."""
    near: tuple[Alike, ...]
    """Other bytes, and yet alike: encoded again, made smaller, hardly cropped."""
    imbalance: float
    """Images of the largest class over those of the smallest."""
    name_slips: tuple[NameSlip, ...]
    short_side_px: Spread
    long_side_px: Spread
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    """Pixels as stored, in Pillow's words: RGB, L, CMYK, I;16, …"""
    orientations: Mapping[str, int]
    """EXIF's 1 to 8; every one but 1 is turned upright."""
    transparent: int
    animated: int
    """Of an animation the first frame is used."""
    ignored: tuple[str, ...]
    """Folders beside the splits that are none."""
    findings: tuple[Finding, ...]
    seconds: float
    contact_sheet: str | None = None


LEAST_PX, LARGEST_PX = 32, 2048
"""Of a side of a network's input that a recipe may ask for."""
Interpolation = Literal["bilinear", "bicubic"]
ResizeMode = Literal["crop", "letterbox", "stretch"]
Colour = tuple[Level, Level, Level]
"""Red, green and blue."""


def _size(stated: Any) -> ImageSize:
    try:
        return ImageSize.of(stated)
    except ValueError as error:
        raise PydanticCustomError("no_size", "{because}", {"because": str(error)}) from error


def _asked(stated: Any) -> ImageSize:
    size = _size(stated)
    if not LEAST_PX <= size.short_px <= size.long_px <= LARGEST_PX:
        because = f"each side must have {LEAST_PX} to {LARGEST_PX} pixels, not {size}"
        raise PydanticCustomError("no_size", "{because}", {"because": because})
    return size


_SIZE_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]{1,6}x[0-9]{1,6}$"}]}
_AS_JSON = (PlainSerializer(lambda size: size.stated), WithJsonSchema(_SIZE_SCHEMA))
Resolution = Annotated[ImageSize, PlainValidator(_size), *_AS_JSON]
"""Height and width of a network's input. In JSON: a square is its side, 224, any other size a text, ``48x192``."""
AskedResolution = Annotated[ImageSize, PlainValidator(_asked), *_AS_JSON]
"""The same, of sides that a recipe may ask for."""


class PixelRecipe(Value):
    """Photograph → uint8 RGB pixels: EXIF orientation, RGB, resize, centre crop; ``fill`` is around what is smaller than that."""

    resize_px: Resolution
    """What the picture covers (crop), fits into (letterbox), or is brought to (stretch)."""
    crop_px: Resolution
    interpolation: Interpolation
    resize: ResizeMode = Field(default="crop", exclude_if=lambda mode: mode == "crop")
    fill: Colour = Field(default=BLACK, exclude_if=lambda colour: colour == BLACK)

    @property
    def decoded_px(self) -> ImageSize:
        """What is kept of a training image, of which each epoch shows a part."""
        return self.resize_px.larger_of(self.crop_px)

    def describe(self) -> str:
        """As a reader is told."""
        if self.resize == "crop" and self.crop_px.is_square:
            shape = f"short side {self.resize_px}, crop {self.crop_px}"
        else:
            way = {"crop": "cover", "letterbox": "fit into", "stretch": "be"}[self.resize]
            around = f" with levels {', '.join(map(str, self.fill))} around it" if self.resize == "letterbox" else ""
            cut = f", crop {self.crop_px}" if self.resize_px != self.crop_px else ""
            shape = f"{'stretched' if self.resize == 'stretch' else 'scaled'} to {way} {self.resize_px}{around}{cut}"
        return f"{shape}, {self.interpolation}"

    def of_runner(self) -> RunnerRecipe:
        """The same for the code that does it, here and on a device."""
        return RunnerRecipe(self.resize_px, self.crop_px, self.interpolation, self.resize, self.fill)


class Normalization(Value):
    """Pixels → network input: ``(pixel / 255 - mean) / std`` a channel, in RGB order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def mean_levels(self) -> Colour:
        """The colour that becomes 0 in the network's input, as near as whole levels come to it."""
        red, green, blue = (min(255, max(0, round(255 * mean))) for mean in self.mean)
        return red, green, blue

    def feed(self, pixels: npt.NDArray[np.uint8], dtype: str = "float32", layout: str = "NCHW") -> npt.NDArray[Any]:
        """Pixels uint8 (N, H, W, 3) as a file wants them; ``uint8`` ones are left as they are."""
        from edgecnn.runner.pixels import to_feed

        return to_feed(pixels, dtype, layout, self.mean, self.std)


class Preprocessing(Value):
    """Both halves: what a kit needs to know to feed its model."""

    pixels: PixelRecipe
    normalization: Normalization
