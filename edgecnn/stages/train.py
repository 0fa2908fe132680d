"""train: images and starting weights become the network's trained weights, and a history of how they came to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.training.idle_threads import sleeping_threads
from edgecnn.training.settings import ANSWER_FROZEN, LEARN, TrainSettings
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
