"""The interval of one metric of one candidate, which a gate judges, or the reason why there is none.

This includes multi-label networks, and the metrics that do not apply to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from edgecnn.errors.wording import counted, first_of
from edgecnn.judging.accuracy import NO_LABELS
from edgecnn.judging.dependence import too_few_for_gate
from edgecnn.judging.intervals import (
    LATENCY_CONFIDENCE,
    NON_INFERIORITY_CONFIDENCE,
    Worth,
    drop_interval_pp,
    share_interval,
    two_sided_z,
)
from edgecnn.judging.latency import NOT_SHOWN, WITHIN
from edgecnn.judging.resolution import POWER_Z
from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision
from edgecnn.values.figures import (
    Accuracy,
    Agreement,
    ClassFigures,
    ClassReport,
    Energy,
    LabelFigures,
    Memory,
    MultiLabelAccuracy,
    group_count,
)
from edgecnn.values.report import MEDIAN, PERCENTILES, CandidateFacts, Latency, percentile_name
from edgecnn.values.verdict import Fidelity, Interval, Verdict


class Finding(Value):
    """The figure of one metric of one candidate, or why there is none."""

    figure: Interval | None
    fidelity: Fidelity
    absent: Literal[Verdict.MISSING, Verdict.UNSURE, Verdict.FAIL] | None = None
    """Verdict without a figure. None if there is a figure, or if none is needed, as for the drop of the baseline itself. FAIL if
    measurements exclude a figure."""
    note: str = ""
    disturbed: str | None = None
    """Latency: why something else than the kit may have caused a figure above its bound."""
    slowed_at_most: int | None = None
    """Factor by which this disturbance can have lengthened the latency; None if there is no limit."""
    rounds: int | None = None
    """Latency: runs behind the figure; more would narrow it."""
    dependent: bool = False
    """Latency: whether runs depend on each other, so that no number of rounds can be advised."""
    too_few: str | None = None
    """Latency, energy: why these runs are too few to decide any gate."""
    never_met: str | None = None
    """Why this figure can fail a bound but never meet one."""
    unseen: str | None = None
    """mAP, macro-F1: which labels no test image has. The figure then covers every value that they may have."""
    largest_of: int | None = None
    """Memory: number of runs of which the figure is the largest, see ``GateResult``."""


def missing(note: str) -> Finding:
    """Return the finding of a missing figure."""
    return Finding(figure=None, fidelity=Fidelity.MISSING, absent=Verdict.MISSING, note=note)


def unlabelled(metric: str, facts: CandidateFacts) -> Finding | None:
    """Return the finding of an accuracy metric on images without labels: missing, except for agreement. None with labels."""
    agreement = facts.agreement
    if agreement is None:
        return None
    if metric != "agreement":
        return missing(f"{NO_LABELS}; bound the agreement with fp32 instead, as in --min agreement=0.99")
    if facts.is_baseline:
        return Finding(figure=agreement.same, fidelity=Fidelity.DEFINED, note="this is the baseline network")
    worth = Worth(agreement.effect, agreement.independent or math.inf)
    figure = share_interval(round(agreement.same.estimate * agreement.images), agreement.images, worth)
    return Finding(figure=figure, fidelity=agreement.fidelity, note=_origin_note(agreement))


def arithmetic_differs(facts: CandidateFacts) -> str | None:
    """Return why accuracy measured on another machine than the device meets no bound: the arithmetic may differ.

    Such a figure includes rounded weights, but not the rounded products and sums of fp16 and bf16, which can cost several points.
    In INT8, sums may saturate on only one of the two machines. None if the residency shows products in fp16 or bf16, and for the
    twin of an engine, which rounds activations like the engine.
    """
    precision, residency = facts.candidate.precision, facts.residency
    if facts.evaluated_kit not in (None, facts.kit):
        return None
    evaluation = facts.answered or facts.agreement
    evaluation = evaluation or facts.validation or facts.multi_label_on_validation or facts.agreement_on_validation
    if evaluation is None or evaluation.fidelity is not Fidelity.EMULATED:
        return None
    if facts.saturates_on is not None:
        here, there = ("the device", evaluation.machine) if facts.saturates_on == "device" else (evaluation.machine, "the device")
        return f"sums of 8-bit products saturate on {here} but not on {there}; only a run on the device can settle it"
    if precision not in (Precision.FP16, Precision.BF16):
        return None
    if residency is not None and (residency.basis != "elsewhere" or residency.mac_share.get(precision, 0.0) > 0):
        return None
    return f"{evaluation.machine} may not multiply in {precision} as the device does; only a run on the device can settle it"


def drop(facts: CandidateFacts) -> Finding:
    """Return the top-1 drop, computed at the confidence of the test."""
    test = facts.test
    if test is None or test.images < 1:
        return missing("accuracy was not measured on the test images")
    if facts.is_baseline:
        return Finding(figure=None, fidelity=Fidelity.DEFINED, note="this is the baseline network: no drop by definition")
    if test.lost is None or test.gained is None:
        return missing(_NO_BASELINE)
    # Computed from the counts at the confidence of the gate; the displayed interval has another confidence.
    worth = Worth(test.drop_effect, test.independent_at_most)
    figure = drop_interval_pp(test.lost, test.gained, test.images, worth)
    return Finding(figure=figure, fidelity=test.fidelity, note=_origin_note(test))


def top1(facts: CandidateFacts) -> Finding:
    """Return top-1, computed at the confidence of the test."""
    test = facts.test
    if test is None or test.images < 1:
        return missing("accuracy was not measured on the test images")
    worth = Worth(test.top1_effect, test.independent_at_most)
    figure = share_interval(round(test.top1.estimate * test.images), test.images, worth)
    return Finding(figure=figure, fidelity=test.fidelity, note=_origin_note(test))


def stored_interval(name: Literal["micro_f1", "top5", "macro_f1", "agreement", "ece"]) -> Callable[[CandidateFacts], Finding]:
    """Return a function that finds a figure whose stored interval has the confidence of the gate."""

    def find_figure(facts: CandidateFacts) -> Finding:
        accuracy = facts.multi_label or facts.test
        figures = accuracy.quality if isinstance(accuracy, Accuracy) else accuracy
        if accuracy is None or figures is None:
            return missing(f"{'agreement' if name == 'agreement' else 'accuracy'} was not measured on the test images")
        if name == "agreement" and facts.is_baseline:
            itself = Interval(estimate=1, low=1, high=1, confidence=1)
            return Finding(figure=itself, fidelity=Fidelity.DEFINED, note="this is the baseline network")
        unknown = _dependence_unknown(accuracy) if isinstance(accuracy, Accuracy) and name in ("macro_f1", "ece") else None
        if unknown is not None:
            return unknown
        figure: Interval | None = getattr(figures, name)
        if figure is None:
            absent = _NO_BASELINE if isinstance(figures, MultiLabelAccuracy) else figures.absent.get(name)
            return missing(absent or f"{name} was not measured")
        finding = Finding(figure=figure, fidelity=accuracy.fidelity, note=_origin_note(accuracy))
        if name != "macro_f1":
            return finding
        return _over_all_labels(finding, figures.labels if isinstance(figures, MultiLabelAccuracy) else figures.classes.classes)

    return find_figure


def _over_all_labels(
    finding: Finding, labels: Sequence[LabelFigures | ClassFigures], worst: float = 0.0, best: float = 1.0
) -> Finding:
    """Return a mean over the labels of the test images as an interval of the mean over all labels.

    A label without test images may have any value from ``worst`` to ``best``.
    """
    unseen = [label.name for label in labels if not label.images]
    if not unseen or finding.figure is None:
        return finding
    share, figure = len(unseen) / len(labels), finding.figure
    low, high = ((1 - share) * end + share * unknown for end, unknown in ((figure.low, worst), (figure.high, best)))
    names = first_of([repr(name) for name in unseen], _NAMES)
    why = f"no test image has {len(unseen)} of {len(labels)} labels ({names})"
    note, wider = ", ".join(filter(None, (finding.note, why))), figure.model_copy(update={"low": low, "high": high})
    return finding.model_copy(update={"figure": wider, "note": note, "unseen": why})


_NAMES = 3
"""Number of labels that a sentence names."""


def worst_class(facts: CandidateFacts) -> Finding:
    """Return the largest drop of any class."""
    test = facts.test
    if test is None or test.quality is None:
        return missing("accuracy was not measured on the test images")
    if facts.is_baseline:
        return Finding(figure=None, fidelity=Fidelity.DEFINED, note="this is the baseline network: no drop by definition")
    if (open_ := _dependence_unknown(test)) is not None:
        return open_
    classes = test.quality.classes
    if classes.worst_drop_pp is None:
        return missing(_NO_BASELINE)
    return Finding(figure=classes.worst_drop_pp, fidelity=test.fidelity, note=_classes_note(test, classes))


def _dependence_unknown(test: Accuracy) -> Finding | None:
    """Return an UNSURE finding if images depend on each other, for a figure whose interval assumes independent images."""
    if test.dependence is None:
        return None
    note = f"it has no interval that accounts for {test.dependence}"
    return Finding(figure=None, fidelity=test.fidelity, absent=Verdict.UNSURE, note=note)


def _classes_note(test: Accuracy, classes: ClassReport) -> str:
    """Name the class that loses most and the least certain class, which needs more images."""
    losing = [figures for figures in classes.classes if figures.drop_pp is not None and figures.drop_pp.estimate > 0]
    worst = max(losing, key=lambda figures: figures.drop_pp.estimate if figures.drop_pp else 0.0, default=None)
    widest = next((figures for figures in classes.classes if figures.name == classes.widest), None)
    notes = [f"{_sized(worst)} loses most"] if worst is not None else []
    notes += [f"{_sized(widest)} is the least certain"] if widest is not None and widest is not worst else []
    return ", ".join([*notes, *filter(None, [_origin_note(test)])])


def _sized(figures: ClassFigures) -> str:
    return f"{figures.name!r} with {counted(figures.images, 'image')}"


def _origin_note(accuracy: Accuracy | MultiLabelAccuracy | Agreement) -> str:
    """Return the machine of an emulated figure, the number of folds and the number of groups, if they apply."""
    emulated = f"emulated on {accuracy.machine}" if accuracy.fidelity is Fidelity.EMULATED else ""
    folds = ""
    if isinstance(accuracy, Accuracy) and accuracy.folds is not None:
        folds = f"over {len(accuracy.folds.each)} folds; {FOLDS_ASSUME}"
    return ", ".join(filter(None, [emulated, folds, group_note(accuracy)]))


FOLDS_ASSUME = "α assumes that no network fails, and if one of eight does, 12 to 24 % of verdicts are wrong"
"""Source: docs/reference/error-rates.md."""


def group_note(accuracy: Accuracy | MultiLabelAccuracy | Agreement) -> str:
    """Return ``of 40 groups of images``; empty if images are independent."""
    groups = group_count(accuracy)
    return "" if groups is None else f"of {counted(groups, 'group')} of images"


def _judged(figures: Latency | Memory | Energy) -> bool:
    return figures.runs >= 1 and figures.fidelity is Fidelity.MEASURED


def _unmeasured(subject: str, figures: Latency | Memory | Energy | None) -> Finding:
    """Return the finding of a figure that was not measured on the device."""
    if figures is None or figures.runs < 1:
        return missing((figures.reason if figures else None) or f"{subject} was not measured")
    return missing(f"{subject} is {figures.fidelity.value}; only measured figures are judged")


def latency(percent: int) -> Callable[[CandidateFacts], Finding]:
    """Return a function that finds a percentile of latency, which must be measured on the device."""
    name = percentile_name(percent)

    def find_latency(facts: CandidateFacts) -> Finding:
        measured = facts.latency
        if measured is None or not _judged(measured):
            return _unmeasured("latency", measured)
        if measured.selecting:
            few = f"only {counted(measured.runs, 'run')} of the first race"
            note = f"p{percent} is open: {few}, and gates need a separate race"
            return Finding(figure=None, fidelity=measured.fidelity, absent=Verdict.UNSURE, note=note)
        figure: Interval | None = getattr(measured, name)
        if figure is None:
            why = measured.reason if percent in (MEDIAN, PERCENTILES[-1]) else measured.absent.get(name)
            note = f"p{percent} is open: {why or 'the runs are too few or too short'}"
            return Finding(figure=None, fidelity=measured.fidelity, absent=Verdict.UNSURE, note=note)
        note = ", ".join(filter(None, (f"on {measured.machine}", measured.run_settings, measured.dependent.get(name))))
        about = {"disturbed": measured.disturbed, "rounds": measured.runs, "too_few": too_few_for_gate(measured.runs)}
        finding = Finding(figure=figure, fidelity=measured.fidelity, note=note, dependent=name in measured.dependent, **about)
        if percent == MEDIAN:
            return finding.model_copy(update={"slowed_at_most": measured.slowed_at_most})
        return _bound_by_processes(finding, figure, measured, name)

    return find_latency


def _bound_by_processes(finding: Finding, figure: Interval, measured: Latency, name: str) -> Finding:
    """Raise the upper end to the value that three of four processes keep; without such a value, no bound is met.

    The confidence is that of this upper end. The interval of the middle process may reach further, because ranks of a median
    have other steps.
    """
    if (within := measured.tails_within_ms.get(name)) is None:
        return finding.model_copy(update={"never_met": measured.absent.get(WITHIN, NOT_SHOWN)})
    either = {"high": max(figure.high, within), "confidence": min(figure.confidence, LATENCY_CONFIDENCE)}
    return finding.model_copy(update={"figure": figure.model_copy(update=either)})


def size(facts: CandidateFacts) -> Finding:
    """Return the exact size of the model's files."""
    size = facts.size_mib
    if size is None:
        return missing("size unknown: no kit was built")
    return Finding(figure=Interval(estimate=size, low=size, high=size, confidence=1.0), fidelity=Fidelity.MEASURED)


