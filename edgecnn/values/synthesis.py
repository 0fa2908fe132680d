"""Training images composed of cut-outs and backgrounds: the request, the sources, and a record of each image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.augmentation import Between
from edgecnn.values.base import Value
from edgecnn.values.dataset import DataSummary

_Side = Annotated[float, Field(ge=0.02, le=2)]
_Degrees = Annotated[float, Field(ge=-180, le=180)]
_Sigma = Annotated[float, Field(ge=0, le=20)]
_SidePx = Annotated[int, Field(ge=32, le=2048)]


class Compositing(Value):
    """How a cut-out is placed on a background. Values are drawn uniformly from ranges, separately for each image."""

    images_per_class: Annotated[int, Field(gt=0, le=100_000)] = 200
    """Composed images of each class. All cut-outs of a class are used equally often, and so are all backgrounds. The n-th image
    of every class has the same background, so the background does not reveal the class."""
    scale: Annotated[tuple[_Side, _Side], Between] = (0.35, 0.9)
    """The cut-out's longer side before rotation, as a share of the image's side."""
    degrees: Annotated[tuple[_Degrees, _Degrees], Between] = (-15.0, 15.0)
    """Rotation in degrees; positive is clockwise."""
    outside: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest share of the cut-out's width and height that may be outside the image. A cut-out that is larger than the image,
    because of ``scale`` or rotation, may exceed it as far as necessary."""
    feather_px: Annotated[tuple[_Sigma, _Sigma], Between] = (0.0, 1.5)
    """Softening of the cut-out's edge, inwards: standard deviation of the blur of its alpha. The range should include 0, so that
    a network cannot learn to recognise pasted edges (Dwibedi et al. 2017, arXiv:1708.01642)."""
    blur_px: Annotated[tuple[_Sigma, _Sigma], Between] = (0.0, 0.5)
    """Standard deviation of a blur of the whole image, which makes both parts equally sharp."""
    seed: NonNegativeInt = 0
    """Random seed for the drawn values."""


class SynthesisSettings(Compositing):
    """Settings of the synthesize stage; every field is part of its key."""

    size_px: PositiveInt
    """Side of the square images."""

    @classmethod
    def of(cls, wider: Compositing) -> SynthesisSettings:
        """Return only these fields of a recipe's table or of a stage. Raises ValidationError: the size is not resolved yet."""
        return SynthesisSettings.model_validate({name: getattr(wider, name, None) for name in SynthesisSettings.model_fields})


FOLDERS = ("cutouts", "backgrounds")
"""Names of the source folders: fields of ``SynthesisFolders`` and ``Synthesis``, and inputs of the stage."""


class SynthesisFolders(Value):
    """Source folders of composed images."""

    cutouts: str | None = None
    """A folder of images with an alpha channel (PNG, WebP), with one sub-folder for each class. With it and ``backgrounds``,
    training images are composed. Unset: none are."""
    backgrounds: str | None = None
    """A folder of images that show none of the classes."""
    classes: Literal["all", "some"] = "all"
    """all: every class has cut-outs. some: only some classes have cut-outs; a network may then recognise these classes by the
    composing."""

    @property
    def stated_folders(self) -> dict[str, str]:
        """Return the stated paths by field."""
        return {name: path for name in FOLDERS if (path := getattr(self, name)) is not None}


class SynthesisChoice(Compositing, SynthesisFolders):
    """``[synthesis]``: training images composed of cut-outs and backgrounds, in addition to the photographs.

    With ``data.train = false``, only composed images are training images, and photographs that would be training images are test
    images.
    """

    size_px: _SidePx | None = None
    """Side of the square images. Unset: the size at which training images are stored."""


class Synthesis(Value):
    """Resolved sources of composed images."""

    cutouts: DataSummary
    """Cut-outs, with the classes of the photographs and the role ``train``. ``copies`` lists excluded cut-outs with reasons."""
    backgrounds: DataSummary
    """Unlabelled backgrounds."""
    class_names: tuple[str, ...]
    """Classes that have cut-outs."""
    images: int
    """Number of composed images."""

    @property
    def summaries(self) -> dict[str, DataSummary]:
        """Return the facts of both folders by field."""
        return {name: getattr(self, name) for name in FOLDERS}


class MadeImage(Value):
    """One composed image, with its sources and random values."""

    file: str
    """Path relative to ``images/`` of the artifact."""
    sha256: str
    class_name: str
    cutout: str
    """Path relative to the folder of cut-outs."""
    cutout_sha256: str
    background: str
    """Path relative to the folder of backgrounds."""
    background_sha256: str
    background_box: tuple[float, float, float, float]
    """Visible part of the background: left, top, right and bottom, as shares of its width and height."""
    scale: float
    """Longer side of the cut-out before rotation, as a share of the image's side."""
    degrees: float
    box_px: tuple[int, int, int, int]
    """Left, top, right and bottom of the rotated cut-out, which may extend beyond the image."""
    visible: float
    """Share of the cut-out that is inside the image, 0…1, weighted by alpha."""
    feather_px: float
    blur_px: float


class Provenance(Value):
    """Content of ``synthesis.json``, schema edgecnn.synthesis/1: the sources of every composed image."""

    schema_: Literal["edgecnn.synthesis/1"] = Field(default="edgecnn.synthesis/1", alias="schema")
    classes: tuple[str, ...]
    settings: SynthesisSettings
    cutouts: int
    backgrounds: int
    images: tuple[MadeImage, ...]
    """Composed images, ordered so that each prefix has equally many images of each class with cut-outs."""


class MadeShare(Value):
    """Numbers of composed and photographed training images."""

    made: int
    photographs: int

    @property
    def share(self) -> float:
        """Share of composed images, 0…1."""
        return self.made / (self.made + self.photographs)


class SynthesisFacts(MadeShare):
    """Facts of composed images for a report."""

    cutouts: int
    backgrounds: int
    images_per_class: Mapping[str, int]
    """Number of images of each class with cut-outs."""
    provenance: str | None
    """Path of ``synthesis.json``; None if the stage did not run."""


def images_trained_on(data: DataSummary, synthesis: Synthesis | None, *, photographs: bool) -> int:
    """Return the number of training images: photographs, if they train, and composed images."""
    return (data.training_photographs if photographs else 0) + (0 if synthesis is None else synthesis.images)
