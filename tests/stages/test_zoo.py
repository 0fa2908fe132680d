"""Every architecture goes through the real stages: trained for some steps, exported, quantized, run by both CPU runtimes.

The weights start at random and learn next to nothing in so few: what is shown is that each network passes, not what it knows.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgecnn.building.costing import cost_of_file, cost_of_network
from edgecnn.graph.checks import Logits
from edgecnn.graph.document import load_model
from edgecnn.graph.macs import mac_table
from edgecnn.graph.trunk import rounding_of
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_trained
from edgecnn.runner.pixels import to_feed
from edgecnn.values.arch import ArchSpec
from tests.models.smallest import each_with_the_others_slow
from tests.quantization.made import Quiet
from tests.stages.whole_way import CLASSES, IMAGES, answers, exported, hold_against, prepared
from tests.training.made import make_given, stage

BATCH = 8
SHORTLY, LONGER = (2, 1e-4), (24, 1e-3)
"""Steps and rate."""
ROUNDED = tuple(f"efficientnet-b{number}" for number in range(1, 8))
"""Networks of so many layers that rounding decides what they answer when they have hardly learned."""
FOR_LONGER = ("mobilenet-v1", "efficientnet-v2-s", *ROUNDED)
"""Two small steps leave the answers of these to rounding."""


def size_of(spec: ArchSpec) -> int:
    """64 pixels, or the least or the most that the network is made for; 96 where 64 leave even OpenVINO's fp32 to rounding."""
    return 96 if spec.name == "efficientnet-b2" else max(spec.least_px, min(64, spec.resolution_px))


def learned(name: str, size_px: int, folder: Path) -> tuple[Path, Path]:
    """A train artifact of two steps or some more, and pixels as prepare leaves them."""
    steps, rate = LONGER if name in FOR_LONGER else SHORTLY
    given = make_given(folder, train=BATCH * steps, choose=IMAGES, size_px=size_px)
    weights = folder / "weights"
    weights.mkdir()
    stage(name, size_px=size_px, epochs=1, batch_size=BATCH, learning_rate=rate).make(given.roles(), weights, Quiet())
    return weights, prepared(given, size_px)


def rounded(spec: ArchSpec, weights: Path, pixels: Path, expected: Logits) -> float:
    """How far, of the spread of its answers, the network is from itself in fp64."""
    network, normal = load_trained(spec, CLASSES, weights / "weights.safetensors"), spec.normalization
    feed = to_feed(np.load(pixels / "golden" / "pixels.npy"), "float32", "NCHW", normal.mean, normal.std)
    return rounding_of(network, feed, expected) / float(np.ptp(expected))


@pytest.mark.parametrize("name", each_with_the_others_slow())
def test_it_is_trained_exported_quantized_and_run_by_both_runtimes(name: str, tmp_path: Path) -> None:
    spec = arch_named(name)
    size_px = size_of(spec)
    weights, pixels = learned(name, size_px, tmp_path)
    history = json.loads((weights / "history.json").read_text())
    assert history["initial"]["kind"] == "random"
    trunk = exported(spec, size_px, weights, pixels, tmp_path)
    traced = cost_of_network(spec.model_copy(update={"classes": CLASSES}), size_px)
    assert mac_table(load_model(trunk / "model.onnx")).total == cost_of_file(trunk / "model.onnx").macs == traced.macs
    expected = np.load(trunk / "golden_logits.npy")
    apart = rounded(spec, weights, pixels, expected) if name in ROUNDED else 0.0
    hold_against(expected, answers(spec.normalization, trunk, pixels, tmp_path), apart)
