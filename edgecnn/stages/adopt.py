"""Makes the trunk out of a custom model, and holds it against the file's own answers to real images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.errors.custom_model import CUSTOM_MODEL_CHANGED
from edgecnn.installed import require_packages
from edgecnn.training.idle_threads import sleeping_threads
from edgecnn.values.custom_model import Feeding, GraphEntry
from edgecnn.values.stage import Progress, Role, Stage


class AdoptStage(Stage):
    """A user's model file → ``model.onnx``, ``macs.json``, ``check.json`` and ``golden_logits.npy``, as ``export`` leaves them.

    Inputs: ``model`` (the file) and ``pixels`` (prepare). It stands where ``export`` stands in other plans.
    """

    kind: ClassVar[str] = "adopt"
    revision: ClassVar[int] = 9

    entry: GraphEntry
    feeding: Feeding

    @property
    def tools(self) -> tuple[str, ...]:
        """What rewrites the graph, and the runtime that checks the result; of a file of torch, what exports it too."""
        return ("onnx", "onnxruntime") if self.entry.form is None else ("onnx", "onnxruntime", "onnxscript", "torch")

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the trunk.

        Raises:
            MissingPackage: onnx or onnxruntime is not installed; of a file of torch, torch or onnxscript.
            CUSTOM_MODEL_CHANGED: the file has other bytes than were planned with.
            CustomModelUnusable, CUSTOM_MODEL_HOLDS_OBJECTS, OPSET_UNREACHABLE, TRUNK_DISAGREES: see ``errors.custom_model``.
        """
        require_packages(("onnx", "onnxruntime"), extra="onnxruntime", needed_for="export")
        if self.entry.form is not None:
            require_packages(("torch", "onnxscript"), extra="train", needed_for=f"a {self.entry.form} file")
        with sleeping_threads():
            from edgecnn.graph.custom.file import CustomRequest, digest_of_file, make_custom_trunk

        if digest_of_file(input_paths["model"], self.entry.form) != self.inputs["model"]:
            raise CUSTOM_MODEL_CHANGED(path=input_paths["model"])
        make_custom_trunk(CustomRequest(input_paths["model"], input_paths["pixels"], self.entry, self.feeding), out, tell)
