"""One row of the catalogue: where a network comes from and the facts that tests hold it to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, RootModel

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Interpolation, Normalization, ResizeMode, Resolution
from edgecnn.values.scale import Multipliers

Share = Annotated[float, Field(gt=0, lt=1)]


class PretrainedWeights(Value):
    """Weights that somebody published, with what is needed to find, check and feed them."""

    origin: Literal["torchvision", "timm", "package"]
    name: str
    """torchvision: the weights enum's entry (``EfficientNet_B0_Weights.IMAGENET1K_V1``). timm: the repository of Hugging Face's
    hub (``timm/mobilenetv4_conv_small.e2400_r224_in1k``). package: the distribution."""
    file: str
    """The name under which it is published and cached. package: its path inside the distribution's module."""
    sha256_prefix: str
    """First hexadecimal digits of the file's SHA-256, as its publisher put them into its name; checked after every fetch. Empty
    of timm's: the hub says the digest when it is asked for the file."""
    url: str | None = None
    """Where it can be downloaded. None for a package, which pip brings."""
    licence: str
    trained_on: str = "ImageNet-1k"
    source: str
    """Page or paper that publishes them."""


class PublishedAccuracy(Value):
    """What somebody reports of one network on ImageNet-1k's 50,000 validation images; nothing of it was measured here."""

    top1: Share
    """0…1."""
    top5: Share | None = None
    """0…1; None where the source does not say."""
    source: str
    """Paper, page or package with the figure, and how it was evaluated where that is not one centre crop."""


class Auxiliary(Value):
    """Second classifiers inside a network, which only help to train it: what ships has none."""

    heads: tuple[str, ...]
    """Dotted names of their last Linear layers."""
    parameters: PositiveInt
    """Theirs alone, of the published network."""
    weight: PositiveFloat
    """Of each one's loss beside the loss of the network's own answer."""


class ArchSpec(Value):
    """A network as one row. Counts are those of the published network, whose last layer has ``classes`` outputs."""

    name: str
    family: str
    origin: Literal["torchvision", "timm", "table", "onnx"]
    needs: tuple[str, ...] = ()
    """Distributions beyond torch and torchvision that it is built with, all in the extra ``zoo``."""
    builder: str
    """torchvision, timm: the name of its model. table: a name in ``models/families``. onnx: the custom model's file."""
    parameters: PositiveInt | None
    """Trainable numbers of what ships; ``auxiliary`` ones are not in it. None of a scaled network: known when it is built."""
    auxiliary: Auxiliary | None = None
    merged: NonNegativeInt = 0
    """Parameters that are trained and do not ship because parallel branches become one layer; of the published network."""
    macs: PositiveInt | None = None
    """Multiply-adds for one image at ``resolution_px``, as ``graph/macs.py`` counts them; None of a custom file."""
    depth: PositiveInt | None = None
    """Convolutions and fully connected layers on the longest way from the image to the answer; None as above."""
    classes: PositiveInt = 1000
    resolution_px: Resolution
    least_px: PositiveInt = 32
    """The smallest input that the network has an answer to; 32 where it would take smaller ones, which no recipe asks for."""
    resize_px: Resolution
    """Short side before the centre crop, at the native resolution."""
    resize: ResizeMode = Field(default="crop", exclude_if=lambda mode: mode == "crop")
    """How a photograph is brought to ``resize_px`` for the published weights."""
    interpolation: Interpolation
    normalization: Normalization
    only_native_px: bool = False
    """True of a network whose position embeddings are for one size, so that it takes images of ``resolution_px`` alone."""
    head: str
    """Dotted name of the last Linear layer, which a new set of classes replaces; empty of a file."""
    beside: tuple[str, ...] = ()
    """Dotted names of further last layers, whose answers make up the network's own together with the head's: networks that
    learned from labels and from a teacher have one for each."""
    scratch_rate: PositiveFloat | None = None
    """Peak rate from random weights where the usual one is too high: of large networks without batch norm."""
    year: int | None
    """None, as ``paper`` is, of a custom file."""
    paper: str | None
    accuracy: PublishedAccuracy | None = None
    """None where nobody published a figure of this network on ImageNet-1k."""
    weights: PretrainedWeights | None = None
    """Of a scaled network those of the unscaled one, of which it inherits what it can."""
    scale: Multipliers | None = None
    """How much deeper and wider than the row of the catalogue; None of a row as it stands there."""

    @property
    def weights_mib(self) -> float:
        """What the parameters take in fp32, MiB; a file holds running statistics and names beside them."""
        return (self.parameters or 0) * 4 / 2**20

    @property
    def file_name(self) -> str:
        """The name as a file or folder may have it everywhere."""
        return self.name.replace(":", "-")

    @property
    def last_layers(self) -> tuple[str, ...]:
        """Dotted names of all that a new set of classes replaces, those that only help to learn among them."""
        return (self.head, *self.beside, *(self.auxiliary.heads if self.auxiliary else ()))

    @property
    def left_behind(self) -> tuple[str, ...]:
        """How the names of tensors begin that help to learn and do not ship."""
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
    """Of what ships, with the published number of classes."""
    training_parameters: NonNegativeInt
    """Of auxiliary heads, which are trained beside them and left behind, and of branches that are merged before it ships."""
    macs: PositiveInt
    """Multiply-adds for one image at ``resolution_px``."""
    depth: PositiveInt
    """Convolutions and fully connected layers on the longest way."""
    weights_mib: PositiveFloat
    """Of the parameters in fp32."""
    resolution_px: Resolution
    least_px: PositiveInt
    """The smallest input that is taken."""
    accuracy_top1: Share | None
    """0…1, on ImageNet-1k's validation images; None where nobody published a figure."""
    accuracy_top5: Share | None
    accuracy_source: str | None
    weights: Literal["torchvision", "timm", "package"] | None
    """Where pretrained weights are fetched from; None where training starts from random ones unless a file is given."""
    needs: tuple[str, ...]
    """Packages beyond those of the extra ``train``; all are in the extra ``zoo``."""
    paper: str


class Catalogue(RootModel[tuple[ListedArch, ...]]):
    """Every network that can be asked for by name, in the order in which they are listed."""


def listed(spec: ArchSpec) -> ListedArch:
    """A row of the catalogue as it is listed.

    Raises TypeError: the row is of a custom file, whose cost nobody declared.
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
