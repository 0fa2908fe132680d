"""Settings and bounds that do not work with several labels per image; they are refused before any work starts."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.errors.labels import BOUND_OF_SEVERAL_LABELS, multi_label_not_fitting
from edgecnn.judging.findings import OF_ONE_CLASS, OF_SEVERAL
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import GateChoice, Recipe

_FITTED = "it is fitted to one class per image; train.head=linear learns each label separately"
_SOFTMAX = "it learns from probabilities that sum to 1 over the classes"
_MEASURES = "it compares accuracy with one class per image; choose head, last or all"


def require_fitting(recipe: Recipe, data: DataSummary) -> None:
    """Refuse settings that do not work with multi-label data. Raises MultiLabelNotFitting."""
    if data.multi_label:
        for setting, because in (*_unfitting_network(recipe), *_unfitting_training(recipe)):
            raise multi_label_not_fitting(setting=setting, because=because)


def require_bounds(data: DataSummary, *gates: GateChoice | None) -> None:
    """Refuse bounds on metrics that these images do not have. Raises MultiLabelNotFitting, BOUND_OF_SEVERAL_LABELS."""
    bounded = [name for choice in gates if choice is not None for name in (*choice.max, *choice.min)]
    if data.multi_label and (name := next((name for name in bounded if name in OF_ONE_CLASS), None)) is not None:
        because = f"{', '.join(OF_SEVERAL)}, macro_f1 and agreement have bounds there"
        raise multi_label_not_fitting(setting=f"a bound of {name}", because=because, hint="as in --max map_drop_pp=1")
    one_class = data.labelled and not data.multi_label
    if one_class and (name := next((name for name in bounded if name in OF_SEVERAL), None)) is not None:
        raise BOUND_OF_SEVERAL_LABELS(metric=name)


def _unfitting_network(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.model.keep_head:
        yield "--keep-head", "a published head predicts one class per image"
    if recipe.surgery.suffix:
        yield "[surgery]", _SOFTMAX


def _unfitting_training(recipe: Recipe) -> Iterator[tuple[str, str]]:
    train = recipe.train
    if train.head != "linear":
        yield f"train.head={train.head}", _FITTED
    if train.folds is not None:
        yield "train.folds", "the drop of mAP is not computed over folds"
    if train.balance != "none":
        yield f"train.balance={train.balance}", "an image with several labels has no single class to balance by"
    if train.transfer == "auto":
        yield "--transfer auto", _MEASURES
    if train.teacher is not None:
        yield "train.teacher", _SOFTMAX
    if recipe.quantize.aware:
        yield "quantize.aware", _SOFTMAX
    if recipe.synthesis.cutouts is not None:
        yield "[synthesis]", "a composed image shows one object of one class"
