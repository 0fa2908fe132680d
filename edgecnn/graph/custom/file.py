"""The one way to a custom file, whichever form it has: what it says of itself, its own answers, and its ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnx

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.graph.custom.onnx_entry import content_of, parameters_of, read_entry, read_model
from edgecnn.graph.onnx_file import external_files
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import Feeding, GraphEntry, TorchForm
from edgecnn.values.stage import Key


class AnsweringFile(Protocol):
    """A file that is open."""

    def answers(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        """Its own output, float32 (N, classes), to pixels uint8 (N, H, W, 3)."""


class FileSays(NamedTuple):
    """What a file says of itself."""

    entry: GraphEntry
    parameters: int


def read_file(path: Path, form: TorchForm | None, resolution_px: ImageSize | None, output: str | None = None) -> FileSays:
    """Its ends and its parameters.

    ``output``: the name of the class scores, of an ONNX file that has several outputs. Raises EdgecnnError: one of
    ``errors.custom_model``; NotAnOnnxModel, ExternalDataOutside, ExternalDataMissing.
    """
    if form is not None and output is not None:
        because = f"model.output chooses among the outputs of an ONNX file, and this is a {form} file"
        raise CustomModelUnusable(path=path, because=because, hint="leave model.output out, and return the class scores alone")
    if form == "torch.export":
        from edgecnn.graph.custom.exported_program import read_exported

        return FileSays(*read_exported(path, resolution_px))
    if form == "TorchScript":
        from edgecnn.graph.custom.torchscript import read_script

        return FileSays(*read_script(path, resolution_px))
    model = read_model(path)
    return FileSays(read_entry(model, path, resolution_px, output), parameters_of(model))


def files_beside(path: Path, form: TorchForm | None) -> tuple[str, ...]:
    """Names of the files beside it that hold its weights; a file of torch holds them itself."""
    return external_files(path) if form is None else ()


def content_of_file(path: Path, form: TorchForm | None) -> Key:
    """What names a custom model: see ``content_of``."""
    return content_of(path, files_beside(path, form))


def opened(path: Path, entry: GraphEntry) -> AnsweringFile:
    """The file in what it is made for: ONNX Runtime, or torch.

    Raises CustomModelUnusable: it cannot be opened. CustomHoldsObjects: opening it would run more than a network.
    """
    if entry.form is None:
        from edgecnn.graph.custom.feeding import CustomSession

        return CustomSession(path, entry)
    from edgecnn.graph.custom.torch_model import TorchSession

    return TorchSession(path, entry)


def as_onnx(path: Path, entry: GraphEntry) -> tuple[onnx.ModelProto, GraphEntry]:
    """Its graph, and the ends of it as they stand there. Raises CustomModelUnusable: it has no form in ONNX."""
    if entry.form is None:
        return read_model(path), entry
    from edgecnn.graph.custom.torch_model import exported

    model = exported(path, entry)
    return model, read_entry(model, path, entry.resolution_px)
