"""What a teacher goes with: where its answers would not be learned, it is refused before any time is spent."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.errors.teaching import TeacherNotFitting
from edgecnn.models.defaults import Mode
from edgecnn.values.recipe import Recipe

_FROM_LABELS = "the head alone learns, and that from labels"


def require_teachable(asked: Recipe, mode: Mode | None) -> None:
    """Refuse a contradiction.

    Args:
        asked: as the user said it.
        mode: how training begins; None where nothing is trained.

    Raises:
        TeacherNotFitting: names what does not go with a teacher.
    """
    if asked.train.teacher is None:
        return
    for beside, because in _unheard(asked, mode):
        raise TeacherNotFitting(beside=beside, because=because)


def _unheard(asked: Recipe, mode: Mode | None) -> Iterator[tuple[str, str]]:
    train = asked.train
    if mode is None:
        yield "--keep-head" if asked.model.onnx is None else "--model", "nothing is trained"
    if train.epochs == 0:
        yield "train.epochs=0", "its answers are learned in the epochs of the whole network"
    if train.head != "linear":
        yield f"train.head={train.head}", _FROM_LABELS
    if mode == "finetune" and train.transfer == "head":
        yield "--transfer head", _FROM_LABELS
    if mode == "finetune" and train.transfer == "auto":
        yield "--transfer auto", "it may come to the head alone, which learns from labels"
    if train.balance == "weights":
        yield (
            "train.balance=weights",
            "weights follow from labels, which are not learned from; sampling goes with a teacher",
        )
