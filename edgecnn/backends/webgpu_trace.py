"""Reads what ONNX Runtime Web says while it opens a network on a GPU: which kinds of layers it placed where.

All is computed in fp32, in WebAssembly too, to which layers fall back that have no kernel on the GPU. No layer is timed.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgecnn.backends.executed_layers import executed_residency
from edgecnn.backends.wasm_trace import FILE, layer_of, what_it_said
from edgecnn.errors.measuring import TraceUnreadable
from edgecnn.values.layers import MacTable, Residency

_ALL_PLACED = re.compile(r"All nodes placed on \[(\w+)\]")
_SOME_PLACED = re.compile(r"Node\(s\) placed on \[(\w+)\]")
_NODE = re.compile(r"VerifyEachNodeIsAssignedToAnEp\]\s+(?:Fused)?(\w+) \(")
_GPU = "WebGpuExecutionProvider"
_ANY = ""


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """The residency of a traced session; kinds of layers of which some ran in WebAssembly are called so.

    Raises TraceUnreadable: the file is missing, is no JSON, or places no layer.
    """
    where = _placed(what_it_said(trace)[0])
    if not where:
        raise TraceUnreadable(path=trace / FILE, why="it places no layer")
    fell = {op for provider, op in where if provider != _GPU}
    names = {op: f"{op}, in part in WebAssembly" if fell & {op, _ANY} else op for op in {layer.op for layer in macs.layers}}
    return executed_residency([layer_of(layer, names[layer.op], "fp32") for layer in macs.layers], macs)


def _placed(said: list[str]) -> set[tuple[str, str]]:
    """Provider and kind of each node."""
    provider, found = None, set[tuple[str, str]]()
    for line in said:
        if (all_on := _ALL_PLACED.search(line)) is not None:
            found.add((all_on.group(1), _ANY))
        elif (some_on := _SOME_PLACED.search(line)) is not None:
            provider = some_on.group(1)
        elif provider is not None and (node := _NODE.search(line)) is not None:
            found.add((provider, node.group(1)))
    return found
