"""The installed package ``efficientnet_lite_pytorch`` is another's implementation of the same papers: it must agree with ours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor

from edgecnn.data.images import demo_images
from edgecnn.models.catalogue import arch_named
from edgecnn.models.families.tables import EFFICIENTNET_GROUPS, SameConv, renamed_tensors, scaled_groups
from edgecnn.models.networks import build_network, read_weights
from edgecnn.runner.pixels import PixelRecipe, to_feed, to_pixels
from edgecnn.values.arch import ArchSpec
from edgecnn.values.scale import Multipliers
from tests.models.made import published

LITES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")


def pictures() -> list[npt.NDArray[np.uint8]]:
    """Clothes of the demo, each channel another one, so that colour and place matter."""
    images = demo_images()
    return [np.stack([images[start + 7 * channel] for channel in range(3)], axis=-1) for start in range(0, 4000, 1000)]


def fed(spec: ArchSpec) -> Tensor:
    recipe = PixelRecipe(spec.resize_px, spec.resolution_px, spec.interpolation)
    pixels = np.stack([to_pixels(Image.fromarray(image), recipe) for image in pictures()])
    return torch.from_numpy(to_feed(pixels, "float32", "NCHW", spec.normalization.mean, spec.normalization.std))


@pytest.mark.parametrize("name", LITES)
def test_published_weights_give_the_logits_of_the_other_implementation(name: str) -> None:
    spec = arch_named(name)
    ours = build_network(spec)
    ours.load_state_dict(read_weights(spec, published(spec)))
    theirs = EfficientNet.from_name(name)
    theirs.load_state_dict(torch.load(published(spec), weights_only=True))
    images = fed(spec)
    with torch.inference_mode():
        mine, other = ours.eval()(images), theirs.eval()(images)
    assert float(other.abs().max()) > 1, "the comparison would mean nothing"
    torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


def test_tensors_that_fit_no_rule_keep_their_names_and_are_reported() -> None:
    renamed = renamed_tensors(
        {"_conv_stem.weight": torch.zeros(1), "_blocks.0._se_reduce.weight": torch.zeros(1), "odd": torch.zeros(1)}
    )
    assert set(renamed) == {"features.0.0.weight", "_blocks.0._se_reduce.weight", "odd"}


@pytest.mark.parametrize(("size", "stride", "kernel"), [(8, 2, 3), (9, 2, 3), (7, 2, 5), (8, 2, 5), (8, 1, 3), (1, 2, 5)])
def test_same_padding_halves_upwards_and_puts_the_odd_row_last(size: int, stride: int, kernel: int) -> None:
    layer = SameConv(1, 1, kernel, stride, bias=False)
    torch.nn.init.ones_(layer.weight)
    image = torch.arange(1.0, 1 + size * size).reshape(1, 1, size, size)
    result = layer(image)
    assert result.shape[-1] == -(-size // stride)
    total = max((result.shape[-1] - 1) * stride + kernel - size, 0)
    before = total // 2
    first = image[0, 0, : kernel - before, : kernel - before].sum()
    assert float(result[0, 0, 0, 0].detach()) == float(first)


def test_scaling_rounds_as_the_published_code_does() -> None:
    lite2 = scaled_groups(EFFICIENTNET_GROUPS, Multipliers(width=1.1, depth=1.2), fixed_ends=True)
    assert [group.width for group in lite2] == [16, 24, 48, 88, 120, 208, 352]
    assert [group.repeats for group in lite2] == [1, 3, 3, 4, 4, 5, 1]
