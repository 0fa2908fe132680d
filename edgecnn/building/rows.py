"""Make the rows of a subject: figures computed from stored measurements, so that a cached build judges at once.

Only this module turns a stored evaluation into predictions and makes a candidate's row, single-label or multi-label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from edgecnn.building.forecasts import built_forecasts
from edgecnn.errors.gates import LOGITS_NOT_FINITE
from edgecnn.errors.labels import thresholds_of_another_model
from edgecnn.judging.accuracy import Answers, accuracy, agreement
from edgecnn.judging.folds import FoldAnswers, accuracy_over_folds, quality_over_folds
from edgecnn.judging.latency import latency, latency_when_chosen
from edgecnn.judging.multi_label import multi_label_accuracy
from edgecnn.judging.quality import adjusted_over_candidates, quality
from edgecnn.judging.resources import energy, memory, screened_rates, sustained, throughput
from edgecnn.measure.evaluate import logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import FIGURES, has_meter, why_no_meter_here
from edgecnn.measure.subject import SPLITS, Split, Subject
from edgecnn.runtimes.registry import saturates_on
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.candidate import Candidate
from edgecnn.values.figures import Accuracy, Agreement, Energy, Memory, MultiLabelAccuracy, Throughput
from edgecnn.values.layers import Residency
from edgecnn.values.profile import NOT_TIMED, Purpose
from edgecnn.values.report import CandidateFacts, EndToEnd, Latency
from edgecnn.values.verdict import Fidelity

_TIMED: tuple[Purpose, ...] = (*FIGURES, "against")
"""Races that give figures of latency and memory, the most important first."""


def thresholds_of(kit: KitRef) -> Mapping[str, float] | None:
    """Return the thresholds by label, in the order of the logits; None for a single-label kit.

    Raises THRESHOLDS_OF_ANOTHER_MODEL: a label of the kit has no threshold.
    """
    thresholds, labels = kit.manifest.get("thresholds"), kit.manifest["labels"]
    if thresholds is None:
        return None
    if sorted(thresholds) != sorted(labels):
        raise thresholds_of_another_model(file=kit.folder / "kit.json", names=tuple(thresholds), labels=labels)
    return {name: float(thresholds[name]) for name in labels}


def multi_label_figures(
    name: str, subject: Subject, split: Split, answers: Mapping[str, Answers], labels: Mapping[Split, Any]
) -> MultiLabelAccuracy | None:
    """Return the multi-label accuracy of one candidate on one split; None without an evaluation or multi-label labels.

    Raises THRESHOLDS_OF_ANOTHER_MODEL, LOGITS_DO_NOT_MATCH: kit, predictions and labels do not match.
    """
    if name not in answers or split not in labels or labels[split].ndim != 2:
        return None
    baseline = None if name == subject.reference else answers.get(subject.reference)
    thresholds = required_thresholds(subject.answering[name])
    if set(subject.classes) < set(thresholds):  # only the labels that another build has too
        thresholds = {label: thresholds[label] for label in subject.classes}
    return multi_label_accuracy(answers[name], labels[split], thresholds, split, baseline)


def map_drop(answers: Answers, labels: Any, kit: KitRef, baseline: Answers) -> float:
    """Return the estimated drop of mAP on ``validation``, percentage points. ``labels``: uint8 (images, labels)."""
    drop = multi_label_accuracy(answers, labels, required_thresholds(kit), "validation", baseline).drop_pp
    assert drop is not None
    return drop.estimate


def required_thresholds(kit: KitRef) -> Mapping[str, float]:
    """Return the thresholds of a multi-label kit. Raises THRESHOLDS_OF_ANOTHER_MODEL: the kit has none."""
    thresholds = thresholds_of(kit)
    if thresholds is None:
        raise thresholds_of_another_model(file=kit.folder / "kit.json", names=(), labels=kit.manifest["labels"])
    return thresholds


def answers_from(stored: StoredProfile, candidate: str, groups: Any | None = None, *, attached: bool) -> Answers:
    """Return the predictions of a stored evaluation.

    ``candidate``: the name in errors. ``groups``: group of each image, int64 (images,). ``attached``: whether the device itself
    made the predictions; else they count as emulated.

    Raises OSError, ValueError: the logits cannot be read.
    """
    return Answers(
        candidate=candidate,
        logits=logits_of(stored),
        pixels=stored.profile.pixels or "",
        machine=stored.profile.host,
        fidelity=stored.profile.fidelity if attached else Fidelity.EMULATED,
        groups=groups,
    )


def answer_of(subject: Subject, name: str, split: Split) -> Answers | None:
    """Return the predictions of one candidate on a split; None if it was not evaluated."""
    if (known := subject.known_answers.get((name, split))) is not None:
        return known
    stored = subject.evaluations.get((name, split))
    own = subject.answers_as_device(name)
    return None if stored is None else answers_from(stored, name, subject.groups(split), attached=own)


def answers_of(subject: Subject, split: Split) -> dict[str, Answers]:
    """Return the predictions of each evaluated candidate on a split, by name."""
    by_candidate = {name: answer_of(subject, name, split) for name in subject.answering}
    return {name: answers for name, answers in by_candidate.items() if answers is not None}


def candidate_facts(subject: Subject) -> dict[str, CandidateFacts]:
    """Return the row of each candidate before a choice is made, in the subject's order."""
    answers = {split: answers_of(subject, split) for split in SPLITS}
    labels = {split: truth for split in SPLITS if answers[split] and (truth := subject.labels(split)) is not None}
    answered = _Answered(subject, answers, labels, fold_answers(subject))
    predicted = built_forecasts(subject).by_candidate
    rows = {name: _add_reasons(_row(name, candidate, answered), subject) for name, candidate in subject.rows.items()}
    return {name: row.model_copy(update={"forecast": predicted.get(name)}) for name, row in rows.items()}


