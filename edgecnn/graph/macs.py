"""Count the multiply-adds of an ONNX graph in one place, because residency is a share of this count.

Convolutions, transposed convolutions, Gemm and MatMul are counted; additions, activations and pooling are not. Some files leave
shape arithmetic to the runtime (padding of older exporters, image sizes), which hides the shapes after it. That arithmetic is
evaluated here first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from edgecnn.errors.graph import MACS_UNKNOWN
from edgecnn.graph.layer_cost import Product
from edgecnn.graph.onnx_file import load_model
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.layers import LayerMacs, MacTable

Array = npt.NDArray[Any]
Shapes = Mapping[str, list[int]]
FOLDED_MAX = 1024
"""Elements of an operand: shapes and paddings have a dozen; weights are not evaluated."""
_GROWS = ("ConstantOfShape", "Expand", "Range", "Tile")
"""Operators whose output can be larger than their inputs."""
_FOLLOWED = (
    "Abs", "Add", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand", "Flatten", "Floor",
    "Gather", "Greater", "Identity", "Less", "Max", "Min", "Mod", "Mul", "Neg", "Range", "ReduceProd", "Reshape", "Slice",
    "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
)  # fmt: skip


def fold_constants(model: onnx.ModelProto, shapes: Shapes) -> bool:
    """Replace nodes that depend only on constants and on these shapes by their results; return whether any were replaced.

    ``model``: changed in place. ``shapes``: of tensors at the intended input size.
    """
    small = (tensor for tensor in model.graph.initializer if prod(tensor.dims) <= FOLDED_MAX)
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in small}
    kept, made = [], []
    for node in model.graph.node:
        values = _folded_values(node, known, shapes, model.opset_import)
        if values is None:
            kept.append(node)
        else:
            known.update(zip(node.output, values, strict=False))
            made.append(node)
    read = {name for node in kept for name in node.input} | {value.name for value in model.graph.output}
    constants = [numpy_helper.from_array(known[name], name) for node in made for name in node.output if name in read]
    changed = any(node.op_type != "Constant" for node in made)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(constants)
    return changed


def _folded_values(node: onnx.NodeProto, known: Mapping[str, Array], shapes: Shapes, opsets: Any) -> list[Array] | None:
    """Return the values that a node makes; None if they are unknown or not shape arithmetic."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Shape" and node.input[0] in shapes:
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        return [np.array(shapes[node.input[0]][ends.get("start", 0) : ends.get("end")], np.int64)]
    reads = [name for name in node.input if name]
    if node.op_type not in _FOLLOWED or not all(name in known for name in reads):
        return None
    try:
        if not stays_small(node.op_type, [known[name] for name in reads], FOLDED_MAX):
            return None
        values = _compute(node, {name: known[name] for name in reads}, {opset.domain: opset.version for opset in opsets})
    except Exception:  # noqa: BLE001 - a file's own fault shows where it runs, and the reference's errors share no class
        return None
    return values if all(isinstance(value, np.ndarray) and value.size <= FOLDED_MAX for value in values) else None


def _compute(node: onnx.NodeProto, feed: dict[str, Array], opsets: dict[str, int]) -> list[Array]:
    if node.op_type == "Unsqueeze" and len(node.input) == 1:  # axes as an attribute: onnx 1.23 has no reference implementation
        return [np.expand_dims(feed[node.input[0]], tuple(helper.get_node_attr_value(node, "axes")))]
    return list(ReferenceEvaluator(node, opsets=opsets).run(None, feed))


def stays_small(op: str, reads: Sequence[Array], most: int) -> bool:
    """Whether an operator that can enlarge these constants stays within the limit."""
    if op not in _GROWS:
        return True
    if op == "Range":
        start, limit, delta = (float(value) for value in reads)
        return delta != 0 and (limit - start) / delta <= most
    counts = [int(count) for count in (reads[0] if op == "ConstantOfShape" else reads[1]).flat]
    if op == "Expand":
        counts = list(np.broadcast_shapes(reads[0].shape, tuple(counts)))
    return prod(counts) * (reads[0].size if op == "Tile" else 1) <= most


COUNTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
INTEGER = {
    "QLinearConv": "Conv",
    "ConvInteger": "Conv",
    "QLinearMatMul": "MatMul",
    "MatMulInteger": "MatMul",
    "MatMulNBits": "MatMul",
    "QGemm": "Gemm",
}
"""Operators of a quantized file, and their float equivalents."""
_SCALED = ("QLinearConv", "QLinearMatMul", "QGemm")
"""Operators whose second operand follows the first one's scale and zero point."""
ACTIVATIONS = ("Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish")


