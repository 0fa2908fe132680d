"""The layers and amounts of work from which latency is predicted, from a list of operations."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgecnn.graph.layer_cost import Operation

LANES = 16
"""Channels that a vector unit processes at once, to which runtimes pad: float32 in 512 bits, int8 in 128."""
ACTIVATIONS = {
    "relu": "clipped", "hardtanh": "clipped", "clamp": "clipped",
    "silu": "smooth", "sigmoid": "smooth", "gelu": "smooth", "hardswish": "hard", "hardsigmoid": "hard",
}  # fmt: skip
KINDS = ("dense", "depthwise", "grouped", "pointwise", "spatial")
_NORM, _SUM = "BatchNormalization", "add"
_BEHIND = ("", *sorted(set(ACTIVATIONS.values())))


class Layer(NamedTuple):
    """A convolution or matrix product for one image."""

    kind: str
    """One of ``KINDS``."""
    channels: int
    """Channels of its input."""
    summed: int
    """Input channels that each output sums; fewer with groups."""
    made: int
    """Channels of its output."""
    groups: int
    window: int
    """Positions that each output reads."""
    stride: int
    positions: int
    """Size of its output: height times width."""
    moved: int
    """Numbers that it reads and writes, without weights."""
    weights: int
    macs: int
    behind: str
    """Kind of the fused activation; empty if there is none."""
    adds: bool
    """Whether another layer's output is added in the same pass."""

    @property
    def padded(self) -> int:
        """Multiply-adds with channels padded to whole vectors."""
        made = self.groups * _whole_vectors(self.made // self.groups) if self.kind == "grouped" else _whole_vectors(self.made)
        filled = self.summed if self.summed == 1 else _whole_vectors(self.summed)
        return made * filled * self.window * self.positions

    @property
    def work(self) -> tuple[float, ...]:
        """Quantities that its time depends on: millions of multiply-adds, of numbers and of weights, groups, and 1."""
        groups = self.groups / 1e3 if self.kind == "grouped" else 0.0
        return self.padded / 1e6, self.moved / 1e6, self.weights / 1e6, groups, 1.0

    @property
    def shape(self) -> tuple[float, ...]:
        """Quantities that distinguish it from other layers of equal work; sizes as logarithms."""
        sizes = (
            self.channels, self.summed, self.made, self.made / self.groups, self.groups, self.window, self.positions, self.moved,
            self.weights + 1, self.macs, self.padded / self.macs,
        )  # fmt: skip
        rest = (KINDS.index(self.kind), self.stride, _BEHIND.index(self.behind), self.adds)
        return (*(math.log(size) for size in sizes), *map(float, rest))


def layers_of(operations: Sequence[Operation], passes: Mapping[int, int]) -> tuple[Layer, ...]:
    """Return the layers in execution order. ``passes``: see ``fused_operations``."""
    shapes = {name: operation.shape for operation in operations for name in operation.makes}
    sizes = elements_of(operations)
    behind = defaultdict[int, list[Operation]](list)
    for index, layer in passes.items():
        behind[layer].append(operations[index])
    return tuple(
        _layer(operation, shapes.get(operation.reads[0], ()), sizes.get(operation.reads[0], 0), behind[index])
        for index, operation in enumerate(operations)
        if operation.product is not None
    )


def elements_of(operations: Sequence[Operation]) -> Mapping[int | str, int]:
    """Return the elements of each tensor; outputs of one operation have the same size."""
    return {name: operation.elements // len(operation.makes) for operation in operations for name in operation.makes}


def _layer(operation: Operation, read: Sequence[int], elements: int, behind: Sequence[Operation]) -> Layer:
    """``read``, ``elements``: shape and size of its input; absent for the image, which has three channels."""
    outputs, terms = operation.product or ((), ())
    matrix = operation.op in ("Gemm", "MatMul")
    made = outputs[-1] if matrix else outputs[0]
    channels = terms[0] if matrix else read[1] if len(read) > 1 else 3
    positions = 1 if matrix else math.prod(outputs[1:])
    groups = 1 if matrix else max(1, channels // terms[0])
    return Layer(
        kind=_kind(matrix, positions, groups, terms),
        channels=channels,
        summed=terms[0],
        made=made,
        groups=groups,
        window=math.prod(terms[1:]),
        stride=operation.window.stride if operation.window else 1,
        positions=positions,
        moved=elements + operation.elements,
        weights=operation.parameters,
        macs=operation.product.macs if operation.product else 0,
        behind=next((ACTIVATIONS[one.op] for one in behind if one.op in ACTIVATIONS), ""),
        adds=any(one.op == _SUM for one in behind),
    )


def _kind(matrix: bool, positions: int, groups: int, terms: Sequence[int]) -> str:  # noqa: FBT001
    if matrix or positions == 1:
        return "dense"
    if groups > 1:
        return "depthwise" if terms[0] == 1 else "grouped"
    return "pointwise" if math.prod(terms[1:]) == 1 else "spatial"


def fused_operations(operations: Sequence[Operation]) -> Mapping[int, int]:
    """Return the index of each operation that runtimes fuse into the layer before it, and that layer's index.

    Fused are a batch norm, one sum and one activation, if nothing else reads their input.
    """
    readers = defaultdict[int | str, list[int]](list)
    for index, operation in enumerate(operations):
        for name in dict.fromkeys(operation.reads):
            readers[name].append(index)
    fused_into = dict[int, int]()
    for index, operation in enumerate(operations):
        if operation.product is None:
            continue
        waiting, name = [_NORM, _SUM, "activation"], operation.makes[0]
        while len(readers[name]) == 1:
            place = readers[name][0]
            what = "activation" if operations[place].op in ACTIVATIONS else operations[place].op
            if what not in waiting or place in fused_into:
                break
            fused_into[place], name = index, operations[place].makes[0]
            del waiting[: waiting.index(what) + 1]
    return fused_into


def _whole_vectors(channels: int) -> int:
    return math.ceil(channels / LANES) * LANES


_OTHERS = {
    "add": "add", "mul": "mul", "Concat": "concat", "transpose": "shuffle", "clone": "shuffle", "split": "split",
    "MaxPool": "pool", "AveragePool": "pool", "GlobalAveragePool": "mean", "mean": "mean", "BatchNormalization": "norm",
    **ACTIVATIONS,
}  # fmt: skip
FUSED = "fused_"
"""Prefix of the kinds that most runtimes compute in the pass of the layer before."""


def total_of(features: Mapping[str, float], suffix: str) -> float:
    """Return the sum of the features with this suffix over all kinds."""
    return sum(amount for name, amount in features.items() if name.endswith(suffix))


def sum_features(operations: Sequence[Operation], layers: Sequence[Layer], passes: Mapping[int, int]) -> Mapping[str, float]:
    """Return the features of a list of operations. ``layers``: those that multiply; ``passes``: see ``fused_operations``."""
    made, total = elements_of(operations), defaultdict[str, float](float)
    for layer in layers:
        total[f"{layer.kind}_count"] += 1
        total[f"{layer.kind}_melem"] += layer.moved / 1e6
        total[f"{layer.kind}_mmac"] += layer.macs / 1e6
        total[f"{layer.kind}_padded"] += layer.padded / 1e6
        total["weights_m"] += layer.weights / 1e6
    for index, operation in enumerate(operations):
        kind = None if operation.product is not None else _OTHERS.get(operation.op)
        if kind is None or (index in passes and kind == "norm"):  # a view, or folded into the weights before it
            continue
        name = FUSED + kind if index in passes else kind
        total[f"{name}_count"] += 1
        total[f"{name}_melem"] += (sum(made.get(read, 0) for read in operation.reads) + operation.elements) / 1e6
    return dict(sorted(total.items()))
