"""ONNX graphs of flat vectors become one of a picture: its levels are flattened, then each graph takes what the last one made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, compose, helper


def write(models: Sequence[onnx.ModelProto], out: Path) -> None:
    """The first takes 784 levels of a grey picture, float32 (1, 1, 28, 28); of the last every output stays."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, 784])
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["image", "shape"], ["levels"])],
        "flatten",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 28, 28])],
        [helper.make_tensor_value_info("levels", TensorProto.FLOAT, [1, 784])],
        [shape],
    )
    whole = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    for place, model in enumerate(models):
        model.ir_version = 10
        del model.opset_import[:]
        model.opset_import.extend(opsets)
        named = compose.add_prefix(model, f"part{place}_")
        pairs = [(whole.graph.output[0].name, named.graph.input[0].name)]
        whole = compose.merge_models(whole, named, io_map=pairs)
    onnx.checker.check_model(whole)
    onnx.save(whole, out)
