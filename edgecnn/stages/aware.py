"""aware: trained weights learn to give the float network's answers in INT8, and leave as an ONNX file with Q/DQ."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.training.idle_threads import sleeping_threads
from edgecnn.training.settings import AwareSettings
from edgecnn.values.stage import Progress, Role, Stage

_TRAINS = ("numpy", "onnx", "onnxscript", "pillow", "safetensors", "torch", "torchvision")
_ROUNDS = "torchao"
_CHECKS = "onnxruntime"


class AwareStage(Stage, AwareSettings):
    """Writes ``model.onnx``, its ``macs.json``, ``golden_logits.npy`` from torch, and ``aware.json``: how it came to be.

    The file begins a new lineage: its layers have names of their own, so that residency is joined with its own table of
    multiply-adds. Roles: ``images`` (a manifest), ``pixels`` (prepare; calibration for ranges, validation to judge, test
    never) and ``weights`` (train). ``resume/`` holds decoded images and checkpoints and is gone when the stage is finished; a
    call that finds it continues there.
    """

    kind: ClassVar[str] = "aware"
    revision: ClassVar[int] = 5
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Arithmetic, decoding, rounding, the exporter, and the runtime that checks the result."""
        return (*_TRAINS, _ROUNDS, _CHECKS, *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Train, or continue training, and export.

        Raises:
            MissingPackage: torch, torchao or ONNX Runtime is not installed.
            BATCH_TOO_LARGE: a batch does not fit into memory; names the size that would.
            TRAINING_DIVERGED: the loss is no finite number.
            NOTHING_TO_TRAIN_ON, ClassesDiffer: the images are not those that were planned for.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the float network's answers to calibration images hold NaN or infinity.
            WRONG_OPSET: the exporter left another opset than the one asked for.
            ExportDisagrees: the file does not answer as the network that learned.
            MacsUnknown: the file's multiply-adds cannot be counted.
        """
        require_packages(_TRAINS, extra="train", needed_for="aware")
        require_packages((_ROUNDS,), extra="aware", needed_for="aware")
        require_packages((_CHECKS,), extra="onnxruntime", needed_for="aware's check")
        logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # it warns of how torchao registers its own names
        with sleeping_threads():
            from edgecnn.training.aware import make_aware
            from edgecnn.training.beginning import TrainingInputs

        make_aware(self, TrainingInputs.of(input_paths), out, tell)
