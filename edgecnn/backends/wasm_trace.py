"""Reads what ONNX Runtime Web says while it opens a network: of how many layers it made integer kernels.

It has no file system to write a profile to, so that no layer is timed and no byte is counted. Quantized layers are matched one
by one before they are replaced, and only their kinds are named: where all of a kind were, all are INT8; else which is not known.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from edgecnn.backends.executed_layers import UNKNOWN, executed_residency
from edgecnn.errors.measuring import TraceUnreadable
from edgecnn.values.layers import LayerMacs, LayerResidency, MacTable, Residency

_APPLYING = re.compile(r"Applying graph transformer (\w+)")
_MATCHED = re.compile(r"MatchAndProcess\] Matched (\w+)")
_INTEGER = "QDQSelectorActionTransformer"
FILE = "said.json"


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """The residency of a traced session. Raises TraceUnreadable: the file is missing, is no JSON, or names no step."""
    said, quantized = what_it_said(trace)
    made = _made(said)
    if made is None:
        raise TraceUnreadable(path=trace / FILE, why="it names no step of the runtime's optimizer")
    counted = Counter(layer.op for layer in macs.layers)
    precisions = {op: _precision(made[op], count) if quantized else "fp32" for op, count in counted.items()}
    return executed_residency([layer_of(layer, layer.op, precisions[layer.op]) for layer in macs.layers], macs)


def what_it_said(trace: Path) -> tuple[list[str], bool]:
    """Lines, and whether the network is quantized. Raises TraceUnreadable: the file is missing, or is no JSON."""
    path = trace / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [str(line) for line in found["said"]], bool(found["quantized"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TraceUnreadable(path=path, why=str(error)) from error


def layer_of(layer: LayerMacs, op: str, precision: str) -> LayerResidency:
    """Of a runtime that times nothing."""
    return LayerResidency(name=layer.name, op=op, precision=precision, macs=layer.macs, time_us=None, onnx_nodes=(layer.name,))


def _precision(made: int, layers: int) -> str:
    return "int8" if made >= layers else UNKNOWN if made else "fp32"


def _made(said: list[str]) -> Counter[str] | None:
    """Kind of layer to how many integer kernels were made of it; None where no step is named."""
    step, found = None, Counter[str]()
    for line in said:
        if (applying := _APPLYING.search(line)) is not None:
            step = applying.group(1)
        elif step == _INTEGER and (matched := _MATCHED.search(line)) is not None:
            found[matched.group(1)] += 1
    return None if step is None else found
