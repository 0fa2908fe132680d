"""Results of the studies: an ensemble, ten crops, a search for a scale, pictures of features, doubted labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from edgecnn.judging.judgement import beats_chance, chance_verdict, is_weak
from edgecnn.values.base import Value
from edgecnn.values.dataset import Alike, SplitRole
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.verdict import Interval, Verdict


class EnsembleRow(Value):
    """One network, in float32."""

    name: str
    folder: str | None
    """Folder of the member's build; None for the ensemble."""
    parameters: NonNegativeInt
    """Weights of the ONNX file, in which norms may be folded."""
    macs: NonNegativeInt
    """Multiply-adds for one image."""
    size_bytes: PositiveInt
    """Size of the ONNX file."""
    accuracy_top1: Interval | None
    """0…1, on the images of the role ``validation``; None if the builds do not share these, or they have no labels."""


class Ensemble(Value):
    """Schema edgecnn.ensemble/1."""

    schema_: Literal["edgecnn.ensemble/1"] = Field(default="edgecnn.ensemble/1", alias="schema")
    file: str
    images: NonNegativeInt
    """Images that were classified; 0 if no accuracy is known."""
    chance_top1: float | None = None
    """Top-1 of always predicting the most frequent class of these images, 0…1; None if no accuracy is known."""
    whole: EnsembleRow
    """The ensemble. Its ``parameters`` and ``macs`` are the sums of the members."""
    members: tuple[EnsembleRow, ...]
    difference_pp: Interval | None
    """Gain of the ensemble over its best member on the same images, in percentage points; paired."""
    best: str | None
    """Folder of the best member's build."""
    command: str
    """The command that builds the file, with its preprocessing."""

    @property
    def verdict(self) -> Verdict | None:
        """Verdict of its accuracy against chance, as for any other network; None if it beats chance, or no accuracy is known."""
        accuracy, chance = self.whole.accuracy_top1, self.chance_top1
        return None if accuracy is None or chance is None else chance_verdict(accuracy, chance, self.images)


class TenCrop(Value):
    """Schema edgecnn.ten-crop/1. For the float network, on the images of the role ``test``; no kit uses ten crops."""

    schema_: Literal["edgecnn.ten-crop/1"] = Field(default="edgecnn.ten-crop/1", alias="schema")
    build: str
    network: str
    images: PositiveInt
    single_top1: Interval
    """Top-1 of the centre crop, which kits receive, 0…1."""
    ten_top1: Interval
    """Top-1 by the mean probabilities of the four corners, the centre, and their mirror images, 0…1."""
    difference_pp: Interval
    """Gain of ten views over one on the same images, in percentage points; paired."""
    gained: NonNegativeInt
    """Images that only ten views classify correctly."""
    lost: NonNegativeInt
    """Images that only the centre crop classifies correctly."""
    macs: NonNegativeInt
    """Multiply-adds for one image as kits receive it."""
    ten_macs: NonNegativeInt
    without_room: NonNegativeInt
    """Images that are no larger than the crop after resizing, for which the ten views are only two."""


BudgetName = Literal["macs", "params", "memory"]


class ScalePoint(Value):
    """One scaled network and its cost, which is counted, not measured."""

    depth: float
    width: float
    resolution: PositiveInt
    """Pixels."""
    parameters: NonNegativeInt
    macs: NonNegativeInt
    memory_bytes: NonNegativeInt
    """Weights and the peak of activations in float32, for one image."""
    imbalance: NonNegativeFloat
    """Distance of depth, width and resolution on the compound rule, in steps of φ; 0 on the rule itself."""
    inside: bool
    """Whether it is inside all budgets."""

    @property
    def scale(self) -> str:
        """The text that ``--scale`` accepts."""
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
    """The largest network on the compound rule inside the budgets; its multipliers are the rule's, rounded."""
    on_rule_phi: float | None
    best: ScalePoint
    frontier: tuple[ScalePoint, ...]
    """Networks inside all budgets that no other matches in depth, width and resolution, the best first."""
    others: tuple[ScalePoint, ...]
    """The other networks that were counted."""
    rule: str
    """The meaning of "best", in a sentence."""


class Excitement(Value):
    """One image, and the position in it where one channel was strongest."""

    image: NonNegativeInt
    """Index among the images of the role ``validation``."""
    file: str | None
    """Its path in the data; None if the data's list no longer exists."""
    class_name: str | None
    """None for images without labels."""
    activation: float
    row: NonNegativeInt
    column: NonNegativeInt
    """Position in the map."""
    left_px: NonNegativeInt
    top_px: NonNegativeInt
    side_px: PositiveInt
    """The drawn square: the receptive field, moved inside the image."""


class ChannelPictures(Value):
    """One channel; the strongest image first."""

    channel: NonNegativeInt
    strongest: tuple[Excitement, ...]


