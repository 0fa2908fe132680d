"""What is done to training images at random: each row of a recipe's list, with its ranges and its probability.

Ranges are what is drawn from, uniformly and for each image anew. ``p`` is the probability that an image is changed at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
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
Between = AfterValidator(_ordered)
"""Marks a range: its smaller end first."""


class Crop(Value):
    """A part of the picture, resized to the network's input. Without it the centre is taken, as when the network is used."""

    kind: Literal["crop"] = "crop"
    area: Annotated[tuple[_Area, _Area], Between] = (0.6, 1.0)
    """Share of the picture that is covered."""
    aspect: Annotated[float, Field(ge=1, le=4)] = 1.18
    """By how much longer one side may be than in the network's input, before it is resized to that."""


class Flip(Value):
    """The mirror image."""

    kind: Literal["flip"] = "flip"
    p: _Share = 0.5
    axis: Literal["horizontal", "vertical"] = "horizontal"
    """horizontal: left becomes right. vertical: top becomes bottom."""


class Rotate(Value):
    """A turn around the centre; corners are filled with the picture's mean colour."""

    kind: Literal["rotate"] = "rotate"
    p: _Share = 1.0
    degrees: Annotated[tuple[_Degrees, _Degrees], Between] = (-15.0, 15.0)
    """Positive: clockwise."""


class Shear(Value):
    """Rows are pushed against each other; the rest is filled with the picture's mean colour."""

    kind: Literal["shear"] = "shear"
    p: _Share = 1.0
    degrees: Annotated[tuple[_Slant, _Slant], Between] = (-10.0, 10.0)
    """Of the slant."""


class Translate(Value):
    """A shift along both axes; the rest is filled with the picture's mean colour."""

    kind: Literal["translate"] = "translate"
    p: _Share = 1.0
    share: Annotated[tuple[_Part, _Part], Between] = (-0.1, 0.1)
    """Of the side, drawn for each axis."""


class Stretch(Value):
    """Width and height by a factor each, around the centre; under 1 the rest is black."""

    kind: Literal["stretch"] = "stretch"
    p: _Share = 1.0
    factor: Annotated[tuple[_Factor, _Factor], Between] = (1.0, 1.25)
    """Drawn for each axis."""


class Lens(Value):
    """A lens's radial distortion: a point at distance r from the centre (1 at the edge) is taken from r · (1 + k · r²)."""

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
    """Standard deviation of the blur that makes neighbours move alike, as a share of the side."""


class Colour(Value):
    """Brightness, contrast and saturation by a factor each, and the hue by a turn."""

    kind: Literal["colour"] = "colour"
    p: _Share = 1.0
    brightness: Annotated[tuple[_Multiplier, _Multiplier], Between] = (0.8, 1.2)
    """Factor of all values."""
    contrast: Annotated[tuple[_Multiplier, _Multiplier], Between] = (0.8, 1.2)
    """Factor of the distance from the mean grey."""
    saturation: Annotated[tuple[_Multiplier, _Multiplier], Between] = (0.8, 1.2)
    """Factor of the distance from the grey picture."""
    hue: Annotated[tuple[_Turn, _Turn], Between] = (0.0, 0.0)
    """Part of a whole turn of the colour circle."""


class Pca(Value):
    """AlexNet's colour: a shift along the principal components of ImageNet's colours (Krizhevsky et al. 2012, section 4.1)."""

    kind: Literal["pca"] = "pca"
    p: _Share = 1.0
    sd: Annotated[float, Field(ge=0, le=2)] = 0.1
    """Standard deviation of each component's share."""


class Noise(Value):
    """Gaussian noise on every value."""

    kind: Literal["noise"] = "noise"
    p: _Share = 0.5
    sd: Annotated[tuple[_Share, _Share], Between] = (0.0, 0.1)
    """Of the noise, on the scale 0 to 1."""


class Cutout(Value):
    """A box filled with the picture's mean colour (DeVries and Taylor 2017; Zhong et al. 2020)."""

    kind: Literal["cutout"] = "cutout"
    p: _Share = 0.5
    area: Annotated[tuple[_Area, _Area], Between] = (0.02, 0.2)
    """Share of the picture that the box covers."""
    aspect: Annotated[float, Field(ge=1, le=8)] = 3.0
    """Largest ratio of its longer to its shorter side."""


class RandAugment(Value):
    """Some of fourteen operations, drawn anew, at one strength (Cubuk et al. 2020, arXiv:1909.13719)."""

    kind: Literal["randaugment"] = "randaugment"
    p: _Share = 1.0
    operations: Annotated[int, Field(ge=1, le=8)] = 2
    """One after the other."""
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    """Of 30."""


class Mixup(Value):
    """Each picture and its label mixed with another's of the batch (Zhang et al. 2018, arXiv:1710.09412). ``p`` is a batch's."""

    kind: Literal["mixup"] = "mixup"
    p: _Share = 1.0
    alpha: PositiveFloat = 0.2
    """Of the Beta distribution that the shares are drawn from."""


class Cutmix(Value):
    """A box of another picture of the batch, and as much of its label (Yun et al. 2019, arXiv:1905.04899). ``p`` is a batch's."""

    kind: Literal["cutmix"] = "cutmix"
    p: _Share = 1.0
    alpha: PositiveFloat = 1.0
    """Of the Beta distribution that the box's share is drawn from."""


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


def _one_crop(listed: tuple[Augmentation, ...]) -> tuple[Augmentation, ...]:
    if sum(isinstance(step, Crop) for step in listed) > 1:
        raise PydanticCustomError("several_crops", "a list may hold one crop: a second crop would cut the result of the first")
    return listed


Augmentations: TypeAlias = Annotated[tuple[Augmentation, ...], AfterValidator(_one_crop), Field(max_length=32)]
"""Done in this order; mixup and cutmix come last wherever they stand, since they need the finished pictures of a batch."""


def mirrored_share(augment: Sequence[Augmentation]) -> float:
    """Probability that a list shows the horizontal mirror image; 0 where that would be something else, as with letters."""
    unmirrored = 1.0
    for step in augment:
        if isinstance(step, Flip) and step.axis == "horizontal":
            unmirrored *= 1 - 2 * step.p  # an even number of mirrors is none
    return (1 - unmirrored) / 2


class DrawnRow(Value):
    """One row of the list, for one picture."""

    kind: str
    applied: bool
    values: Mapping[str, float]
    """What was drawn, by name; empty where it was not applied. ``seed`` stands for noise that is drawn point by point."""


class PreviewedPicture(Value):
    """One augmented picture."""

    image: str
    """Its original: the path in the data, the demo's name of it, or that of a composed one in its step's folder."""
    composed_of: tuple[str, str] | None = Field(default=None, exclude_if=lambda files: files is None)
    """Of a composed one: the cut-out and the background, each in its own folder."""
    class_name: str
    row: PositiveInt
    column: PositiveInt
    """Of the sheet; the originals stand before column 1."""
    drawn: tuple[DrawnRow, ...]
    """In the list's order."""


class AugmentationPreview(Value):
    """Originals beside what training would show, and what was drawn for each."""

    schema_: Literal["edgecnn.preview/1"] = Field(default="edgecnn.preview/1", alias="schema")
    data: str
    resolution_px: Resolution
    seed: int
    augment: Augmentations
    """What was asked for, defaults filled in."""
    sheet: str
    pictures: tuple[PreviewedPicture, ...]
    composed_rows: tuple[PositiveInt, ...] = ()
    """Of the sheet: those whose originals were composed. They are what a build composes, to the pixel."""
