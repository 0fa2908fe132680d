"""Ranks the network's layers by what INT8 does to each alone: the input of every rung that keeps some of them in float."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import PositiveInt

from edgecnn.backends.installed import require_packages
from edgecnn.values.dataset import Normalization
from edgecnn.values.stage import Progress, Role, Stage


class RankStage(Stage):
    """``model.onnx`` → ``ranking.json``. Inputs: ``model`` (export) and ``pixels`` (prepare).

    Damage is measured with ONNX Runtime's INT8 whichever runtime is to ship: which tensors are too wide for 8 bits is a matter of
    the network, and so one ranking serves all.
    """

    kind: ClassVar[str] = "rank"
    revision: ClassVar[int] = 1

    images: PositiveInt
    """Calibration images, for the ranges."""
    probes: PositiveInt = 32
    """Images of the choose role on which damage is measured, spread evenly; all of them where there are fewer. Divergence is
    averaged over probabilities, not counted in wrong answers: few images rank as many do."""
    reduced_range: bool = False
    """7-bit weights, as the candidates have them that this is for."""
    normalization: Normalization

    @property
    def tools(self) -> tuple[str, ...]:
        """What quantizes and what runs."""
        return ("onnx", "onnxruntime")

    def make(self, given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the ranking.

        Raises:
            MissingPackage: ONNX Runtime is not installed.
            CalibrationSetTooSmall: fewer calibration images than ``images``.
            CalibrationNotFinite: the network's answers to calibration images hold NaN or infinity.
            AlreadyQuantized: the trunk already holds quantization nodes.
        """
        require_packages(self.tools, extra="onnxruntime", needed_for="ranking layers")
        from edgecnn.quantization.sensitivity import RankRequest, rank_layers

        request = RankRequest(
            onnx=given["model"] / "model.onnx",
            pixels=given["pixels"],
            images=self.images,
            probes=self.probes,
            reduced_range=self.reduced_range,
            normalization=self.normalization,
        )
        rank_layers(request, out, tell)
