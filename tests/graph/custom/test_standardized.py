"""Weights that the network standardizes in every call, by a batch normalization of weights alone (timm's StdConv2d)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.file import onnx_graph_of, open_file, read_file
from edgecnn.graph.custom.onnx_entry import read_entry
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
from edgecnn.graph.onnx_file import save_model
from tests.graph.custom_files import SIDE, feeding_named, pictures


class StdConv2d(nn.Conv2d):
    def forward(self, image: Tensor) -> Tensor:
        rows = self.weight.reshape(1, self.out_channels, -1)
        weight = functional.batch_norm(rows, None, None, training=True, momentum=0.0, eps=1e-6)
        return functional.conv2d(image, weight.reshape_as(self.weight), self.bias, self.stride)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(StdConv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()


def written(form: str, folder: Path) -> Path:
    path, example = folder / f"mine.{form}", (torch.zeros(2, 3, SIDE, SIDE),)
    if form == "pt2":
        batch = {0: torch.export.Dim("n", min=1, max=64)}
        torch.export.save(torch.export.export(network(), example, dynamic_shapes=(batch,)), path)
        return path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network(), example, path, dynamo=False, opset_version=int(form), input_names=["image"],
            dynamic_axes={"image": {0: "n"}},
        )  # fmt: skip
    return path


@pytest.mark.parametrize("form", ["11", "17", "pt2"])
def test_standardized_weights_become_constants(form: str, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    entry = read_file(path, "torch.export" if form == "pt2" else None, None).entry
    model, ours = onnx_graph_of(path, entry)
    trunk = convert_to_trunk(model, ours, "rgb", path)
    assert "BatchNormalization" not in {node.op_type for node in trunk.graph.node}
    held = {tensor.name for tensor in trunk.graph.initializer}
    assert all(node.input[1] in held for node in trunk.graph.node if node.op_type == "Conv"), "quantizers see the weights"
    save_model(trunk, tmp_path / "trunk.onnx")
    (pixels, _), feeding = pictures(5), feeding_named("half")
    theirs = open_file(path, entry).answers(pixels, feeding)
    np.testing.assert_allclose(onnx_logits(tmp_path / "trunk.onnx", feeding.normalization.feed(pixels)), theirs, atol=1e-4)


@pytest.mark.parametrize("form", ["11", "17"])
def test_a_batch_normalization_of_the_image_by_its_own_statistics_is_refused(form: str, tmp_path: Path) -> None:
    model = onnx.load(written(form, tmp_path))
    norm = next(node for node in model.graph.node if node.op_type == "BatchNormalization")
    (other := onnx.NodeProto()).CopyFrom(norm)
    other.input[0], other.name = "image", "of the image"
    other.output[:] = ["normal", *(f"{name}_other" for name in norm.output[1:])]
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.input[0] = "normal"
    model.graph.node.insert(list(model.graph.node).index(conv), other)
    with pytest.raises(CustomModelUnusable, match="training mode"):
        read_entry(model, tmp_path / "mine.onnx")
