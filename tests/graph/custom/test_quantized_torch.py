"""TorchScript files that torch quantized are recognised, as ONNX files are."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.ao import quantization

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.file import CustomRequest, make_custom_trunk, open_file, read_file
from edgecnn.graph.onnx_file import quantized_form
from edgecnn.runner.pixel_recipe import ImageSize
from tests.graph.custom.test_batch import prepared
from tests.graph.custom_files import SIDE, feeding_named, pictures
from tests.runtimes.made import Quiet


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 16, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(quantization.QuantStub(), *layers, nn.Linear(16, 4), quantization.DeQuantStub()).eval()


def quantized(folder: Path, *, dynamic: bool = False) -> Path:
    feed = torch.from_numpy(feeding_named("half").normalization.feed(pictures(16)[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamic:
            made = quantization.quantize_dynamic(network()[1:8], {nn.Linear})
        else:
            float_network = network()
            float_network.qconfig = quantization.get_default_qconfig("fbgemm")
            observed = quantization.prepare(float_network)
            observed(feed)
            made = quantization.convert(observed)
        torch.jit.save(torch.jit.trace(made, feed[:2]), folder / "mine.pt")
    return folder / "mine.pt"


def test_a_quantized_file_is_packaged_as_it_came(tmp_path: Path) -> None:
    path = quantized(tmp_path)
    entry = read_file(path, "TorchScript", ImageSize.square(SIDE)).entry
    assert entry.quantized == "Q/DQ"
    request = CustomRequest(path, prepared(tmp_path / "pixels"), entry, feeding_named("half"))
    (made := tmp_path / "made").mkdir()
    make_custom_trunk(request, made, Quiet())
    assert quantized_form(onnx.load(made / "model.onnx")) == "Q/DQ"
    pixels, feeding = pictures(8)[0], feeding_named("half")
    theirs = open_file(path, entry).answers(pixels, feeding)
    ours = onnx_logits(made / "model.onnx", feeding.normalization.feed(pixels))
    assert np.abs(ours - theirs).max() < 0.15 * np.ptp(theirs)


def test_a_dynamically_quantized_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CustomModelUnusable, match="quantized dynamically"):
        read_file(quantized(tmp_path, dynamic=True), "TorchScript", ImageSize.square(SIDE))
