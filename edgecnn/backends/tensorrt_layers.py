"""Reads TensorRT's one-line-a-layer listing, the same in a builder's verbose log and from an engine's inspector.

A network node may be named by several layers of an engine: the multiplication itself and the element-wise work around it. Its
multiply-adds are credited to the layer that multiplies; where none can be told, to ``unknown``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.backends.mac_join import UNKNOWN, MacJoin, executed_residency
from edgecnn.backends.moved_bytes import MovedTensor, moved_bytes
from edgecnn.errors.measuring import TraceUnreadable
from edgecnn.errors.tensorrt import BuildLogUnreadable
from edgecnn.values.layers import LayerResidency, MacTable, Residency

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
_STAYS = re.compile(r"noop|signal|wait", re.IGNORECASE)
"""Move nothing."""
_COPIES = re.compile(r"reformat|noop|shuffle|copy", re.IGNORECASE)
_ONNX_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_FORMAT = re.compile(r"Datatype: ([^},]*)")
_TENSOR = re.compile(r"\{[^{}]*\}")
_DIMENSIONS = re.compile(r"Dimensions: \[([-0-9, ]*)\]")
_ELEMENTS = {**_PRECISIONS, "int32": "int32", "int64": "int64", "bool": "bool", "fp8": "fp8"}


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine: what it is, the precisions of what it reads, the network nodes that it came from, what it moves."""

    name: str
    type: str
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    nodes: tuple[str, ...]
    moved: Mapping[str, int] | None
    """Element type to bytes that it reads and writes for one image, as listed; None where a tensor has no shape or type."""

    @property
    def precision(self) -> str:
        """What it computes in: int8 needs 8-bit activations and, where weights are named, 8-bit weights."""
        if "int8" in self.inputs and (not self.constants or "int8" in self.constants):
            return "int8"
        return next((each for each in self.inputs if each != "int8"), UNKNOWN)

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
    # The shares are counted alike; only that nothing ran is another thing.
    return executed_residency(_rows(layers, macs, {}), macs).model_copy(update={"basis": "planned"})


def traced_residency(trace: Path, macs: MacTable) -> Residency:
    """Residency with basis ``executed`` from the inspector's listing and the profiler's times (µs a layer, one inference).

    Raises:
        TraceUnreadable: the listing or the times are missing, or the listing names no layer.
    """
    listing, times = trace / LAYERS_FILE, trace / TIMES_FILE
    for path in (listing, times):
        if not path.is_file():
            raise TraceUnreadable(path=path, why="the traced session did not write it")
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    layers = _listed(line for line in lines if line != "Layers:")
    if not layers:
        raise TraceUnreadable(path=listing, why="no line of it begins with Name:")
    return executed_residency(_rows(layers, macs, json.loads(times.read_text(encoding="utf-8"))), macs)


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
    tensors = rest.partition(", Metadata: ")[0]
    inputs, _, constants = tensors.partition(", Outputs: ")[0].partition(", Constants: ")
    return EngineLayer(
        name=name,
        type=kind,
        inputs=_precisions(inputs),
        constants=_precisions(constants),
        nodes=tuple(_ONNX_NODE.findall(line)),
        moved={} if _STAYS.search(kind) else _moved(tensors),
    )


def _moved(tensors: str) -> Mapping[str, int] | None:
    """Of all tensors in a layer's line. A size that may vary is that of one image."""
    found = []
    for tensor in _TENSOR.findall(tensors):
        sizes, format_ = _DIMENSIONS.search(tensor), _FORMAT.search(tensor)
        if sizes is None or format_ is None:
            return None
        words = re.findall(r"\w+", format_[1].lower())
        shape = tuple(abs(int(size)) for size in sizes[1].split(",") if size.strip())
        found.append(MovedTensor(next((_ELEMENTS[word] for word in words if word in _ELEMENTS), UNKNOWN), shape))
    return moved_bytes(found)


def _precisions(tensors: str) -> tuple[str, ...]:
    """In order; a format may say its type in words ("Row major linear FP16 format"), so each word is looked at."""
    found = []
    for text in _FORMAT.findall(tensors):
        words = re.findall(r"\w+", text.lower())
        found.append(next((_PRECISIONS[word] for word in words if word in _PRECISIONS), UNKNOWN))
    return tuple(found)


def _rows(layers: Sequence[EngineLayer], macs: MacTable, times_us: Mapping[str, float]) -> tuple[LayerResidency, ...]:
    join = MacJoin(macs)
    return tuple(
        LayerResidency(
            name=layer.name,
            op=layer.type,
            precision=layer.precision,
            macs=sum(counted.macs for counted in join.claim(layer.nodes)) if layer.multiplies else 0,
            time_us=times_us.get(layer.name),
            onnx_nodes=layer.nodes,
            moved_bytes=layer.moved,
        )
        for layer in layers
    )
