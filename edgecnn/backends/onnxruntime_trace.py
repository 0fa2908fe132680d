"""Reads ONNX Runtime's profile: which kernels ran, on numbers of which type, for how long.

The runtime renames what it fuses. A quantized convolution keeps its node's name with ``_token_N`` appended; one in the blocked
layout is called after the tensor it makes, as ``relu_3_nchwc``; a fused one starts with ``fused ``. ``optimized.onnx`` gives the
tensors of nodes that kept neither.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.backends.mac_join import OVERHEAD, UNKNOWN, MacJoin, executed_residency
from edgecnn.errors.residency import TraceUnreadable
from edgecnn.values.mac_table import MacTable
from edgecnn.values.residency import LayerResidency, Residency

_KERNEL = "_kernel_time"
_MULTIPLIES = re.compile(r"Conv|Gemm|MatMul")
_INTEGER_KERNELS = re.compile(r"^(QLinear|QGemm|QAttention|ConvInteger|MatMulInteger|DynamicQuantizeMatMul|NhwcMaxPool)")
_MOVES = re.compile(r"^(QuantizeLinear|DequantizeLinear|Transpose|Reorder(In|Out)put|Cast|MemcpyToHost|MemcpyFromHost)$")
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
    outputs = _outputs_by_node(trace / "optimized.onnx")
    join = MacJoin(macs)
    layers = [_layer(name, events, outputs.get(name, ()), join) for name, events in _kernels(trace / "profile.json").items()]
    return executed_residency(layers, macs)


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


def _outputs_by_node(path: Path) -> Mapping[str, Sequence[str]]:
    from onnx import load

    try:
        graph = load(path, load_external_data=False).graph
    except OSError as error:
        raise TraceUnreadable(path=path, why=str(error)) from error
    return {node.name: tuple(node.output) for node in graph.node}


def _layer(name: str, calls: Sequence[Mapping[str, Any]], outputs: Sequence[str], join: MacJoin) -> LayerResidency:
    op = str(calls[0]["args"].get("op_name", ""))
    claimed = join.claim(_names(name, outputs)) if _MULTIPLIES.search(op) else ()
    # The first call allocates; it counts only where it is alone.
    times = [float(call["dur"]) for call in calls[1:] or calls]
    return LayerResidency(
        name=name,
        op=op,
        precision=_precision(op, calls[0]["args"]),
        macs=sum(layer.macs for layer in claimed),
        time_us=sum(times) / len(times),
        onnx_nodes=tuple(layer.name for layer in claimed),
    )


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
