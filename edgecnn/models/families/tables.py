"""Networks from our own tables: MobileNet V1 and V3, ResNets, ShuffleNet V1 and EfficientNet-Lite, and how their rows scale."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3, _mobilenet_v3_conf
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import StochasticDepth

from edgecnn.values.base import Value
from edgecnn.values.scale import Multipliers


class BlockGroup(Value):
    """``repeats`` inverted residual blocks of one width; the first block has the stride."""

    expand: PositiveInt
    """Width of the depthwise convolution relative to the block's input."""
    kernel: Literal[3, 5]
    stride: Literal[1, 2]
    width: PositiveInt
    repeats: PositiveInt = 1


def scaled_groups(rows: tuple[BlockGroup, ...], by: Multipliers, *, fixed_ends: bool = False) -> tuple[BlockGroup, ...]:
    """Return the scaled rows. ``fixed_ends`` does not scale the repeats of the first and the last group."""
    last = len(rows) - 1
    return tuple(
        row.model_copy(
            update={
                "width": by.channels(row.width),
                "repeats": row.repeats if fixed_ends and index in (0, last) else by.repeats(row.repeats),
            }
        )
        for index, row in enumerate(rows)
    )


class MeanClassifier(nn.Module):
    """Blocks, mean over positions, dropout and one fully connected layer; convolutions are initialized as in He et al., by
    fan-out.
    """

    def __init__(self, features: Sequence[nn.Module], width: int, *, dropout: float, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.features(image)), 1))
        return logits


STEM_WIDTH = 32
V1_GROUPS = (
    BlockGroup(expand=1, kernel=3, stride=1, width=64, repeats=1),
    BlockGroup(expand=1, kernel=3, stride=2, width=128, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=256, repeats=2),
    BlockGroup(expand=1, kernel=3, stride=2, width=512, repeats=6),
    BlockGroup(expand=1, kernel=3, stride=2, width=1024, repeats=2),
)
"""Table 1, one row a width. Its last stride of 2 is printed for a 7×7 map that stays 7×7, so it is 1."""


class Separable(nn.Sequential):
    """A depthwise convolution, then a 1×1 convolution, with batch norm and ReLU after both (Figure 3)."""

    def __init__(self, before: int, group: BlockGroup, *, stride: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, group.kernel, stride, group.kernel // 2, groups=before, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU(inplace=True),
            nn.Conv2d(before, group.width, 1, bias=False),
            nn.BatchNorm2d(group.width),
            nn.ReLU(inplace=True),
        )


class MobileNetV1(MeanClassifier):
    """MobileNet V1. ``features.0`` to ``features.2`` are the stem, then the blocks.

    A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
    arXiv:1704.04861, Table 1 (layers) and section 3.3 (the width multiplier). Widths are rounded to multiples of 8, which does
    not change the four multipliers of its Table 6.
    """

    def __init__(self, scale: Multipliers, classes: int = 1000) -> None:
        width = scale.channels(STEM_WIDTH)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        for group in scaled_groups(V1_GROUPS, scale):
            for repeat in range(group.repeats):
                layers.append(Separable(width, group, stride=group.stride if repeat == 0 else 1))
                width = group.width
        super().__init__(layers, width, dropout=0.001, classes=classes)


def v3_groups(builder: str, by: Multipliers) -> list[list[InvertedResidualConfig]]:
    """Return torchvision's rows in groups of one width, scaled to the requested depth by repeating the last row of a group.

    ``builder``: torchvision's name (Tables 1 and 2 of arXiv:1905.02244, as torchvision builds them). torchvision's own
    builder cannot scale depth.
    """
    groups = [list(rows) for _, rows in groupby(_mobilenet_v3_conf(builder)[0], lambda row: row.out_channels)]
    return [[_v3_row(group, place, by) for place in range(by.repeats(len(group)))] for group in groups]


def _v3_row(group: list[InvertedResidualConfig], place: int, by: Multipliers) -> InvertedResidualConfig:
    is_new = place >= len(group)
    row = group[-1] if is_new else group[place]
    before, stride = (row.out_channels, 1) if is_new else (row.input_channels, row.stride)
    activation = "HS" if row.use_hs else "RE"
    widths = before, row.kernel, row.expanded_channels, row.out_channels
    return InvertedResidualConfig(*widths, row.use_se, activation, stride, row.dilation, by.width)


