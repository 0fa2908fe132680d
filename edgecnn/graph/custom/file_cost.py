"""What one image costs a network that an ONNX file describes."""

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
    """What an ONNX file computes for one image."""

    model: ModelProto
    image: str
    """Its first input."""
    shape: tuple[int, ...]
    """Of the image, at batch 1."""
    operations: tuple[Operation, ...]

    @property
    def resolution_px(self) -> ImageSize:
        """Channels may come first or last."""
        return ImageSize(*(self.shape[2:] if self.shape[1] < self.shape[3] else self.shape[1:3]))


def operations_of_file(path: Path) -> FileOperations:
    """Of an ONNX file.

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
    return FileOperations(model, image, shape, operations)


def cost_of_file(path: Path) -> NetworkCost:
    """Of an ONNX file; activations are taken as float32 whatever the file computes in. Raises as ``operations_of_file``."""
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
