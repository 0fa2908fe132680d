"""What is known of one metric of one candidate, as the interval that a gate judges, or why nothing is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from edgecnn.errors.wording import counted
from edgecnn.judging.accuracy import NO_LABELS
from edgecnn.judging.intervals import NON_INFERIORITY_CONFIDENCE, tango_drop_pp, wilson
from edgecnn.values.base import Value
from edgecnn.values.candidate import Method
from edgecnn.values.figures import ClassFigures, ClassReport, Energy, Memory
from edgecnn.values.layers import Residency
from edgecnn.values.report import Accuracy, CandidateFacts, Latency
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
    largest_of: int | None = None
    """Memory: the figure is the largest of so many runs, see ``GateResult``."""


def find(metric: str, facts: CandidateFacts) -> Finding:
    """What is known of ``metric`` (a name of ``METRICS``)."""
    if facts.candidate.method is Method.BROUGHT and metric in _AGAINST_FP32:
        return _missing("the file came quantized, and the float network that it could be held against is not in it")
    return _unlabelled(metric, facts) or _FINDERS[metric](facts)


def _missing(note: str) -> Finding:
    return Finding(figure=None, fidelity=Fidelity.MISSING, absent=Verdict.MISSING, note=note)


def _unlabelled(metric: str, facts: CandidateFacts) -> Finding | None:
    """Without labels the one figure of accuracy's kind is agreement, and no accuracy is made of it."""
    seen = facts.agreement
    if seen is None or metric not in _OF_LABELS:
        return None
    if metric != "agreement":
        return _missing(f"{NO_LABELS}; agreement with fp32 can be bounded, as in --min agreement=0.99")
    note = f"emulated on {seen.machine}" if seen.fidelity is Fidelity.EMULATED else ""
    if facts.is_baseline:
        return Finding(figure=seen.same, fidelity=seen.fidelity, note="it is the baseline network itself")
    figure = wilson(round(seen.same.estimate * seen.images), seen.images, NON_INFERIORITY_CONFIDENCE)
    return Finding(figure=figure, fidelity=seen.fidelity, note=note)


def _drop(facts: CandidateFacts) -> Finding:
    report = facts.report
    if report is None or report.images < 1:
        return _missing("accuracy was not measured on report")
    if facts.is_baseline:
        return Finding(figure=None, fidelity=report.fidelity, note="it is the baseline network itself: no drop by definition")
    if report.lost is None or report.gained is None:
        return _missing("the baseline network was not evaluated on the same images")
    # Taken again from the counts at the confidence of the test, whatever was shown.
    figure = tango_drop_pp(report.lost, report.gained, report.images, NON_INFERIORITY_CONFIDENCE)
    return Finding(figure=figure, fidelity=report.fidelity, note=_where(report))


def _top1(facts: CandidateFacts) -> Finding:
    report = facts.report
    if report is None or report.images < 1:
        return _missing("accuracy was not measured on report")
    figure = wilson(round(report.top1.estimate * report.images), report.images, NON_INFERIORITY_CONFIDENCE)
    return Finding(figure=figure, fidelity=report.fidelity, note=_where(report))


def _of_quality(name: Literal["top5", "macro_f1", "agreement", "ece"]) -> Callable[[CandidateFacts], Finding]:
    """Figures whose stored interval is already the one that a gate is judged by."""

    def find_quality(facts: CandidateFacts) -> Finding:
        report = facts.report
        if report is None or report.quality is None:
            return _missing(f"{'agreement' if name == 'agreement' else 'accuracy'} was not measured on report")
        if name == "agreement" and facts.is_baseline:
            itself = Interval(estimate=1, low=1, high=1, confidence=1)
            return Finding(figure=itself, fidelity=report.fidelity, note="it is the baseline network itself")
        figure: Interval | None = getattr(report.quality, name)
        if figure is None:
            return _missing(report.quality.absent.get(name, f"{name} was not measured"))
        return Finding(figure=figure, fidelity=report.fidelity, note=_where(report))

    return find_quality


def _worst_class(facts: CandidateFacts) -> Finding:
    report = facts.report
    if report is None or report.quality is None:
        return _missing("accuracy was not measured on report")
    if facts.is_baseline:
        return Finding(figure=None, fidelity=report.fidelity, note="it is the baseline network itself: no drop by definition")
    classes = report.quality.classes
    if classes.worst_drop_pp is None:
        return _missing("the baseline network was not evaluated on the same images")
    return Finding(figure=classes.worst_drop_pp, fidelity=report.fidelity, note=_which(report, classes))


def _which(report: Accuracy, classes: ClassReport) -> str:
    """The class that loses most, and the one that leaves most open: of it, more images are wanted."""
    losing = [each for each in classes.classes if each.drop_pp is not None and each.drop_pp.estimate > 0]
    worst = max(losing, key=lambda each: each.drop_pp.estimate if each.drop_pp else 0.0, default=None)
    widest = next((each for each in classes.classes if each.name == classes.widest), None)
    said = [f"{_sized(worst)} loses most"] if worst is not None else []
    said += [f"{_sized(widest)} leaves most open"] if widest is not None and widest is not worst else []
    return ", ".join([*said, *filter(None, [_where(report)])])


def _sized(each: ClassFigures) -> str:
    return f"{each.name!r} with {counted(each.images, 'image')}"


def _where(report: Accuracy) -> str:
    return f"emulated on {report.machine}" if report.fidelity is Fidelity.EMULATED else ""


def _judged(seen: Latency | Memory | Energy) -> bool:
    return seen.runs >= 1 and seen.fidelity is Fidelity.MEASURED


