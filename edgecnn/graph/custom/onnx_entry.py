"""Read a custom ONNX file's own description, and determine what it leaves open.

This covers its input and output, its opset, whether it is an image classifier, its number of colours, which output has the class
scores, and what makes its probabilities. Operators of scikit-learn's converter (domain ai.onnx.ml) are replaced by ONNX's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edgecnn.errors.base import system_reason
from edgecnn.errors.custom_model import CUSTOM_FILE_MISSING, custom_model_unusable
from edgecnn.graph.constant_folding import uses_own_statistics
from edgecnn.graph.custom.form import COLOURS, SCORES, Dims, answer_entry, image_entry, only_one
from edgecnn.graph.macs import nodes_by_image
from edgecnn.graph.onnx_file import CONTRIBUTED, constants_of, external_files, load_model, messages_in, opset_of, quantized_form
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import sha256_of
from edgecnn.values.custom_model import GraphEntry, OutputSteps
from edgecnn.values.stage import Key, digest_of

_EXTENSIONS: Final = ("com.microsoft.extensions", "ai.onnx.contrib")
"""Domains of onnxruntime-extensions, which decode images and texts."""
DOMAIN: Final = "ai.onnx.ml"
Attributes = Mapping[str, Any]
_POST: Final = {"NONE": "Identity", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}
_NORMS: Final = {"L1": 1, "L2": 2}


def is_classical(node: onnx.NodeProto) -> bool:
    """Return whether an operator is a scaler, an L1 or L2 normalizer, or a linear classifier, which can be replaced."""
    if node.domain != DOMAIN or node.op_type not in _REPLACEMENTS:
        return False
    attributes = attributes_of(node)
    if node.op_type == "Normalizer":
        return attributes.get("norm", "MAX") in _NORMS
    return attributes.get("post_transform", "NONE") in _POST


def replace_classical(model: onnx.ModelProto) -> None:
    """Replace scikit-learn's operators by ONNX's own, in place.

    The labels of linear classifiers are removed, so no remaining node may read them.
    """
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        nodes += _REPLACEMENTS[node.op_type](node, graph, f"edgecnn_classical_{number}") if is_classical(node) else [node]
    del graph.node[:]
    graph.node.extend(nodes)
    if not any(node.domain == DOMAIN for node in nodes):
        imported = [entry for entry in model.opset_import if entry.domain != DOMAIN]
        del model.opset_import[:]
        model.opset_import.extend(imported)


def _scaler(node: onnx.NodeProto, graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """Return (x - offset) · scale, with one number for each feature or one for all."""
    attributes = attributes_of(node)
    offset = _add_constant(graph, f"{name}_offset", attributes.get("offset", [0.0]))
    scale = _add_constant(graph, f"{name}_scale", attributes.get("scale", [1.0]))
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
    attributes = attributes_of(node)
    classes = len(attributes.get("classlabels_ints") or attributes.get("classlabels_strings") or attributes["intercepts"])
    weights = np.array(attributes["coefficients"], np.float32).reshape(classes, -1)
    inputs = [f"{name}_float", _add_constant(graph, f"{name}_weights", weights)]
    inputs += [_add_constant(graph, f"{name}_bias", attributes["intercepts"])] if "intercepts" in attributes else []
    post = _POST[attributes.get("post_transform", "NONE")]
    return [
        helper.make_node("Cast", [node.input[0]], [f"{name}_float"], name=f"{name}_Cast", to=TensorProto.FLOAT),
        helper.make_node("Gemm", inputs, [f"{name}_scores"], name=f"{name}_Gemm", transB=1),
        helper.make_node(post, [f"{name}_scores"], [node.output[1]], name=f"{name}_{post}"),
    ]


_REPLACEMENTS: Final[Mapping[str, Callable[[onnx.NodeProto, onnx.GraphProto, str], list[onnx.NodeProto]]]] = {
    "Scaler": _scaler,
    "Normalizer": _normalizer,
    "LinearClassifier": _linear_classifier,
}


def _add_constant(graph: onnx.GraphProto, name: str, value: Any) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    return name


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name, with text decoded."""
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_INTEGERS = (TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16)
_INDICES = (TensorProto.INT32, TensorProto.INT64, TensorProto.STRING)
_KEEP_CHANNELS = (
    "Identity", "Cast", "Add", "Sub", "Mul", "Div", "Clip", "Pad", "BatchNormalization", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
"""Operators that do not change the number of channels."""
_RESHAPE = ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
"""Operators that change no value. A Cast to floating point is another."""
_ROUND_NUMBERS = ("QuantizeLinear", "DequantizeLinear")
"""Operators that additionally round values to bytes."""
L1_NORMS = ("LpNormalization", "Normalizer")
PROBABILITIES = {"Softmax": "softmax", "SOFTMAX": "softmax", "Sigmoid": "sigmoid", "LOGISTIC": "sigmoid"}
"""ONNX's own operators, and the last step of a linear classifier of scikit-learn."""
_OF_BYTES = {"QLinearSoftmax": "softmax", "QLinearSigmoid": "sigmoid"}
"""ONNX Runtime's own operators, which output bytes."""
_SCALE_AT = {"QuantizeLinear": 1, "QLinearSoftmax": 3, "QLinearSigmoid": 3, "QLinearMatMul": 6, "QLinearConv": 6, "QGemm": 7}
"""Operators that output integers, and the index of their scale input; the zero point follows it."""
_SOFTMAX_OF_ONE_AXIS = 13
"""Since this opset a softmax normalizes over one axis; before, over that axis and all that follow."""
_WEIGHTS_AT = {"Conv": 1, "QLinearConv": 3, "ConvInteger": 1}


def class_scores_output(model: onnx.ModelProto, path: Path, name: str | None = None) -> Any:
    """Return the output with one number for each class: the only one, or the only floating-point one next to labels.

    Classifiers of scikit-learn output the label first, an integer or a text, and the probabilities second. ``name``: the output
    that the recipe chooses. Raises CustomModelUnusable: there is none, there are several, or it contains the index of a class.
    """
    outputs = {value.name: value for value in model.graph.output}
    if name is not None and name not in outputs:
        because = f"model.output is {name!r}, and its outputs are {', '.join(list(outputs)[:4])}"
        raise custom_model_unusable(path=path, because=because, hint="choose one of these, or remove model.output")
    if any(value.type.HasField("sequence_type") for value in outputs.values()):
        because = (
            f"its output {next(n for n, v in outputs.items() if v.type.HasField('sequence_type'))} is a list of dictionaries"
        )
        raise custom_model_unusable(
            path=path, because=because, hint="skl2onnx.to_onnx(..., options={'zipmap': False}) gives an array"
        )
    scores = [name for name, value in outputs.items() if value.type.tensor_type.elem_type in _FLOATS]
    fix = f"name the one that holds the class scores: --set model.output={' or '.join(scores[:4])}" if len(scores) > 1 else ""
    chosen = outputs[name or only_one(scores if len(scores) == 1 else list(outputs), "output", path, fix)]
    if chosen.type.tensor_type.elem_type in _INDICES:
        kind = TensorProto.DataType.Name(chosen.type.tensor_type.elem_type).lower()
        maker = next((node.op_type for node in model.graph.node if chosen.name in node.output), "")
        by = f", made by {maker}" * bool(maker)
        because = f"its output {chosen.name} is {kind}{by}: the class alone, not the score of each class"
        raise custom_model_unusable(path=path, because=because, hint=SCORES)
    return chosen


def output_steps(graph: onnx.GraphProto, answer: Any, path: Path) -> OutputSteps | None:
    """Return the scale and zero point of an integer output; None for a floating-point one.

    Raises CustomModelUnusable: the file does not state them.
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
    raise custom_model_unusable(
        path=path, because=because, hint="end the model with a DequantizeLinear, and export it with a float32 output"
    )


def dims_of(value: Any) -> Dims:
    """Return the sizes of an input or output. An open size is its name in the file, or None."""
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.dim_value > 0 else dim.dim_param or None for dim in dims]


def image_dims(model: onnx.ModelProto, image: Any) -> Dims:
    """Return the sizes of the input. An open number of channels is taken from the weights of the convolutions that read it.

    Hugging Face's exporter leaves all four sizes open, including the colours.
    """
    dims = list(dims_of(image))
    if len(dims) == 4 and not any(isinstance(dims[axis], int) for axis in (1, 3)):
        channels = _channels_of_weights(model.graph, image.name)
        if len(channels) == 1 and channels <= set(COLOURS):
            dims[1] = channels.pop()
    return dims


def nodes_behind(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """Return the nodes that a tensor is made by, in graph order, including those that subgraphs read."""
    wanted, nodes = {name}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(node.input)
            wanted.update(read for part in messages_in(node, onnx.NodeProto) for read in part.input)
    return nodes[::-1]


def final_activation(graph: onnx.GraphProto, answer: str, *, rounded: bool = False) -> str | None:
    """Return ``softmax`` or ``sigmoid`` if the output is the result of one, whatever its shape; otherwise None.

    scikit-learn's converter normalizes a softmax again, which changes nothing. ``rounded``: also if the result was rounded to
    bytes, so that the softmax cannot be removed.
    """
    makers = {name: node for node in graph.node for name in node.output}
    for node in makers.values():
        if (scaled := scaled_by_number(node, graph)) is not None:
            makers[node.output[0]] = onnx.NodeProto(op_type="Identity", input=[scaled[0]])
    return _final_activation(makers, answer, rounded)


def scaled_by_number(node: onnx.NodeProto, graph: onnx.GraphProto) -> tuple[str, float] | None:
    """Return the tensor that a node multiplies by one positive number, and the number; None for another node."""
    if node.op_type not in ("Mul", "Div") or node.domain not in ("", "ai.onnx"):
        return None
    held = constants_of(graph)
    numbers = {
        name: numpy_helper.to_array(held[name]).item() for name in node.input if name in held and prod(held[name].dims) == 1
    }
    others = [name for name in node.input if name not in numbers]
    if len(others) != 1 or len(numbers) != 1 or (node.op_type == "Div" and node.input[0] in numbers):
        return None
    (number,) = numbers.values()
    return (others[0], number if node.op_type == "Mul" else 1 / number) if number > 0 else None


def total_of_shares(graph: onnx.GraphProto, answer: str) -> float:
    """Return the factor by which the graph multiplies its final softmax or sigmoid: 100 for percentages, usually 1."""
    makers, total = {name: node for node in graph.node for name in node.output}, 1.0
    while answer in makers and makers[answer].op_type not in (*PROBABILITIES, *L1_NORMS):
        scaled = scaled_by_number(makers[answer], graph)
        if scaled is None and not _keeps_numbers(makers[answer]) and makers[answer].op_type not in _ROUND_NUMBERS:
            return 1.0
        answer, factor = scaled or (makers[answer].input[0], 1.0)
        total *= factor
    return total


def _final_activation(makers: Mapping[str, onnx.NodeProto], answer: str, rounded: bool) -> str | None:
    node = makers.get(answer, onnx.NodeProto())
    attributes = attributes_of(node)
    sums_to_one = node.op_type in L1_NORMS and (attributes.get("norm") == "L1" or attributes.get("p") == 1)
    if sums_to_one or _keeps_numbers(node) or (rounded and node.op_type in _ROUND_NUMBERS):
        end = _final_activation(makers, node.input[0], rounded)
        return None if sums_to_one and end == "sigmoid" else end
    if rounded and node.op_type in _OF_BYTES:
        return _OF_BYTES[node.op_type]
    return PROBABILITIES.get(attributes.get("post_transform", "") if node.domain == DOMAIN else node.op_type)


def inferred_dims(model: onnx.ModelProto, answer: Any) -> Dims:
    """Return the sizes of an output as ONNX infers them; the declared ones if it infers none."""
    output = next(value for value in model.graph.output if value.name == answer.name)
    declared = onnx.ValueInfoProto()
    declared.CopyFrom(output)
    output.type.tensor_type.ClearField("shape")
    try:
        return _infer_dims(model, answer.name) or dims_of(declared)
    finally:
        output.CopyFrom(declared)


def refuse_softmax_of_others(model: onnx.ModelProto, answer: str, classes: int, batch: int | None, path: Path) -> None:
    """Raise CustomModelUnusable if the final softmax normalizes over the batch, or over an axis of another size.

    ``batch``: images in a call, if fixed. For a single image, the first axis may be that of the classes.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    name = answer
    while name in makers:
        scaled = scaled_by_number(makers[name], model.graph)
        if scaled is None and not _keeps_numbers(makers[name]) and makers[name].op_type not in _ROUND_NUMBERS:
            break
        name = makers[name].input[0] if scaled is None else scaled[0]
    node = makers.get(name)
    if node is None or node.op_type != "Softmax" or node.domain not in ("", "ai.onnx"):
        return
    flattens = opset_of(model) < _SOFTMAX_OF_ONE_AXIS
    axis = int(attributes_of(node).get("axis", 1 if flattens else -1))
    dims = _infer_dims(model, name)
    if not dims or not -len(dims) <= axis < len(dims):
        return
    over = dims[axis % len(dims) :] if flattens else [dims[axis]]
    known = all(isinstance(size, int) for size in over)
    if (axis % len(dims) and not known) or (known and prod(over) == classes and (axis % len(dims) or batch == 1)):
        return
    which = "the images of a batch" if not axis % len(dims) else f"an axis of {'×'.join(map(str, over))}"
    because = f"its Softmax {node.name or name} normalizes over {which} (axis {axis}), and not over its {classes} classes"
    hint = "export it with a softmax over the axis of classes (dim=1 in torch), or without one"
    raise custom_model_unusable(path=path, because=because, hint=hint)


def _infer_dims(model: onnx.ModelProto, name: str) -> list[Any]:
    graph = shape_inference.infer_shapes(model).graph
    value = next((value for value in (*graph.output, *graph.value_info) if value.name == name), None)
    return [] if value is None else list(dims_of(value))


def _keeps_numbers(node: onnx.NodeProto) -> bool:
    return node.op_type in _RESHAPE or (node.op_type == "Cast" and attributes_of(node).get("to") in _FLOATS)


def _channels_of_weights(graph: onnx.GraphProto, image: str) -> set[int]:
    shapes = {name: tuple(tensor.dims) for name, tensor in constants_of(graph).items()}
    shapes |= {
        node.output[0]: shapes[node.input[0]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes
    }
    read, channels = {image}, set()
    for node in graph.node:
        if not node.input or node.input[0] not in read:
            continue
        if node.op_type in _KEEP_CHANNELS:
            read.update(node.output)
        elif len(weights := shapes.get(node.input[_WEIGHTS_AT.get(node.op_type, 0)], ())) == 4:
            group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            channels.add(weights[1] * group)
    return channels


_DTYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.UINT8: "uint8"}


def read_entry(
    model: onnx.ModelProto, path: Path, resolution_px: ImageSize | None = None, output: str | None = None
) -> GraphEntry:
    """Return the file's input and output format.

    ``resolution_px``: for a file with open height and width. ``output``: the name of its class scores, if it has several outputs.
    Raises CustomModelUnusable: it is not an image classifier with one input and one output, has foreign operators, or is in
    training mode.
    """
    quantized = quantized_form(model)
    if quantized == "dynamic":
        because = "it is quantized dynamically, so its output for an image depends on the other images in the batch"
        raise custom_model_unusable(path=path, because=because, hint="use its float network, or quantize it statically")
    # the file stays in ONNX Runtime, which has these operators
    known = ("", "ai.onnx", CONTRIBUTED) if quantized else ("", "ai.onnx")
    answer = class_scores_output(model, path, output)
    for node in nodes_behind(model.graph, answer.name):
        if node.domain not in known and not is_classical(node):
            because = f"its operator {node.op_type} is of the domain {node.domain}, which other runtimes do not have"
            raise custom_model_unusable(path=path, because=because, hint=_hint_for_operator(node))
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in constants}
    image = inputs[only_one(list(inputs), "input", path)]
    if any(size.HasField("dim_value") and size.dim_value == 0 for size in image.type.tensor_type.shape.dim):
        because = f"its input {image.name} states a size of 0"
        raise custom_model_unusable(path=path, because=because, hint="export it with the size of its images, or with open sizes")
    _refuse_training(model, answer.name, path)
    kind = image.type.tensor_type.elem_type
    dtype = _DTYPES.get(kind) or onnx.TensorProto.DataType.Name(kind).lower()
    end, made_by = final_activation(model.graph, answer.name), final_activation(model.graph, answer.name, rounded=True)
    total = total_of_shares(model.graph, answer.name)
    if made_by == "sigmoid" and total != 1:
        because = f"its output {answer.name} is a sigmoid times {total:g}, and not a probability"
        raise custom_model_unusable(path=path, because=because, hint="export it with the sigmoid itself as its output")
    input_fields = image_entry(image.name, image_dims(model, image), dtype, resolution_px, path)
    dims = dims_of(answer) if answer.type.tensor_type.HasField("shape") else inferred_dims(model, answer)
    output_fields = answer_entry(answer.name, dims, (end, made_by), input_fields["batch"], path)
    refuse_softmax_of_others(model, answer.name, output_fields["classes"], input_fields["batch"], path)
    return GraphEntry(
        **input_fields,
        **output_fields,
        share_total=total if made_by is not None else 1.0,
        output_steps=output_steps(model.graph, answer, path),
        opset=opset_of(model),
        quantized=quantized,
    )