def peak_memory(facts: CandidateFacts) -> Finding:
    """Return the largest peak of all runs."""
    memory = facts.memory
    if memory is None or not _judged(memory):
        return _unmeasured("memory", memory)
    if memory.peak_mib is None or memory.largest_mib is None:
        note = f"peak memory is open: {memory.reason or 'the runs are too few'}"
        return Finding(figure=None, fidelity=memory.fidelity, absent=Verdict.UNSURE, note=note)
    # The largest peak is an observation, not an interval for future runs, so it has no confidence.
    most = Interval(estimate=memory.largest_mib, low=memory.largest_mib, high=memory.largest_mib, confidence=0.0)
    note = f"the largest of {memory.runs} runs on {memory.machine}"
    return Finding(figure=most, fidelity=memory.fidelity, note=note, largest_of=memory.runs)


def energy(facts: CandidateFacts) -> Finding:
    """Return the energy of one image, including its share of idle power."""
    measured = facts.energy
    if measured is None or not _judged(measured):
        return _unmeasured("energy", measured)
    if measured.total_mj is None:
        note = f"energy is open: {measured.reason or 'the runs are too few'}"
        return Finding(figure=None, fidelity=measured.fidelity, absent=Verdict.UNSURE, note=note)
    note = ", ".join(filter(None, (f"{measured.meter} on {measured.machine}: {measured.covers}", measured.dependent)))
    about = {"disturbed": measured.disturbed, "too_few": too_few_for_gate(measured.runs)}
    return Finding(figure=measured.total_mj, fidelity=measured.fidelity, note=note, **about)


