"""The stages that make the trunk, the ONNX model that all candidates share: export, adopt, or probe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import PositiveInt

from edgecnn.errors.custom_model import CUSTOM_MODEL_CHANGED, KEPT_HEAD_DIFFERS
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.training.settings import ProbeSettings, sleeping_threads
from edgecnn.values.custom_model import Feeding, GraphEntry
from edgecnn.values.preprocessing import Normalization, Resolution
from edgecnn.values.stage import Progress, Role, Stage

_MAKES_GRAPH = ("onnx", "onnxscript", "torch", "torchvision")
_CHECKS_GRAPH = "onnxruntime"
NETWORK = "network.json"


class ExportStage(Stage):
    """Trained weights → ``model.onnx``, ``macs.json``, ``check.json`` and ``golden_logits.npy`` from torch in fp32, and
    ``network.json`` {parameters} of what ships.

    Inputs: ``weights`` (train; fetch where the weights' own head is kept) and ``pixels`` (prepare).
    """

    kind: ClassVar[str] = "export"
    revision: ClassVar[int] = 7

    arch: str
    classes: PositiveInt
    resolution_px: Resolution
    normalization: Normalization
    opset: Literal[20] = 20

    @property
    def tools(self) -> tuple[str, ...]:
        """The exporter and what it writes with, the network's source, and the runtime that checks the result."""
        return (*_MAKES_GRAPH, _CHECKS_GRAPH, *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the trunk.

        Raises:
            MissingPackage: torch or onnx is not installed.
            KEPT_HEAD_DIFFERS: the head that is kept has other classes.
            MERGE_DIFFERS: branches that were merged for shipping answer otherwise.
            WRONG_OPSET: the exporter left another opset than the one asked for.
            ExportDisagrees: the graph does not compute what the network computes.
            ROUNDING_DECIDES: nor does the network itself, in another precision.
        """
        require_packages(_MAKES_GRAPH, extra="train", needed_for="export")
        require_packages((_CHECKS_GRAPH,), extra="onnxruntime", needed_for="export's check")
        from edgecnn.graph.export import TrunkRequest, make_trunk
        from edgecnn.models.catalogue import arch_named
        from edgecnn.models.networks import load_shipping, shipped_parameter_count

        _refuse_another_head(input_paths["weights"] / "weights.json", self.classes)
        tell.step("export to ONNX", 0, 3)
        spec, weights = arch_named(self.arch), input_paths["weights"] / "weights.safetensors"
        network = load_shipping(spec, self.classes, weights, self.resolution_px)
        request = TrunkRequest(
            pixels=input_paths["pixels"], resolution_px=self.resolution_px, normalization=self.normalization, opset=self.opset
        )
        make_trunk(network, request, out, tell)
        facts = {"parameters": shipped_parameter_count(network, spec)}
        (out / NETWORK).write_text(json.dumps(facts) + "\n", encoding="utf-8")


def _refuse_another_head(fetched: Path, classes: int) -> None:
    """Only what was fetched says how many classes it has; what was trained has those that were asked for."""
    if not fetched.is_file():
        return
    facts = json.loads(fetched.read_text(encoding="utf-8"))
    if facts["classes"] != classes:
        raise KEPT_HEAD_DIFFERS(file=facts["file"], classes=facts["classes"], found=classes)


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
            from edgecnn.graph.custom.file import CustomRequest, content_of_file, make_custom_trunk

        if content_of_file(input_paths["model"], self.entry.form) != self.inputs["model"]:
            raise CUSTOM_MODEL_CHANGED(path=input_paths["model"])
        make_custom_trunk(CustomRequest(input_paths["model"], input_paths["pixels"], self.entry, self.feeding), out, tell)


_MAKES = ("numpy", "onnx", "onnxscript", "pillow", "safetensors", "torch", "torchvision")
_CHECKS = "onnxruntime"
_PRUNES = "torch-pruning"


class ProbeStage(Stage, ProbeSettings):
    """Writes what ``prepare`` and ``export`` leave: quantize and package take it in the place of both. Reads nothing."""

    kind: ClassVar[str] = "probe"
    revision: ClassVar[int] = 4

    @property
    def tools(self) -> tuple[str, ...]:
        """The network's source, what draws, the exporter, the runtime that checks its file, and what prunes."""
        return (*_MAKES, _CHECKS, *libraries_of(self.arch), *([_PRUNES] if self.form.pruned else []))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Draw the images, settle the network on them, and export it.

        Raises:
            MissingPackage: torch or ONNX Runtime is not installed.
            WRONG_OPSET, ExportDisagrees, ROUNDING_DECIDES, MacsUnknown: as the export of a trained network.
        """
        require_packages(_MAKES, extra="train", needed_for="a latency table")
        require_packages((_CHECKS,), extra="onnxruntime", needed_for="export's check")
        from edgecnn.models.catalogue import timed_arch
        from edgecnn.training.untrained import make_untrained

        make_untrained(timed_arch(self.arch), self, out, tell)