def _hint_for_operator(node: onnx.NodeProto) -> str:
    """Return what to do about an operator that is not ONNX's own."""
    if node.domain in _EXTENSIONS:
        return "export the network without the steps before and after it, such as decoding; its input is a batch of pixels"
    if node.domain.startswith(CONTRIBUTED):
        return "pass the file from before ONNX Runtime optimized it"
    if node.domain == DOMAIN:
        return "edgecnn builds networks and linear classifiers; use one of these instead of trees and other classical models"
    return "export it with ONNX's own operators"


def evaluation_hint(model: onnx.ModelProto) -> str:
    """Return how to export in evaluation mode with the exporter that the file names."""
    producer = model.producer_name.lower()
    if "tf2onnx" in producer or "keras" in producer:
        return "export it for inference: call the model with training=False, and export that model"
    if "paddle" in producer:
        return "call model.eval() before paddle.onnx.export"
    return "call model.eval() before torch.onnx.export"


def _refuse_training(model: onnx.ModelProto, answer: str, path: Path) -> None:
    """Refuse nodes in training mode, which draw random numbers or use the batch's statistics.

    A batch normalization of weights alone always uses their statistics, and is computed in advance.
    """
    held = constants_of(model.graph)
    by_image = {name for node, _ in nodes_by_image(model) for name in node.output}
    for node in nodes_behind(model.graph, answer):
        trains = uses_own_statistics(node) and not by_image.isdisjoint(node.output)
        if node.op_type == "Dropout" and len(node.input) > 2:
            ratio, mode = (None if name not in held else onnx.numpy_helper.to_array(held[name]) for name in node.input[1:3])
            trains = mode is not None and bool(mode.any()) and (ratio is None or bool(ratio.any()))  # 0 % changes nothing
        if not trains:
            continue
        because = f"it was exported in training mode ({node.op_type} {node.name or node.output[0]})"
        raise custom_model_unusable(path=path, because=because, hint=evaluation_hint(model))


