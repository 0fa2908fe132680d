"""transfer: how much of a pretrained network is to be learned anew, decided by measuring, in a file that train reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.training.idle_threads import sleeping_threads
from edgecnn.training.settings import ANSWER_FROZEN, LEARN, TransferSettings
from edgecnn.values.stage import Progress, Role, Stage


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
