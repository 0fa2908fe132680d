"""Ranks the network's layers by what INT8 does to each alone: the input of every rung that keeps some of them in float."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.installed import require_packages
from edgecnn.runtimes.job import RankSettings
from edgecnn.values.stage import Progress, Role, Stage


class RankStage(Stage, RankSettings):
    """``model.onnx`` → ``ranking.json``. Inputs: ``model`` (export) and ``pixels`` (prepare).

    Damage is measured with ONNX Runtime's INT8 whichever runtime is to ship: which tensors are too wide for 8 bits is a matter of
    the network, and so one ranking serves all.
    """

    kind: ClassVar[str] = "rank"
    revision: ClassVar[int] = 3

    @property
    def tools(self) -> tuple[str, ...]:
        """What quantizes and what runs."""
        return ("onnx", "onnxruntime")

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the ranking.

        Raises:
            MissingPackage: ONNX Runtime is not installed.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the network's answers to calibration images hold NaN or infinity.
            ALREADY_QUANTIZED: the trunk already holds quantization nodes.
        """
        require_packages(self.tools, extra="onnxruntime", needed_for="ranking layers")
        from edgecnn.runtimes.ranking import rank_layers

        rank_layers(self, input_paths["model"] / "model.onnx", input_paths["pixels"], out, tell)