def int8_share(of: Literal["multiply-adds", "time", "bytes moved"]) -> Callable[[CandidateFacts], Finding]:
    """Return a function that finds an INT8 share. Multiply-adds and bytes are counted; time comes from one process."""

    def find_share(facts: CandidateFacts) -> Finding:
        residency = facts.residency
        if residency is None:
            return missing("residency was not measured")
        if residency.basis == "planned":
            return missing("residency is only planned by the builder; gates need executed layers")
        if residency.basis == "elsewhere":
            return missing("residency was read on another machine, whose kernels may differ from the device's")
        shares = {"multiply-adds": residency.mac_share, "time": residency.time_share, "bytes moved": residency.byte_share}[of]
        if not shares:
            why = f": {residency.bytes_absent}" if of == "bytes moved" and residency.bytes_absent else ""
            return missing(f"the runtime gave no {of} by precision{why}")
        known, unknown = shares.get("int8", 0.0), shares.get("unknown", 0.0)  # layers of unknown precision may be INT8
        figure = Interval(estimate=known, low=known, high=min(1.0, known + unknown), confidence=0.0 if of == "time" else 1.0)
        notes = ["of one traced run"] if of == "time" else []
        if unknown:
            notes.append(f"the precision of {100 * unknown:.1f} % of {of} is not known")
        return Finding(figure=figure, fidelity=Fidelity.MEASURED, note=", ".join(notes))

    return find_share


