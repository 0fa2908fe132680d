"""A network that learned nothing answers in a range that half precision holds, and is the same however often it is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgecnn.data.prepared import write_golden
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.settings import PROBE_IMAGES
from edgecnn.training.untrained import synthetic_images, untrained_network

SIZE = ImageSize.square(96)


def golden_and_answers(arch: str, folder: Path) -> tuple[torch.nn.Module, torch.Tensor]:
    """The network settled on what is drawn, and the golden images that its kits are tested with, as it is fed them."""
    spec = arch_named(arch)
    recipe = pixel_recipe(spec, SIZE).runner_recipe()
    drawn = synthetic_images(PROBE_IMAGES, recipe.crop_px)
    write_golden([Image.fromarray(each) for each in drawn[:2]], recipe, folder)
    golden = spec.normalization.feed(np.load(folder / "golden" / "pixels.npy"))
    return untrained_network(spec, 1000, spec.normalization.feed(drawn)), torch.from_numpy(golden)


@pytest.mark.parametrize("arch", ["efficientnet-b0", "mobilenet-v3-large"])
def test_the_card_is_answered_in_the_range_of_the_other_golden_images_and_in_half_precision(arch: str, tmp_path: Path) -> None:
    """Its edges are finer than any smooth noise, and each depthwise convolution makes more of them."""
    network, golden = golden_and_answers(arch, tmp_path)
    with torch.no_grad():
        answers = network(golden)
        with torch.autocast("cpu", dtype=torch.float16):
            halves = network(golden).float()
    card, *others = (float(np.ptp(each)) for each in answers.numpy())
    assert card < 10 * max(others)
    assert float((halves - answers).abs().max()) < 0.02 * float(np.ptp(answers.numpy()))


def test_the_same_network_is_made_whatever_was_drawn_before(tmp_path: Path) -> None:
    spec = arch_named("efficientnet-b0")
    images = spec.normalization.feed(synthetic_images(2, pixel_recipe(spec, SIZE).runner_recipe().crop_px))
    made = []
    for _ in range(2):
        torch.rand(7)  # moves torch's own stream, which stochastic depth draws from
        made.append(untrained_network(spec, 10, images).state_dict())
    assert all(torch.equal(each, made[1][name]) for name, each in made[0].items())
