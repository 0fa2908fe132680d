"""A file with a fixed batch: freed where every node allows it, else kept at one image a call."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VisionTransformer

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.file import CustomRequest, make_custom_trunk
from edgecnn.graph.custom.onnx_entry import read_entry, read_model
from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
from edgecnn.graph.macs import mac_table
from edgecnn.graph.onnx_file import fixed_batch, save_model
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.model_file import ModelFile
from tests.graph.custom_files import SIDE, feeding_named, pictures
from tests.runtimes.made import CANDIDATES, Quiet


class Standardized(nn.Conv2d):
    """A convolution whose weights are reshaped by a constant that begins with 1, like the batch."""

    def forward(self, image: Tensor) -> Tensor:
        weight = self.weight.reshape(1, -1)
        weight = ((weight - weight.mean()) / weight.std()).reshape(self.weight.shape)
        return functional.conv2d(image, weight, self.bias, self.stride)


class Conditional(nn.Module):
    """A convolution whose weights are mixed for each image, in groups of images."""

    def __init__(self, channels: int = 8, experts: int = 3) -> None:
        super().__init__()
        self.weights = nn.Parameter(0.1 * torch.randn(experts, channels * channels * 9))
        self.route = nn.Linear(channels, experts)

    def forward(self, maps: Tensor) -> Tensor:
        images, channels, *size = maps.shape
        mixed = torch.sigmoid(self.route(maps.mean((2, 3)))) @ self.weights
        kernels = mixed.view(images * channels, channels, 3, 3)
        made = functional.conv2d(maps.reshape(1, images * channels, *size), kernels, padding=1, groups=images)
        return made.view(images, channels, *size)


class Grouped(nn.Module):
    """Channels that change their order through five axes, and an enlargement to a constant size."""

    def forward(self, maps: Tensor) -> Tensor:
        images, channels, *size = maps.shape
        mixed = maps.view(images, 2, channels // 2, *size).transpose(1, 2).reshape(images, channels, *size)
        return functional.interpolate(mixed, size=(20, 20), mode="bilinear")


def network(form: str) -> nn.Module:
    torch.manual_seed(0)
    if form == "attention":
        vit = VisionTransformer(SIDE, 8, 2, 2, 32, 64, num_classes=4)
        nn.init.normal_(vit.heads[0].weight)
        return vit.eval()
    stem = Standardized(3, 8, 3, stride=2) if form == "standardized" else nn.Conv2d(3, 8, 3, stride=2)
    middle = {"conditional": Conditional, "grouped": Grouped}.get(form, nn.Identity)()
    return nn.Sequential(stem, nn.ReLU(), middle, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()


def exported(form: str, folder: Path, batch: int = 1) -> Path:
    path = folder / f"{form}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network(form), (torch.zeros(batch, 3, SIDE, SIDE),), path, dynamo=False, opset_version=17)
    return path


FREED = ("attention", "grouped", "standardized")


@pytest.mark.parametrize("form", FREED)
@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_is_freed_only_where_it_counts_images(form: str, batch: int, tmp_path: Path) -> None:
    path = exported(form, tmp_path, batch)
    entry, (pixels, _) = read_entry(read_model(path), path), pictures(7)
    trunk = convert_to_trunk(read_model(path), entry, "rgb", path)
    assert (entry.batch, fixed_batch(trunk)) == (batch, None)
    save_model(trunk, tmp_path / "trunk.onnx")
    feed = feeding_named("half").normalization.feed(pixels)
    theirs = CustomSession(path, entry).answers(pixels, feeding_named("half"))
    np.testing.assert_allclose(onnx_logits(tmp_path / "trunk.onnx", feed), theirs, atol=1e-5)
    assert mac_table(onnx.load(tmp_path / "trunk.onnx")).total > 0


def prepared(folder: Path) -> Path:
    (folder / "golden").mkdir(parents=True)
    for role in ("validation", "calibration"):
        np.save(folder / f"{role}.pixels.npy", pictures(20)[0])
        np.save(folder / f"{role}.labels.npy", pictures(20)[1])
    np.save(folder / "golden" / "pixels.npy", pictures(4, seed=1)[0])
    return folder


def test_weights_that_depend_on_the_image_leave_one_image_a_call(tmp_path: Path) -> None:
    path, pixels, heard = exported("conditional", tmp_path), prepared(tmp_path / "pixels"), Quiet()
    request = CustomRequest(path, pixels, read_entry(read_model(path), path), feeding_named("half"))
    (made := tmp_path / "trunk").mkdir()
    make_custom_trunk(request, made, heard)
    assert fixed_batch(made / "model.onnx") == 1 and len(heard.notes) == 1
    assert json.loads((made / "check.json").read_text())["max_abs_diff"] < 1e-5
    for name in ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32"):
        (folder := tmp_path / name).mkdir()
        normalization = request.feeding.normalization
        images = 20 if name.endswith("int8") else 0
        make_candidate(CandidateRequest(made / "model.onnx", pixels, CANDIDATES[name], images, normalization), folder, heard)
        model = ModelFile.model_validate_json((folder / "model.json").read_text())
        assert model.model.batch_max == 1
        logits = backend_for(CANDIDATES[name].runtime).logits(folder, model, normalization.feed(pictures(3)[0]))
        assert logits.shape == (3, 4)


def test_a_batch_of_two_that_a_node_needs_is_refused(tmp_path: Path) -> None:
    path = exported("conditional", tmp_path, batch=2)
    with pytest.raises(CustomModelUnusable) as refused:
        convert_to_trunk(read_model(path), read_entry(read_model(path), path), "rgb", path)
    assert refused.value.hint == "export it with a dynamic batch, or with a fixed batch of 1"