OF_ONE_CLASS = ("drop_pp", "top1", "top5", "ece", "worst_class_drop_pp")
OF_SEVERAL = ("map_drop_pp", "map", "micro_f1")
"""Metrics for only one kind of labels; macro_f1 and agreement apply to both."""
_NOT_MEASURED = "mAP was not measured on the test images"
_NO_BASELINE = "the baseline network was not evaluated on the same images"


def wrong_label_kind(metric: str, facts: CandidateFacts) -> Finding | None:
    """Return the finding of a metric that does not exist for this kind of labels, or None."""
    if facts.multi_label is not None and metric in OF_ONE_CLASS:
        others = f"{', '.join(OF_SEVERAL)}, macro_f1 and agreement"
        return missing(f"a multi-label model has no {metric}; it has {others}")
    if facts.multi_label is None and facts.test is not None and metric in OF_SEVERAL:
        return missing(f"only a multi-label model has {metric}, and these images have one class each")
    return None


def map_drop(facts: CandidateFacts) -> Finding:
    """Return the paired drop of mAP; the stored interval has the confidence of the test."""
    accuracy = facts.multi_label
    if accuracy is None:
        return missing(_NOT_MEASURED)
    if facts.is_baseline:
        return Finding(figure=None, fidelity=Fidelity.DEFINED, note="this is the baseline network: no drop by definition")
    if accuracy.drop_pp is None:
        return missing(_NO_BASELINE)
    finding = Finding(figure=accuracy.drop_pp, fidelity=accuracy.fidelity, note=_origin_note(accuracy))
    return _over_all_labels(finding, accuracy.labels, -100.0, 100.0)