def _unmeasured(what: str, seen: Latency | Memory | Energy | None) -> Finding:
    """Why a figure of the device is not one that is judged."""
    if seen is None or seen.runs < 1:
        return _missing((seen.reason if seen else None) or f"{what} was not measured")
    return _missing(f"{what} is {seen.fidelity.value}, and only a measured one is judged")


def _latency(percent: Literal[50, 90, 99]) -> Callable[[CandidateFacts], Finding]:
    def find_latency(facts: CandidateFacts) -> Finding:
        seen = facts.latency
        if seen is None or not _judged(seen):
            return _unmeasured("latency", seen)
        figure = {50: seen.p50_ms, 90: seen.p90_ms, 99: seen.p99_ms}[percent]
        if figure is None:
            why = seen.reason if percent != 90 else seen.absent.get("p90_ms")
            note = f"p{percent} is open: {why or 'the runs are too few or too short'}"
            return Finding(figure=None, fidelity=seen.fidelity, absent=Verdict.UNSURE, note=note)
        note = f"on {seen.machine}" + (f", {seen.manner}" if seen.manner else "")
        doubt, times = seen.disturbed, seen.slowed_at_most if percent == 50 else None
        return Finding(figure=figure, fidelity=seen.fidelity, note=note, disturbed=doubt, slowed_at_most=times, rounds=seen.runs)

    return find_latency


def _size(facts: CandidateFacts) -> Finding:
    size = facts.size_mib
    if size is None:
        return _missing("there is no kit to weigh")
    return Finding(figure=Interval(estimate=size, low=size, high=size, confidence=1.0), fidelity=Fidelity.MEASURED)


def _peak_memory(facts: CandidateFacts) -> Finding:
    seen = facts.memory
    if seen is None or not _judged(seen):
        return _unmeasured("memory", seen)
    if seen.peak_mib is None or seen.largest_mib is None:
        note = f"peak memory is open: {seen.reason or 'the runs are too few'}"
        return Finding(figure=None, fidelity=seen.fidelity, absent=Verdict.UNSURE, note=note)
    # What was seen, and no interval of what would be: nothing is covered with any confidence.
    most = Interval(estimate=seen.largest_mib, low=seen.largest_mib, high=seen.largest_mib, confidence=0.0)
    note = f"the largest of {seen.runs} runs on {seen.machine}"
    return Finding(figure=most, fidelity=seen.fidelity, note=note, largest_of=seen.runs)


def _energy(facts: CandidateFacts) -> Finding:
    seen = facts.energy
    if seen is None or not _judged(seen):
        return _unmeasured("energy", seen)
    if seen.total_mj is None:
        note = f"energy is open: {seen.reason or 'the runs are too few'}"
        return Finding(figure=None, fidelity=seen.fidelity, absent=Verdict.UNSURE, note=note)
    note = f"{seen.meter} on {seen.machine}: {seen.covers}"
    return Finding(figure=seen.total_mj, fidelity=seen.fidelity, note=note, disturbed=seen.disturbed)


_Shared = Literal["multiply-adds", "time", "bytes moved"]
_ONE_RUN = "of one traced run"


def _int8_share(of: _Shared) -> Callable[[CandidateFacts], Finding]:
    """Multiply-adds and bytes are counted; time was taken in one process, of which nothing says what another would give."""

    def find_share(facts: CandidateFacts) -> Finding:
        seen = facts.residency
        if seen is None:
            return _missing("residency was not measured")
        if seen.basis == "planned":
            return _missing("residency is the builder's plan, and only what a runtime executed is judged")
        if seen.basis == "elsewhere":
            return _missing("residency was read on another machine than the device, whose kernels may be others")
        shares = {"multiply-adds": seen.mac_share, "time": seen.time_share, "bytes moved": seen.byte_share}[of]
        if not shares:
            return _missing(_no_share(of, seen))
        figure = _between(shares, confidence=0.0 if of == "time" else 1.0)
        note = ", ".join(filter(None, [_ONE_RUN if of == "time" else "", _unjoined(shares, of)]))
        return Finding(figure=figure, fidelity=Fidelity.MEASURED, note=note)

    return find_share


def _no_share(of: _Shared, seen: Residency) -> str:
    why = f": {seen.bytes_absent}" if of == "bytes moved" and seen.bytes_absent else ""
    return f"the runtime gave no {of} by precision{why}"


def _between(shares: Mapping[str, float], confidence: float) -> Interval:
    """What could not be joined may or may not be INT8: both ends are kept."""
    known = shares.get("int8", 0.0)
    return Interval(estimate=known, low=known, high=min(1.0, known + shares.get("unknown", 0.0)), confidence=confidence)


def _unjoined(shares: Mapping[str, float], of: str) -> str:
    unknown = shares.get("unknown", 0.0)
    return f"the precision of {100 * unknown:.1f} % of {of} is not known" if unknown else ""


_AGAINST_FP32 = ("drop_pp", "agreement", "worst_class_drop_pp")
_OF_LABELS = ("drop_pp", "top1", "top5", "macro_f1", "agreement", "ece", "worst_class_drop_pp")
_FINDERS: Mapping[str, Callable[[CandidateFacts], Finding]] = {
    "drop_pp": _drop,
    "top1": _top1,
    "top5": _of_quality("top5"),
    "macro_f1": _of_quality("macro_f1"),
    "agreement": _of_quality("agreement"),
    "ece": _of_quality("ece"),
    "worst_class_drop_pp": _worst_class,
    "p50_ms": _latency(50),
    "p90_ms": _latency(90),
    "p99_ms": _latency(99),
    "size_mib": _size,
    "peak_memory_mib": _peak_memory,
    "energy_mj": _energy,
    "int8_mac_share": _int8_share("multiply-adds"),
    "int8_time_share": _int8_share("time"),
    "int8_bytes_share": _int8_share("bytes moved"),
}
