"""What a multi-label candidate's answers came to, at the thresholds of the kit that gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecnn.building.observed import Observed, Split
from edgecnn.errors.data.multi_label import ThresholdsOfAnotherModel
from edgecnn.judging.predictions.accuracy import Answers
from edgecnn.judging.predictions.multi_label import multi_label_accuracy
from edgecnn.measure.kits import KitRef
from edgecnn.values.label_figures import MultiLabelAccuracy


def thresholds_of(kit: KitRef) -> Mapping[str, float] | None:
    """By the names of the labels, in the order of the kit's answers; None of a kit that names one class an image.

    Raises ThresholdsOfAnotherModel: it has no threshold for one of its labels.
    """
    found, labels = kit.manifest.get("thresholds"), kit.manifest["labels"]
    if found is None:
        return None
    if sorted(found) != sorted(labels):
        raise ThresholdsOfAnotherModel(file=kit.folder / "kit.json", found=tuple(found), labels=labels)
    return {name: float(found[name]) for name in labels}


def labels_given(
    name: str, seen: Observed, split: Split, answers: Mapping[str, Answers], labels: Mapping[Split, Any]
) -> MultiLabelAccuracy | None:
    """Of one candidate on one split; None where it did not answer, or where images have one class each, or nobody knows any.

    Raises ThresholdsOfAnotherModel, LogitsDoNotMatch: kit, answers and labels do not belong together.
    """
    if name not in answers or split not in labels or labels[split].ndim != 2:
        return None
    baseline = None if name == seen.reference else answers.get(seen.reference)
    return multi_label_accuracy(answers[name], labels[split], required_thresholds(seen.answering[name]), split, baseline)


def map_drop(answers: Answers, labels: Any, kit: KitRef, baseline: Answers) -> float:
    """The estimated drop of mAP on ``validation``, in percentage points. ``labels``: uint8 (images, labels)."""
    drop = multi_label_accuracy(answers, labels, required_thresholds(kit), "validation", baseline).drop_pp
    assert drop is not None
    return drop.estimate


def required_thresholds(kit: KitRef) -> Mapping[str, float]:
    """The same of a kit that names several labels. Raises ThresholdsOfAnotherModel: it has none."""
    found = thresholds_of(kit)
    if found is None:
        raise ThresholdsOfAnotherModel(file=kit.folder / "kit.json", found=(), labels=kit.manifest["labels"])
    return found