def mac_table(model: onnx.ModelProto | Path, known: Mapping[str, list[int]] | None = None) -> MacTable:
    """Return the multiply-adds of each layer for one image, in graph order, without layers that depend on constants alone.

    ``model``: a float model, or its path; the first input is (batch, 3, H, W). ``known``: shapes at batch 1 of tensors that ONNX
    cannot infer, such as those of a runtime's operators. Raises MacsUnknown: shapes of a counted node cannot be inferred at batch
    1.
    """
    whole = load_model(model) if isinstance(model, Path) else model
    shapes = {**(known or {}), **shapes_at_batch_one(whole)}
    follows = _activations_by_input(whole.graph)
    layers = []
    for node, _ in nodes_by_image(whole):
        if node.op_type in COUNTED or node.op_type in INTEGER:
            outputs = [node.output[0]]
            while outputs[-1] in follows:
                outputs.append(follows[outputs[-1]])
            op: Any = INTEGER.get(node.op_type, node.op_type)
            layers.append(LayerMacs(name=node.name, op=op, macs=product_of(node, shapes).macs, outputs=tuple(outputs)))
    return MacTable(resolution_px=ImageSize(*shapes[image_input(whole).name][-2:]), layers=tuple(layers))


def product_of(node: onnx.NodeProto, shapes: Mapping[str, list[int]]) -> Product:
    """Return the product that a counted node computes. Raises MacsUnknown: the shape of an input or output is unknown."""
    operands = node.input[0], node.input[weight_place(node)]
    for tensor in (*operands, node.output[0]):
        if tensor not in shapes:
            raise MACS_UNKNOWN(node=node.name, op=node.op_type, tensor=tensor)
    first, weight, output = (tuple(shapes[tensor]) for tensor in (*operands, node.output[0]))
    op = INTEGER.get(node.op_type, node.op_type)
    if op == "Conv":  # weights are (M, C / groups, kernel…): each output element sums over the last axes; dilation adds none
        return Product(output[1:], weight[1:])
    if op == "ConvTranspose":  # weights are (C, M / groups, kernel…): each input element is spread over the last axes
        return Product(first[1:], weight[1:])
    transposed = op == "Gemm" and any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return Product(output, (first[0] if transposed else first[-1],))


def weight_place(node: onnx.NodeProto) -> int:
    """Return the operand index of a counted node's second factor."""
    return 3 if node.op_type in _SCALED else 1


def _activations_by_input(graph: onnx.GraphProto) -> dict[str, str]:
    """Map a tensor to the output of its only reader, if that is an activation. Fused layers are named after that output."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    return {name: nodes[0].output[0] for name, nodes in readers.items() if len(nodes) == 1 and nodes[0].op_type in ACTIVATIONS}


def image_input(model: onnx.ModelProto) -> Any:
    """Return the first input that is not a constant."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return next(value for value in model.graph.input if value.name not in constants)


def nodes_by_image(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, tuple[str, ...]]]:
    """Return nodes in file order that depend on the image, and which of their operands do."""
    reached = {image_input(model).name}
    for node in model.graph.node:
        reads = tuple(name for name in node.input if name in reached)
        if reads:
            reached.update(node.output)
            yield node, reads


def shapes_at_batch_one(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return the shapes of tensors. Shapes stored in the file include the batch, so they are inferred again."""
    return shapes_at_batch(model, 1)


def shapes_at_batch(model: onnx.ModelProto, batch: int) -> dict[str, list[int]]:
    """Return the shapes of tensors for this number of images."""
    copied = _shapes_only(model)
    for output in copied.graph.output:
        output.type.tensor_type.ClearField("shape")
    image_input(copied).type.tensor_type.shape.dim[0].dim_value = batch
    shapes = _inferred_shapes(copied)
    while any(name not in shapes for node in copied.graph.node for name in node.output if name) and fold_constants(
        copied, shapes
    ):
        shapes = _inferred_shapes(copied) | shapes
    return shapes


def _shapes_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy with shapes of weights instead of numbers, which slow inference down and exceed its limit of 2 GB."""
    graph = model.graph
    copied = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    copied.graph.MergeFrom(onnx.GraphProto(name=graph.name, node=graph.node, input=graph.input, output=graph.output))
    for tensor in graph.initializer:
        if prod(tensor.dims) <= FOLDED_MAX:
            copied.graph.initializer.append(tensor)
        else:
            copied.graph.initializer.append(onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims))
    copied.graph.sparse_initializer.extend(graph.sparse_initializer)
    return copied


def _inferred_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            shapes.setdefault(value.name, [dim.dim_value for dim in dims])
    return shapes


def tensors_of_layers(model: onnx.ModelProto) -> dict[str, frozenset[str]]:
    """Return the activations that each multiplying node reads and makes, in graph order; weights are excluded.

    Outputs extend through activations that a runtime may fuse, because quantizers come after those.

    Raises MacsUnknown: see ``mac_table``.
    """
    constant = {tensor.name for tensor in model.graph.initializer}
    constant |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    made = {layer.name: layer.outputs for layer in mac_table(model).layers}
    return {
        node.name: frozenset(name for name in (*node.input, *made[node.name]) if name and name not in constant)
        for node in model.graph.node
        if node.name in made
    }
