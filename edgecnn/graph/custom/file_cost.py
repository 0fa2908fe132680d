"""What one image costs a network that an ONNX file describes."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import system_reason
from edgecnn.errors.custom_model import CUSTOM_FILE_MISSING
from edgecnn.errors.fit import COST_UNKNOWN
from edgecnn.graph.custom.onnx_entry import parameters_of
from edgecnn.graph.layer_cost import counted, tallied
from edgecnn.graph.macs import image_input
from edgecnn.graph.onnx_file import load_model
from edgecnn.graph.onnx_operations import MULTIPLY_TOO, image_shape, operations_of_model
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.layers import NetworkCost


def cost_of_file(path: Path) -> NetworkCost:
    """Of an ONNX file; activations are taken as float32 whatever the file computes in.

    Raises CUSTOM_FILE_MISSING, NOT_AN_ONNX_MODEL, COST_UNKNOWN, MacsUnknown: the file cannot be read, or leaves its sizes open.
    """
    try:
        model = load_model(path)
    except OSError as error:
        raise CUSTOM_FILE_MISSING(path=path, because=system_reason(error)) from error
    try:
        image, shape = image_input(model).name, image_shape(model)
    except (StopIteration, KeyError) as error:
        raise COST_UNKNOWN(path=path, because="it has no input of a fixed size besides the batch") from error
    operations = operations_of_model(model)
    if len(shape) != 4 or not operations:
        raise COST_UNKNOWN(path=path, because="its input is no image, or nothing reads it")
    found = counted(operations, image, shape)
    return NetworkCost(
        network=path.name,
        scale=None,
        resolution_px=ImageSize(*(shape[2:] if shape[1] < shape[3] else shape[1:3])),
        parameters=parameters_of(model),
        macs=sum(layer.macs for layer in found.layers),
        **found._asdict(),
        not_counted=tallied(operations, MULTIPLY_TOO),
    )
