"""The one way to read and write ONNX models, which gives the same bytes for the same graph, wherever it was exported.

Exporters write stack traces with absolute paths to ``metadata_props`` (254 KB for a small network), which would make hashes
depend on the folder. No runtime reads them, and they are removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, Literal

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]

from edgecnn.errors.graph import (
    ALREADY_QUANTIZED,
    EXTERNAL_DATA_MISSING,
    EXTERNAL_DATA_OUTSIDE,
    MODEL_TOO_LARGE,
    NOT_AN_ONNX_MODEL,
)
from edgecnn.errors.wording import reason_in
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import refuse_known_cause

INPUT_NAME = "image"
OUTPUT_NAME = "logits"
IR_VERSION = 10
"""onnxruntime 1.19, the last for Python 3.8, reads IR 10; onnx itself would write a newer IR."""
BYTES_MAX = 2**31 - 1
"""Limit of a protobuf message, and so of a model in one file."""


def load_model(path: Path) -> onnx.ModelProto:
    """Read a model with all its weights in memory and its functions inlined.

    Raises:
        MODEL_TOO_LARGE: it would not fit into one file; raised before anything is read.
        NOT_AN_ONNX_MODEL: the file cannot be parsed, or contains no graph.
        EXTERNAL_DATA_OUTSIDE: its weights would be read from outside its folder.
        EXTERNAL_DATA_MISSING: a file with its weights is not in its folder.
    """
    model = _graph_without_weights(path)
    weights = 0
    for tensor in _external_tensors(model.graph):  # by type and shape, because the stated length may be wrong
        weights += prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    _require_one_file(path, path.stat().st_size + int(weights))
    onnx.load_external_data_for_model(model, str(path.parent))
    return model


def class_count(model: onnx.ModelProto) -> int:
    """Return the number of classes of a network with output (N, classes)."""
    return int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def fixed_batch(network: onnx.ModelProto | Path) -> int | None:
    """Return the number of images that a network needs in each call; None if it accepts any number."""
    model = onnx.load(network, load_external_data=False) if isinstance(network, Path) else network
    constants = {tensor.name for tensor in model.graph.initializer}
    image = next(value for value in model.graph.input if value.name not in constants)
    return int(image.type.tensor_type.shape.dim[0].dim_value) or None


def external_files(path: Path) -> tuple[str, ...]:
    """Return the sorted names of the files next to a model that contain its weights; empty if the model contains them.

    Raises NOT_AN_ONNX_MODEL, EXTERNAL_DATA_OUTSIDE: as ``load_model``.
    """
    locations = {_location(tensor) for tensor in _external_tensors(_graph_without_weights(path).graph)}
    return tuple(sorted(locations))


def save_model(model: onnx.ModelProto, path: Path, ir_version: int = IR_VERSION) -> None:
    """Write a model as one file: IR 10, or an older one, no metadata, no doc strings, unique node names, deterministic bytes.

    Raises MODEL_TOO_LARGE: one file cannot hold it.
    """
    _require_one_file(path, model.ByteSize())
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    clean.ir_version = ir_version
    kinds = (onnx.GraphProto, onnx.FunctionProto, onnx.NodeProto, onnx.ValueInfoProto, onnx.TensorProto)
    for message in (clean, *messages_in(clean, *kinds)):
        message.ClearField("metadata_props")
        message.ClearField("doc_string")
    _name_nodes(clean.graph)
    path.write_bytes(clean.SerializeToString(deterministic=True))


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that the model uses."""
    return int(next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")))


def messages_in(message: Message, *kinds: type[Message]) -> Iterator[Any]:
    """Yield every message of these kinds inside another, including branches, loops and functions; tensors are not entered."""
    for _, value in message.ListFields():
        for item in (value,) if isinstance(value, Message) else value if isinstance(value, Sequence) else ():
            if not isinstance(item, Message):
                break
            if isinstance(item, kinds):
                yield item
            if not isinstance(item, onnx.TensorProto):
                yield from messages_in(item, *kinds)


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return initializers and tensors of Constant nodes by name, to read or change in place; without those of subgraphs."""
    nodes = (node for node in graph.node if node.op_type == "Constant")
    inside = {node.output[0]: attribute.t for node in nodes for attribute in node.attribute if attribute.name == "value"}
    return {tensor.name: tensor for tensor in graph.initializer} | inside


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give nodes unique names, because runtimes report layers by name and exporters leave names empty or repeat them."""
    taken = {node.name for node in graph.node}
    used = {""}
    for index, node in enumerate(graph.node):
        if node.name in used:
            name = f"{node.op_type}_{index}"
            while name in taken:
                name = f"{name}_"
            taken.add(name)
            node.name = name
        used.add(node.name)


def _graph_without_weights(path: Path) -> onnx.ModelProto:
    _require_one_file(path, path.stat().st_size)
    try:
        model = onnx.load_model_from_string(bounded_content(path, BYTES_MAX))
    except DecodeError as error:
        raise NOT_AN_ONNX_MODEL(path=path, why=str(error) or "it does not parse") from error
    if not model.graph.output:
        raise NOT_AN_ONNX_MODEL(path=path, why="it contains no graph with an output")
    if not any(entry.domain in ("", "ai.onnx") and entry.version > 0 for entry in model.opset_import):
        raise NOT_AN_ONNX_MODEL(path=path, why="it names no opset of ONNX's own operators")
    model = _inline_functions(model, path)
    for tensor in _external_tensors(model.graph):
        _require_inside_folder(path, tensor)
    for location in {_location(tensor) for tensor in _external_tensors(model.graph)}:
        refuse_known_cause(path.parent / location)
    return model


def _inline_functions(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Inline functions that a model defines, which no converter or quantizer reads."""
    if not model.functions:
        return model
    try:
        inlined = onnx.inliner.inline_local_functions(model)
        if not inlined.functions:
            return inlined
        # Functions of another opset than the model's stay, because converting them needs the types of their inputs.
        return onnx.inliner.inline_local_functions(onnx.shape_inference.infer_shapes(model), convert_version=True)
    except (onnx.checker.ValidationError, RuntimeError) as error:
        raise NOT_AN_ONNX_MODEL(path=path, why=f"its functions cannot be inlined: {reason_in(error)}") from error


def _external_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    return (tensor for tensor in messages_in(graph, onnx.TensorProto) if tensor.data_location == onnx.TensorProto.EXTERNAL)


def _require_one_file(path: Path, size: int) -> None:
    if size > BYTES_MAX:
        raise MODEL_TOO_LARGE(path=path, size=size)


def _require_inside_folder(path: Path, tensor: onnx.TensorProto) -> None:
    location, folder = _location(tensor), path.parent.resolve()
    claim = f"the weights {tensor.name!r} have the location"
    if "\0" in location:
        raise NOT_AN_ONNX_MODEL(path=path, why=f"{claim} {location!r}, which is not a file name")
    if not location or not (folder / location).resolve().is_relative_to(folder):
        raise EXTERNAL_DATA_OUTSIDE(path=path, tensor=tensor.name, location=location)
    place = folder / location
    if not place.exists():
        raise EXTERNAL_DATA_MISSING(path=path, location=location)
    if not place.is_file():
        raise NOT_AN_ONNX_MODEL(path=path, why=f"{claim} {location!r}, which is not a regular file")


def _location(tensor: onnx.TensorProto) -> str:
    return next((str(entry.value) for entry in tensor.external_data if entry.key == "location"), "")


QUANTIZED_OPS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_DYNAMIC = ("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul")
_INTEGER_KERNELS = ("QLinear", "QGemm", "QAttention", "MatMulNBits")
CONTRIBUTED = "com.microsoft"
"""The domain of ONNX Runtime's additional integer kernels."""


def require_unquantized(model: onnx.ModelProto, path: Path) -> None:
    """Raise ALREADY_QUANTIZED if a model has quantization nodes. The error names the first."""
    for node in model.graph.node:
        if node.op_type in QUANTIZED_OPS or node.op_type.startswith("QLinear"):
            raise ALREADY_QUANTIZED(path=path, node=node.name or node.output[0], op=node.op_type)


def quantized_form(model: onnx.ModelProto) -> Literal["Q/DQ", "QOperator", "dynamic"] | None:
    """Return how a model was quantized: float operators between quantizers, integer operators, or ranges for each image."""
    ops = {node.op_type for node in model.graph.node}
    if any(op.startswith(_INTEGER_KERNELS) for op in ops):
        return "QOperator"
    if ops & set(_DYNAMIC):
        return "dynamic"
    return "Q/DQ" if ops & {"QuantizeLinear", "DequantizeLinear"} else None
