"""Sentences about images in groups and about cross-validation: what figures are of, how folds differ, when they would help."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.data.multi_label import MultiLabelNotFitting
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
"""Photographs of all roles: with more, a test split of its own is seldom what a verdict hangs on."""
SENTENCES = 3
"""On drops, that of what ships first; report.json has all of them."""
FOLDS = 5
"""That are advised: each network then learns from as many images as one that is tested on a fifth of them."""


def fold_notices(rows: Sequence[CandidateFacts], weights: WeightsAnswer) -> tuple[str, ...]:
    """What a reader of a cross-validation must know; without one, of groups of images. ``weights``: what training began with."""
    baseline = next((row for row in rows if row.is_baseline and row.test is not None and row.test.folds is not None), None)
    if baseline is None or baseline.test is None or baseline.test.folds is None:
        return _group_notices(rows)
    folds = baseline.test.folds
    sentences = [
        f"CROSS-VALIDATION: accuracy is of {baseline.test.images:,} test images in {len(folds.each)} folds, each answered by a "
        f"network that did not learn from it; the first fold's network ships, and no image that is chosen on is among them. "
        "Intervals hold where networks differ as normal values do, and not where one in a few fails: read the figures by fold",
        f"{baseline.candidate.id} by fold: top-1 {', '.join(_top1(fold) for fold in folds.each)}"
        f"{_spread(folds.top1_effect, baseline.test)}",
    ]
    if weights.kind == "file":
        unknown = "if it learned from these images, every network has seen those that it is tested on"
        sentences.append(f"what the file of weights learned from is not known here: {unknown}")
    compared = sorted((row for row in rows if not row.is_baseline), key=lambda row: not row.chosen)
    drops = [_drop_of(row.candidate.id, row.test, row.test.folds) for row in compared if row.test and row.test.folds]
    sentences += drops[:SENTENCES]
    return tuple(sentences)


def _drop_of(name: str, test: Accuracy, folds: Folds) -> str:
    by_fold = ", ".join(_drop(fold) for fold in folds.each)
    alone = "" if folds.alone_drop_pp is None else f"; of the first fold alone it is {_points(folds.alone_drop_pp)}"
    together = "" if test.drop_pp is None else f" {_points(test.drop_pp)}"
    worth = f", about as if {folds.worth_images:,} labelled images had been added to the first" if folds.worth_images > 0 else ""
    return f"drop of {name}:{together} over all folds{worth}{alone}; by fold: {by_fold} pp{_spread(folds.drop_effect, test)}"


def _group_notices(rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    for row in rows:
        figures = row.test or row.multi_label
        if row.is_baseline and isinstance(figures, MultiLabelAccuracy) and figures.groups is not None:
            worth = f"mAP of {row.candidate.id} is as sure as of {figures.trials:,.0f} independent ones"
            return (f"{_grouped(figures.images, figures.groups)}: {worth}",)
        if row.is_baseline and row.test is not None and row.test.groups is not None:
            groups = _grouped(row.test.images, row.test.groups.groups)
            images, most = row.test.images / row.test.top1_effect, row.test.independent_at_most
            worth = f"{images:,.0f} independent ones" + (f", and for a PASS as of {most:,.0f}" if most < images else "")
            return (f"{groups}: top-1 of {row.candidate.id} is as sure as of {worth}",)
        if row.agreement is not None and row.agreement.groups is not None:
            return (_grouped(row.agreement.images, row.agreement.groups),)
    return ()


def _grouped(images: int, groups: int) -> str:
    of = f"the {images:,} test images are of {counted(groups, 'group')}, whose images may be alike"
    return f"GROUPS: {of}, and intervals allow for that"


def _top1(fold: FoldFigures) -> str:
    return f"{fold.right / fold.images:.1%}"


def _drop(fold: FoldFigures) -> str:
    return "+0.0" if fold.lost is None or fold.gained is None else f"{100 * (fold.lost - fold.gained) / fold.images:+.1f}"


def _points(drop: Interval) -> str:
    return f"{drop.estimate:+.2f} pp [{drop.low:+.2f}, {drop.high:+.2f}]"


def _spread(effect: float, test: Accuracy) -> str:
    effect, to = max(effect, test.images / test.independent_at_most), "" if test.groups is None else "up to "
    return (
        f" (folds, or groups of images, differ more than images do: the interval is {to}{effect**0.5:.2f} times as wide for it)"
        if effect > 1
        else ""
    )


def folds_would_help(resolved: Resolved, rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    """One sentence where a verdict of accuracy is open by few images that one folder holds; nothing else."""
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
        f"accuracy is judged on {tested:,} of {images:,} images; --set train.folds={FOLDS} trains {FOLDS} networks, in about "
        f"{FOLDS} times the time, and tests all images but those of validation",
    )
