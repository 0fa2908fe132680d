"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6, which quantizes well.

The published weights were trained with TensorFlow's "same" padding, which pads more on the right and bottom if a stride of 2
meets an even size. Symmetric padding would shift every feature map by a pixel. Sizes are constant while tracing, so an exported
graph contains only constant paddings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from edgecnn.models.families.scaling import BlockGroup, MeanClassifier, scaled_groups
from edgecnn.values.scale import Multipliers

STEM_WIDTH = 32
HEAD_WIDTH = 1280
DROP_PATH = 0.2
"""Probability of dropping the last block in training; it rises linearly from 0 (efficientnet_lite_builder.py)."""

GROUPS = (
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
    """A convolution with ``ceil(size / stride)`` rows and columns of output, and the odd padding at the right and bottom."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', ceil(H / stride), ceil(W / stride)) float."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        vertical, horizontal = (_padding(int(size), kernel, stride) for size in image.shape[-2:])
        if vertical % 2 == 0 and horizontal % 2 == 0:
            symmetric = (vertical // 2, horizontal // 2)
            return functional.conv2d(image, self.weight, self.bias, self.stride, symmetric, self.dilation, self.groups)
        sides = (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2)
        padded = functional.pad(image, sides)
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _padding(size: int, kernel: int, stride: int) -> int:
    return max((-(-size // stride) - 1) * stride + kernel - size, 0)


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
    """EfficientNet-Lite. ``features.0`` is the stem, ``features.1`` … are the blocks, the last is the head convolution.

    ``scale``: multipliers of ``GROUPS``; stem and head are never scaled.
    """

    def __init__(self, scale: Multipliers, dropout: float, classes: int = 1000) -> None:
        groups = scaled_groups(GROUPS, scale, fixed_ends=True)
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