class MapPictures(Value):
    """One map of the network."""

    tensor: str
    after: str
    """The last multiplying layer at or before it, by its node name in the ONNX trunk."""
    channels: PositiveInt
    rows: PositiveInt
    columns: PositiveInt
    jump_px: PositiveInt
    """Distance from one position to the next, in pixels of the image."""
    receptive_field_px: PositiveInt
    """Side of the receptive field, padding included."""
    constant_channels: NonNegativeInt
    """Channels whose strongest activation is equal in every image; they are not drawn."""
    drawn: tuple[ChannelPictures, ...]
    """Drawn channels, evenly spaced among those that are not constant."""
    picture: str


class FilterPictures(Value):
    """The filters of the first convolution."""

    layer: str
    filters: PositiveInt
    colours: PositiveInt
    rows: PositiveInt
    columns: PositiveInt
    weights: str
    """File with float32 (filters, colours, rows, columns) as in the trunk, where norms may be folded in."""
    picture: str
    """Each filter is scaled to its own range, with zero as middle grey."""


class FeaturePictures(Value):
    """Schema edgecnn.look/1. File names are relative to this file's folder."""

    schema_: Literal["edgecnn.look/1"] = Field(default="edgecnn.look/1", alias="schema")
    build: str
    network: str
    trunk: str
    """Store key of the ONNX trunk: the float network, before any quantization."""
    resolution_px: Resolution
    images: PositiveInt
    """Number of images of the role ``validation``, all of which were used."""
    filters: FilterPictures | None
    """None if the first convolution has no floating-point weights."""
    maps: tuple[MapPictures, ...]


class DoubtedLabel(Value):
    """An image whose label is probably wrong."""

    file: str
    """Path relative to the root of the data."""
    role: SplitRole
    label: str
    suggested: str
    label_probability: float
    """0…1, out of sample."""
    suggested_probability: float


class ClassOutlook(Value):
    """How well a class is recognised, and the effect of more of its images."""

    name: str
    images: NonNegativeInt
    recall: Interval | None
    """0…1, cross-validated, of the linear probe."""
    doubted: NonNegativeInt
    gain_pp: Interval | None
    """Recall that ``MORE`` more images of this class alone would add, in percentage points. None for a class that was
    not judged, or in which the probe makes no mistake."""


class ConfusedPair(Value):
    """Images of one class that the probe assigns to another class."""

    label: str
    predicted: str
    images: PositiveInt
    examples: tuple[str, ...]
    """Their paths, the surest first."""


class LabelDoubt(Value):
    """Schema edgecnn.label-doubt/1. All accuracies are those of a linear probe on the features of the build's network."""

    schema_: Literal["edgecnn.label-doubt/1"] = Field(default="edgecnn.label-doubt/1", alias="schema")
    build: str
    network: str
    root: str
    """Root folder of the images."""
    roles: tuple[SplitRole, ...]
    """Splits whose images were judged."""
    images: PositiveInt
    folds: PositiveInt
    top1: Interval
    """0…1, cross-validated."""
    top1_at_twice: Interval
    """The forecast for twice the images of every class."""
    more_images: PositiveInt
    """Images that ``gain_pp`` adds to a class."""
    doubted: tuple[DoubtedLabel, ...]
    """The most doubtful first."""
    classes: tuple[ClassOutlook, ...]
    """The lowest recall first."""
    not_judged: tuple[str, ...]
    """Classes with too few images to judge their labels."""
    pairs: tuple[ConfusedPair, ...]
    """The most frequent first."""
    near: tuple[Alike, ...]
    """Images that look alike and are in several classes."""
    excluded: tuple[str, ...]
    """Images that the build excluded because the same bytes are in several classes or splits."""
    list_file: str | None
    """A list for ``--data``, relative to the folder of this file; None for the demo, whose images are not files."""
    list_sha256: str | None
    build_command: str | None = Field(default=None, exclude_if=lambda command: command is None)
    """The command of the build, for the corrected list; None without a list, and in older files."""
    chance_top1: float | None = Field(default=None, exclude_if=lambda level: level is None)
    """Top-1 of always predicting the most frequent class, 0…1; None in older files."""
    features_trained: bool = Field(default=False, exclude_if=lambda trained: not trained)
    """Whether every layer of the network was trained on these labels, so that its features may fit wrong ones."""

    @property
    def weakness(self) -> Literal["at-chance", "weak"] | None:
        """Whether the probe is too weak to doubt labels: it does not beat guessing, or is ``weak`` as a network would be."""
        if self.chance_top1 is None:
            return None
        if not beats_chance(self.top1, self.chance_top1):
            return "at-chance"
        return "weak" if is_weak(self.top1, self.chance_top1) else None
