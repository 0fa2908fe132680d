"""Notes on groups of images and on cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.labels import MultiLabelNotFitting
from edgecnn.errors.training import FoldsNotFitting
from edgecnn.errors.wording import counted
from edgecnn.judging.metrics import METRICS
from edgecnn.planning.folds import require_foldable
from edgecnn.planning.multi_label import require_fitting
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.figures import Accuracy, FoldFigures, Folds, MultiLabelAccuracy
from edgecnn.values.report import CandidateFacts
from edgecnn.values.resolved import Resolved
from edgecnn.values.verdict import Interval, Verdict

FEW_IMAGES = 1000
"""Images of all roles. With more images, the size of the test split seldom leaves a verdict open."""
SENTENCES = 3
"""Notes on drops; report.json has all of them."""
FOLDS = 5
"""Number of folds to advise: each network then trains on as many images as with a test split of a fifth."""


def fold_notices(rows: Sequence[CandidateFacts], weights: WeightsAnswer) -> tuple[str, ...]:
    """Notes on cross-validation, or without it on groups of images. ``weights``: that training started from."""
    baseline = next((row for row in rows if row.is_baseline and row.test is not None and row.test.folds is not None), None)
    if baseline is None or baseline.test is None or baseline.test.folds is None:
        return _group_notices(rows)
    folds = baseline.test.folds
    sentences = [
        f"CROSS-VALIDATION: accuracy was measured on {baseline.test.images:,} test images in {len(folds.each)} folds. "
        "Each image was classified by a network that was not trained on it. The first fold's network ships. "
        "Validation images are not among the test images. Intervals assume that the networks' accuracies are normally "
        "distributed. If one network failed, read the figures by fold",
        f"{baseline.candidate.id} by fold: top-1 {', '.join(_top1(fold) for fold in folds.each)}"
        f"{_spread(folds.top1_effect, baseline.test)}",
    ]
    if weights.kind == "file":
        sentences.append("the training images of the weights file are unknown: if they include test images, accuracy is too high")
    compared = sorted((row for row in rows if not row.is_baseline), key=lambda row: not row.chosen)
    drops = [_drop_of(row.candidate.id, row.test, row.test.folds) for row in compared if row.test and row.test.folds]
    sentences += drops[:SENTENCES]
    return tuple(sentences)


def _drop_of(name: str, test: Accuracy, folds: Folds) -> str:
    by_fold = ", ".join(_drop(fold) for fold in folds.each)
    alone = "" if folds.alone_drop_pp is None else f"; in the first fold: {_points(folds.alone_drop_pp)}"
    together = "" if test.drop_pp is None else f" {_points(test.drop_pp)}"
    worth = f", as if the first fold had about {folds.worth_images:,} more test images" if folds.worth_images > 0 else ""
    return f"drop of {name}:{together} over all folds{worth}{alone}; by fold: {by_fold} pp{_spread(folds.drop_effect, test)}"


def _group_notices(rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    for row in rows:
        figures = row.test or row.multi_label
        if row.is_baseline and isinstance(figures, MultiLabelAccuracy) and figures.groups is not None:
            worth = f"mAP of {row.candidate.id} is as certain as with {figures.trials:,.0f} independent images"
            return (f"{_grouped(figures.images, figures.groups)}: {worth}",)
        if row.is_baseline and row.test is not None and row.test.groups is not None:
            groups = _grouped(row.test.images, row.test.groups.groups)
            images, most = row.test.images / row.test.top1_effect, row.test.independent_at_most
            worth = f"{images:,.0f} independent images" + (f"; a PASS counts them as only {most:,.0f}" if most < images else "")
            return (f"{groups}: top-1 of {row.candidate.id} is as certain as with {worth}",)
        if row.agreement is not None and row.agreement.groups is not None:
            return (_grouped(row.agreement.images, row.agreement.groups),)
    return ()


def _grouped(images: int, groups: int) -> str:
    return f"GROUPS: the {images:,} test images form {counted(groups, 'group')} of similar images, and intervals allow for that"


def _top1(fold: FoldFigures) -> str:
    return f"{fold.right / fold.images:.1%}"


def _drop(fold: FoldFigures) -> str:
    return "+0.0" if fold.lost is None or fold.gained is None else f"{100 * (fold.lost - fold.gained) / fold.images:+.1f}"


def _points(drop: Interval) -> str:
    return f"{drop.estimate:+.2f} pp [{drop.low:+.2f}, {drop.high:+.2f}]"


def _spread(effect: float, test: Accuracy) -> str:
    effect, to = max(effect, test.images / test.independent_at_most), "" if test.groups is None else "up to "
    return (
        f" (the interval is {to}{effect**0.5:.2f} times as wide, because folds or groups differ more than single images)"
        if effect > 1
        else ""
    )


def folds_would_help(resolved: Resolved, rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    """A note that advises folds, if a gate on accuracy is UNSURE and there are few images."""
    chosen = next((row for row in rows if row.chosen), None)
    with_folds = resolved.asked.model_copy(update={"train": resolved.asked.train.model_copy(update={"folds": FOLDS})})
    try:
        require_foldable(with_folds)
        require_fitting(with_folds, resolved.data)
    except (FoldsNotFitting, MultiLabelNotFitting):
        return ()
    images, trained = sum(resolved.data.counts.values()), resolved.mode in ("finetune", "inherit", "scratch")
    if chosen is None or not trained or resolved.folds or images >= FEW_IMAGES or resolved.data.own_roles:
        return ()
    is_open = any(gate.verdict is Verdict.UNSURE and METRICS[gate.gate.metric].source == "accuracy" for gate in chosen.gates)
    if not is_open:
        return ()
    tested = resolved.data.counts["test"]
    return (
        f"accuracy is judged on {tested:,} of {images:,} images; --set train.folds={FOLDS} trains {FOLDS} networks in about "
        f"{FOLDS} times the time, and tests on all images except validation images",
    )
