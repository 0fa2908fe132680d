"""Reads TensorRT's one-line-a-layer listing, the same in a builder's verbose log and from an engine's inspector.

A network node may be named by several layers of an engine: the multiplication itself and the element-wise work around it. Its
multiply-adds are credited to the layer that multiplies; where none can be told, to ``unknown``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors.tensorrt import BuildLogUnreadable
from edgecnn.values.mac_table import MacTable
from edgecnn.values.residency import LayerResidency, Residency

LAYERS_FILE = "layers.txt"
TIMES_FILE = "times.json"
_PRECISIONS = {
    "int8": "int8",
    "half": "fp16",
    "fp16": "fp16",
    "float": "fp32",
    "fp32": "fp32",
    "bfloat16": "bf16",
    "bf16": "bf16",
}
_MULTIPLIES = re.compile(r"corr|conv|gemm|matmul|matrixmultiply|mmul|dot|_fc", re.IGNORECASE)
_FUSES = re.compile(r"fusion|kgen|myelin|foreign", re.IGNORECASE)
"""Types whose work is told by the layer's name alone, as in ``__myl_CorrMulAdd_myl0_2`` of type runtime_fusion."""
_COPIES = re.compile(r"reformat|noop|shuffle|copy", re.IGNORECASE)
_ONNX_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_FORMAT = re.compile(r"Datatype: ([^},]*)")


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine: what it is, the precisions of what it reads, and the network nodes that it came from."""

    name: str
    type: str
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    nodes: tuple[str, ...]

    @property
    def precision(self) -> str:
        """What it computes in: int8 needs 8-bit activations and, where weights are named, 8-bit weights."""
        if "int8" in self.inputs and (not self.constants or "int8" in self.constants):
            return "int8"
        return next((each for each in self.inputs if each != "int8"), "unknown")

    @property
    def multiplies(self) -> bool:
        """True for convolutions and matrix products, fused or not."""
        if _COPIES.search(self.type):
            return False
        return bool(_MULTIPLIES.search(self.name if _FUSES.search(self.type) else self.type))


def planned_residency(log: Path, macs: MacTable) -> Residency:
    """Residency with basis ``planned`` from a build log; of the first engine where the log holds several.

    Raises:
        BuildLogUnreadable: no layers are listed.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = [index for index, line in enumerate(lines) if line.endswith("Layers:")]
    if not starts:
        raise BuildLogUnreadable(log=log, missing="it has no Layers: message")
    layers = _listed(lines[starts[0] + 1 :])
    if not layers:
        raise BuildLogUnreadable(log=log, missing="its Layers: message names none")
    return _residency(layers, macs, times_us=None)


def executed_residency(trace: Path, macs: MacTable) -> Residency:
    """Residency with basis ``executed`` from the inspector's listing and the profiler's times (µs a layer, one inference).

    Raises:
        BuildLogUnreadable: the listing or the times are missing.
    """
    listing, times = trace / LAYERS_FILE, trace / TIMES_FILE
    for path in (listing, times):
        if not path.is_file():
            raise BuildLogUnreadable(log=trace, missing=f"{path.name} is not there")
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    layers = _listed(line for line in lines if line != "Layers:")
    if not layers:
        raise BuildLogUnreadable(log=listing, missing="it lists no layer")
    return _residency(layers, macs, times_us=json.loads(times.read_text(encoding="utf-8")))


def _listed(lines: Iterable[str]) -> tuple[EngineLayer, ...]:
    layers: list[EngineLayer] = []
    for line in lines:
        if not line.startswith("Name: "):
            break
        layers.append(_layer(line))
    return tuple(layers)


def _layer(line: str) -> EngineLayer:
    name, _, rest = line.removeprefix("Name: ").partition(", LayerType: ")
    kind, _, rest = rest.partition(", Inputs: ")
    read, _, _ = rest.partition(", Outputs: ")
    inputs, _, constants = read.partition(", Constants: ")
    return EngineLayer(
        name=name, type=kind, inputs=_precisions(inputs), constants=_precisions(constants), nodes=tuple(_ONNX_NODE.findall(line))
    )


def _precisions(tensors: str) -> tuple[str, ...]:
    """In order; a format may say its type in words ("Row major linear FP16 format"), so each word is looked at."""
    found = []
    for text in _FORMAT.findall(tensors):
        words = re.findall(r"\w+", text.lower())
        found.append(next((_PRECISIONS[word] for word in words if word in _PRECISIONS), "unknown"))
    return tuple(found)


def _residency(layers: Sequence[EngineLayer], macs: MacTable, times_us: Mapping[str, float] | None) -> Residency:
    owner: dict[str, int] = {}
    for index, layer in enumerate(layers):
        if layer.multiplies:
            for node in layer.nodes:
                owner.setdefault(node, index)
    credited: dict[int, int] = defaultdict(int)
    by_precision: dict[str, int] = defaultdict(int)
    for counted in macs.layers:
        place = owner.get(counted.name)
        by_precision["unknown" if place is None else layers[place].precision] += counted.macs
        if place is not None:
            credited[place] += counted.macs
    rows = tuple(
        LayerResidency(
            name=layer.name,
            op=layer.type,
            precision=layer.precision,
            macs=credited[index],
            time_us=None if times_us is None else times_us.get(layer.name),
            onnx_nodes=layer.nodes,
        )
        for index, layer in enumerate(layers)
    )
    return Residency(
        basis="planned" if times_us is None else "executed",
        layers=rows,
        mac_share={name: count / macs.total for name, count in sorted(by_precision.items())},
        time_share=None if times_us is None else _time_share(rows),
    )


def _time_share(rows: Sequence[LayerResidency]) -> dict[str, float] | None:
    """Shares of the time inside layers, or None where the profiler timed none of those listed."""
    spent: dict[str, float] = defaultdict(float)
    for row in rows:
        spent[row.precision] += row.time_us or 0.0
    whole = sum(spent.values())
    return {name: value / whole for name, value in sorted(spent.items())} if whole > 0 else None
