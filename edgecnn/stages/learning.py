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
    """Writes ``weights.safetensors`` and ``history.json``.

    Roles: ``images`` (a manifest), ``made`` (of synthesize) or both, ``pixels`` (of prepare; only validation is read, test
    never), for ``finetune`` ``weights`` (of fetch), where ``transfer`` is auto ``transfer``, and of a network that is taught
    ``teacher`` (of another train). ``resume/`` holds features and checkpoints and is gone when the stage is finished; a call
    that finds it continues there and ends with the same bytes as an uninterrupted one.
    """

    kind: ClassVar[str] = "train"
    revision: ClassVar[int] = 4
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Arithmetic, network definitions and decoding; what answers for a frozen network."""
        answering = ANSWER_FROZEN if self.mode == "finetune" else ()
        fitting = () if self.head == "linear" else ("scikit-learn",)
        teaching = () if self.teacher is None else libraries_of(self.teacher.arch)
        needed = (*LEARN, *answering, *fitting, *libraries_of(self.arch), *teaching)
        return tuple(dict.fromkeys(needed))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Train, or continue training.

        Raises:
            MissingPackage: torch is not installed.
            TRAINING_DIVERGED: the loss is no finite number; the best checkpoint stays in ``resume/``.
            NOTHING_TO_TRAIN_ON, ClassesDiffer: the images are not those that were planned for.
        """
        require_packages(self.tools, extra="train", needed_for="train")
        with sleeping_threads():
            from edgecnn.training.beginning import TrainingInputs
            from edgecnn.training.run import train

        train(self, TrainingInputs.of(input_paths), out, tell)


class TransferStage(Stage, TransferSettings):
    """Writes ``transfer.json`` (see ``values/training.py``) and the features that it was measured on.

    Roles: ``images`` (a manifest), ``pixels`` (of prepare) and ``weights`` (of fetch).
    """

    kind: ClassVar[str] = "transfer"
    revision: ClassVar[int] = 4
    resumable: ClassVar[bool] = True

    @property
    def tools(self) -> tuple[str, ...]:
        """Arithmetic, network definitions, decoding, features of many images, and the probe."""
        return (*LEARN, "scikit-learn", *ANSWER_FROZEN, *libraries_of(self.arch))

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Measure and choose, or go on measuring.

        Raises:
            MissingPackage: torch or scikit-learn is not installed.
            CLASS_TOO_SMALL: a class has one training image or none.
            NOTHING_TO_TRAIN_ON, ClassesDiffer: the images are not those that were planned for.
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


_ROUNDS = "torchao"


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
