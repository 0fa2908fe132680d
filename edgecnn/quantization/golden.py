"""What a candidate answers to the golden images, and how far another machine may be from that without being wrong.

The tolerance leaves room for other kernels and yet is kept under what swapped colour channels change, so that a kit that feeds
its network blue for red fails its self-test. A network that hardly looks at colour cannot be tested so; that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgecnn.errors.graph import GoldenNotTelling
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import LOGITS_TOLERANCE, MODEL_FILE_NAME, ModelFile
from edgecnn.values.preprocessing import Normalization

TWIN_FOLDER = "twin"
"""Where a candidate that this machine cannot run leaves the model that answers for it."""
LEAST_TOLERANCE = {Precision.FP32: 0.0005, Precision.TF32: 0.01, Precision.BF16: 0.02, Precision.FP16: 0.02, Precision.INT8: 0.02}
"""Share of the logits' spread that other machines are granted in any case. Between x86 and aarch64 fp32 differed by 1e-6 and
INT8 not at all in ONNX Runtime; TensorRT rounds activations where its twin does not; TF32 has fp16's mantissa."""

HALVES_COMPUTED_WIDER = {Runtime.NCNN: 0.06, Runtime.OPENVINO: 0.06}
"""The same of fp16 in runtimes that compute it in fp32 on the machine that builds: a ResNet-18 on an emulated Cortex-A76 was off
by 0.047 in ncnn and by 0.026 in OpenVINO."""


@dataclass(frozen=True)
class Golden:
    """``logits`` float32 (G, classes); ``tolerance`` and ``swap`` as shares of the logits' spread."""

    logits: npt.NDArray[np.float32]
    tolerance: float
    swap: float
    """What exchanging red and blue changes at most."""

    @property
    def tells_channels(self) -> bool:
        """True where a kit with exchanged channels fails its self-test by its logits."""
        return self.swap > self.tolerance


def golden_of(made: Path, prepared: Path, normalization: Normalization, candidate: Candidate) -> Golden:
    """The golden answers of the model in ``made``, or of its twin where there is one; ``prepared`` is what ``prepare`` made.

    Raises GoldenNotTelling: every image gets the same answer, or one that is no number.
    """
    folder = answering_folder(made)
    model = ModelFile.model_validate_json((folder / MODEL_FILE_NAME).read_text(encoding="utf-8"))
    pixels = np.load(prepared / "golden" / "pixels.npy")
    logits = answers_of_files(folder, model, pixels, normalization)
    spread = float(logits.max() - logits.min())
    if not np.ptp(logits, axis=0).max() > 0:
        raise GoldenNotTelling(candidate=candidate.id, images=len(pixels))
    swap = float(np.max(np.abs(answers_of_files(folder, model, pixels[..., ::-1], normalization) - logits))) / spread
    least, most = least_tolerance(candidate), LOGITS_TOLERANCE[candidate.precision]
    return Golden(logits=logits, tolerance=max(least, min(most, swap / 2)), swap=swap)


def least_tolerance(candidate: Candidate) -> float:
    """Share of the logits' spread that another machine is granted in any case."""
    least = LEAST_TOLERANCE[candidate.precision]
    return max(least, HALVES_COMPUTED_WIDER.get(candidate.runtime, least)) if candidate.precision is Precision.FP16 else least


def answering_folder(made: Path) -> Path:
    """Return the folder of the twin where there is one, else the candidate's own."""
    return made / TWIN_FOLDER if (made / TWIN_FOLDER).is_dir() else made


def answers_of_files(
    folder: Path, model: ModelFile, pixels: npt.NDArray[np.uint8], normalization: Normalization
) -> npt.NDArray[np.float32]:
    """Return the logits, float32 (N, classes), of model files in their runtime. ``pixels``: uint8 (N, H, W, 3)."""
    wants = model.model.input
    feed = normalization.feed(pixels, wants.dtype, wants.layout)
    executor: Any = import_module(f"edgecnn.quantization.executors.{model.session.module}")
    return cast("npt.NDArray[np.float32]", executor.run(folder, model, feed))
