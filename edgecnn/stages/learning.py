"""The stages that train: transfer decides how much is retrained, train makes the network, surgery and aware change a trained one.

Each imports torch inside ``make``. ``resume/`` holds decoded images and checkpoints. An interrupted stage continues from them,
and a finished stage deletes the folder.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.training.settings import (
    ANSWER_FROZEN,
    LEARN,
    AwareSettings,
    SurgerySettings,
    TrainSettings,
    TransferSettings,
    sleeping_threads,
)
from edgecnn.values.stage import Progress, Role, Stage


class TrainStage(Stage, TrainSettings):
    """Train a network, and write ``weights.safetensors`` and ``history.json``.

    Inputs: ``images`` (a manifest), ``made`` (synthesize) or both; ``pixels`` (prepare, of which only validation is read);
    ``weights`` (fetch) unless training starts from scratch; ``transfer`` if the recipe says auto; ``teacher`` (another train) for
    distillation. An interrupted training continues from ``resume/``, and ends with the same bytes as an uninterrupted one.
    """

    kind: ClassVar[str] = "train"
    revision: ClassVar[int] = 5
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Packages for training, for frozen features and for fitted heads, and the libraries of the networks."""
        answering = ANSWER_FROZEN if self.mode == "finetune" else ()
        fitting = () if self.head == "linear" else ("scikit-learn",)
        teaching = () if self.teacher is None else libraries_of(self.teacher.arch)
        needed = (*LEARN, *answering, *fitting, *libraries_of(self.arch), *teaching)
        return tuple(dict.fromkeys(needed))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Train, or continue training.

        Raises:
            MissingPackage: torch is not installed.
            TRAINING_DIVERGED: the loss is not finite; the best checkpoint stays in ``resume/``.
            NOTHING_TO_TRAIN_ON, CLASSES_DIFFER: the images differ from those of the plan.
        """
        require_packages(self.tools, extra="train", needed_for="train")
        with sleeping_threads():
            from edgecnn.training.beginning import TrainingInputs
            from edgecnn.training.run import train

        train(self, TrainingInputs.of(input_paths), out, tell)


class TransferStage(Stage, TransferSettings):
    """Choose which layers to train, and write ``transfer.json`` (``values/training.py``) and the features of the probe.

    Inputs: ``images`` (a manifest), ``pixels`` (prepare) and ``weights`` (fetch).
    """

    kind: ClassVar[str] = "transfer"
    revision: ClassVar[int] = 4
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Packages for training, for frozen features and for the probe, and the library of the network."""
        return (*LEARN, "scikit-learn", *ANSWER_FROZEN, *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Compute features, or continue, run the probe, and choose.

        Raises:
            MissingPackage: torch or scikit-learn is not installed.
            CLASS_TOO_SMALL: a class has at most one training image.
            NOTHING_TO_TRAIN_ON, CLASSES_DIFFER: the images differ from those of the plan.
        """
        require_packages(self.tools, extra="train", needed_for="transfer")
        with sleeping_threads():
            from edgecnn.training.beginning import TrainingInputs
            from edgecnn.training.transfer import make_transfer

        make_transfer(self, TrainingInputs.of(input_paths), out, tell)


_TRAINS = ("numpy", "onnx", "onnxscript", "pillow", "safetensors", "torch", "torchvision")
_CHECKS = "onnxruntime"
_PRUNES = "torch-pruning"


class SurgeryStage(Stage, SurgerySettings):
    """Replace slow layers of a trained network, and retrain it to give the logits of the original.

    Inputs: ``images`` (a manifest), ``pixels`` (prepare; ``calibration`` for statistics, ``validation`` for evaluation) and
    ``weights`` (train). Files: ``model.onnx``, ``macs.json``, ``check.json``, ``golden_logits.npy`` from torch, and
    ``surgery.json`` with the course of the training. The model is a new trunk with its own layer names and multiply-adds.
    """

    kind: ClassVar[str] = "surgery"
    revision: ClassVar[int] = 3
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Packages for training, export, checking the export, and pruning."""
        return (*_TRAINS, _CHECKS, *([_PRUNES] if self.surgery.pruned else []))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Replace layers, train or continue training, and export.

        Raises:
            MissingPackage: torch or ONNX Runtime is not installed.
            BATCH_TOO_LARGE: a batch does not fit into memory; the error names a size that fits.
            TRAINING_DIVERGED: the loss is not finite.
            NOTHING_TO_TRAIN_ON, CLASSES_DIFFER: the images differ from those of the plan.
            WRONG_OPSET: the exporter wrote another opset.
            ExportDisagrees: the file gives other logits than the network.
            MacsUnknown: the multiply-adds of the file cannot be counted.
        """
        require_packages((*_TRAINS, *([_PRUNES] if self.surgery.pruned else [])), extra="train", needed_for="surgery")
        require_packages((_CHECKS,), extra="onnxruntime", needed_for="surgery's check")
        with sleeping_threads():
            from edgecnn.training.beginning import TrainingInputs
            from edgecnn.training.surgery import make_surgery

        make_surgery(self, TrainingInputs.of(input_paths), out, tell)


_ROUNDS = "torchao"


class AwareStage(Stage, AwareSettings):
    """Train a network with INT8 rounding to give the logits of the float network, and export it with Q/DQ nodes.

    Inputs: ``images`` (a manifest), ``pixels`` (prepare; ``calibration`` for ranges, ``validation`` for evaluation) and
    ``weights`` (train). Files: ``model.onnx``, ``macs.json``, ``golden_logits.npy`` from torch, and ``aware.json`` with the
    course of the training. The model has its own layer names, so residency is joined with its own multiply-adds.
    """

    kind: ClassVar[str] = "aware"
    revision: ClassVar[int] = 6
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Packages for training, rounding, export and checking the export."""
        return (*_TRAINS, _ROUNDS, _CHECKS, *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Train, or continue training, and export.

        Raises:
            MissingPackage: torch, torchao or ONNX Runtime is not installed.
            BATCH_TOO_LARGE: a batch does not fit into memory; the error names a size that fits.
            TRAINING_DIVERGED: the loss is not finite.
            NOTHING_TO_TRAIN_ON, CLASSES_DIFFER: the images differ from those of the plan.
            CALIBRATION_SET_TOO_SMALL: fewer calibration images than ``images``.
            CALIBRATION_NOT_FINITE: the float network's logits of calibration images contain NaN or infinity.
            WRONG_OPSET: the exporter wrote another opset.
            ExportDisagrees: the file gives other logits than the trained network.
            MacsUnknown: the multiply-adds of the file cannot be counted.
        """
        require_packages(_TRAINS, extra="train", needed_for="aware")
        require_packages((_ROUNDS,), extra="aware", needed_for="aware")
        require_packages((_CHECKS,), extra="onnxruntime", needed_for="aware's check")
        logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # it warns about names that torchao registers
        with sleeping_threads():
            from edgecnn.training.aware import make_aware
            from edgecnn.training.beginning import TrainingInputs

        make_aware(self, TrainingInputs.of(input_paths), out, tell)
