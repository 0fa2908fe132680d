"""Turns the trunk into one candidate's model files, float candidates included, and records what they answer.

Which module does it follows from the candidate alone, through the tables of ``runtimes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import NonNegativeInt, PositiveInt

from edgecnn.errors.graph import NOTHING_LEFT_TO_QUANTIZE
from edgecnn.errors.weights import PACKAGE_UNIMPORTABLE
from edgecnn.installed import require_packages
from edgecnn.runtimes.registry import backend_for, packages_for, way_to
from edgecnn.values.candidate import Candidate
from edgecnn.values.layers import RANKING_FILE_NAME, RankedLayer, Ranking
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress, Role, Stage

if TYPE_CHECKING:
    from edgecnn.runtimes.candidate import CandidateRequest


class QuantizeStage(Stage):
    """``model.onnx`` → the candidate's files, ``model.json``, ``golden_logits.npy`` and ``quantize.json``.

    Inputs: ``model`` (export; aware for a quantization-aware candidate) and ``pixels`` (prepare).
    """

    kind: ClassVar[str] = "quantize"
    revision: ClassVar[int] = 9

    candidate: Candidate
    images: NonNegativeInt
    """Calibration images. A candidate that takes no ranges from them (float, quantized before, and with learned ranges for every
    tensor) reads none: its number is 0 whatever was asked, so that another one is no miss."""
    normalization: Normalization

    def model_post_init(self, _context: Any) -> None:
        """A candidate that takes no ranges from images reads none."""
        if self.candidate.precision.is_float or not way_to(self.candidate).calibrates:
            object.__setattr__(self, "images", 0)

    @property
    def tools(self) -> tuple[str, ...]:
        """What the candidate's runtime and method run."""
        return packages_for(self.candidate)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the candidate.

        Raises:
            MissingPackage: the runtime or its quantizer is not installed.
            PACKAGE_UNIMPORTABLE: one of these is broken.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the network's answers to calibration images hold NaN or infinity.
            CALIBRATION_RANGE_NOT_FINITE: a tensor inside the network holds NaN or infinity on calibration images.
            HALF_OVERFLOW: a tensor is beyond fp16's range, and the runtime cannot keep the layers around it in fp32.
            OUTPUTS_DIFFER: a float network answers otherwise than the trunk.
            ALREADY_QUANTIZED: the trunk already holds quantization nodes.
            GOLDEN_NOT_TELLING: every golden image gets the same answer.
            NOTHING_LEFT_TO_QUANTIZE: more layers are to stay in float than there are.
            LAYER_NOT_FOUND: the runtime's model does not name a layer that is to stay in float.
        """
        backend = backend_for(self.candidate.runtime)
        require_packages(self.tools, extra=backend.extra, needed_for=self.candidate.id)
        try:
            from edgecnn.runtimes.candidate import make_candidate

            make_candidate(self._request(input_paths), out, tell)
        except ImportError as error:
            package, because = error.name or ", ".join(self.tools), " ".join(str(error).split())
            raise PACKAGE_UNIMPORTABLE(
                package=package, extra=backend.extra, needed_for=self.candidate.id, because=because
            ) from error

    def _request(self, input_paths: Mapping[Role, Path], kept: tuple[RankedLayer, ...] = ()) -> CandidateRequest:
        from edgecnn.runtimes.candidate import CandidateRequest

        return CandidateRequest(
            onnx=input_paths["model"] / "model.onnx",
            pixels=input_paths["pixels"],
            candidate=self.candidate,
            images=self.images,
            normalization=self.normalization,
            kept=kept,
        )


class MixedStage(QuantizeStage):
    """The same with the most damaging layers left in float. Inputs: also ``ranking`` (rank).

    A kind of its own it is not: what follows takes either. The setting is a rule, so that the key is known before the ranking is.
    """

    kept_float: PositiveInt
    """So many layers stay in float, the first of the ranking."""

    def _request(self, input_paths: Mapping[Role, Path], kept: tuple[RankedLayer, ...] = ()) -> CandidateRequest:
        ranking = Ranking.model_validate_json((input_paths["ranking"] / RANKING_FILE_NAME).read_text(encoding="utf-8"))
        if self.kept_float >= len(ranking.layers):
            raise NOTHING_LEFT_TO_QUANTIZE(candidate=self.candidate.id, kept=self.kept_float, layers=len(ranking.layers))
        return super()._request(input_paths, ranking.layers[: self.kept_float])
