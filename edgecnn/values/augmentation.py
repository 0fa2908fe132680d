"""Random changes of training images: the rows of a recipe's list, with ranges and probabilities.

Values are drawn uniformly from ranges, separately for each image. ``p`` is the probability that an image is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution


def _require_order(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise PydanticCustomError("range_reversed", "a range needs its smaller end first")
    return ends


_Share = Annotated[float, Field(ge=0, le=1)]
_Area = Annotated[float, Field(ge=0.01, le=1)]
_Degrees = Annotated[float, Field(ge=-180, le=180)]
_Slant = Annotated[float, Field(ge=-60, le=60)]
_Part = Annotated[float, Field(ge=-1, le=1)]
_Factor = Annotated[float, Field(ge=0.25, le=4)]
_Bend = Annotated[float, Field(ge=-0.5, le=0.5)]
_Multiplier = Annotated[float, Field(ge=0, le=4)]
_Turn = Annotated[float, Field(ge=-0.5, le=0.5)]
Between = AfterValidator(_require_order)
"""Marks a range, with its smaller end first."""


class Crop(Value):
    """A part of the image, resized to the network's input. Without it the centre is used, as in inference."""

    kind: Literal["crop"] = "crop"
    area: Annotated[tuple[_Area, _Area], Between] = (0.6, 1.0)
    """Share of the image that is covered."""
    aspect: Annotated[float, Field(ge=1, le=4)] = 1.18
    """Ratio by which one side may be longer than in the network's input, before resizing."""


class Flip(Value):
    """The mirror image."""

    kind: Literal["flip"] = "flip"
    p: _Share = 0.5
    axis: Literal["horizontal", "vertical"] = "horizontal"
    """horizontal: left becomes right. vertical: top becomes bottom."""


class Rotate(Value):
    """Rotation around the centre; corners are filled with the image's mean colour."""

    kind: Literal["rotate"] = "rotate"
    p: _Share = 1.0
    degrees: Annotated[tuple[_Degrees, _Degrees], Between] = (-15.0, 15.0)
    """Degrees; positive is clockwise."""


class Shear(Value):
    """Shear of the rows; the rest is filled with the image's mean colour."""

    kind: Literal["shear"] = "shear"
    p: _Share = 1.0
    degrees: Annotated[tuple[_Slant, _Slant], Between] = (-10.0, 10.0)
    """Degrees of the slant."""


class Translate(Value):
    """A shift along both axes; the rest is filled with the image's mean colour."""

    kind: Literal["translate"] = "translate"
    p: _Share = 1.0
    share: Annotated[tuple[_Part, _Part], Between] = (-0.1, 0.1)
    """Share of the side, drawn for each axis."""


class Stretch(Value):
    """Separate scaling of width and height around the centre; below 1 the rest is black."""

    kind: Literal["stretch"] = "stretch"
    p: _Share = 1.0
    factor: Annotated[tuple[_Factor, _Factor], Between] = (1.0, 1.25)
    """Drawn for each axis."""


class Lens(Value):
    """Radial lens distortion: the point at distance r from the centre (1 at the edge) comes from r · (1 + k · r²)."""

    kind: Literal["lens"] = "lens"
    p: _Share = 0.5
    k: Annotated[tuple[_Bend, _Bend], Between] = (-0.2, 0.2)
    """Positive: barrel. Negative: pincushion."""


class Elastic(Value):
    """Local warping: every point is moved by smooth noise (Simard et al. 2003)."""

    kind: Literal["elastic"] = "elastic"
    p: _Share = 0.5
    strength: Annotated[tuple[_Multiplier, _Multiplier], Between] = (0.0, 1.0)
    """1 moves by about 2 % of the side at most, whatever its length."""
    smoothness: Annotated[float, Field(ge=0.01, le=0.25)] = 0.05
    """Standard deviation of the blur that correlates neighbouring movements, as a share of the side."""


class Colour(Value):
    """Factors for brightness, contrast and saturation, and a rotation of the hue."""

    kind: Literal["colour"] = "colour"
    p: _Share = 1.0
    brightness: Annotated[tuple[_Multiplier, _Multiplier], Between] = (0.8, 1.2)
    """Factor of all values."""
    contrast: Annotated[tuple[_Multiplier, _Multiplier], Between] = (0.8, 1.2)
    """Factor of the distance from the mean grey."""
    saturation: Annotated[tuple[_Multiplier, _Multiplier], Between] = (0.8, 1.2)
    """Factor of the distance from the grey image."""
    hue: Annotated[tuple[_Turn, _Turn], Between] = (0.0, 0.0)
    """Share of a full rotation of the colour circle."""


