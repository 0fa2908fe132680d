"""What goes with frozen layers: heads that are fitted on their features want them frozen, and unfreezing wants them learned."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.errors.training import (
    HeadNotFitting,
    NothingFromScratch,
    NothingInEpochs,
    NothingInPrecision,
    NothingToShare,
    NothingToUnfreeze,
    TeacherNotFitting,
)
from edgecnn.models.defaults import Mode
from edgecnn.values.recipe import Recipe


def require_something_frozen(asked: Recipe, mode: Mode, weights: str) -> None:
    """Refuse to unfreeze what never was frozen.

    Raises:
        NothingToUnfreeze: names what leaves nothing to be fine-tuned group by group.
    """
    train = asked.train
    if train.unfreeze == "all":
        return
    if mode != "finetune":
        raise NothingToUnfreeze(beside="training from scratch", because=f"every layer has to learn: {weights}")
    if (beside := _head_alone(asked, mode)) is not None:
        raise NothingToUnfreeze(beside=beside, because="nothing but the head learns")


def require_steps(asked: Recipe, mode: Mode) -> None:
    """Refuse what is said of the whole network's steps where it takes none.

    Raises:
        NothingToShare, NothingInPrecision: name what leaves the whole network as it is.
    """
    train = asked.train
    beside = "train.epochs=0" if train.epochs == 0 else _head_alone(asked, mode)
    if beside is None:
        return
    if train.processes > 1:
        raise NothingToShare(processes=train.processes, beside=beside)
    if train.precision != "fp32":
        raise NothingInPrecision(precision=train.precision, beside=beside)


def require_something_from_scratch(asked: Recipe, mode: Mode) -> None:
    """Refuse a recipe for random weights where none are trained.

    Raises:
        NothingFromScratch: training begins from pretrained weights, and nothing may come to another decision.
    """
    train = asked.train
    if mode == "finetune" and train.scratch != "short" and train.transfer != "auto":
        raise NothingFromScratch(recipe=train.scratch)


def require_something_trained(asked: Recipe, mode: Mode) -> None:
    """Refuse epochs of the whole network where its head alone learns.

    Raises:
        NothingInEpochs: names what leaves the rest of the network as it is.
    """
    train, beside = asked.train, _head_alone(asked, mode)
    if train.epochs and beside is not None:
        fitted = train.head != "linear"
        instead = "it is fitted in one go" if fitted else "train.head_epochs says how long its head learns"
        raise NothingInEpochs(epochs=train.epochs, beside=beside, instead=instead)


def require_fitting_head(asked: Recipe, mode: Mode, weights: str) -> None:
    """Refuse a contradiction before any time is spent.

    Raises:
        HeadNotFitting: names what the head does not go with.
    """
    head, transfer = asked.train.head, asked.train.transfer
    if head == "linear":
        return
    if asked.train.balance != "none":
        because = "each image counts once in what is fitted"
        raise HeadNotFitting(head=head, beside=f"train.balance={asked.train.balance}", because=because)
    if mode == "scratch":
        raise HeadNotFitting(head=head, beside="random weights", because=f"their features tell nothing apart: {weights}")
    if transfer not in (None, "head"):
        because = "it is fitted on frozen features, so that nothing else learns"
        raise HeadNotFitting(head=head, beside=f"--transfer {transfer}", because=because)
    learned = asked.quantize.aware or (asked.surgery.activation, asked.surgery.squeeze_excite) != ("keep", "keep")
    if head == "knn" and learned:
        because = "votes of neighbours give no gradient to learn from"
        raise HeadNotFitting(head=head, beside="quantize.aware" if asked.quantize.aware else "[surgery]", because=because)


def _head_alone(asked: Recipe, mode: Mode) -> str | None:
    """What leaves all of a pretrained network but its head as it is, where anything that is asked does."""
    train = asked.train
    if mode != "finetune":
        return None
    if train.head != "linear":
        return f"train.head={train.head}"
    return "--transfer head" if train.transfer == "head" else None


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
