"""What is known of one metric of one candidate, as the interval that a gate judges, or why nothing is known.

Of a network with several labels an image too, and which metrics are none of its.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

from edgecnn.errors.wording import counted
from edgecnn.judging.intervals import LATENCY_CONFIDENCE, NON_INFERIORITY_CONFIDENCE, two_sided_z
from edgecnn.judging.predictions.accuracy import NO_LABELS
from edgecnn.judging.predictions.independent_images import Worth, drop_interval_pp, share_interval
from edgecnn.judging.resolution import POWER_Z
from edgecnn.judging.runs.dependence import do_not_tell
from edgecnn.judging.runs.latency import NOT_SHOWN, WITHIN
from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision
from edgecnn.values.figures import Accuracy, Agreement, ClassFigures, ClassReport, Energy, Memory, MultiLabelAccuracy, group_count
from edgecnn.values.layers import Residency
from edgecnn.values.report import MEDIAN, PERCENTILES, CandidateFacts, Latency, percentile_name
from edgecnn.values.verdict import Fidelity, Interval, Verdict


class Finding(Value):
    """``absent`` is None where there is a figure (or where none is needed, as for the baseline's own drop); FAIL where what was
    measured can never be one."""

    figure: Interval | None
    fidelity: Fidelity
    absent: Literal[Verdict.MISSING, Verdict.UNSURE, Verdict.FAIL] | None = None
    note: str = ""
    disturbed: str | None = None
    """Latency: why a figure above its bound need not be the kit's."""
    slowed_at_most: int | None = None
    """How many times longer that can have made it; None where nothing bounds it."""
    rounds: int | None = None
    """Latency: runs behind the figure, more of which would make it narrower."""
    too_few: str | None = None
    """Latency, energy: why these runs decide no gate, however far their figure is from its bound."""
    never_met: str | None = None
    """Why no bound is met by this figure, however far inside it lies; it may break one."""
    largest_of: int | None = None
    """Memory: the figure is the largest of so many runs, see ``GateResult``."""


def missing(note: str) -> Finding:
    """Nothing is known, and why."""
    return Finding(figure=None, fidelity=Fidelity.MISSING, absent=Verdict.MISSING, note=note)


def unlabelled(metric: str, facts: CandidateFacts) -> Finding | None:
    """Without labels the one figure of accuracy's kind is agreement, and no accuracy is made of it."""
    agreement = facts.agreement
    if agreement is None:
        return None
    if metric != "agreement":
        return missing(f"{NO_LABELS}; bound the agreement with fp32 instead, as in --min agreement=0.99")
    if facts.is_baseline:
        return Finding(figure=agreement.same, fidelity=Fidelity.DEFINED, note="this is the baseline network")
    worth = Worth(agreement.effect, agreement.independent or math.inf)
    figure = share_interval(round(agreement.same.estimate * agreement.images), agreement.images, worth)
    return Finding(figure=figure, fidelity=agreement.fidelity, note=_where(agreement))


def arithmetic_differs(facts: CandidateFacts) -> str | None:
    """Return why the kit's own answers on another machine than its device meet no bound: it may multiply otherwise.

    Rounded weights are in such a figure; the rounded products and sums of fp16 and bf16 are not, and can cost several points. In
    INT8 sums that saturate on one of the two machines alone are other sums. None where residency shows products in fp16 or bf16,
    and for the twin of an engine, which rounds activations as the engine does.
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
    """Top-1 lost, taken again at the confidence of the test."""
    test = facts.test
    if test is None or test.images < 1:
        return missing("accuracy was not measured on the test images")
    if facts.is_baseline:
        return Finding(figure=None, fidelity=Fidelity.DEFINED, note="this is the baseline network: no drop by definition")
    if test.lost is None or test.gained is None:
        return missing(_NO_BASELINE)
    # Taken again from the counts at the confidence of the gate, whatever was shown.
    worth = Worth(test.drop_effect, test.independent_at_most)
    figure = drop_interval_pp(test.lost, test.gained, test.images, worth)
    return Finding(figure=figure, fidelity=test.fidelity, note=_where(test))


def top1(facts: CandidateFacts) -> Finding:
    """Top-1, taken again at the confidence of the test."""
    test = facts.test
    if test is None or test.images < 1:
        return missing("accuracy was not measured on the test images")
    worth = Worth(test.top1_effect, test.independent_at_most)
    figure = share_interval(round(test.top1.estimate * test.images), test.images, worth)
    return Finding(figure=figure, fidelity=test.fidelity, note=_where(test))


def stored_interval(name: Literal["micro_f1", "top5", "macro_f1", "agreement", "ece"]) -> Callable[[CandidateFacts], Finding]:
    """Return the judge of a figure whose stored interval is the interval of the gate, for either kind of labels."""

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
        return Finding(figure=figure, fidelity=accuracy.fidelity, note=_where(accuracy))

    return find_figure


def worst_class(facts: CandidateFacts) -> Finding:
    """The largest drop of any class."""
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
    return Finding(figure=classes.worst_drop_pp, fidelity=test.fidelity, note=_which(test, classes))


def _dependence_unknown(test: Accuracy) -> Finding | None:
    """That a figure is open whose interval takes images for independent, where they are not."""
    if test.dependence is None:
        return None
    note = f"it has no interval that accounts for {test.dependence}"
    return Finding(figure=None, fidelity=test.fidelity, absent=Verdict.UNSURE, note=note)


def _which(test: Accuracy, classes: ClassReport) -> str:
    """The class that loses most, and the one that is the least certain: of it, more images are wanted."""
    losing = [figures for figures in classes.classes if figures.drop_pp is not None and figures.drop_pp.estimate > 0]
    worst = max(losing, key=lambda figures: figures.drop_pp.estimate if figures.drop_pp else 0.0, default=None)
    widest = next((figures for figures in classes.classes if figures.name == classes.widest), None)
    notes = [f"{_sized(worst)} loses most"] if worst is not None else []
    notes += [f"{_sized(widest)} is the least certain"] if widest is not None and widest is not worst else []
    return ", ".join([*notes, *filter(None, [_where(test)])])


def _sized(figures: ClassFigures) -> str:
    return f"{figures.name!r} with {counted(figures.images, 'image')}"


def _where(accuracy: Accuracy | MultiLabelAccuracy | Agreement) -> str:
    """Return the machine of an emulated figure, the number of folds and the number of groups, as far as they apply."""
    emulated = f"emulated on {accuracy.machine}" if accuracy.fidelity is Fidelity.EMULATED else ""
    folds = f"over {len(accuracy.folds.each)} folds" if isinstance(accuracy, Accuracy) and accuracy.folds is not None else ""
    return ", ".join(filter(None, [emulated, folds, group_note(accuracy)]))


def group_note(accuracy: Accuracy | MultiLabelAccuracy | Agreement) -> str:
    """``of 40 groups of images``; nothing where images are independent."""
    groups = group_count(accuracy)
    return "" if groups is None else f"of {counted(groups, 'group')} of images"


def _judged(figures: Latency | Memory | Energy) -> bool:
    return figures.runs >= 1 and figures.fidelity is Fidelity.MEASURED


def _unmeasured(subject: str, figures: Latency | Memory | Energy | None) -> Finding:
    """Why a figure of the device is not one that is judged."""
    if figures is None or figures.runs < 1:
        return missing((figures.reason if figures else None) or f"{subject} was not measured")
    return missing(f"{subject} is {figures.fidelity.value}; only measured figures are judged")


def latency(percent: int) -> Callable[[CandidateFacts], Finding]:
    """A percentile of latency, which only the device itself can give."""
    name = percentile_name(percent)

    def find_latency(facts: CandidateFacts) -> Finding:
        measured = facts.latency
        if measured is None or not _judged(measured):
            return _unmeasured("latency", measured)
        if measured.selecting:
            few = f"only {counted(measured.runs, 'run')} of the race for the choice"
            note = f"p{percent} is open: {few}, and gates need a separate race"
            return Finding(figure=None, fidelity=measured.fidelity, absent=Verdict.UNSURE, note=note)
        figure: Interval | None = getattr(measured, name)
        if figure is None:
            why = measured.reason if percent in (MEDIAN, PERCENTILES[-1]) else measured.absent.get(name)
            note = f"p{percent} is open: {why or 'the runs are too few or too short'}"
            return Finding(figure=None, fidelity=measured.fidelity, absent=Verdict.UNSURE, note=note)
        note = ", ".join(filter(None, (f"on {measured.machine}", measured.run_settings, measured.dependent.get(name))))
        about = {"disturbed": measured.disturbed, "rounds": measured.runs, "too_few": do_not_tell(measured.runs)}
        finding = Finding(figure=figure, fidelity=measured.fidelity, note=note, **about)
        if percent == MEDIAN:
            return finding.model_copy(update={"slowed_at_most": measured.slowed_at_most})
        return _bound_by_processes(finding, figure, measured, name)

    return find_latency


def _bound_by_processes(finding: Finding, figure: Interval, measured: Latency, name: str) -> Finding:
    """That of the middle process, up to what three of four keep within; no bound is met where that is not shown.

    Its confidence is that of its upper end, which the middle process's interval may exceed: its ranks go in other steps.
    """
    if (within := measured.tails_within_ms.get(name)) is None:
        return finding.model_copy(update={"never_met": measured.absent.get(WITHIN, NOT_SHOWN)})
    either = {"high": max(figure.high, within), "confidence": min(figure.confidence, LATENCY_CONFIDENCE)}
    return finding.model_copy(update={"figure": figure.model_copy(update=either)})


def size(facts: CandidateFacts) -> Finding:
    """Of the model's files, exactly."""
    size = facts.size_mib
    if size is None:
        return missing("size unknown: no kit was built")
    return Finding(figure=Interval(estimate=size, low=size, high=size, confidence=1.0), fidelity=Fidelity.MEASURED)


def peak_memory(facts: CandidateFacts) -> Finding:
    """The largest peak of all runs."""
    memory = facts.memory
    if memory is None or not _judged(memory):
        return _unmeasured("memory", memory)
    if memory.peak_mib is None or memory.largest_mib is None:
        note = f"peak memory is open: {memory.reason or 'the runs are too few'}"
        return Finding(figure=None, fidelity=memory.fidelity, absent=Verdict.UNSURE, note=note)
    # What was seen, and no interval of what would be: nothing is covered with any confidence.
    most = Interval(estimate=memory.largest_mib, low=memory.largest_mib, high=memory.largest_mib, confidence=0.0)
    note = f"the largest of {memory.runs} runs on {memory.machine}"
    return Finding(figure=most, fidelity=memory.fidelity, note=note, largest_of=memory.runs)


def energy(facts: CandidateFacts) -> Finding:
    """Of one image, the idle share included."""
    measured = facts.energy
    if measured is None or not _judged(measured):
        return _unmeasured("energy", measured)
    if measured.total_mj is None:
        note = f"energy is open: {measured.reason or 'the runs are too few'}"
        return Finding(figure=None, fidelity=measured.fidelity, absent=Verdict.UNSURE, note=note)
    note = ", ".join(filter(None, (f"{measured.meter} on {measured.machine}: {measured.covers}", measured.dependent)))
    about = {"disturbed": measured.disturbed, "too_few": do_not_tell(measured.runs)}
    return Finding(figure=measured.total_mj, fidelity=measured.fidelity, note=note, **about)


_Shared = Literal["multiply-adds", "time", "bytes moved"]
_ONE_RUN = "of one traced run"


def int8_share(of: _Shared) -> Callable[[CandidateFacts], Finding]:
    """Multiply-adds and bytes are counted; time was taken in one process, of which nothing says what another would give."""

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
            return missing(_no_share(of, residency))
        figure = _between(shares, confidence=0.0 if of == "time" else 1.0)
        note = ", ".join(filter(None, [_ONE_RUN if of == "time" else "", _unjoined(shares, of)]))
        return Finding(figure=figure, fidelity=Fidelity.MEASURED, note=note)

    return find_share


def _no_share(of: _Shared, residency: Residency) -> str:
    why = f": {residency.bytes_absent}" if of == "bytes moved" and residency.bytes_absent else ""
    return f"the runtime gave no {of} by precision{why}"


def _between(shares: Mapping[str, float], confidence: float) -> Interval:
    """What could not be joined may or may not be INT8: both ends are kept."""
    known = shares.get("int8", 0.0)
    return Interval(estimate=known, low=known, high=min(1.0, known + shares.get("unknown", 0.0)), confidence=confidence)


def _unjoined(shares: Mapping[str, float], of: str) -> str:
    unknown = shares.get("unknown", 0.0)
    return f"the precision of {100 * unknown:.1f} % of {of} is not known" if unknown else ""


OF_ONE_CLASS = ("drop_pp", "top1", "top5", "ece", "worst_class_drop_pp")
OF_SEVERAL = ("map_drop_pp", "map", "micro_f1")
"""Metrics that know of either kind of labels alone; macro_f1 and agreement know of both."""
_NOT_MEASURED = "mAP was not measured on the test images"
_NO_BASELINE = "the baseline network was not evaluated on the same images"


def wrong_label_kind(metric: str, facts: CandidateFacts) -> Finding | None:
    """Return why the metric does not exist for this kind of labels, or None."""
    if facts.multi_label is not None and metric in OF_ONE_CLASS:
        others = f"{', '.join(OF_SEVERAL)}, macro_f1 and agreement"
        return missing(f"a multi-label model has no {metric}; it has {others}")
    if facts.multi_label is None and facts.test is not None and metric in OF_SEVERAL:
        return missing(f"only a multi-label model has {metric}, and these images have one class each")
    return None


def map_drop(facts: CandidateFacts) -> Finding:
    """The paired drop, whose stored interval is the one of the test."""
    accuracy = facts.multi_label
    if accuracy is None:
        return missing(_NOT_MEASURED)
    if facts.is_baseline:
        return Finding(figure=None, fidelity=Fidelity.DEFINED, note="this is the baseline network: no drop by definition")
    if accuracy.drop_pp is None:
        return missing(_NO_BASELINE)
    return Finding(figure=accuracy.drop_pp, fidelity=accuracy.fidelity, note=_where(accuracy))


def mean_average_precision(facts: CandidateFacts) -> Finding:
    """mAP, with the interval of the test; that of an old report is a wider one."""
    accuracy = facts.multi_label
    if accuracy is None:
        return missing(_NOT_MEASURED)
    return Finding(figure=accuracy.map_bounds or accuracy.map, fidelity=accuracy.fidelity, note=_where(accuracy))


def images_to_settle(metric: str, bound: float, accuracy: MultiLabelAccuracy) -> int | None:
    """About how many new test images would settle a gate by themselves in ``POWER`` of all cases, were the figure to stay as it
    is; None where no number would, or of another kind of metric.

    By the half of its interval that reaches towards the bound. It shrinks with the root of their number; what unseen images may
    lose shrinks with the number.
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
