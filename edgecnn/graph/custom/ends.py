"""What the two ends of an ONNX file leave unsaid: how many colours it reads, which of several outputs is the answer, and by what
its probabilities are made."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, numpy_helper, shape_inference

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.custom.classical import DOMAIN, attributes_of
from edgecnn.graph.custom.image_entry import COLOURS, SCORES, Dims, only_one
from edgecnn.graph.onnx_file import constants_of, inside, opset_of
from edgecnn.values.custom_model import OutputSteps

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_INTEGERS = (TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16)
_INDICES = (TensorProto.INT32, TensorProto.INT64, TensorProto.STRING)
_KEEP_CHANNELS = (
    "Identity", "Cast", "Add", "Sub", "Mul", "Div", "Clip", "Pad", "BatchNormalization", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
"""Operators after which a tensor has the channels that it had before."""
_RESHAPE = ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
"""Operators after which a tensor holds the numbers that it held before, as after a Cast to floating point."""
_ROUND_NUMBERS = ("QuantizeLinear", "DequantizeLinear")
"""And those after which they are rounded to the steps of bytes."""
L1_NORMS = ("LpNormalization", "Normalizer")
PROBABILITIES = {"Softmax": "softmax", "SOFTMAX": "softmax", "Sigmoid": "sigmoid", "LOGISTIC": "sigmoid"}
"""Of ONNX's own operators, and of what a linear classifier of scikit-learn does at its end."""
_OF_BYTES = {"QLinearSoftmax": "softmax", "QLinearSigmoid": "sigmoid"}
"""ONNX Runtime's own, which answer in bytes."""
_SCALE_AT = {"QuantizeLinear": 1, "QLinearSoftmax": 3, "QLinearSigmoid": 3, "QLinearMatMul": 6, "QLinearConv": 6, "QGemm": 7}
"""Operators that answer in integers, and which of their inputs is the scale of these; the zero point is the next."""
_SOFTMAX_OF_ONE_AXIS = 13
"""The opset since which a softmax normalizes over one axis; before it, over that axis and all that follow."""
_WEIGHTS_AT = {"Conv": 1, "QLinearConv": 3, "ConvInteger": 1}


def answer_of(model: onnx.ModelProto, path: Path, name: str | None = None) -> Any:
    """The output that holds a number for each class: the only one, or the only one of floating point beside labels.

    Classifiers of scikit-learn give the label first, an integer or a text, and the probabilities second. ``name``: of the output
    that the recipe chooses. Raises CustomModelUnusable: there is none, there are several, or it holds the index of a class.
    """
    outputs = {value.name: value for value in model.graph.output}
    if name is not None and name not in outputs:
        because = f"model.output is {name!r}, and its outputs are {', '.join(list(outputs)[:4])}"
        raise CustomModelUnusable(path=path, because=because, hint="name one of these, or leave model.output out")
    if any(value.type.HasField("sequence_type") for value in outputs.values()):
        because = (
            f"its output {next(n for n, v in outputs.items() if v.type.HasField('sequence_type'))} is a list of dictionaries"
        )
        raise CustomModelUnusable(
            path=path, because=because, hint="skl2onnx.to_onnx(..., options={'zipmap': False}) gives an array"
        )
    scores = [name for name, value in outputs.items() if value.type.tensor_type.elem_type in _FLOATS]
    fix = f"name the one that holds the class scores: --set model.output={' or '.join(scores[:4])}" if len(scores) > 1 else ""
    chosen = outputs[name or only_one(scores if len(scores) == 1 else list(outputs), "output", path, fix)]
    if chosen.type.tensor_type.elem_type in _INDICES:
        kind = TensorProto.DataType.Name(chosen.type.tensor_type.elem_type).lower()
        maker = next((node.op_type for node in model.graph.node if chosen.name in node.output), "")
        by = f", made by {maker}" * bool(maker)
        because = f"its output {chosen.name} is {kind}{by}: the class alone, and not the score of each class"
        raise CustomModelUnusable(path=path, because=because, hint=SCORES)
    return chosen


def output_steps(graph: onnx.GraphProto, answer: Any, path: Path) -> OutputSteps | None:
    """How the integers of an output become numbers; None of an output of floating point.

    Raises CustomModelUnusable: nothing in the file states it.
    """
    kind = answer.type.tensor_type.elem_type
    if kind in (*_FLOATS, TensorProto.BFLOAT16, TensorProto.UNDEFINED):
        return None
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(answer.name, onnx.NodeProto())
    while node.op_type in _RESHAPE:
        node = makers.get(node.input[0], onnx.NodeProto())
    place, held = _SCALE_AT.get(node.op_type, len(node.input)), constants_of(graph)
    names = [name for name in node.input[place : place + 2] if name]
    stated = [numpy_helper.to_array(held[name]) for name in names if name in held]
    if kind in _INTEGERS and stated and len(stated) == len(names) and all(numbers.size == 1 for numbers in stated):
        scale, *zero = (numbers.item() for numbers in stated)
        return OutputSteps(scale=scale, zero=zero[0] if zero else 0)
    because = f"its output {answer.name} is {TensorProto.DataType.Name(kind).lower()}, and the file states no scale for it"
    raise CustomModelUnusable(
        path=path, because=because, hint="end it in a DequantizeLinear, and export it with a float32 output"
    )


def dims_of(value: Any) -> Dims:
    """Sizes of an input or output; where the file leaves one open, the name that it gives it, or None."""
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.dim_value > 0 else dim.dim_param or None for dim in dims]