def _add_reasons(row: CandidateFacts, subject: Subject) -> CandidateFacts:
    update = {}
    for source, figures in (("latency", row.latency), ("memory", row.memory), ("energy", row.energy)):
        if figures is not None and not figures.runs and source in subject.absent:
            update[source] = figures.model_copy(update={"reason": subject.absent[source]})
    return row.model_copy(update=update)


def fold_answers(subject: Subject) -> dict[str, FoldAnswers]:
    """Return the predictions of candidates that were evaluated in every fold; empty without cross-validation."""
    every = [subject, *subject.folds] if subject.folds else []
    by_fold = [answers_of(fold, "test") for fold in every]
    labels: list[Any] = [fold.labels("test") for fold in every]
    names = [name for name in subject.answering if by_fold and all(name in answers for answers in by_fold)]
    return {name: FoldAnswers([answers[name] for answers in by_fold], labels) for name in names}


def add_reported_figures(rows: Mapping[str, CandidateFacts], subject: Subject) -> dict[str, CandidateFacts]:
    """Add the figures that are only reported and never decide a choice: quality beyond top-1, and the extra runs."""
    answers = answers_of(subject, "test")
    labels = subject.labels("test") if answers else None
    folds = fold_answers(subject)
    if subject.folds:
        together = {name: answers_by_fold.together() for name, answers_by_fold in folds.items()}
        answers = {name: joined for name, (joined, _) in together.items()}
        labels = next((truth for _, truth in together.values()), None)

    def judged(name: str, row: CandidateFacts) -> Accuracy | None:
        if row.test is None or labels is None or name not in answers:
            return row.test
        theirs, of_folds = None if row.is_baseline else answers.get(subject.reference), folds.get(name)
        figures = quality(answers[name], labels, subject.classes, theirs, None if of_folds is None else of_folds.places())
        if of_folds is not None:
            figures = quality_over_folds(figures, of_folds, None if row.is_baseline else folds.get(subject.reference))
        return row.test.model_copy(update={"quality": figures})

    adjusted = adjusted_over_candidates({name: judged(name, row) for name, row in rows.items()})
    tests = {name: test and test.model_copy(update={"quality": test.shown_quality}) for name, test in adjusted.items()}
    return {name: row.model_copy(update={"test": tests[name], **_extra_run_figures(name, subject)}) for name, row in rows.items()}