class Pca(Value):
    """AlexNet's colour shift along the principal components of ImageNet's colours (Krizhevsky et al. 2012, section 4.1)."""

    kind: Literal["pca"] = "pca"
    p: _Share = 1.0
    sd: Annotated[float, Field(ge=0, le=2)] = 0.1
    """Standard deviation of each component's share."""


class Noise(Value):
    """Gaussian noise on every value."""

    kind: Literal["noise"] = "noise"
    p: _Share = 0.5
    sd: Annotated[tuple[_Share, _Share], Between] = (0.0, 0.1)
    """Standard deviation on the scale 0 to 1."""


class Cutout(Value):
    """A box filled with the image's mean colour (DeVries and Taylor 2017; Zhong et al. 2020)."""

    kind: Literal["cutout"] = "cutout"
    p: _Share = 0.5
    area: Annotated[tuple[_Area, _Area], Between] = (0.02, 0.2)
    """Share of the image that the box covers."""
    aspect: Annotated[float, Field(ge=1, le=8)] = 3.0
    """Largest ratio of its longer to its shorter side."""


class RandAugment(Value):
    """Some of fourteen operations, drawn for each image, at one strength (Cubuk et al. 2020, arXiv:1909.13719)."""

    kind: Literal["randaugment"] = "randaugment"
    p: _Share = 1.0
    operations: Annotated[int, Field(ge=1, le=8)] = 2
    """Number of operations, applied one after another."""
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    """Strength, of 30."""


class Mixup(Value):
    """Mix each image and label with another's in the batch (Zhang et al. 2018, arXiv:1710.09412). ``p`` applies to a batch."""

    kind: Literal["mixup"] = "mixup"
    p: _Share = 1.0
    alpha: PositiveFloat = 0.2
    """Parameter of the Beta distribution of the shares."""


class Cutmix(Value):
    """Insert a box of another image of the batch, and mix labels by its area (Yun et al. 2019, arXiv:1905.04899). ``p`` applies
    to a batch.
    """

    kind: Literal["cutmix"] = "cutmix"
    p: _Share = 1.0
    alpha: PositiveFloat = 1.0
    """Parameter of the Beta distribution of the box's share."""


Augmentation: TypeAlias = Annotated[
    Crop
    | Flip
    | Rotate
    | Shear
    | Translate
    | Stretch
    | Lens
    | Elastic
    | Colour
    | Pca
    | Noise
    | Cutout
    | RandAugment
    | Mixup
    | Cutmix,
    Field(discriminator="kind"),
]


def _require_one_crop(listed: tuple[Augmentation, ...]) -> tuple[Augmentation, ...]:
    if sum(isinstance(step, Crop) for step in listed) > 1:
        raise PydanticCustomError("several_crops", "a list may hold one crop: a second crop would cut the result of the first")
    return listed


Augmentations: TypeAlias = Annotated[tuple[Augmentation, ...], AfterValidator(_require_one_crop), Field(max_length=32)]
"""Applied in this order; mixup and cutmix always come last, because they need the finished images of a batch."""


def mirrored_share(augment: Sequence[Augmentation]) -> float:
    """Return the probability that a list shows the horizontal mirror image; 0 if mirror images mean something else, as with
    letters.
    """
    unmirrored = 1.0
    for step in augment:
        if isinstance(step, Flip) and step.axis == "horizontal":
            unmirrored *= 1 - 2 * step.p  # an even number of mirrors cancels out
    return (1 - unmirrored) / 2


class DrawnRow(Value):
    """One row of the list, for one image."""

    kind: str
    applied: bool
    values: Mapping[str, float]
    """Drawn values by name; empty if the row was not applied. ``seed`` stands for noise that is drawn for each point."""


class PreviewedPicture(Value):
    """One augmented image."""

    image: str
    """Its original: the path in the data, the demo's name for it, or the path of a composed image in its step's folder."""
    composed_of: tuple[str, str] | None = Field(default=None, exclude_if=lambda files: files is None)
    """For a composed image: the cut-out and the background, each relative to its folder."""
    class_name: str
    row: PositiveInt
    column: PositiveInt
    """Position on the sheet; originals are before column 1."""
    drawn: tuple[DrawnRow, ...]
    """In the list's order."""


class AugmentationPreview(Value):
    """Originals, their augmented versions, and the values drawn for each."""

    schema_: Literal["edgecnn.preview/1"] = Field(default="edgecnn.preview/1", alias="schema")
    data: str
    resolution_px: Resolution
    seed: int
    augment: Augmentations
    """The request, with defaults filled in."""
    sheet: str
    pictures: tuple[PreviewedPicture, ...]
    composed_rows: tuple[PositiveInt, ...] = ()
    """Rows of the sheet with composed originals, which are identical to those of a build."""
