"""Turns the trunk into one candidate's model files, float candidates included, and records what they answer.

Which module does it follows from the candidate alone, through the tables of ``backends`` and ``quantization``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import NonNegativeInt

from edgecnn.backends.installed import require_packages
from edgecnn.backends.registry import backend_for
from edgecnn.quantization.registry import way_to
from edgecnn.values.candidate import Candidate, Method
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress, Role, Stage


class QuantizeStage(Stage):
    """``model.onnx`` → the candidate's files, ``model.json``, ``golden_logits.npy`` and ``quantize.json``.

    Inputs: ``model`` (export; aware for a quantization-aware candidate) and ``pixels`` (prepare).
    """

    kind: ClassVar[str] = "quantize"
    revision: ClassVar[int] = 1

    candidate: Candidate
    images: NonNegativeInt
    """Calibration images. A candidate that is not calibrated here (float, or quantization-aware) reads none: its number is 0
    whatever was asked, so that another one is no miss."""
    normalization: Normalization

    def model_post_init(self, _context: Any) -> None:
        """Only post-training quantization calibrates here."""
        if self.candidate.precision.is_float or self.candidate.method is Method.AWARE_TRAINING:
            object.__setattr__(self, "images", 0)

    @property
    def tools(self) -> tuple[str, ...]:
        """What the candidate's runtime and method run."""
        backend = backend_for(self.candidate.runtime)
        return tuple(sorted({*backend.packages, *way_to(self.candidate).packages}))

    def make(self, given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the candidate.

        Raises:
            MissingPackage: the runtime or its quantizer is not installed.
            CalibrationSetTooSmall: fewer calibration images than ``images``.
            CalibrationNotFinite: the network's answers to calibration images hold NaN or infinity.
            AlreadyQuantized: the trunk already holds quantization nodes.
            GoldenNotTelling: every golden image gets the same answer.
        """
        backend = backend_for(self.candidate.runtime)
        require_packages(self.tools, extra=backend.extra, needed_for=self.candidate.id)
        from edgecnn.quantization.candidate_files import CandidateRequest, make_candidate

        request = CandidateRequest(
            onnx=given["model"] / "model.onnx",
            pixels=given["pixels"],
            candidate=self.candidate,
            images=self.images,
            normalization=self.normalization,
        )
        make_candidate(request, out, tell)
