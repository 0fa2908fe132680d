"""The stages that make the trunk, the ONNX model that all candidates share: export, adopt, or probe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import PositiveInt

from edgecnn.errors.custom_model import KEPT_HEAD_DIFFERS
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.training.settings import ProbeSettings, sleeping_threads
from edgecnn.values.custom_model import Feeding, GraphEntry
from edgecnn.values.preprocessing import Normalization, Resolution
from edgecnn.values.stage import Progress, Role, Stage

_MAKES_GRAPH = ("onnx", "onnxscript", "torch", "torchvision")
_CHECKS = "onnxruntime"
NETWORK = "network.json"


class ExportStage(Stage):
    """Export trained weights from torch to ONNX, and compare both on real images.

    Inputs: ``weights`` (train, or fetch if the head of the weights is kept) and ``pixels`` (prepare). Files: ``model.onnx``,
    ``macs.json``, ``check.json``, ``golden_logits.npy`` from torch in fp32, and ``network.json`` {parameters} of the shipped
    network.
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
        """The exporter with its packages, the library of the network, and the runtime that checks the export."""
        return (*_MAKES_GRAPH, _CHECKS, *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the trunk.

        Raises:
            MissingPackage: torch or onnx is not installed.
            KEPT_HEAD_DIFFERS: the weights' head, which is kept, has another number of classes.
            MERGE_DIFFERS: merging branches for shipping changed the logits.
            WRONG_OPSET: the exporter wrote another opset.
            ExportDisagrees: the graph gives other logits than the network.
            ROUNDING_DECIDES: the network itself gives other logits in another precision.
        """
        require_packages(_MAKES_GRAPH, extra="train", needed_for="export")
        require_packages((_CHECKS,), extra="onnxruntime", needed_for="export's check")
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
    """Check the number of classes of fetched weights. Trained weights have no ``weights.json``, and always fit."""
    if not fetched.is_file():
        return
    facts = json.loads(fetched.read_text(encoding="utf-8"))
    if facts["classes"] != classes:
        raise KEPT_HEAD_DIFFERS(file=facts["file"], classes=facts["classes"], found=classes)


class AdoptStage(Stage):
    """Make the trunk from a user's model file, and compare both on real images. It replaces ``export`` in the plan.

    Inputs: ``model`` (the file) and ``pixels`` (prepare). Files: ``model.onnx``, ``macs.json``, ``check.json`` and
    ``golden_logits.npy``, as of ``export``.
    """

    kind: ClassVar[str] = "adopt"
    revision: ClassVar[int] = 10

    entry: GraphEntry
    feeding: Feeding

    @property
    def tools(self) -> tuple[str, ...]:
        """Packages that change and check the graph, and for a torch file also the exporter."""
        return ("onnx", "onnxruntime") if self.entry.form is None else ("onnx", "onnxruntime", "onnxscript", "torch")

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the trunk.

        Raises:
            MissingPackage: onnx or onnxruntime is not installed, or for a torch file torch or onnxscript.
            CUSTOM_MODEL_CHANGED: the file changed since planning.
            CustomModelUnusable, CUSTOM_MODEL_HOLDS_OBJECTS, OPSET_UNREACHABLE, TRUNK_DISAGREES: see ``errors.custom_model``.
        """
        require_packages(("onnx", "onnxruntime"), extra="onnxruntime", needed_for="export")
        if self.entry.form is not None:
            require_packages(("torch", "onnxscript"), extra="train", needed_for=f"a {self.entry.form} file")
        with sleeping_threads():
            from edgecnn.graph.custom.file import CustomRequest
            from edgecnn.graph.custom.trial import make_trunk_in_sandbox

        request = CustomRequest(input_paths["model"], input_paths["pixels"], self.entry, self.feeding)
        make_trunk_in_sandbox(request, out, self.inputs["model"], tell)


_MAKES = ("numpy", "onnx", "onnxscript", "pillow", "safetensors", "torch", "torchvision")
_PRUNES = "torch-pruning"


class ProbeStage(Stage, ProbeSettings):
    """Make pixels and trunk of an untrained network, for kits that are only timed.

    It has no inputs, writes the files of ``prepare`` and ``export``, and replaces both in the plan.
    """

    kind: ClassVar[str] = "probe"
    revision: ClassVar[int] = 4

    @property
    def tools(self) -> tuple[str, ...]:
        """Packages for synthetic images, export, checking the export and pruning, and the library of the network."""
        return (*_MAKES, _CHECKS, *libraries_of(self.arch), *([_PRUNES] if self.form.pruned else []))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Draw images, set the network's batch-norm statistics from them, and export it.

        Raises:
            MissingPackage: torch or ONNX Runtime is not installed.
            WRONG_OPSET, ExportDisagrees, ROUNDING_DECIDES, MacsUnknown: see ``make_trunk``.
        """
        require_packages(_MAKES, extra="train", needed_for="a latency table")
        require_packages((_CHECKS,), extra="onnxruntime", needed_for="export's check")
        from edgecnn.models.catalogue import timed_arch
        from edgecnn.training.untrained import make_untrained

        make_untrained(timed_arch(self.arch), self, out, tell)
