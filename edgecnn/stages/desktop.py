"""Makes the network that plays the desktop-GPU baseline, torch's own program of the trained weights in fp32, and its variants:

the same network, byte for byte, with other session options.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import PositiveInt

from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.runtimes.torch import BACKEND, COMPILER_PACKAGES
from edgecnn.values.candidate import Candidate
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    ModelFile,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)
from edgecnn.values.preprocessing import Normalization, Resolution
from edgecnn.values.stage import Progress, Role, Stage

PROGRAM = "program.pt2"


class ProgramStage(Stage):
    """Trained weights → ``program.pt2``, ``model.json`` and ``golden_logits.npy``, as ``package`` takes them.

    Inputs: ``weights`` (train or fetch) and ``pixels`` (prepare or probe); without ``weights`` the network that learned nothing
    of which ``pixels`` was drawn. The candidate is no branch of the ONNX trunk: a baseline that shared the exporter would share
    its mistakes.
    """

    kind: ClassVar[str] = "program"
    revision: ClassVar[int] = 4

    candidate: Candidate
    arch: str
    classes: PositiveInt
    resolution_px: Resolution
    normalization: Normalization

    @property
    def tools(self) -> tuple[str, ...]:
        """Torch, and the network's source."""
        return ("torch", "torchvision", *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the program and what torch on the CPU answers.

        Raises:
            MissingPackage: torch is not installed.
            GOLDEN_NOT_TELLING: every golden image gets the same answer.
        """
        require_packages(self.tools, extra="train", needed_for=self.candidate.id)
        from edgecnn.graph.export import save_program
        from edgecnn.models.catalogue import arch_named
        from edgecnn.models.networks import load_shipping
        from edgecnn.runtimes.candidate import record_answers
        from edgecnn.training.untrained import untrained_network

        tell.step(f"make {self.candidate.id}", 0, 1)
        spec = arch_named(self.arch)
        if "weights" in input_paths:
            network = load_shipping(spec, self.classes, input_paths["weights"] / "weights.safetensors", self.resolution_px)
        else:
            drawn = np.load(input_paths["pixels"] / "test.pixels.npy")
            network = untrained_network(spec, self.classes, self.normalization.feed(drawn))
        save_program(network, self.resolution_px, out / PROGRAM)
        (out / MODEL_FILE_NAME).write_text(self._model_file().to_json(), encoding="utf-8")
        record_answers(out, input_paths["pixels"], self.normalization, self.candidate, tell)
        tell.step(f"make {self.candidate.id}", 1, 1)

    def _model_file(self) -> ModelFile:
        return ModelFile(
            session=SessionSpec(module=BACKEND.session_module, options=self.candidate.session_options),
            model=ModelSpec(entry=PROGRAM, files=(PROGRAM,), output=ModelOutput(classes=self.classes)),
            requirements=ModelRequirements(packages=BACKEND.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[self.candidate.precision],
        )


class VariantStage(Stage):
    """Program → the same program, ``model.json`` with the candidate's options, and ``golden_logits.npy``.

    Inputs: ``program`` (program) and ``pixels`` (prepare). Golden answers are torch's in fp32 on the CPU; how far the variant may
    be from them follows from its precision.
    """

    kind: ClassVar[str] = "variant"
    revision: ClassVar[int] = 3

    candidate: Candidate
    normalization: Normalization

    @property
    def tools(self) -> tuple[str, ...]:
        """Torch."""
        return ("torch",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Copy the program and describe how it is opened.

        Raises:
            MissingPackage: torch is not installed.
            GOLDEN_NOT_TELLING: every golden image gets the same answer.
        """
        require_packages(self.tools, extra="train", needed_for=self.candidate.id)
        from edgecnn.runtimes.candidate import record_answers

        tell.step(f"make {self.candidate.id}", 0, 1)
        reference = ModelFile.model_validate_json((input_paths["program"] / MODEL_FILE_NAME).read_text(encoding="utf-8"))
        for name in reference.model.files:
            shutil.copyfile(input_paths["program"] / name, out / name)
        (out / MODEL_FILE_NAME).write_text(self._model_file(reference).to_json(), encoding="utf-8")
        record_answers(out, input_paths["pixels"], self.normalization, self.candidate, tell)
        tell.step(f"make {self.candidate.id}", 1, 1)

    def _model_file(self, reference: ModelFile) -> ModelFile:
        options = self.candidate.session_options
        besides = COMPILER_PACKAGES if options.get("compile") == "tensorrt" else {}
        return reference.model_copy(
            update={
                "session": reference.session.model_copy(update={"options": options}),
                "requirements": ModelRequirements(packages={**reference.requirements.packages, **besides}),
                "logits_tolerance": LOGITS_TOLERANCE[self.candidate.precision],
            }
        )
