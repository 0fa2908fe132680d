"""The desktop-GPU baseline: program exports the trained network as a torch program, variant changes its session options."""

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
    """Export the network in fp32 as a torch program, the baseline on a desktop GPU.

    Inputs: ``weights`` (train or fetch) and ``pixels`` (prepare or probe); without ``weights``, the untrained network of probe.
    Files: ``program.pt2``, ``model.json`` and ``golden_logits.npy``, for ``package``. The program is not made from the ONNX
    trunk, so an error of the ONNX exporter does not affect the baseline.
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
        """Torch, and the library of the network."""
        return ("torch", "torchvision", *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Write the program, and torch's logits on the CPU.

        Raises:
            MissingPackage: torch is not installed.
            GOLDEN_NOT_TELLING: all golden images get the same logits.
        """
        require_packages(self.tools, extra="train", needed_for=self.candidate.id)
        from edgecnn.graph.export import save_program
        from edgecnn.models.catalogue import arch_named
        from edgecnn.models.networks import load_shipping
        from edgecnn.runtimes.candidate import record_golden
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
        record_golden(out, input_paths["pixels"], self.normalization, self.candidate, tell)
        tell.step(f"make {self.candidate.id}", 1, 1)

    def _model_file(self) -> ModelFile:
        return ModelFile(
            session=SessionSpec(module=BACKEND.session_module, options=self.candidate.session_options),
            model=ModelSpec(entry=PROGRAM, files=(PROGRAM,), output=ModelOutput(classes=self.classes)),
            requirements=ModelRequirements(packages=BACKEND.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[self.candidate.precision],
        )


class VariantStage(Stage):
    """Make a variant of the baseline: the same program with other session options.

    Inputs: ``program`` (program) and ``pixels`` (prepare). Files: the program, ``model.json`` with the options, and
    ``golden_logits.npy`` from torch in fp32 on the CPU. The tolerance of the logits depends on the variant's precision.
    """

    kind: ClassVar[str] = "variant"
    revision: ClassVar[int] = 3

    candidate: Candidate
    normalization: Normalization

    @property
    def tools(self) -> tuple[str, ...]:
        """Only torch."""
        return ("torch",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Copy the program, and write the variant's options.

        Raises:
            MissingPackage: torch is not installed.
            GOLDEN_NOT_TELLING: all golden images get the same logits.
        """
        require_packages(self.tools, extra="train", needed_for=self.candidate.id)
        from edgecnn.runtimes.candidate import record_golden

        tell.step(f"make {self.candidate.id}", 0, 1)
        reference = ModelFile.model_validate_json((input_paths["program"] / MODEL_FILE_NAME).read_text(encoding="utf-8"))
        for name in reference.model.files:
            shutil.copyfile(input_paths["program"] / name, out / name)
        (out / MODEL_FILE_NAME).write_text(self._model_file(reference).to_json(), encoding="utf-8")
        record_golden(out, input_paths["pixels"], self.normalization, self.candidate, tell)
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
