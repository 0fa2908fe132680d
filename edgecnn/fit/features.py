"""The cost of one image for a network, from shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from edgecnn.graph.layer_features import Layer, fused, layers_of, summed
from edgecnn.values.fit import Probe


class Counted(NamedTuple):
    """The cost of one image for a network."""

    parameters: int
    macs: int
    layers: tuple[Layer, ...]
    """Layers that multiply, in order."""
    features: Mapping[str, float]
    """By name: ``<kind>_mmac`` multiply-adds in millions, ``<kind>_padded`` with idle lanes, ``<kind>_melem`` millions of numbers
    read and written, ``<kind>_count`` operations, and ``weights_m`` millions of weights."""


@lru_cache(maxsize=4096)
def counted_of(probe: Probe) -> Counted:
    """Return the cost of a network, built from shapes alone and only once.

    Raises MissingPackage: torch, or the network's library, is not installed. UnknownArch: there is no such network.
    """
    import torch

    from edgecnn.graph.traced import operations_of
    from edgecnn.models.catalogue import timed_arch
    from edgecnn.models.networks import build_network, shipped_parameter_count
    from edgecnn.models.surgery import apply_surgery_untrained

    spec = timed_arch(probe.arch)
    with torch.device("cpu" if probe.form.pruned else "meta"):  # pruning chooses channels by their weights
        network = build_network(spec, probe.classes)
    changed = apply_surgery_untrained(network, probe.form, probe.resolution_px).to("meta")
    operations = operations_of(changed, probe.resolution_px)
    passes = fused(operations)
    layers = layers_of(operations, passes)
    features = summed(operations, layers, passes)
    return Counted(shipped_parameter_count(changed, spec), sum(layer.macs for layer in layers), layers, features)
