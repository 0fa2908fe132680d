"""Tables next to that of the candidates: figures beyond top-1, classes, labels, and the desktop GPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.errors.base import visible
from edgecnn.judging.metrics import SHOWN, charted
from edgecnn.render import figures
from edgecnn.render.columns import metric_cell
from edgecnn.render.figures import NONE, percent_interval, points
from edgecnn.render.wording import lines_by_reason, names_by_reason
from edgecnn.values.figures import Accuracy, ClassFigures, ClassReport, LabelFigures, MultiLabelAccuracy, Throughput
from edgecnn.values.report import BaselineFacts, BaselineVariant, CandidateFacts

_NOT_OF_FP32 = ("agreement", "worst_class_drop_pp")
"""Figures that the fp32 network does not have."""
_MULTI_LABEL_METRICS = ("micro_f1", "macro_f1", "agreement")
"""Figures of images with several labels."""
_CLASS_METRICS = (*(metric.name for metric in charted("accuracy") if metric.name != "micro_f1"), "worst_class_drop_pp")
_AT_90 = "Intervals have 90 % confidence; gates use each end as a one-sided 95 % bound."
_BINS = "The calibration error uses 15 bins of equal width. Its estimate is biased upwards by chance"
LABEL_COLUMNS = ("label", "images", "threshold", "average precision", "precision (95 %)", "recall (95 %)", "F1")
LABELS_LEGEND = (
    "At the thresholds of the kit: those with the largest F1 of fp32 for each label on the validation images; "
    "0.5 for a label that no validation image has."
)
CLASSES_SHOWN = 20


def quality_row(facts: CandidateFacts) -> tuple[str, ...] | None:
    """Return the cells of a candidate in the order of ``quality_columns``; None if only top-1 is known."""
    known = facts.multi_label is not None or (facts.test is not None and facts.test.quality is not None)
    if not known:
        return None
    names = _CLASS_METRICS if facts.multi_label is None else _MULTI_LABEL_METRICS
    without = _NOT_OF_FP32 if facts.is_baseline else ()
    return (facts.candidate.id, *("baseline" if name in without else metric_cell(name, facts).plain for name in names))


def quality_columns(candidates: Iterable[CandidateFacts]) -> tuple[str, ...]:
    """Return the headings of ``quality_row``."""
    several = any(facts.multi_label is not None for facts in candidates)
    return ("candidate", *(SHOWN[name].heading for name in (_MULTI_LABEL_METRICS if several else _CLASS_METRICS)))


def quality_legend(candidates: Sequence[CandidateFacts]) -> str:
    """Return the meaning of the intervals in the rows."""
    if any(facts.multi_label is not None for facts in candidates):
        return f"At the thresholds of the kit. {_AT_90}"
    if alone := missing_intervals_note(facts.test for facts in candidates):
        return f"{_AT_90} {_BINS}. {alone}"
    largest = "The interval of the largest drop holds for all classes at once."
    return f"{_AT_90} {_BINS}; the interval corrects for this. {largest}"


def missing_intervals_note(tests: Iterable[Accuracy | None]) -> str:
    """Return why some figures have no interval; empty if images are independent."""
    allowed = next((test.dependence for test in tests if test is not None and test.dependence is not None), None)
    return "" if allowed is None else f"Some figures have no interval, because no known method allows for {allowed}."


def class_columns(classes: ClassReport) -> tuple[str, ...]:
    """Return the headings of ``class_rows``, with the level of the intervals."""
    recall, drop = ("", "") if lacks_intervals(classes) else (" (95 %)", " (90 %)")
    return ("class", "images", f"recall{recall}", "F1", f"drop from fp32{drop}", "loss")


def class_intervals(classes: ClassReport) -> str:
    """Return the meaning of the intervals of single classes."""
    return (
        "No intervals are known for classes"
        if lacks_intervals(classes)
        else "Each interval has 90 % confidence for its class alone"
    )


def lacks_intervals(classes: ClassReport) -> bool:
    """Return whether a class has no interval."""
    return any(figures.recall is not None and not figures.recall.confidence for figures in classes.classes)


def label_rows(accuracy: MultiLabelAccuracy) -> list[tuple[str, ...]]:
    """Return rows in the order of ``LABEL_COLUMNS``: all labels if there are at most 20, else those with the lowest F1."""
    labels = accuracy.labels
    if len(labels) > CLASSES_SHOWN:
        labels = tuple(sorted(labels, key=lambda label: (label.f1 is None, label.f1))[:CLASSES_SHOWN])
    return [_label_row(label) for label in labels]


def label_note(accuracy: MultiLabelAccuracy) -> str:
    """Return a note on the rows of the table of labels."""
    more = len(accuracy.labels) - CLASSES_SHOWN
    sentences = [
        LABELS_LEGEND,
        *([f"The {CLASSES_SHOWN} labels with the lowest F1 are shown; report.json has {more:,} more."] if more > 0 else []),
    ]
    if accuracy.left_out:
        sentences.append(
            f"No test image has {', '.join(map(visible, accuracy.left_out))}: mAP and macro-F1 cover the other labels."
        )
    return " ".join(sentences)


def _label_row(label: LabelFigures) -> tuple[str, ...]:
    shares = (label.precision, label.recall)
    return (
        visible(label.name),
        f"{label.images:,}",
        f"{label.threshold:.4g}",
        NONE if label.average_precision is None else f"{100 * label.average_precision:.1f} %",
        *(NONE if share is None else percent_interval(share) for share in shares),
        NONE if label.f1 is None else f"{100 * label.f1:.1f} %",
    )


def class_rows(classes: ClassReport) -> list[tuple[str, ...]]:
    """Return rows in the order of ``class_columns``: all classes if there are at most 20, else those that lose most."""
    return [_class_row(class_figures) for class_figures in largest_losses(classes)]


def unlisted_classes(classes: ClassReport) -> str:
    """Return a note on the classes without a row; empty if all classes have one."""
    more = len(classes.classes) - CLASSES_SHOWN
    return f"The {CLASSES_SHOWN} classes that lose most are shown; report.json has {more:,} more." if more > 0 else ""


def largest_losses(classes: ClassReport) -> tuple[ClassFigures, ...]:
    """Return all classes if there are at most 20, else those that lose most: confirmed losses first, then by drop."""
    if len(classes.classes) <= CLASSES_SHOWN:
        return classes.classes
    shown = classes.shown()
    rest = [class_figures for class_figures in classes.classes if class_figures.regression != "shown"]
    rest.sort(
        key=lambda class_figures: (
            -(class_figures.drop_pp.estimate if class_figures.drop_pp else 0.0),
            class_figures.recall.estimate if class_figures.recall else 1.0,
        )
    )
    return (*shown, *rest)[:CLASSES_SHOWN]


def _class_row(class_figures: ClassFigures) -> tuple[str, ...]:
    return (
        visible(class_figures.name),
        f"{class_figures.images:,}",
        NONE if class_figures.recall is None else percent_interval(class_figures.recall),
        NONE if class_figures.f1 is None else f"{100 * class_figures.f1:.1f} %",
        NONE if class_figures.drop_pp is None else points(class_figures.drop_pp, digits=1),
        class_figures.regression or NONE,
    )


_REFERENCE = "torch-fp32"
DESKTOP_COLUMNS = ("setting", "p50 ms", "GPU clock ms", "speed-up", "top-1 (95 %)", "drop", "images/s", "requested execution")
DESKTOP_LEGEND = (
    "p50 is wall time, including copies to and from the GPU. GPU clock time is between two CUDA events, without copies. "
    "Speed-up is relative to the first row in the same race; drop is paired with the first row by image."
)
RATIO_ALONE = "The accuracy drop of the first row is relative to fp32 on this computer's CPU."
MISSING = "MISSING"


def desktop_sentence(baseline: BaselineFacts) -> str:
    """Return the GPU with the latency of the reference, or the reason why the latency is missing."""
    latency = baseline.latency
    timing = f"p50 {figures.p50(latency)} ms ({baseline.how})" if latency.p50_ms else f"{MISSING}, {latency.reason}"
    timing += f"; {latency.steady.unsteady}" if latency.steady and latency.steady.unsteady else ""
    answered = baseline.accuracy
    top1 = f"; top-1 {figures.accuracy(answered)}, drop {figures.drop(answered)}" if answered else ""
    return f"{baseline.device}: {timing}{top1}; {baseline.accuracy_from}"


def desktop_rows(baseline: BaselineFacts) -> list[tuple[str, ...]]:
    """Return rows in the order of ``DESKTOP_COLUMNS``; none if there is only the reference."""
    if not baseline.variants:
        return []
    first = BaselineVariant(
        id=_REFERENCE,
        how=baseline.how or "",
        latency=baseline.latency,
        accuracy=baseline.accuracy,
        throughput=baseline.throughput,
    )
    return [_desktop_row(first), *(_desktop_row(variant) for variant in baseline.variants)]


def _desktop_row(variant: BaselineVariant) -> tuple[str, ...]:
    latency = variant.latency
    return (
        variant.id,
        figures.p50(latency) if latency.p50_ms else f"{MISSING}: {latency.reason}",
        figures.milliseconds(latency.on_gpu_ms),
        figures.speed(latency),
        figures.accuracy(variant.accuracy),
        figures.drop(variant.accuracy),
        _images_per_s(variant.throughput),
        variant.how,
    )


def desktop_notes(baseline: BaselineFacts) -> list[str]:
    """Return the meaning of the cells of the desktop table, and why some are empty."""
    if not baseline.variants:
        return []
    every = {_REFERENCE: baseline.latency, **{variant.id: variant.latency for variant in baseline.variants}}
    clocks = names_by_reason(
        {name: latency.absent["on_gpu_ms"] for name, latency in every.items() if "on_gpu_ms" in latency.absent}
    )
    where = f"{baseline.latency.fidelity.value} on {baseline.latency.machine}, {baseline.latency.observed_at}"
    own = [RATIO_ALONE] if baseline.accuracy is not None else []
    unsteady = {name: reason for name, latency in every.items() if latency.steady and (reason := latency.steady.unsteady)}
    untimed = [f"no GPU clock time: {names} ({why})" for why, names in clocks.items()]
    return [where, DESKTOP_LEGEND, *own, *untimed, *(f"runs of {line}" for line in lines_by_reason(unsteady))]


def _images_per_s(value: Throughput | None) -> str:
    """Return the throughput at the best batch size, else at the requested ones."""
    if value is None:
        return figures.NONE
    known = [figure for figure in value.figures if figure.images_per_s is not None]
    shown = [figure for figure in known if figure.best] or known
    cells = [f"{figure.images_per_s.estimate:.0f} (batch {figure.batch})" for figure in shown if figure.images_per_s]
    return ", ".join(cells) or value.reason or figures.NONE