def scaled_v3(builder: str, by: Multipliers) -> nn.Module:
    """Return the network for 1,000 classes with all layers scaled, as torchvision's ``width_mult`` does."""
    rows = [row for group in v3_groups(builder, by) for row in group]
    network: nn.Module = MobileNetV3(rows, by.channels(_mobilenet_v3_conf(builder)[1]))
    return network


HEAD_WIDTH = 1280
DROP_PATH = 0.2
"""Probability of dropping the last block in training; it rises linearly from 0 (efficientnet_lite_builder.py)."""

EFFICIENTNET_GROUPS = (
    BlockGroup(expand=1, kernel=3, stride=1, width=16, repeats=1),
    BlockGroup(expand=6, kernel=3, stride=2, width=24, repeats=2),
    BlockGroup(expand=6, kernel=5, stride=2, width=40, repeats=2),
    BlockGroup(expand=6, kernel=3, stride=2, width=80, repeats=3),
    BlockGroup(expand=6, kernel=5, stride=1, width=112, repeats=3),
    BlockGroup(expand=6, kernel=5, stride=2, width=192, repeats=4),
    BlockGroup(expand=6, kernel=3, stride=1, width=320, repeats=1),
)
"""Table 1 of arXiv:1905.11946, without its squeeze-and-excitation."""


class SameConv(nn.Conv2d):
    """A convolution with ``ceil(size / stride)`` rows and columns of output, and the odd padding at the right and bottom.

    The published weights of EfficientNet-Lite were trained with TensorFlow's "same" padding. Symmetric padding would shift every
    feature map by a pixel. Sizes are constant while tracing, so an exported graph contains only constant paddings.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', ceil(H / stride), ceil(W / stride)) float."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        sizes = [int(size) for size in image.shape[-2:]]
        vertical, horizontal = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in sizes)
        if vertical % 2 == 0 and horizontal % 2 == 0:
            symmetric = (vertical // 2, horizontal // 2)
            return functional.conv2d(image, self.weight, self.bias, self.stride, symmetric, self.dilation, self.groups)
        sides = (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2)
        padded = functional.pad(image, sides)
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


ConvKind = Literal["pointwise", "depthwise", "linear"]


class ConvUnit(nn.Sequential):
    """Convolution without bias, batch norm, and ReLU6 unless ``linear``; ``depthwise`` filters each channel separately."""

    def __init__(self, before: int, after: int, *, kernel: int = 1, stride: int = 1, kind: ConvKind = "pointwise") -> None:
        groups = before if kind == "depthwise" else 1
        layers: list[nn.Module] = [
            SameConv(before, after, kernel, stride, groups=groups, bias=False),
            nn.BatchNorm2d(after, eps=1e-3, momentum=0.01),
        ]
        super().__init__(*layers, *([] if kind == "linear" else [nn.ReLU6(inplace=True)]))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to its input if the shapes match."""

    def __init__(self, before: int, group: BlockGroup, *, stride: int, drop_path: float) -> None:
        super().__init__()
        inner = before * group.expand
        units = [ConvUnit(before, inner)] if group.expand != 1 else []
        units.append(ConvUnit(inner, inner, kernel=group.kernel, stride=stride, kind="depthwise"))
        units.append(ConvUnit(inner, group.width, kind="linear"))
        self.block = nn.Sequential(*units)
        self.residual = stride == 1 and before == group.width
        self.drop_path = StochasticDepth(drop_path, "row")

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H / stride, W / stride) float."""
        changed: Tensor = self.block(image)
        return image + self.drop_path(changed) if self.residual else changed


class EfficientNetLite(MeanClassifier):
    """EfficientNet without squeeze-and-excitation and with ReLU6, which quantizes well.

    ``features.0`` is the stem, ``features.1`` … are the blocks, the last is the head convolution. ``scale``: multipliers of
    ``EFFICIENTNET_GROUPS``; stem and head are never scaled.
    """

    def __init__(self, scale: Multipliers, dropout: float, classes: int = 1000) -> None:
        groups = scaled_groups(EFFICIENTNET_GROUPS, scale, fixed_ends=True)
        total = sum(group.repeats for group in groups)
        layers: list[nn.Module] = [ConvUnit(3, STEM_WIDTH, kernel=3, stride=2)]
        width = STEM_WIDTH
        for group in groups:
            for repeat in range(group.repeats):
                drop_path = DROP_PATH * (len(layers) - 1) / total
                layers.append(InvertedResidual(width, group, stride=group.stride if repeat == 0 else 1, drop_path=drop_path))
                width = group.width
        super().__init__([*layers, ConvUnit(width, HEAD_WIDTH)], HEAD_WIDTH, dropout=dropout, classes=classes)


_UNITS = {"_expand_conv": ("expand", 0), "_bn0": ("expand", 1), "_depthwise_conv": ("filter", 0), "_bn1": ("filter", 1)}
_UNITS |= {"_project_conv": ("project", 0), "_bn2": ("project", 1)}
_ENDS = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1", "_fc": "classifier.1"}


def renamed_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the published packages' tensors by rule. Names that fit no rule stay unchanged, and a later check reports them."""
    blocks = {int(match[1]) for name in state if (match := re.match(r"_blocks\.(\d+)\.", name))}
    expanded = {number for number in blocks if f"_blocks.{number}._expand_conv.weight" in state}
    last = len(blocks) + 1
    return {_our_name(name, expanded, last): tensor for name, tensor in state.items()}


