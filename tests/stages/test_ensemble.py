"""The mean of several networks goes the way of any network: quantized as one file, in both CPU runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.ensemble import Member, average_members
from edgecnn.graph.onnx_file import load_model, save_model
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_feed
from edgecnn.values.preprocessing import Normalization
from tests.graph.trunks import CLASSES, NORMALIZATION, RESOLUTION_PX, prepared, trunk
from tests.stages.whole_way import answers, hold_against

PLAIN = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""What an ensemble is fed with; each member normalizes for itself."""


@pytest.mark.slow  # quantizes two networks for two runtimes
def test_two_networks_as_one_are_quantized_and_run_by_both_runtimes(tmp_path: Path) -> None:
    members = [Member(load_model(trunk(name)), NORMALIZATION) for name in ("resnet18", "mobilenet_v2")]
    whole = tmp_path / "whole"
    whole.mkdir()
    save_model(average_members(members, ImageSize.square(RESOLUTION_PX), CLASSES), whole / "model.onnx")
    golden = np.load(prepared() / "golden" / "pixels.npy")
    expected = onnx_logits(whole / "model.onnx", to_feed(golden, "float32", "NCHW", PLAIN.mean, PLAIN.std))
    hold_against(expected, answers(PLAIN, whole, prepared(), tmp_path))
