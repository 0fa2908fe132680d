"""Reads ONNX Runtime's profile: which kernels ran, on numbers of which type, for how long.

The runtime renames what it fuses. A quantized convolution keeps its node's name with ``_token_N`` appended; one in the blocked
layout is called after the tensor it makes, as ``relu_3_nchwc``; a fused one starts with ``fused ``. ``optimized.onnx`` gives the
tensors of nodes that kept neither, and the weights that a node reads: the profile leaves out those that the runtime has packed.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgecnn.backends.mac_join import OVERHEAD, UNKNOWN, MacJoin, executed_residency
from edgecnn.backends.moved_bytes import MovedTensor, moved_bytes
from edgecnn.errors.measuring import TraceUnreadable
from edgecnn.values.layers import LayerResidency, MacTable, Residency

_KERNEL = "_kernel_time"
_MULTIPLIES = re.compile(r"Conv|Gemm|MatMul")
_INTEGER_KERNELS = re.compile(r"^(QLinear|QGemm|QAttention|ConvInteger|MatMulInteger|DynamicQuantizeMatMul|NhwcMaxPool)")
_MOVES = re.compile(r"^(QuantizeLinear|DequantizeLinear|Transpose|Reorder(In|Out)put|Cast|MemcpyToHost|MemcpyFromHost)$")
_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Shape"})
"""Give the same numbers under another shape, or the shape alone: none is moved."""
_TYPES = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "uint8": "int8", "int8": "int8"}
_RENAMED = re.compile(r"_nchwc$|_token_[0-9]+$|/MatMulAddFusion.*$")


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """The residency of a traced session.

    Args:
        trace: folder with ``profile.json`` and ``optimized.onnx``.
        macs: of the trunk.

    Raises:
        TraceUnreadable: a file is missing, or the profile holds no kernel.
    """
    nodes = _nodes(trace / "optimized.onnx")
    join = MacJoin(macs)
    layers = [
        _layer(name, events, nodes.get(name, _Node((), ())), join) for name, events in _kernels(trace / "profile.json").items()
    ]
    return executed_residency(layers, macs)


class _Node(NamedTuple):
    """What the optimized graph says of a node."""

    outputs: tuple[str, ...]
    weights: tuple[MovedTensor, ...]
    """Constants that it reads."""


def _kernels(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Node name to its calls, in the order of the first one."""
    try:
        events = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TraceUnreadable(path=path, why=str(error)) from error
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            calls[event["name"].removesuffix(_KERNEL)].append(event)
    if not calls:
        raise TraceUnreadable(path=path, why="it holds no event of a node's kernel")
    return calls


def _nodes(path: Path) -> Mapping[str, _Node]:
    from onnx import TensorProto, load

    try:
        graph = load(path, load_external_data=False).graph
    except OSError as error:
        raise TraceUnreadable(path=path, why=str(error)) from error
    constants = {
        each.name: MovedTensor(TensorProto.DataType.Name(each.data_type).lower(), tuple(each.dims)) for each in graph.initializer
    }
    return {
        node.name: _Node(tuple(node.output), tuple(constants[name] for name in node.input if name in constants))
        for node in graph.node
    }


def _layer(name: str, calls: Sequence[Mapping[str, Any]], node: _Node, join: MacJoin) -> LayerResidency:
    args = calls[0]["args"]
    op = str(args.get("op_name", ""))
    claimed = join.claim(_names(name, node.outputs)) if _MULTIPLIES.search(op) else ()
    # The first call allocates; it counts only where it is alone.
    times = [float(call["dur"]) for call in calls[1:] or calls]
    return LayerResidency(
        name=name,
        op=op,
        precision=_precision(op, args),
        macs=sum(layer.macs for layer in claimed),
        time_us=sum(times) / len(times),
        onnx_nodes=tuple(layer.name for layer in claimed),
        moved_bytes={} if op in _VIEWS else _moved(args, node.weights),
    )


def _moved(args: Mapping[str, Any], weights: Iterable[MovedTensor]) -> Mapping[str, int] | None:
    """Read and written by one call. A weight stands in the profile or not, so it is counted where either names it, once."""
    if "output_type_shape" not in args:
        return None
    read = Counter(_tensors(args.get("input_type_shape", ()))) | Counter(weights)
    return moved_bytes((*read.elements(), *_tensors(args["output_type_shape"])))


def _tensors(listed: Iterable[Mapping[str, Sequence[int]]]) -> Iterator[MovedTensor]:
    """The profile's list of objects with one entry each, as ``{"uint8": [1, 3, 64, 64]}``."""
    for each in listed:
        for element, shape in each.items():
            yield MovedTensor(element, tuple(shape))


def _names(name: str, outputs: Sequence[str]) -> Iterator[str]:
    """What the trunk may have called this node or its output."""
    yield name
    kept = name.removeprefix("fused ")
    yield kept
    while (shorter := _RENAMED.sub("", kept)) != kept:
        kept = shorter
        yield kept
    yield from outputs


def _precision(op: str, args: Mapping[str, Any]) -> str:
    if _MOVES.match(op):
        return OVERHEAD
    if _INTEGER_KERNELS.match(op):
        return "int8"
    shapes = args.get("input_type_shape") or [{}]
    first = next(iter(shapes[0]), "")
    return _TYPES.get(first, UNKNOWN)
