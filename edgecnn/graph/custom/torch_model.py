"""A network in a torch file: its own outputs in eager torch, and its export to ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import custom_model_unusable
from edgecnn.graph.custom.exported_program import archive_to_load
from edgecnn.graph.custom.feeding import rows_of_scores, run_in_batches
from edgecnn.graph.custom.torchscript import first_line, load_script
from edgecnn.graph.export import quiet_exporter
from edgecnn.values.custom_model import Feeding, GraphEntry
from edgecnn.values.model_file import TRUNK_OPSET

_WRITE_OVER = "export it by torch.onnx.export, or torch.export.export, and name that file"


class TorchSession:
    """The file in eager torch on this computer's CPU. Its outputs are the reference for everything made from the file.

    Raises CustomModelUnusable: torch cannot load it. CUSTOM_MODEL_HOLDS_OBJECTS: loading it would run more than a network.
    """

    def __init__(self, path: Path, entry: GraphEntry) -> None:
        self._path, self._entry = path, entry
        self._run: Callable[[torch.Tensor], Any]
        if entry.form == "torch.export":
            self._run = load_program(path).module(check_guards=False)
        else:
            self._run = load_script(path)

    def answers(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        """Return the file's own output, float32 (N, classes), for pixels uint8 (N, H, W, 3).

        Raises CustomModelUnusable: torch cannot run it.
        """

        def run(feed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
            try:
                with torch.inference_mode(), quiet_exporter():
                    answer = _single_tensor(self._run(torch.from_numpy(feed))).float().numpy()
            except Exception as error:  # noqa: BLE001 - torch's core raises RuntimeError and others
                raise custom_model_unusable(path=self._path, because=f"torch cannot run it: {first_line(error)}") from error
            return rows_of_scores(answer, len(feed), self._entry, self._path)

        # Always a full batch: a program with an open batch may still refuse a single image.
        return run_in_batches(pixels, feeding, self._entry, run, always_full=True)


def _single_tensor(answer: Any) -> torch.Tensor:
    """Return the single tensor of an output, which a program may put into a tuple or a dictionary."""
    while not isinstance(answer, torch.Tensor):
        answer = next(iter(answer.values() if isinstance(answer, Mapping) else answer))
    return answer


def load_program(path: Path) -> torch.export.ExportedProgram:
    """Load a torch.export file that was found safe.

    Raises CUSTOM_MODEL_HOLDS_OBJECTS, CustomModelUnusable: see ``read_exported``; torch cannot load it.
    """
    archive = archive_to_load(path)
    try:
        with quiet_exporter():
            return torch.export.load(archive)
    except Exception as error:  # noqa: BLE001 - the exception depends on the bytes
        raise custom_model_unusable(path=path, because=f"torch cannot load it: {first_line(error)}") from error


def export_to_onnx(path: Path, entry: GraphEntry) -> onnx.ModelProto:
    """Return the file's network as ONNX, with its own input and batch size.

    A torch.export file uses the dynamo exporter; TorchScript files are supported only by the older exporter.

    Raises CUSTOM_MODEL_HOLDS_OBJECTS, CustomModelUnusable: it cannot be loaded, or has no form in ONNX.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"
        try:
            if entry.form == "torch.export":
                program = load_program(path)
                with quiet_exporter():
                    written = torch.onnx.export(program, dynamo=True, opset_version=TRUNK_OPSET, verbose=False)
                if written is None:
                    raise TypeError("torch.onnx.export(dynamo=True) returned no program")
                onnx.save(written.model_proto, made)
            else:
                _export_script(load_script(path), entry, made)
        except EdgecnnError:
            raise
        except Exception as error:  # noqa: BLE001 - the exporters' exceptions share no class but Exception
            because = f"torch {torch.__version__} cannot export it to ONNX: {first_line(error)}"
            raise custom_model_unusable(path=path, because=because, hint=_WRITE_OVER) from error
        return onnx.load(made)


def _export_script(module: torch.jit.ScriptModule, entry: GraphEntry, made: Path) -> None:
    size, batch = entry.resolution_px, entry.batch or 2
    shape = (batch, entry.colours, *size) if entry.layout == "NCHW" else (batch, *size, entry.colours)
    example = torch.zeros(shape, dtype=getattr(torch, entry.dtype))
    free = None if entry.batch else {entry.input: {0: "batch"}, entry.output: {0: "batch"}}
    with quiet_exporter():
        torch.onnx.export(
            module,
            (example,),
            made,
            dynamo=False,
            dynamic_axes=free,
            input_names=[entry.input],
            output_names=[entry.output],
            opset_version=TRUNK_OPSET,
            verbose=False,
        )
