"""Squeeze-excite, which NNCF leaves in float, has its weights in INT8; layers that are to be kept in float have not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from edgecnn.graph.export import export_onnx
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes import openvino_files
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.openvino import BACKEND, import_openvino
from edgecnn.values.candidate import Method
from edgecnn.values.layers import RankedLayer
from edgecnn.values.model_file import ModelFile
from tests.graph.trunks import CLASSES, NORMALIZATION, RESOLUTION_PX, feed_of, pictures, scratch
from tests.runtimes.made import CANDIDATES

pytestmark = pytest.mark.slow  # networks of many layers are quantized

CHANNELS, SQUEEZED = 128, 64
SQUEEZE, EXCITE, LAST = 1, 2, 3
"""Places among the convolutions."""


class ByProducts(nn.Module):
    """Squeeze-excite by matrix products on channels-last, as networks that were converted have it."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(CHANNELS, SQUEEZED), nn.Linear(SQUEEZED, CHANNELS)

    def forward(self, maps: Tensor) -> Tensor:
        last = maps.permute(0, 2, 3, 1)
        gate = self.excite(nn.functional.silu(self.squeeze(last.mean((1, 2), keepdim=True))))
        return (last * torch.sigmoid(gate)).permute(0, 3, 1, 2)


class Made(NamedTuple):
    folder: Path
    facts: dict[str, Any]


@cache
def network(form: str) -> Path:
    """An exported network with a squeeze-excite block whose biases are not zero: without them NNCF recognises none."""
    torch.manual_seed(0)
    block: nn.Module = ByProducts()
    if form != "products":
        gate = {"sigmoid": nn.Sigmoid, "hard sigmoid": nn.Hardsigmoid}[form]
        block = SqueezeExcitation(CHANNELS, SQUEEZED, activation=nn.SiLU, scale_activation=gate)
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.3)
    body = (nn.Conv2d(3, CHANNELS, 5, stride=4), nn.SiLU(), block, nn.Conv2d(CHANNELS, CHANNELS, 1), nn.ReLU())
    made = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES))
    path = scratch() / f"excited by {form}.onnx"
    export_onnx(made.eval(), ImageSize.square(RESOLUTION_PX), path)
    return path


def quantized(form: str, out: Path, *kept: int) -> Made:
    """In INT8, with the convolutions of these places kept in float."""
    out.mkdir()
    convolutions = [node for node in onnx.load(network(form)).graph.node if node.op_type == "Conv"]
    layers = tuple(
        RankedLayer(name=node.name, op="Conv", outputs=tuple(node.output), damage_nats=0, mac_share=0)
        for node in (convolutions[place] for place in kept)
    )
    candidate = CANDIDATES["openvino-int8"].model_copy(update={"method": Method.MIXED if kept else Method.POST_TRAINING})
    job = Job(network(form), out, candidate, NORMALIZATION, pictures(40, seed=1), layers)
    return Made(out, openvino_files.quantize(job))


def weight_types(folder: Path, kind: str = "Convolution") -> list[str]:
    """What the weights are in the file, in the order of the graph."""
    model = import_openvino().Core().read_model(folder / "model.xml")
    return [stored(op.input_value(1).get_node()) for op in model.get_ordered_ops() if op.get_type_name() == kind]


def stored(node: Any) -> str:
    return (
        str(node.get_element_type().get_type_name())
        if node.get_type_name() == "Constant"
        else stored(node.input_value(0).get_node())
    )


def executed(folder: Path) -> list[str]:
    """The precision that each convolution runs in."""
    compiled = import_openvino().Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    facts = [op.get_rt_info() for op in compiled.get_runtime_model().get_ordered_ops()]
    return [fact["runtimePrecision"].astype(str) for fact in facts if fact["layerType"].astype(str) == "Convolution"]


def answers(folder: Path) -> npt.NDArray[np.float32]:
    model = ModelFile.model_validate_json((folder / "model.json").read_text())
    return BACKEND.logits(folder, model, feed_of(pictures(60, seed=3)))


def test_what_nncf_leaves_in_float_has_its_weights_in_int8_and_runs_in_float(tmp_path: Path) -> None:
    made = quantized("sigmoid", tmp_path / "made")
    assert len(made.facts["float_layers"]) == 2, "if NNCF no longer leaves them out, there is nothing to do here"
    assert made.facts["int8_weights_of_float_layers"] == made.facts["float_layers"]
    assert weight_types(made.folder) == ["i8"] * 4
    assert executed(made.folder).count("f32") == 2


def test_the_answers_stay_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = answers(quantized("sigmoid", tmp_path / "now").folder)
    monkeypatch.setattr(openvino_files, "_float_convolutions", lambda _model: [])
    before = quantized("sigmoid", tmp_path / "before")
    assert weight_types(before.folder) == ["i8", "f32", "f32", "i8"]
    assert np.abs(now - answers(before.folder)).max() < 0.02 * now.std()


def test_a_second_run_makes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (quantized("sigmoid", tmp_path / name).folder for name in ("first", "second"))
    for path in first.iterdir():
        assert (second / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_layer_that_is_kept_in_float_keeps_its_weights(tmp_path: Path) -> None:
    made = quantized("sigmoid", tmp_path / "made", EXCITE, LAST)
    assert weight_types(made.folder) == ["i8", "i8", "f32", "f32"]
    assert len(made.facts["int8_weights_of_float_layers"]) == 1


def test_where_nothing_else_is_left_in_float_the_file_is_nncfs_own(tmp_path: Path) -> None:
    made = quantized("sigmoid", tmp_path / "made", SQUEEZE, EXCITE)
    assert made.facts["int8_weights_of_float_layers"] == []
    assert weight_types(made.folder) == ["i8", "f32", "f32", "i8"]


def test_matrix_products_stay_as_nncf_left_them_because_openvino_would_round_what_they_are_given(tmp_path: Path) -> None:
    made = quantized("products", tmp_path / "made")
    assert len(made.facts["float_layers"]) == 2 and made.facts["int8_weights_of_float_layers"] == []
    assert sorted(weight_types(made.folder, "MatMul")) == ["f32", "f32", "i8"]


def test_nncf_recognises_no_hard_sigmoid_and_quantizes_the_block(tmp_path: Path) -> None:
    made = quantized("hard sigmoid", tmp_path / "made")
    assert made.facts["float_layers"] == made.facts["int8_weights_of_float_layers"] == []
