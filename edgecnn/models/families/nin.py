"""Network in Network: after every convolution two of 1×1, and no fully connected layer at the end but a mean over places.

M. Lin, Q. Chen, S. Yan, "Network In Network", ICLR 2014, arXiv:1312.4400. The paper shows CIFAR; the sizes here are those of the
first author's network for ImageNet (his Caffe definition ``nin_imagenet``), whose file he gives as 29 MB: 7.6 million numbers.
"""

from __future__ import annotations

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.values.base import Value


class MlpConv(Value):
    """One convolution; both 1×1 ones after it are as wide."""

    width: PositiveInt
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: NonNegativeInt = 0


ROWS = (
    MlpConv(width=96, kernel=11, stride=4),
    MlpConv(width=256, kernel=5, padding=2),
    MlpConv(width=384, kernel=3, padding=1),
    MlpConv(width=1024, kernel=3, padding=1),
)
"""A maximum of 3×3 by 2 lies between them; the last 1×1 of the last one has a map a class."""


class LinearEverywhere(nn.Linear):
    """A Linear over maps, place by place, which a 1×1 convolution is; vectors of features pass as they do through any Linear."""

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C', H, W) float, or (N, C) → (N, C')."""
        if image.ndim == 2:  # noqa: PLR2004 - already one vector an image
            return super().forward(image)
        return functional.conv2d(image, self.weight[:, :, None, None], self.bias)


class NetworkInNetwork(nn.Module):
    """The whole network; ``head`` makes a map a class, and its mean over places, negative ones left out, is the answer."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for row in ROWS:
            if row is ROWS[-1]:
                layers.append(nn.Dropout(0.5))
            layers += [nn.Conv2d(width, row.width, row.kernel, row.stride, row.padding), nn.ReLU()]
            layers += [nn.Conv2d(row.width, row.width, 1), nn.ReLU()]
            width = row.width
            if row is not ROWS[-1]:
                layers += [nn.Conv2d(width, width, 1), nn.ReLU(), nn.MaxPool2d(3, stride=2, ceil_mode=True)]
        self.features = nn.Sequential(*layers)
        self.head = LinearEverywhere(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float, normalized → (N, classes) float logits."""
        maps = functional.relu(self.head(self.features(image)))
        return maps if maps.ndim == 2 else maps.mean(dim=(2, 3))  # noqa: PLR2004
