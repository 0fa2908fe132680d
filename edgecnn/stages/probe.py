"""probe: a network that learned nothing, with images that were drawn, so that its kits can be timed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.training.settings import ProbeSettings
from edgecnn.values.stage import Progress, Role, Stage

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
