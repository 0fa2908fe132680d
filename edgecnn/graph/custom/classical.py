"""Operators of scikit-learn's converter (domain ai.onnx.ml), made of ONNX's own, which every runtime has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DOMAIN: Final = "ai.onnx.ml"
Attributes = Mapping[str, Any]
_POST: Final = {"NONE": "Identity", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}
_NORMS: Final = {"L1": 1, "L2": 2}


def is_classical(node: onnx.NodeProto) -> bool:
    """Whether it is one of those that can be made anew: a scaler, a normalizer by L1 or L2, or a linear classifier."""
    if node.domain != DOMAIN or node.op_type not in _MADE:
        return False
    said = attributes_of(node)
    if node.op_type == "Normalizer":
        return said.get("norm", "MAX") in _NORMS
    return said.get("post_transform", "NONE") in _POST


def without_classical(model: onnx.ModelProto) -> None:
    """Put ONNX's own operators in the place of each, in the model itself.

    Its linear classifiers' labels are gone: nothing that is kept may read them.
    """
    graph = model.graph
    made: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        made += _MADE[node.op_type](node, graph, f"edgecnn_classical_{number}") if is_classical(node) else [node]
    del graph.node[:]
    graph.node.extend(made)
    if not any(node.domain == DOMAIN for node in made):
        imported = [each for each in model.opset_import if each.domain != DOMAIN]
        del model.opset_import[:]
        model.opset_import.extend(imported)


def _scaler(node: onnx.NodeProto, graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """(x - offset) · scale, a number for each feature or one for all."""
    said = attributes_of(node)
    offset = _held(graph, f"{name}_offset", said.get("offset", [0.0]))
    scale = _held(graph, f"{name}_scale", said.get("scale", [1.0]))
    return [
        helper.make_node("Cast", [node.input[0]], [f"{name}_float"], name=f"{name}_Cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"{name}_float", offset], [f"{name}_centred"], name=f"{name}_Sub"),
        helper.make_node("Mul", [f"{name}_centred", scale], [node.output[0]], name=f"{name}_Mul"),
    ]


def _normalizer(node: onnx.NodeProto, graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    p = _NORMS[attributes_of(node)["norm"]]
    return [
        helper.make_node("Cast", [node.input[0]], [f"{name}_float"], name=f"{name}_Cast", to=TensorProto.FLOAT),
        helper.make_node("LpNormalization", [f"{name}_float"], [node.output[0]], name=f"{name}_Norm", axis=1, p=p),
    ]


def _linear_classifier(node: onnx.NodeProto, graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    said = attributes_of(node)
    classes = len(said.get("classlabels_ints") or said.get("classlabels_strings") or said["intercepts"])
    weights = np.array(said["coefficients"], np.float32).reshape(classes, -1)
    inputs = [f"{name}_float", _held(graph, f"{name}_weights", weights)]
    inputs += [_held(graph, f"{name}_bias", said["intercepts"])] if "intercepts" in said else []
    post = _POST[said.get("post_transform", "NONE")]
    return [
        helper.make_node("Cast", [node.input[0]], [f"{name}_float"], name=f"{name}_Cast", to=TensorProto.FLOAT),
        helper.make_node("Gemm", inputs, [f"{name}_scores"], name=f"{name}_Gemm", transB=1),
        helper.make_node(post, [f"{name}_scores"], [node.output[1]], name=f"{name}_{post}"),
    ]


_MADE: Final[Mapping[str, Callable[[onnx.NodeProto, onnx.GraphProto, str], list[onnx.NodeProto]]]] = {
    "Scaler": _scaler,
    "Normalizer": _normalizer,
    "LinearClassifier": _linear_classifier,
}


def _held(graph: onnx.GraphProto, name: str, value: Any) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    return name


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Of a node, by name; a text as one."""
    found = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}
