"""The cost of one image for a network in an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from onnx import ModelProto

from edgecnn.errors.base import system_reason
from edgecnn.errors.custom_model import CUSTOM_FILE_MISSING
from edgecnn.errors.fit import COST_UNKNOWN
from edgecnn.graph.custom.onnx_entry import parameters_of
from edgecnn.graph.layer_cost import Operation, counted, tallied
from edgecnn.graph.macs import image_input
from edgecnn.graph.onnx_file import load_model
from edgecnn.graph.onnx_operations import MULTIPLY_TOO, image_shape, operations_of_model
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.layers import NetworkCost


class FileOperations(NamedTuple):
    """The operations of an ONNX file for one image."""

    model: ModelProto
    image: str
    """Its first input."""
    shape: tuple[int, ...]
    """Shape of the image, with batch 1."""
    operations: tuple[Operation, ...]

    @property
    def resolution_px(self) -> ImageSize:
        """Height and width; channels may come first or last."""
        return ImageSize(*(self.shape[2:] if self.shape[1] < self.shape[3] else self.shape[1:3]))


def operations_of_file(path: Path) -> FileOperations:
    """Return the operations of an ONNX file.

    Raises CUSTOM_FILE_MISSING, NOT_AN_ONNX_MODEL, COST_UNKNOWN, MacsUnknown: the file cannot be read, or has open sizes.
    """
    try:
        model = load_model(path)
    except OSError as error:
        raise CUSTOM_FILE_MISSING(path=path, because=system_reason(error)) from error
    try:
        image, shape = image_input(model).name, image_shape(model)
    except (StopIteration, KeyError) as error:
        raise COST_UNKNOWN(path=path, because="it has no input whose size is fixed except for the batch") from error
    operations = operations_of_model(model)
    if len(shape) != 4 or not operations:
        raise COST_UNKNOWN(path=path, because="its input is not an image, or nothing reads it")
    return FileOperations(model, image, shape, operations)


def cost_of_file(path: Path) -> NetworkCost:
    """Return the cost of an ONNX file, with activations counted as float32 in any case. Raises as ``operations_of_file``."""
    file = operations_of_file(path)
    cost = counted(file.operations, file.image, file.shape)
    return NetworkCost(
        network=path.name,
        scale=None,
        resolution_px=file.resolution_px,
        parameters=parameters_of(file.model),
        macs=sum(layer.macs for layer in cost.layers),
        **cost._asdict(),
        not_counted=tallied(file.operations, MULTIPLY_TOO),
    )
