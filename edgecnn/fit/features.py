"""What a network's latency is predicted from: its arithmetic and its traffic, by the kind of operation. Nothing is run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from edgecnn.fit.layers import ACTIVATIONS, Layer, elements_of, fused, layers_of
from edgecnn.graph.layer_cost import Operation
from edgecnn.values.fit import Probe

_OTHERS = {
    "add": "add", "mul": "mul", "Concat": "concat", "transpose": "shuffle", "clone": "shuffle", "split": "split",
    "MaxPool": "pool", "AveragePool": "pool", "GlobalAveragePool": "mean", "mean": "mean", "BatchNormalization": "norm",
    **ACTIVATIONS,
}  # fmt: skip
FUSED = "fused_"
"""Before the kind of what most runtimes compute in the pass of the layer before it."""


class Counted(NamedTuple):
    """What one image costs a network."""

    parameters: int
    macs: int
    layers: tuple[Layer, ...]
    """That multiply, in order."""
    features: Mapping[str, float]
    """By name: ``<kind>_mmac`` multiply-adds in millions, ``<kind>_padded`` with idle lanes, ``<kind>_melem`` millions of numbers
    read and written, ``<kind>_count`` operations, and ``weights_m`` millions of weights."""


@lru_cache(maxsize=4096)
def counted_of(probe: Probe) -> Counted:
    """Built of shapes alone, once.

    Raises MissingPackage: torch, or the network's library, is not installed. UnknownArch: there is no such network.
    """
    import torch

    from edgecnn.graph.traced import operations_of
    from edgecnn.models.catalogue import timed_arch
    from edgecnn.models.networks import build_network, shipped_parameter_count
    from edgecnn.models.surgery import operated_unlearned

    spec = timed_arch(probe.arch)
    with torch.device("cpu" if probe.form.pruned else "meta"):  # which channels go is asked of weights
        network = build_network(spec, probe.classes)
    changed = operated_unlearned(network, probe.form, probe.resolution_px).to("meta")
    operations = operations_of(changed, probe.resolution_px)
    passes = fused(operations)
    layers = layers_of(operations, passes)
    features = summed(operations, layers, passes)
    return Counted(shipped_parameter_count(changed, spec), sum(each.macs for each in layers), layers, features)


def total_of(features: Mapping[str, float], suffix: str) -> float:
    """Of all kinds together: what their names end with."""
    return sum(amount for name, amount in features.items() if name.endswith(suffix))


def summed(operations: Sequence[Operation], layers: Sequence[Layer], passes: Mapping[int, int]) -> Mapping[str, float]:
    """The features of a list of operations; ``layers``: those of them that multiply; ``passes``: see ``fused``."""
    made, total = elements_of(operations), defaultdict[str, float](float)
    for layer in layers:
        total[f"{layer.kind}_count"] += 1
        total[f"{layer.kind}_melem"] += layer.moved / 1e6
        total[f"{layer.kind}_mmac"] += layer.macs / 1e6
        total[f"{layer.kind}_padded"] += layer.padded / 1e6
        total["weights_m"] += layer.weights / 1e6
    for index, each in enumerate(operations):
        kind = None if each.product is not None else _OTHERS.get(each.op)
        if kind is None or (index in passes and kind == "norm"):  # only looked at otherwise, or folded into the weights before it
            continue
        name = FUSED + kind if index in passes else kind
        total[f"{name}_count"] += 1
        total[f"{name}_melem"] += (sum(made.get(read, 0) for read in each.reads) + each.elements) / 1e6
    return dict(sorted(total.items()))