def image_dims(model: onnx.ModelProto, image: Any) -> Dims:
    """The sizes of the input; an open number of channels is what the convolutions that read it have weights for.

    Hugging Face's exporter leaves all four sizes open, the colours too.
    """
    dims = list(dims_of(image))
    if len(dims) == 4 and not any(isinstance(dims[axis], int) for axis in (1, 3)):
        found = _channels_read(model.graph, image.name)
        if len(found) == 1 and found <= set(COLOURS):
            dims[1] = found.pop()
    return dims


def nodes_behind(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """The nodes that a tensor is made by, in the graph's order; what subgraphs read counts."""
    wanted, found = {name}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            found.append(node)
            wanted.update(node.input)
            wanted.update(each for part in inside(node, onnx.NodeProto) for each in part.input)
    return found[::-1]


def end_of(graph: onnx.GraphProto, answer: str, *, rounded: bool = False) -> str | None:
    """``softmax`` or ``sigmoid`` where the answer is what one of them gives, whatever its shape; None of any other.

    Shares that a softmax made sum to 1 already: scikit-learn's converter normalizes them once more. ``rounded``: also where it
    was rounded to bytes since, so that what made it cannot be left out.
    """
    return _end({name: node for node in graph.node for name in node.output}, answer, rounded)


def _end(makers: Mapping[str, onnx.NodeProto], answer: str, rounded: bool) -> str | None:
    node = makers.get(answer, onnx.NodeProto())
    if (sums_to_one := _sums_to_one(node)) or _keeps_numbers(node) or (rounded and node.op_type in _ROUND_NUMBERS):
        found = _end(makers, node.input[0], rounded)
        return None if sums_to_one and found == "sigmoid" else found
    if rounded and node.op_type in _OF_BYTES:
        return _OF_BYTES[node.op_type]
    return PROBABILITIES.get(attributes_of(node).get("post_transform", "") if node.domain == DOMAIN else node.op_type)


def inferred_dims(model: onnx.ModelProto, answer: Any) -> Dims:
    """The sizes of an output as ONNX infers them, whatever the file declares; the declared ones where it infers none."""
    output = next(value for value in model.graph.output if value.name == answer.name)
    declared = onnx.ValueInfoProto()
    declared.CopyFrom(output)
    output.type.tensor_type.ClearField("shape")
    try:
        return _dims_inferred(model, answer.name) or dims_of(declared)
    finally:
        output.CopyFrom(declared)


def refuse_softmax_of_others(model: onnx.ModelProto, answer: str, classes: int, batch: int | None, path: Path) -> None:
    """Raise CustomModelUnusable: the softmax at the end normalizes over the images of a call, or over an axis of another size.

    ``batch``: images in a call where the file fixes that. Of a single one, the first axis may be that of the classes.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    name = answer
    while name in makers and (_keeps_numbers(makers[name]) or makers[name].op_type in _ROUND_NUMBERS):
        name = makers[name].input[0]
    node = makers.get(name)
    if node is None or node.op_type != "Softmax" or node.domain not in ("", "ai.onnx"):
        return
    flattens = opset_of(model) < _SOFTMAX_OF_ONE_AXIS
    axis = int(attributes_of(node).get("axis", 1 if flattens else -1))
    dims = _dims_inferred(model, name)
    if not dims or not -len(dims) <= axis < len(dims):
        return
    over = dims[axis % len(dims) :] if flattens else [dims[axis]]
    known = all(isinstance(size, int) for size in over)
    if (axis % len(dims) and not known) or (known and prod(over) == classes and (axis % len(dims) or batch == 1)):
        return
    which = "the images of a call" if not axis % len(dims) else f"an axis of {'×'.join(map(str, over))}"
    because = f"its Softmax {node.name or name} normalizes over {which} (axis {axis}), and not over its {classes} classes"
    hint = "export it with a softmax over the axis of classes (dim=1 in torch), or without one"
    raise CustomModelUnusable(path=path, because=because, hint=hint)


def _dims_inferred(model: onnx.ModelProto, name: str) -> list[Any]:
    graph = shape_inference.infer_shapes(model).graph
    value = next((value for value in (*graph.output, *graph.value_info) if value.name == name), None)
    return [] if value is None else list(dims_of(value))


def _keeps_numbers(node: onnx.NodeProto) -> bool:
    return node.op_type in _RESHAPE or (node.op_type == "Cast" and attributes_of(node).get("to") in _FLOATS)


def _sums_to_one(node: onnx.NodeProto) -> bool:
    said = attributes_of(node) if node.op_type in L1_NORMS else {}
    return said.get("norm") == "L1" or said.get("p") == 1


def _channels_read(graph: onnx.GraphProto, image: str) -> set[int]:
    shapes = {name: tuple(tensor.dims) for name, tensor in constants_of(graph).items()}
    shapes |= {
        node.output[0]: shapes[node.input[0]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes
    }
    read, found = {image}, set()
    for node in graph.node:
        if not node.input or node.input[0] not in read:
            continue
        if node.op_type in _KEEP_CHANNELS:
            read.update(node.output)
        elif len(weights := shapes.get(node.input[_WEIGHTS_AT.get(node.op_type, 0)], ())) == 4:
            group = next((each.i for each in node.attribute if each.name == "group"), 1)
            found.add(weights[1] * group)
    return found
