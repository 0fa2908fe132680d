"""What the side questions come to: an ensemble, ten crops, a search for a scale, pictures of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from edgecnn.judging.learned import chance_verdict
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.verdict import Interval, Verdict


class EnsembleRow(Value):
    """One network, in float32."""

    name: str
    folder: str | None
    """Of the member's build; None of the ensemble."""
    parameters: NonNegativeInt
    """Numbers in the weights of the ONNX file, in which norms may be folded."""
    macs: NonNegativeInt
    """Multiply-adds for one image."""
    size_bytes: PositiveInt
    """Of the ONNX file."""
    accuracy_top1: Interval | None
    """0…1, on the images of the role ``validation``; None where the builds do not share these, or they have no labels."""


class Ensemble(Value):
    """Schema edgecnn.ensemble/1."""

    schema_: Literal["edgecnn.ensemble/1"] = Field(default="edgecnn.ensemble/1", alias="schema")
    file: str
    images: NonNegativeInt
    """That were answered; 0 where no accuracy is known."""
    chance_top1: float | None = None
    """Top-1 of always answering the most frequent class of these images, 0…1; None where no accuracy is known."""
    whole: EnsembleRow
    """``parameters`` and ``macs`` are the members' sums."""
    members: tuple[EnsembleRow, ...]
    difference_pp: Interval | None
    """Of the ensemble over its best member on the same images, in percentage points; paired."""
    best: str | None
    """That member."""
    command: str
    """Builds the file, with its preprocessing stated."""

    @property
    def verdict(self) -> Verdict | None:
        """Of its accuracy against chance, as of any other network; None if it beats chance, or no accuracy is known."""
        accuracy, chance = self.whole.accuracy_top1, self.chance_top1
        return None if accuracy is None or chance is None else chance_verdict(accuracy, chance)


class TenCrop(Value):
    """Schema edgecnn.ten-crop/1. Of the float network, on the images of the role ``test``; no kit answers so."""

    schema_: Literal["edgecnn.ten-crop/1"] = Field(default="edgecnn.ten-crop/1", alias="schema")
    build: str
    network: str
    images: PositiveInt
    single_top1: Interval
    """0…1, of the centre crop: what kits are shown."""
    ten_top1: Interval
    """0…1, of the mean of the probabilities of four corners, the centre, and their mirror images."""
    difference_pp: Interval
    """Of ten views over one on the same images, in percentage points; paired."""
    gained: NonNegativeInt
    """Images that only ten views get right."""
    lost: NonNegativeInt
    """Images that only the centre gets right."""
    macs: NonNegativeInt
    """Multiply-adds for one image as kits are shown it."""
    ten_macs: NonNegativeInt
    without_room: NonNegativeInt
    """Images that are no larger than the crop once they are resized: there the ten views are two."""


BudgetName = Literal["macs", "params", "memory"]


class ScalePoint(Value):
    """One scaled network and what it costs: counted, not measured."""

    depth: float
    width: float
    resolution: PositiveInt
    """Pixels."""
    parameters: NonNegativeInt
    macs: NonNegativeInt
    memory_bytes: NonNegativeInt
    """Weights and the most that activations take at once, in float32, one image."""
    imbalance: NonNegativeFloat
    """How far depth, width and resolution lie apart on the compound rule, in steps of φ; 0 on the rule itself."""
    inside: bool
    """Of all budgets."""

    @property
    def scale(self) -> str:
        """As ``--scale`` takes it."""
        return f"depth={self.depth:g},width={self.width:g},resolution={self.resolution}"


class ScaleSearch(Value):
    """Schema edgecnn.scale-search/1."""

    schema_: Literal["edgecnn.scale-search/1"] = Field(default="edgecnn.scale-search/1", alias="schema")
    arch: str
    budgets: Mapping[BudgetName, int]
    """Multiply-adds, parameters and bytes, each at most."""
    from_target: str | None = None
    """The device whose memory is one of the budgets."""
    on_rule: ScalePoint | None
    """The largest network on the compound rule that is inside; its multipliers are the rule's, rounded."""
    on_rule_phi: float | None
    best: ScalePoint
    frontier: tuple[ScalePoint, ...]
    """Networks inside all budgets that no other is at least as deep, wide and fine as, the best first."""
    others: tuple[ScalePoint, ...]
    """What else was looked at."""
    rule: str
    """What best means, in a sentence."""


class Excitement(Value):
    """One image, and the place in it where one channel answered most."""

    image: NonNegativeInt
    """Index among the images of the role ``validation``."""
    file: str | None
    """Its path in the data; None where the data's list is not there any more."""
    class_name: str | None
    """None of images without labels."""
    activation: float
    row: NonNegativeInt
    column: NonNegativeInt
    """Of the map's position."""
    left_px: NonNegativeInt
    top_px: NonNegativeInt
    side_px: PositiveInt
    """The square that is drawn: what the position sees, moved to where it lies inside the image."""


class ChannelPictures(Value):
    """One channel; the strongest image first."""

    channel: NonNegativeInt
    strongest: tuple[Excitement, ...]


class MapPictures(Value):
    """One map of the network."""

    tensor: str
    after: str
    """The last multiplying layer at or before it, by its node in the ONNX trunk."""
    channels: PositiveInt
    rows: PositiveInt
    columns: PositiveInt
    jump_px: PositiveInt
    """From one position to the next, in pixels of the image."""
    receptive_field_px: PositiveInt
    """Side of the square that one position can see, padding included."""
    constant_channels: NonNegativeInt
    """Channels whose strongest activation is the same in every image: they are not drawn."""
    drawn: tuple[ChannelPictures, ...]
    """Evenly spaced among the others."""
    picture: str


class FilterPictures(Value):
    """The filters of the first convolution."""

    layer: str
    filters: PositiveInt
    colours: PositiveInt
    rows: PositiveInt
    columns: PositiveInt
    weights: str
    """File with float32 (filters, colours, rows, columns), as the trunk has them: norms may be folded in."""
    picture: str
    """Each filter by its own range, zero in the middle: grey is 0."""


class FeaturePictures(Value):
    """Schema edgecnn.look/1. File names are relative to the folder that it lies in."""

    schema_: Literal["edgecnn.look/1"] = Field(default="edgecnn.look/1", alias="schema")
    build: str
    network: str
    trunk: str
    """Key of the ONNX trunk in the store: of the float network, before any quantization."""
    resolution_px: Resolution
    images: PositiveInt
    """Of the role ``validation``: all were shown."""
    filters: FilterPictures | None
    """None where the first convolution keeps no floating-point weights."""
    maps: tuple[MapPictures, ...]