class _Answered(NamedTuple):
    """Predictions and labels of each split."""

    subject: Subject
    answers: Mapping[Split, Mapping[str, Answers]]
    labels: Mapping[Split, Any]
    folds: Mapping[str, FoldAnswers]

    def accuracy(self, name: str, split: Split) -> Accuracy | None:
        reference = self.subject.reference
        if split == "test" and self.subject.folds:
            fp32 = None if name == reference else self.folds.get(reference)
            return accuracy_over_folds(self.folds[name], fp32) if name in self.folds else None
        mine, labels = self.answers[split].get(name), self.labels.get(split)
        baseline = None if name == reference else self.answers[split].get(reference)
        return None if mine is None or labels is None or labels.ndim == 2 else accuracy(mine, labels, split, baseline)

    def multi_label(self, name: str, split: Split) -> MultiLabelAccuracy | None:
        return multi_label_figures(name, self.subject, split, self.answers[split], self.labels)

    def agreement(self, name: str, split: Split) -> Agreement | None:
        mine, theirs = self.answers[split].get(name), self.answers[split].get(self.subject.reference)
        if mine is None or theirs is None or split in self.labels:
            return None
        thresholds = thresholds_of(self.subject.answering[name])
        return agreement(mine, split, None if name == self.subject.reference else theirs, thresholds)


def _row(name: str, candidate: Candidate, answered: _Answered) -> CandidateFacts:
    subject = answered.subject
    kit, answering = subject.kits.get(name), subject.answering.get(name)
    return CandidateFacts(
        candidate=candidate,
        is_baseline=name == subject.reference,
        test=answered.accuracy(name, "test"),
        validation=answered.accuracy(name, "validation"),
        agreement=answered.agreement(name, "test"),
        agreement_on_validation=answered.agreement(name, "validation"),
        multi_label=answered.multi_label(name, "test"),
        multi_label_on_validation=answered.multi_label(name, "validation"),
        latency=_latency(name, subject),
        memory=_memory(name, subject),
        energy=_energy(name, subject),
        size_mib=kit.size_mib if kit else None,
        kit_mib=kit.whole_mib if kit else None,
        residency=_residency(name, subject),
        kit=kit.digest if kit else None,
        evaluated_kit=answering.digest if answering else None,
        saturates_on=_saturates_on(name, candidate, subject),
        runtime_version=_device_runtime_version(name, subject),
        outcomes=subject.outcomes(name),
        kept_float=subject.layers_kept_float.get(name, ()),
    )


def _saturates_on(name: str, candidate: Candidate, subject: Subject) -> Literal["device", "answering machine"] | None:
    stored = subject.evaluations.get((name, "test")) or subject.evaluations.get((name, "validation"))
    return None if stored is None or subject.answers_as_device(name) else saturates_on(candidate, stored.profile.environment)


def _device_runtime_version(name: str, subject: Subject) -> str | None:
    """Return the runtime's version during the evaluation of a kit; None unless the kit was evaluated on the device."""
    kit, stored = subject.kits.get(name), subject.evaluations.get((name, "test"))
    if kit is None or stored is None or not subject.answers_as_device(name) or stored.profile.subject != kit.digest:
        return None
    return stored.profile.environment.conditions.get("runtime_version")


def _unmeasured(name: str, subject: Subject) -> tuple[str, str] | None:
    """Return why a candidate was not measured, with the machine; None if it may have been measured."""
    failed = subject.failures.get(name)
    if failed is not None:
        was_raced = any(name in subject.raced(purpose) for purpose in _TIMED)
        if not (failed.ref == LOGITS_NOT_FINITE.ref and was_raced):  # a finished build's kit is raced despite such logits
            return failed.what, subject.lab.machine
    if not subject.attached and subject.device is not None:
        return f"not measured on {subject.device}", subject.device
    return None if subject.timed else (NOT_TIMED, subject.lab.machine)


def _not_raced(name: str, subject: Subject) -> str:
    """Return why no race has figures of a candidate: it failed in the race, or was not raced."""
    kit, result = subject.kits.get(name), subject.races.get("report")
    return result.failed.get(kit.entrant, "not raced") if kit is not None and result is not None else "not raced"


