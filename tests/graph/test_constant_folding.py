"""Shapes behind paddings and sizes that a file computes for itself, as torch's TorchScript exporter writes them."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.errors.base import ExitCode
from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.errors.graph import MacsUnknown
from edgecnn.graph.custom.file import count_macs
from edgecnn.graph.macs import mac_table, shapes_at_batch_one
from edgecnn.graph.onnx_cost import operations_of_model


class Padded(nn.Module):
    """Two convolutions of stride 2 behind paddings that TensorFlow calls SAME."""

    def __init__(self, *, by_size: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 4, 5, stride=2)
        self.by_size = by_size

    def forward(self, image: Tensor) -> Tensor:
        return self.second(self.same(self.first(self.same(image, 3)), 5)).mean((2, 3))

    def same(self, image: Tensor, kernel: int) -> Tensor:
        sizes = image.shape[-2:] if self.by_size else map(int, image.shape[-2:])  # sizes as they are stay in a trace's graph
        down, right = (kernel - 2 + size - size // 2 * 2 for size in sizes)
        return functional.pad(image, [right // 2, right - right // 2, down // 2, down - down // 2])


def exported(network: nn.Module, path: Path, opset: int, *, open_batch: bool) -> onnx.ModelProto:
    axes = {"image": {0: "n"}} if open_batch else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (torch.zeros(2, 3, 33, 33),), str(path), opset_version=opset, dynamo=False, input_names=["image"],
            dynamic_axes=axes, do_constant_folding=False,
        )  # fmt: skip
    return onnx.load(path)


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("by_size", [False, True], ids=["constant", "by size"])
def test_what_stands_behind_a_computed_padding_is_counted(opset: int, by_size: bool, tmp_path: Path) -> None:
    model = exported(Padded(by_size=by_size), tmp_path / "model.onnx", opset, open_batch=True)
    assert "Pad" in {node.op_type for node in model.graph.node}
    table = mac_table(model)
    assert [layer.macs for layer in table.layers] == [17 * 17 * 8 * 27, 9 * 9 * 4 * 8 * 25]
    last = next(operation for operation in operations_of_model(model) if operation.op == "ReduceMean")
    assert last.shape == (1, 4)


def test_the_file_itself_stays_as_it_is(tmp_path: Path) -> None:
    model = exported(Padded(by_size=True), tmp_path / "model.onnx", 13, open_batch=True)
    before = model.SerializeToString()
    shapes_at_batch_one(model)
    assert model.SerializeToString() == before


def padded_by_huge_constant(op: str) -> onnx.ModelProto:
    huge = 1 << 40
    constants = {"huge": [huge], "zero": 0, "limit": huge, "one": 1, "ones": [1, 2]}
    reads = {"ConstantOfShape": ["huge"], "Range": ["zero", "limit", "one"], "Tile": ["ones", "huge"], "Expand": ["ones", "huge"]}
    made = helper.make_node(op, reads[op], ["made"])
    padded = helper.make_node("Pad", ["image", "made"], ["padded"])
    conv = helper.make_node("Conv", ["padded", "weight"], ["answer"], name="conv")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    weight = numpy_helper.from_array(torch.zeros(2, 3, 1, 1).numpy(), "weight")
    held = [numpy_helper.from_array(torch.tensor(value).numpy(), name) for name, value in constants.items()]
    graph = helper.make_graph([made, padded, conv], "huge", [image], [answer], [weight, *held])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize("op", ["ConstantOfShape", "Range", "Tile", "Expand"])
def test_a_file_that_asks_for_a_huge_constant_gets_none(op: str) -> None:
    with pytest.raises(MacsUnknown):
        mac_table(padded_by_huge_constant(op))


def test_shapes_that_a_custom_file_leaves_unknown_are_a_fault_of_the_file(tmp_path: Path) -> None:
    onnx.save(padded_by_huge_constant("Expand"), tmp_path / "trunk.onnx")
    with pytest.raises(CustomModelUnusable) as refused:
        count_macs(tmp_path / "trunk.onnx", tmp_path / "mine.onnx", {})
    assert refused.value.exit_code == ExitCode.BAD_INPUT and refused.value.fields["path"] == tmp_path / "mine.onnx"
