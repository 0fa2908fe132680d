"""Makes the one ONNX trunk that every candidate comes from, and holds it against torch on real images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import PositiveInt

from edgecnn.errors.custom_model import KEPT_HEAD_DIFFERS
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
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