def _latency(name: str, subject: Subject) -> Latency:
    """Return the latency from the most important race of the candidate, or the reason that it is missing."""
    machine = subject.lab.machine
    if (absent := _unmeasured(name, subject)) is not None:
        return Latency(reason=absent[0], machine=absent[1])
    for purpose in _TIMED:
        raced = subject.raced(purpose)
        if name in raced:
            # A comparison states the ratio to BASE itself: BASE's runs may be of another day.
            fp32 = None if name == subject.reference or purpose == "against" else raced.get(subject.reference)
            figures = latency_when_chosen if purpose == "select" else latency
            return figures(raced[name], fp32=fp32, machine=machine)
    return Latency(reason=_not_raced(name, subject), machine=machine)


def _memory(name: str, subject: Subject) -> Memory:
    """Return the memory from the same race as the latency."""
    if (absent := _unmeasured(name, subject)) is not None:
        return Memory(reason=absent[0], machine=absent[1])
    for purpose in _TIMED:
        if name in (raced := subject.raced(purpose)):
            return memory(raced[name], machine=subject.lab.machine)
    return Memory(reason=_not_raced(name, subject), machine=subject.lab.machine)


def _energy(name: str, subject: Subject) -> Energy:
    """Return the energy of a candidate, or the reason that it is missing."""
    machine = subject.lab.machine
    if (absent := _unmeasured(name, subject)) is not None:
        return Energy(reason=absent[0], machine=absent[1])
    if name in (measured := subject.raced("energy")):
        return energy(measured[name], machine=machine)
    kit, result = subject.kits.get(name), subject.races.get("energy")
    if kit is not None and result is not None and kit.entrant in result.failed:
        return Energy(reason=result.failed[kit.entrant], machine=machine)
    if result is None and (kit is None or not has_meter(kit, subject.lab.environment)):
        return Energy(reason=why_no_meter_here(subject.lab.environment), machine=machine)
    here = (
        "not raced"
        if name in subject.raced("report")
        else "only measured for the chosen candidate, fp32 and the best other precision"
    )
    return Energy(reason=here, machine=machine)


def _residency(name: str, subject: Subject) -> Residency | None:
    """Return the residency, marked as ``elsewhere`` if it was traced on another machine than the device."""
    traced = subject.residency.get(name)
    if traced is None or subject.attached or traced.basis != "executed":
        return traced
    return traced.model_copy(update={"basis": "elsewhere"})


def _extra_run_figures(name: str, subject: Subject) -> dict[str, Any]:
    """Return the figures of a candidate's extra runs: throughput, end-to-end latency and the soak."""
    machine = subject.lab.machine
    soaked = subject.raced("soak").get(name)
    figures: dict[str, Any] = {
        "throughput": throughput_of(name, subject),
        "end_to_end": _end_to_end(name, subject),
        "sustained": None if soaked is None else sustained(soaked, machine),
    }
    return {field: value for field, value in figures.items() if value is not None}


def throughput_of(name: str, subject: Subject) -> Throughput | None:
    """Return the throughput of one candidate; None if it was not measured."""
    if (kit := subject.kits.get(name)) is None:
        return None
    entrant, machine = kit.entrant, subject.lab.machine
    raced = [result.profiles[entrant] for result in subject.throughput if entrant in result.profiles]
    failed = [result.failed[entrant] for result in subject.throughput if entrant in result.failed]
    if not raced and not failed:
        return None
    once = {profile.runs[0].batch: profile for profile in raced}  # the best batch size may also be a stated one
    why = failed[0] if failed else None
    return throughput(tuple(once.values()), screened_rates(subject.batches_tried(kit)), subject.extra_runs.batches, machine, why)


def _end_to_end(name: str, subject: Subject) -> EndToEnd | None:
    raced = subject.raced("end-to-end")
    if name not in raced:
        return None
    fp32 = None if name == subject.reference else raced.get(subject.reference)
    figures = latency(raced[name], fp32=fp32, machine=subject.lab.machine)
    return EndToEnd(latency=figures, picture=next((run.picture for run in raced[name].runs if run.picture), "a picture"))
