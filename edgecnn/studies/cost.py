"""Count parameters, multiply-adds and memory of a network of the catalogue or an ONNX file. Nothing runs."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.fit import SCALE_OF_A_FILE, unknown_layer
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import arch_named, require_size
from edgecnn.models.compound import RULES, scaled_or_same
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import user_path
from edgecnn.values.arch import ArchSpec
from edgecnn.values.layers import LayerCost, NetworkCost

SUFFIX = ".onnx"


def cost_of(named: str, scale: str | None = None, resolution_px: ImageSize | None = None) -> NetworkCost:
    """Return the cost of a network of the catalogue, of a family's first network, or of an ONNX file.

    Raises for a network: UnknownArch, NOTHING_TO_SCALE, ScaleLeavesNoChannel, ResolutionUnderStride, SCALE_CONTRADICTS_RESOLUTION
    and the errors of ``require_size``. Raises for a file: MissingPackage, SCALE_OF_A_FILE and the errors of ``cost_of_file`` and
    ``try_counting``.
    """
    if named.endswith(SUFFIX):
        if scale is not None:
            raise SCALE_OF_A_FILE(onnx=named)
        return _cost_of_file(user_path(named))
    row = network_or_family(named)
    spec, size = scaled_or_same(row, scale, resolution_px, row.resolution_px)
    require_size(spec, size)
    return cost_of_network(spec, size).model_copy(update={"scale": scale})


def _cost_of_file(path: Path) -> NetworkCost:
    require_packages(("onnx",), extra="train", needed_for="cost")
    from edgecnn.graph.custom.trial import try_counting
    from edgecnn.graph.onnx_cost import cost_of_file

    try_counting(path)
    return cost_of_file(path)


def network_or_family(named: str) -> ArchSpec:
    """Return a network of the catalogue, or the first network of a family. Raises UnknownArch: neither has the name."""
    return arch_named(RULES[named].first if named in RULES else named)


def cost_of_network(spec: ArchSpec, size: ImageSize) -> NetworkCost:
    """Return the cost of a network with its own classes, built from shapes alone, without memory for weights.

    Raises MissingPackage: torch is not installed.
    """
    require_packages(("torch", "torchvision"), extra="train", needed_for="cost")
    from edgecnn.graph.layer_cost import cost_of_layers
    from edgecnn.graph.torch_operations import IMAGE, operations_of
    from edgecnn.models.networks import shipped_parameter_count, shipping_shapes

    network = shipping_shapes(spec, spec.classes)
    counts = cost_of_layers(operations_of(network, size), IMAGE, (1, 3, *size))
    return NetworkCost(
        network=spec.name,
        scale=None,
        resolution_px=size,
        parameters=shipped_parameter_count(network, spec),
        macs=sum(layer.macs for layer in counts.layers),
        **counts._asdict(),
        not_counted={},
    )


def layer_of(cost: NetworkCost, name: str) -> LayerCost:
    """Return the layer of a name. Raises UNKNOWN_LAYER: names the nearest one."""
    layers = {layer.name: layer for layer in cost.layers}
    if name not in layers:
        raise unknown_layer(network=cost.network, layer=name, known=tuple(layers))
    return layers[name]