def _our_name(name: str, expanded: set[int], last: int) -> str:
    if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
        number, part, tensor = int(match[1]), match[2], match[3]
        if part in _UNITS:
            unit, layer = _UNITS[part]
            order = ["expand", "filter", "project"] if number in expanded else ["filter", "project"]
            return f"features.{number + 1}.block.{order.index(unit)}.{layer}.{tensor}" if unit in order else name
    elif (match := re.fullmatch(r"(\w+)\.(\w+)", name)) and match[1] in _ENDS:
        return f"{_ENDS[match[1]]}.{match[2]}".replace("stem.", "features.0.").replace("head.", f"features.{last}.")
    return name


def is_published(state: Mapping[str, Tensor]) -> bool:
    """Whether names follow the published packages."""
    return "_conv_stem.weight" in state


RESNET_WIDTHS = (64, 128, 256, 512)
"""Channels of the four groups, before a bottleneck's expansion; the stem has those of the first (table 1 of arXiv:1512.03385)."""


class PlainBlock(BasicBlock):  # type: ignore[misc]
    """Two 3×3 convolutions, each with batch norm and ReLU. There is no shortcut, and so no projection.

    Plain-18 and plain-34 are ResNets without shortcuts (K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image
    Recognition", CVPR 2016, arXiv:1512.03385, Table 1 and section 4.1).
    """

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self.downsample = None

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H / stride, W / stride) float."""
        first = self.relu(self.bn1(self.conv1(image)))
        second: Tensor = self.relu(self.bn2(self.conv2(first)))
        return second


class ResNetVariant(NamedTuple):
    """A member of the family."""

    block: type[BasicBlock | Bottleneck]
    repeats: tuple[int, int, int, int]


RESNETS: Mapping[str, ResNetVariant] = {
    "resnet18": ResNetVariant(BasicBlock, (2, 2, 2, 2)),
    "resnet34": ResNetVariant(BasicBlock, (3, 4, 6, 3)),
    "resnet50": ResNetVariant(Bottleneck, (3, 4, 6, 3)),
    "resnet101": ResNetVariant(Bottleneck, (3, 4, 23, 3)),
    "resnet152": ResNetVariant(Bottleneck, (3, 8, 36, 3)),
    "plain18": ResNetVariant(PlainBlock, (2, 2, 2, 2)),
    "plain34": ResNetVariant(PlainBlock, (3, 4, 6, 3)),
}
"""By torchvision's names, and the plain ones."""


