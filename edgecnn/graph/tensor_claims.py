"""Check the tensor sizes that an ONNX file states against the actual bytes, before a runtime trusts them.

A runtime allocates the stated shape, and reads weights from any file that a name leads to. A few bytes can request terabytes, or
``/etc/passwd``. No weights are loaded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edgecnn.graph.onnx_file import BYTES_MAX, messages_in
from edgecnn.runner.model_files.onnx_files import location_fault

_FILLED = ("ConstantOfShape", "Expand", "Tile")
"""Operators that make a large tensor from a small one, with a shape that may be constant."""
_PACKED_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
"""Bits of an element, if several share a byte (onnx.proto, TensorProto.raw_data and int32_data)."""


def false_claim(content: bytes, beside: Mapping[str, int]) -> str:
    """Return what is wrong with a model's tensors; empty if nothing is.

    ``beside``: the other files of its folder, name to bytes. Weights may be in these only.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        return f"it is not an ONNX model: {str(error) or 'it does not parse'}"
    tensors = messages_in(model, onnx.TensorProto)
    for tensor in tensors:
        if (fault := _tensor_fault(tensor, beside)) != "":
            return f"its tensor {ascii(tensor.name)[:100]} {fault}"
    for sparse in messages_in(model, onnx.SparseTensorProto):
        if (fault := _sparse_fault(sparse)) != "":
            return f"its sparse tensor {ascii(sparse.values.name)[:100]} {fault}"
    return _fill_fault(list(messages_in(model, onnx.GraphProto)), list(messages_in(model, onnx.NodeProto)))


def _tensor_fault(tensor: onnx.TensorProto, beside: Mapping[str, int]) -> str:
    shape = list(tensor.dims)
    if min(shape, default=0) < 0:
        return f"has the shape {shape}"
    try:
        wanted = _byte_count(prod(shape), tensor.data_type)
        field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
    except KeyError:
        return f"is of the unknown type {tensor.data_type}"
    if wanted > BYTES_MAX:
        return f"would take {wanted:,} bytes"
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _external_fault(tensor, wanted, beside)
    if tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
        return "" if held == wanted else f"would take {wanted:,} bytes, but has {held:,}"
    kind = _type_name(tensor.data_type)
    numbers = wanted if kind in _PACKED_BITS else prod(shape) * (2 if kind.startswith("COMPLEX") else 1)
    held = len(getattr(tensor, field))
    return "" if held == numbers else f"has the shape {shape}, and {held:,} numbers"


def _byte_count(elements: int, data_type: int) -> int:
    """Return the bytes of a tensor. Raises KeyError: an unknown type."""
    itemsize = int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
    bits = _PACKED_BITS.get(_type_name(data_type), 8 * itemsize)
    return (elements * bits + 7) // 8


def _type_name(data_type: int) -> str:
    return str(onnx.TensorProto.DataType.Name(data_type))


def _sparse_fault(sparse: onnx.SparseTensorProto) -> str:
    """Check a sparse tensor, which a runtime makes dense; its values and indices are checked as tensors too."""
    shape = list(sparse.dims)
    if min(shape, default=0) < 0:
        return f"has the shape {shape}"
    wanted = _byte_count(prod(shape), sparse.values.data_type)
    return f"would take {wanted:,} bytes" if wanted > BYTES_MAX else ""


def _external_fault(tensor: onnx.TensorProto, wanted: int, beside: Mapping[str, int]) -> str:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if (fault := location_fault(location, beside)) != "":
        return f"is {fault}"
    start, length = (_parse_number(entries.get(key, default)) for key, default in (("offset", "0"), ("length", str(wanted))))
    if start is None or length is None or wanted > length or start + length > beside[location]:
        return f"is outside the {beside[location]:,} bytes of {location}"
    return ""


def _parse_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _fill_fault(graphs: Iterable[onnx.GraphProto], nodes: Iterable[onnx.NodeProto]) -> str:
    """Check shapes that are constants, which a runtime evaluates when it opens the file.

    Several graphs of a model may reuse a name, so the node is checked against every constant of that name.
    """
    constants = [(t.name, _small_integers(t)) for graph in graphs for t in graph.initializer]
    constants += [(node.output[0], _constant_integers(node)) for node in nodes if node.op_type == "Constant" and node.output]
    for node in nodes:
        name = node.input[-1] if node.op_type in _FILLED and node.input else ""
        for shape in (value for named, value in constants if named == name and value):
            if prod(max(side, 1) for side in shape) > BYTES_MAX:
                return f"its {node.op_type} {ascii(node.name)[:100]} would make a tensor of the shape {shape}"
    return ""


def _constant_integers(node: onnx.NodeProto) -> list[int]:
    """Return the integers of a Constant; empty if it has other types, or many."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return _small_integers(attribute.t)
        if attribute.name == "value_ints":
            return list(attribute.ints)[:64]
        if attribute.name == "value_int":
            return [attribute.i]
    return []


def _small_integers(tensor: onnx.TensorProto) -> list[int]:
    if prod(tensor.dims) > 64 or tensor.data_type != onnx.TensorProto.INT64:
        return []
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return []
    return [int(side) for side in onnx.numpy_helper.to_array(tensor).reshape(-1)]