def parameters_of(model: onnx.ModelProto) -> int:
    """Return the number of weights, floating-point or 8-bit; constants with a few floating-point numbers count too."""
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    bytes_ = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    tensors = [*model.graph.initializer, *(attribute.t for node in model.graph.node for attribute in node.attribute)]
    sizes = (
        tensor.dims for tensor in tensors if tensor.data_type in floats or (tensor.data_type in bytes_ and len(tensor.dims) > 1)
    )
    return max(1, int(sum(map(prod, sizes))))


def read_model(path: Path) -> onnx.ModelProto:
    """Read a custom file with its weights in memory.

    Raises NOT_AN_ONNX_MODEL, EXTERNAL_DATA_OUTSIDE: see ``graph.onnx_file``. CustomModelUnusable: a file of weights next to it is
    missing.
    """
    try:
        return load_model(path)
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise custom_model_unusable(path=path, because=f"it cannot be read: {system_reason(error)}") from error


def digest_of_model(path: Path, beside: Sequence[str] | None = None) -> Key:
    """Return the digest that identifies a custom model: the file's SHA-256, combined with those of external weights.

    ``beside``: ``external_files(path)`` if already known, since it parses the whole file. Raises NOT_AN_ONNX_MODEL,
    EXTERNAL_DATA_OUTSIDE: see ``graph.onnx_file``. CUSTOM_FILE_MISSING: one of them cannot be read.
    """
    try:
        beside = external_files(path) if beside is None else beside
        if not beside:
            return Key(sha256_of(path))
        return digest_of({name: sha256_of(path.parent / name) for name in beside} | {"": sha256_of(path)})
    except OSError as error:
        raise CUSTOM_FILE_MISSING(path=path, because=system_reason(error)) from error
