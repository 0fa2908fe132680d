"""What goes with several labels an image, and what does not: refused before any time is spent."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.errors.data.multi_label import BOUND_OF_SEVERAL_LABELS, multi_label_not_fitting
from edgecnn.judging.findings import OF_ONE_CLASS, OF_SEVERAL
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import GateChoice, Recipe

_FITTED = "it is fitted to one class an image; train.head=linear learns each label by itself"
_SOFTMAX = "it learns a network's answers as shares of one class"
_MEASURES = "it decides by the accuracy of one class an image; head, last and all can be asked for"


def require_fitting(recipe: Recipe, data: DataSummary) -> None:
    """Hold what is asked against the data.

    ``recipe``: as the user said it. Raises MultiLabelNotFitting: names the setting and why.
    """
    if data.multi_label:
        for setting, because in (*_unfitting_network(recipe), *_unfitting_training(recipe)):
            raise multi_label_not_fitting(setting=setting, because=because)


def require_bounds(data: DataSummary, *gates: GateChoice | None) -> None:
    """Refuse bounds that nothing of these images could be held against. Raises MultiLabelNotFitting, BOUND_OF_SEVERAL_LABELS."""
    bounded = [name for choice in gates if choice is not None for name in (*choice.max, *choice.min)]
    if data.multi_label and (name := next((name for name in bounded if name in OF_ONE_CLASS), None)) is not None:
        because = f"{', '.join(OF_SEVERAL)}, macro_f1 and agreement can be bounded there"
        raise multi_label_not_fitting(setting=f"a bound of {name}", because=because, hint="as in --max map_drop_pp=1")
    one_class = data.labelled and not data.multi_label
    if one_class and (name := next((name for name in bounded if name in OF_SEVERAL), None)) is not None:
        raise BOUND_OF_SEVERAL_LABELS(metric=name)


def _unfitting_network(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.model.keep_head:
        yield "--keep-head", "a published head tells one class of an image"
    if recipe.surgery.suffix:
        yield "[surgery]", _SOFTMAX


def _unfitting_training(recipe: Recipe) -> Iterator[tuple[str, str]]:
    train = recipe.train
    if train.head != "linear":
        yield f"train.head={train.head}", _FITTED
    if train.folds is not None:
        yield "train.folds", "a drop of mAP is not taken over the networks of several folds"
    if train.balance != "none":
        yield f"train.balance={train.balance}", "an image counts for each of its labels, frequent and rare ones alike"
    if train.transfer == "auto":
        yield "--transfer auto", _MEASURES
    if train.teacher is not None:
        yield "train.teacher", _SOFTMAX
    if recipe.quantize.aware:
        yield "quantize.aware", _SOFTMAX
    if recipe.synthesis.cutouts is not None:
        yield "[synthesis]", "what is composed shows the one object that its class says"