class ScaledResNet(ResNet):  # type: ignore[misc]  # torchvision has no types
    """torchvision's ResNet and layer names, with scaled widths. torchvision's own builder has fixed widths."""

    def __init__(self, variant: ResNetVariant, by: Multipliers) -> None:
        nn.Module.__init__(self)  # the parent's constructor builds all layers at fixed widths
        self._norm_layer, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, 1, 1, 64
        widths = tuple(by.channels(width) for width in RESNET_WIDTHS)
        self.inplanes = widths[0]
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for index, (width, repeats) in enumerate(zip(widths, variant.repeats, strict=True)):
            layer = self._make_layer(variant.block, width, by.repeats(repeats), stride=1 if index == 0 else 2)
            setattr(self, f"layer{index + 1}", layer)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[-1] * variant.block.expansion, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def plain(name: str, classes: int = 1000) -> nn.Module:
    """Return the unscaled network of that name in ``RESNETS``."""
    network: nn.Module = ResNet(RESNETS[name].block, list(RESNETS[name].repeats), num_classes=classes)
    return network


SHUFFLE_GROUPS = 3
SHUFFLE_REPEATS = (4, 8, 4)
"""Units of stages 2, 3 and 4; the first of each has the stride of 2."""


class Widths(Value):
    """Channels of the stem and of stage 2, which later stages double."""

    stem: PositiveInt
    second: PositiveInt


SHUFFLENETS: Mapping[str, Widths] = {
    "shufflenet_v1_x0_5": Widths(stem=12, second=120),
    "shufflenet_v1_x1_0": Widths(stem=24, second=240),
    "shufflenet_v1_x1_5": Widths(stem=24, second=360),
    "shufflenet_v1_x2_0": Widths(stem=48, second=480),
}


class ChannelShuffle(nn.Module):
    """Transpose groups × channels a group (section 3.1), written with sizes that an exporter treats as constants."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.order = (SHUFFLE_GROUPS, channels // SHUFFLE_GROUPS)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → the same shape, with reordered channels."""
        height, width = image.shape[-2:]
        apart = image.reshape(-1, *self.order, height, width).transpose(1, 2)
        return apart.reshape(-1, self.order[0] * self.order[1], height, width)


class ShuffleUnit(nn.Module):
    """Figure 2b, or 2c if the stride is 2, which concatenates the averaged input with the output."""

    def __init__(self, before: int, after: int, *, stride: int, first_groups: int = SHUFFLE_GROUPS) -> None:
        super().__init__()
        inner, made = after // 4, after - before if stride == 2 else after  # noqa: PLR2004
        self.branch = nn.Sequential(
            nn.Conv2d(before, inner, 1, groups=first_groups, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            ChannelShuffle(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.Conv2d(inner, made, 1, groups=SHUFFLE_GROUPS, bias=False),
            nn.BatchNorm2d(made),
        )
        self.beside = nn.AvgPool2d(3, 2, 1) if stride == 2 else None  # noqa: PLR2004
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H / stride, W / stride) float."""
        changed = self.branch(image)
        if self.beside is None:
            summed: Tensor = self.relu(changed + image)
            return summed
        joined: Tensor = self.relu(torch.cat([self.beside(image), changed], 1))
        return joined


class ShuffleNetV1(nn.Module):
    """ShuffleNet V1 with three groups: stem, three stages, mean over positions, one fully connected layer.

    X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", CVPR
    2018, arXiv:1707.01083: Table 1 (column g = 3), Figure 2 (units), section 3.2 (bottlenecks of a quarter; no groups in the
    first 1×1, whose input has few channels). The multipliers are the authors' (their repository ShuffleNet-Series, which gives
    0.7, 1.9, 3.4 and 5.4 million numbers).
    """

    def __init__(self, widths: Widths, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths.stem, 3, 2, 1, bias=False),
            nn.BatchNorm2d(widths.stem),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        units: list[nn.Module] = []
        width = widths.stem
        for stage, repeats in enumerate(SHUFFLE_REPEATS):
            after = widths.second * 2**stage
            for repeat in range(repeats):
                groups = SHUFFLE_GROUPS if units else 1
                units.append(ShuffleUnit(width, after, stride=1 if repeat else 2, first_groups=groups))
                width = after
        self.stages = nn.Sequential(*units)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        logits: Tensor = self.fc(torch.flatten(self.pool(self.stages(self.stem(image))), 1))
        return logits
