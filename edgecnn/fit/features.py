"""What a network's latency is predicted from: its arithmetic and its traffic, by the kind of operation, as a runtime fuses them.

Nothing is run: the network is built of shapes alone. Convolutions are told apart as processors do: pointwise ones are products
of matrices, depthwise ones wait for memory. Of narrow layers a vector unit computes idle lanes too: these are counted beside.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from edgecnn.graph.layer_cost import Operation
from edgecnn.values.fit import Probe

LANES = 16
"""Channels that a vector unit computes at once, to which runtimes pad: float32 in 512 bits, int8 in 128."""
_ACTIVATIONS = {
    "relu": "clipped", "hardtanh": "clipped", "clamp": "clipped",
    "silu": "smooth", "hardswish": "smooth", "sigmoid": "smooth", "hardsigmoid": "smooth", "gelu": "smooth",
}  # fmt: skip
_JOINS = {"add": "add", "mul": "mul", "Concat": "move", "transpose": "move", "clone": "move", "split": "move"}
_POOLS = {"MaxPool": "pool", "AveragePool": "pool", "GlobalAveragePool": "pool", "mean": "pool"}
_KINDS = {**_ACTIVATIONS, **_JOINS, **_POOLS}


class Counted(NamedTuple):
    """What one image costs a network."""

    parameters: int
    macs: int
    features: Mapping[str, float]
    """By name: ``<kind>_mmac`` multiply-adds in millions, ``<kind>_padded`` with idle lanes, ``<kind>_melem`` millions of numbers
    read and written, ``<kind>_count`` operations, and ``weights_m`` millions of weights."""


def features_of(probe: Probe) -> Mapping[str, float]:
    """By name. Raises what ``counted_of`` does."""
    return counted_of(probe).features


@lru_cache(maxsize=4096)
def counted_of(probe: Probe) -> Counted:
    """Built of shapes alone, once.

    Raises MissingPackage: torch, or the network's library, is not installed. UnknownArch: there is no such network.
    """
    import torch

    from edgecnn.graph.traced import operations_of
    from edgecnn.models.catalogue import arch_named
    from edgecnn.models.networks import build_network, shipped_parameter_count
    from edgecnn.models.surgery import operated_unlearned

    spec = arch_named(probe.arch)
    with torch.device("cpu" if probe.form.pruned else "meta"):  # which channels go is asked of weights
        network = build_network(spec, probe.classes)
    changed = operated_unlearned(network, probe.form, probe.resolution_px).to("meta")
    operations = operations_of(changed, probe.resolution_px)
    macs = sum(each.product.macs for each in operations if each.product is not None)
    return Counted(shipped_parameter_count(changed, spec), macs, summed(operations))


def summed(operations: Sequence[Operation]) -> Mapping[str, float]:
    """The same of a list of operations."""
    made = {each.makes[0]: each.elements for each in operations}
    total = defaultdict[str, float](float)
    for each in operations:
        kind = _kind(each)
        if kind is None:
            continue
        read = sum(made.get(name, 0) for name in each.reads)
        total[f"{kind}_count"] += 1
        total[f"{kind}_melem"] += (read + each.elements) / 1e6
        total["weights_m"] += each.parameters / 1e6
        if each.product is not None:
            total[f"{kind}_mmac"] += each.product.macs / 1e6
            total[f"{kind}_padded"] += _padded(each) / 1e6
    return dict(sorted(total.items()))


def _kind(each: Operation) -> str | None:
    """None of what is folded into the layer before it, or only looked at otherwise."""
    if each.product is None:
        return _KINDS.get(each.op)
    outputs, terms = each.product
    if each.op in ("Gemm", "MatMul") or math.prod(outputs[1:]) == 1:
        return "dense"
    if len(terms) == 3 and terms[0] == 1 and outputs[0] > 1:  # noqa: PLR2004 - channels, rows, columns
        return "depthwise"
    return "pointwise" if math.prod(terms[1:]) == 1 else "spatial"


def _padded(each: Operation) -> float:
    """Multiply-adds with channels filled up to whole vectors."""
    if each.product is None:
        return 0.0
    outputs, terms = each.product
    first, *rest = outputs
    channels, *window = terms
    filled = _whole(channels) if channels > 1 else 1
    return _whole(first) * math.prod(rest) * filled * math.prod(window)


def _whole(channels: int) -> int:
    return math.ceil(channels / LANES) * LANES
