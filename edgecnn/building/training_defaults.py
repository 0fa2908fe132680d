"""What a recipe leaves open of training, filled in once: for the mode that is planned, and for the other that it may come to."""

from __future__ import annotations

from edgecnn.building.heads import (
    require_fitting_head,
    require_something_from_scratch,
    require_something_frozen,
    require_something_trained,
    require_steps,
)
from edgecnn.building.teaching import require_teachable
from edgecnn.errors.training import NothingToTransfer
from edgecnn.models.compound import keeps_all
from edgecnn.models.defaults import (
    Mode,
    default_augmentation,
    default_batch_size,
    default_epochs,
    default_label_smoothing,
    default_learning_rate,
)
from edgecnn.values.arch import ArchSpec
from edgecnn.values.recipe import Recipe, TrainChoice
from edgecnn.values.weights import WeightsAnswer


def completed_training(asked: Recipe, arch: ArchSpec, images: int, weights: WeightsAnswer) -> TrainChoice:
    """``[train]`` with nothing left open.

    Raises:
        NothingToTransfer: pretrained layers are to be kept, and there are none.
        HeadNotFitting: the head does not go with what else is asked.
        NothingToUnfreeze: layers are to begin one after another, and none is fine-tuned.
        NothingToShare, NothingInPrecision, NothingFromScratch, NothingInEpochs: what is asked of the whole network's training,
            and there is none.
        TeacherNotFitting: a teacher would not be heard.
    """
    train = asked.train
    mode = mode_of(train, arch, weights)
    if mode == "scratch" and train.transfer in ("head", "last", "all"):
        raise NothingToTransfer(arch=arch.name, asked=train.transfer, why=weights.why)
    require_fitting_head(asked, mode, weights.why)
    require_something_frozen(asked, mode, weights.why)
    require_steps(asked, mode)
    require_something_from_scratch(asked, mode)
    require_something_trained(asked, mode)
    require_teachable(asked, mode)
    default = "all" if train.head == "linear" else "head"
    transfer = "scratch" if mode == "scratch" else train.transfer or default
    return filled_in(train, mode, images, arch).model_copy(update={"transfer": transfer})


def mode_of(train: TrainChoice, arch: ArchSpec, weights: WeightsAnswer) -> Mode:
    """How training begins. A scaled network that lost channels or blocks does not compute what its weights learned: unless its
    features are asked for as they are, all of it must learn again. ``auto`` looks at them as they are, and may come to either.
    """
    return mode_from(train, arch, pretrained=weights.kind != "none")


def mode_from(train: TrainChoice, arch: ArchSpec, *, pretrained: bool) -> Mode:
    """The same where nobody has asked for the weights yet."""
    if not pretrained or train.transfer == "scratch":
        return "scratch"
    as_they_are = train.transfer not in (None, "all") or train.head != "linear"
    return "finetune" if as_they_are or keeps_all(arch) else "inherit"


def filled_in(train: TrainChoice, mode: Mode, images: int, arch: ArchSpec) -> TrainChoice:
    """What depends on the mode alone: figures that are stated stay."""
    recipe = train.scratch
    unset = {
        "epochs": default_epochs(mode, images),
        "learning_rate": default_learning_rate(mode, recipe, arch.scratch_rate),
        "augment": default_augmentation(mode, recipe),
        "batch_size": default_batch_size(mode, recipe),
        "label_smoothing": default_label_smoothing(mode, recipe),
    }
    return train.model_copy(update={name: value for name, value in unset.items() if getattr(train, name) is None})
