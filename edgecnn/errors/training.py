"""Failures while a network is trained."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class TrainingDiverged(EdgecnnError):
    """Raised when the loss is no number any more. The best checkpoint until then stays where resume finds it."""

    ref = "training-diverged"

    def __init__(self, *, phase: str, epoch: int, batch: int, best: Path | None, setting: str = "train.learning_rate") -> None:
        kept = f"; the best checkpoint so far is kept in {best}" if best else ""
        super().__init__(
            what=f"training diverged in phase {phase}, epoch {epoch}, batch {batch}",
            because=f"the loss is not a finite number{kept}",
            hint=f"lower --set {setting}, for instance to a third",
        )


class NothingToTrainOn(EdgecnnError):
    """Raised when the manifest has no image in the role ``train``, or none in ``choose`` to judge epochs by."""

    ref = "nothing-to-train-on"

    def __init__(self, *, role: str) -> None:
        super().__init__(
            what=f"there is no image in the role {role}", hint="add images, or lower [data] calibrate_images and the shares"
        )


class ClassesDiffer(EdgecnnError):
    """Raised when the images have other classes than the stage was asked to train for: the plan and the data disagree."""

    ref = "classes-differ"

    def __init__(self, *, planned: int, found: int) -> None:
        super().__init__(
            what=f"the plan trains for {planned} classes, the images have {found}", hint="plan again: the data changed meanwhile"
        )
