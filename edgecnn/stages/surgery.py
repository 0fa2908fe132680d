"""surgery: what runs slowly is taken out of trained weights, which learn the unchanged network's answers again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.installed import require_packages
from edgecnn.training.idle_threads import sleeping_threads
from edgecnn.training.settings import SurgerySettings
from edgecnn.values.stage import Progress, Role, Stage

_TRAINS = ("numpy", "onnx", "onnxscript", "pillow", "safetensors", "torch", "torchvision")
_CHECKS = "onnxruntime"
_PRUNES = "torch-pruning"


class SurgeryStage(Stage, SurgerySettings):
    """Writes ``model.onnx``, ``macs.json``, ``check.json``, ``golden_logits.npy`` from torch, and ``surgery.json``: how it came
    to be.

    The file begins a new lineage, with a table of multiply-adds of its own. Roles: ``images`` (a manifest), ``pixels`` (prepare;
    ``calibration`` for statistics, ``validation`` to judge, ``test`` never) and ``weights`` (train). ``resume/`` holds decoded
    images and checkpoints and is gone when the stage is finished; a call that finds it continues there.
    """

    kind: ClassVar[str] = "surgery"
    revision: ClassVar[int] = 3
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Arithmetic, decoding, network definitions, the exporter, the runtime that checks the result, and what prunes."""
        return (*_TRAINS, _CHECKS, *([_PRUNES] if self.surgery.pruned else []))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Exchange layers, train, or continue training, and export.

        Raises:
            MissingPackage: torch or ONNX Runtime is not installed.
            BATCH_TOO_LARGE: a batch does not fit into memory; names the size that would.
            TRAINING_DIVERGED: the loss is no finite number.
            NOTHING_TO_TRAIN_ON, ClassesDiffer: the images are not those that were planned for.
            WRONG_OPSET: the exporter left another opset than the one asked for.
            ExportDisagrees: the file does not compute what the network computes.
            MacsUnknown: the file's multiply-adds cannot be counted.
        """
        require_packages((*_TRAINS, *([_PRUNES] if self.surgery.pruned else [])), extra="train", needed_for="surgery")
        require_packages((_CHECKS,), extra="onnxruntime", needed_for="surgery's check")
        with sleeping_threads():
            from edgecnn.training.beginning import TrainingInputs
            from edgecnn.training.surgery import make_surgery

        make_surgery(self, TrainingInputs.of(input_paths), out, tell)
