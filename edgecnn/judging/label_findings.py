"""What is known of a multi-label network's metrics, as the interval that a gate judges, and which metrics are none of its."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from edgecnn.judging.findings import Finding, in_groups, missing
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, two_sided_z
from edgecnn.judging.resolution import POWER_Z
from edgecnn.values.label_figures import MultiLabelAccuracy
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Fidelity, Interval

OF_ONE_CLASS = ("drop_pp", "top1", "top5", "ece", "worst_class_drop_pp")
OF_SEVERAL = ("map_drop_pp", "map", "micro_f1")
"""Metrics that know of either kind of labels alone; macro_f1 and agreement know of both."""
_NOT_MEASURED = "mAP was not measured on the test images"


def of_kind(metric: str, facts: CandidateFacts) -> Finding | None:
    """Of a multi-label network what a metric of either kind comes to; of any other that it is none of its; else None."""
    if facts.multi_label is None:
        known = facts.test is not None and metric in OF_SEVERAL
        return missing(f"{metric} is of a multi-label model, and these images have one class each") if known else None
    if metric in OF_ONE_CLASS:
        return missing(f"{metric} is not of a multi-label model; {', '.join(OF_SEVERAL)}, macro_f1 and agreement are")
    return of_labels(metric)(facts) if metric in ("macro_f1", "agreement") else None


def map_drop(facts: CandidateFacts) -> Finding:
    """The paired drop, whose stored interval is the one of the test."""
    seen = facts.multi_label
    if seen is None:
        return missing(_NOT_MEASURED)
    if facts.is_baseline:
        return Finding(figure=None, fidelity=Fidelity.DEFINED, note="it is the baseline network itself: no drop by definition")
    if seen.drop_pp is None:
        return missing("the baseline network was not evaluated on the same images")
    return Finding(figure=seen.drop_pp, fidelity=seen.fidelity, note=_where(seen))


def mean_average_precision(facts: CandidateFacts) -> Finding:
    """mAP, with the interval of the test; that of an old report is a wider one."""
    seen = facts.multi_label
    if seen is None:
        return missing(_NOT_MEASURED)
    return Finding(figure=seen.map_bounds or seen.map, fidelity=seen.fidelity, note=_where(seen))


def of_labels(name: Literal["micro_f1", "macro_f1", "agreement"] | str) -> Callable[[CandidateFacts], Finding]:
    """Figures whose stored interval is already the one that a gate is judged by."""

    def find_figure(facts: CandidateFacts) -> Finding:
        seen = facts.multi_label
        if seen is None:
            return missing(_NOT_MEASURED)
        if name == "agreement" and facts.is_baseline:
            itself = Interval(estimate=1, low=1, high=1, confidence=1)
            return Finding(figure=itself, fidelity=Fidelity.DEFINED, note="it is the baseline network itself")
        figure: Interval | None = getattr(seen, name)
        if figure is None:
            return missing("the baseline network was not evaluated on the same images")
        return Finding(figure=figure, fidelity=seen.fidelity, note=_where(seen))

    return find_figure


def images_to_settle(metric: str, bound: float, seen: MultiLabelAccuracy) -> int | None:
    """About how many new test images would settle a gate by themselves in ``POWER`` of all cases, were the figure to stay as it
    is; None where no number would, or of another kind of metric.

    By the half of its interval that reaches towards the bound. It shrinks with the root of their number; what unseen images may
    lose shrinks with the number.
    """
    figures: dict[str, Interval | None] = {
        "map": seen.map_bounds or seen.map,
        "map_drop_pp": seen.drop_pp,
        "micro_f1": seen.micro_f1,
        "macro_f1": seen.macro_f1,
        "agreement": seen.agreement,
    }
    found = figures.get(metric)
    if found is None or math.isclose(bound, found.estimate, abs_tol=1e-9):
        return None
    half = found.estimate - found.low if bound < found.estimate else found.high - found.estimate
    apart, unseen = abs(bound - found.estimate), 0.0
    if metric == "map_drop_pp" and seen.drop_images is not None:
        unseen = 100 * two_sided_z(NON_INFERIORITY_CONFIDENCE) ** 2 / (2 * seen.drop_images)
    spread = half * max(0.0, half - 2 * unseen) * (1 + POWER_Z / two_sided_z(found.confidence)) ** 2
    return math.ceil(seen.images * (spread + 2 * unseen * apart) / apart**2)


def _where(seen: MultiLabelAccuracy) -> str:
    emulated = f"emulated on {seen.machine}" if seen.fidelity is Fidelity.EMULATED else ""
    return ", ".join(filter(None, [emulated, in_groups(seen)]))