def mean_average_precision(facts: CandidateFacts) -> Finding:
    """Return mAP with the interval of the test; older reports hold a wider interval."""
    accuracy = facts.multi_label
    if accuracy is None:
        return missing(_NOT_MEASURED)
    figure = accuracy.map_bounds or accuracy.map
    return _over_all_labels(Finding(figure=figure, fidelity=accuracy.fidelity, note=_origin_note(accuracy)), accuracy.labels)


def images_to_settle(metric: str, bound: float, accuracy: MultiLabelAccuracy) -> int | None:
    """Return about how many new test images, judged alone, would decide a gate in ``POWER`` of cases if the figure is right.

    None if no number would, or for another kind of metric. The estimate uses the half of the interval that extends towards the
    bound. This half shrinks with the square root of the number of images; the possible loss of unseen images shrinks with the
    number itself.
    """
    figures: dict[str, Interval | None] = {
        "map": accuracy.map_bounds or accuracy.map,
        "map_drop_pp": accuracy.drop_pp,
        "micro_f1": accuracy.micro_f1,
        "macro_f1": accuracy.macro_f1,
        "agreement": accuracy.agreement,
    }
    figure = figures.get(metric)
    if figure is None or math.isclose(bound, figure.estimate, abs_tol=1e-9):
        return None
    half = figure.estimate - figure.low if bound < figure.estimate else figure.high - figure.estimate
    apart, unseen = abs(bound - figure.estimate), 0.0
    if metric == "map_drop_pp" and accuracy.drop_images is not None:
        unseen = 100 * two_sided_z(NON_INFERIORITY_CONFIDENCE) ** 2 / (2 * accuracy.drop_images)
    spread = half * max(0.0, half - 2 * unseen) * (1 + POWER_Z / two_sided_z(figure.confidence)) ** 2
    return math.ceil(accuracy.images * (spread + 2 * unseen * apart) / apart**2)
