"""Squeeze-excite, which NNCF leaves in float, has its weights in INT8; layers that are to be kept in float have not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from edgecnn.backends.openvino_import import import_openvino
from edgecnn.graph.export import export_onnx
from edgecnn.quantization import openvino as for_openvino
from edgecnn.quantization.executors import onnxruntime_cpu, openvino_cpu
from edgecnn.quantization.job import Job
from edgecnn.values.candidate import Method
from edgecnn.values.model_file import ModelFile
from edgecnn.values.ranking import RankedLayer
from tests.graph.trunks import CLASSES, NORMALIZATION, RESOLUTION_PX, feed_of, pictures, scratch
from tests.quantization.made import CANDIDATES

CHANNELS, SQUEEZED = 128, 64
SQUEEZE, EXCITE, LAST = 1, 2, 3
"""Places among the convolutions."""


class Made(NamedTuple):
    folder: Path
    facts: dict[str, Any]


@cache
def excited() -> Path:
    """A network with a squeeze-excite block that NNCF recognises: SiLU inside, and biases that are not zero."""
    torch.manual_seed(0)
    block = SqueezeExcitation(CHANNELS, SQUEEZED, activation=nn.SiLU)
    for layer in (block.fc1, block.fc2):
        nn.init.normal_(layer.weight, std=0.3)
    body = (nn.Conv2d(3, CHANNELS, 5, stride=4), nn.SiLU(), block, nn.Conv2d(CHANNELS, CHANNELS, 1), nn.ReLU())
    network = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES))
    path = scratch() / "excited.onnx"
    export_onnx(network.eval(), RESOLUTION_PX, path)
    return path


def layer(place: int) -> RankedLayer:
    node = [node for node in onnx.load(excited()).graph.node if node.op_type == "Conv"][place]
    return RankedLayer(name=node.name, op="Conv", outputs=tuple(node.output), damage_nats=0, mac_share=0)


@cache
def quantized(*kept: int) -> Made:
    """In INT8, with the convolutions of these places kept in float."""
    folder = scratch() / f"excited-int8-{kept}"
    folder.mkdir()
    candidate = CANDIDATES["openvino-int8"].model_copy(update={"method": Method.MIXED if kept else Method.POST_TRAINING})
    layers = tuple(layer(place) for place in kept)
    return Made(folder, for_openvino.quantize(Job(excited(), folder, candidate, NORMALIZATION, pictures(40, seed=1), layers)))


def weight_types(folder: Path) -> list[str]:
    """What the convolutions' weights are in the file, in the order of the graph."""
    model = import_openvino().Core().read_model(folder / "model.xml")
    return [stored(op.input_value(1).get_node()) for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]


def stored(node: Any) -> str:
    return (
        str(node.get_element_type().get_type_name())
        if node.get_type_name() == "Constant"
        else stored(node.input_value(0).get_node())
    )


def test_what_nncf_leaves_in_float_has_its_weights_in_int8() -> None:
    made = quantized()
    assert len(made.facts["float_layers"]) == 2, "if NNCF no longer leaves them out, there is nothing to do here"
    assert made.facts["float_layers_of_int8_weights"] == made.facts["float_layers"]
    assert weight_types(made.folder) == ["i8"] * 4


def test_the_answers_stay_what_they_were() -> None:
    feed = feed_of(pictures(60, seed=3))
    model = ModelFile.model_validate_json((quantized().folder / "model.json").read_text())
    exact = onnxruntime_cpu.logits_of(excited(), feed)
    answered = openvino_cpu.run(quantized().folder, model, feed)
    assert np.sqrt(np.mean((answered - exact) ** 2)) < 0.05 * np.std(exact)


def test_a_layer_that_is_kept_in_float_keeps_its_weights() -> None:
    made = quantized(EXCITE, LAST)
    assert weight_types(made.folder) == ["i8", "i8", "f32", "f32"]
    assert len(made.facts["float_layers_of_int8_weights"]) == len(made.facts["float_layers"]) - 2 == 1


def test_where_nothing_is_left_in_float_the_file_is_nncfs_own() -> None:
    made = quantized(SQUEEZE, EXCITE)
    assert made.facts["float_layers_of_int8_weights"] == []
    assert weight_types(made.folder) == ["i8", "f32", "f32", "i8"]
