"""A real GPU of this machine plays the desktop-GPU baseline: it answers the test split, and it races by itself.

By itself, because nothing is chosen between it and the device's candidates: its figures stand beside theirs, with its own name.
The reference and its variants race together, so that their ratios are paired. A variant that cannot run is a fact of the report.
Without such a GPU a dated record of one, as shipped in ``baselines/``, has the part, or nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from edgecnn.building.execute import Execution
from edgecnn.building.extra_runs import ExtraRunner
from edgecnn.building.rows import answer_of, throughput_of
from edgecnn.devices.desktop_gpu import describe_candidate, describe_variant, role
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.judging.desktop_baseline import BaselineQuestion, BaselineRecord, baseline_facts
from edgecnn.judging.latency import latency
from edgecnn.measure.evaluate import PixelSet
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, tried
from edgecnn.measure.race import file_failure, stored_race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.measure.subject import Subject, evaluate_finite
from edgecnn.values.artifact import Blocked, Failed
from edgecnn.values.candidate import BASELINE_ID, Candidate
from edgecnn.values.figures import Accuracy
from edgecnn.values.profile import ExtraRuns
from edgecnn.values.report import BaselineFacts, BaselineVariant, Latency
from edgecnn.values.resolved import DesktopGpu


def play(execution: Execution, lab: Lab, pixels: PixelSet, extra_runs: ExtraRuns, *, anew: bool = False) -> Subject | None:
    """Ask the GPU, or None where this machine has none. Its failure is a fact of the report, and no reason to stop.

    ``lab``: of this machine; profiles are filed under the GPU's own name. ``pixels``: the test split. ``extra_runs``: its batches
    count, since how long a GPU can go on and how it decodes are questions about the edge.
    """
    gpu = execution.plan.resolved.desktop_gpu
    if gpu is None:
        return None
    subject = Subject(
        lab=replace(lab, device=gpu.device, machine=f"{gpu.model}, {lab.machine}"),
        reference=gpu.candidate.id,
        race_choice=execution.plan.resolved.recipe.race,
        prepared=execution.artifacts["prepare"].folder,
    )
    if gpu.unusable is not None:
        subject.failures[subject.reference] = Failed(ref="gpu-unusable", what=gpu.unusable)
        return subject
    subject.failures.update({name: Failed(ref="unavailable", what=why) for name, why in gpu.unavailable.items()})
    runner = _DesktopRunner(execution, gpu, subject, pixels, anew)
    runner.answer(gpu.candidate)
    if subject.reference not in subject.failures:
        for variant in gpu.variants:
            runner.answer(variant)
        runner.race(extra_runs)
    return subject


@dataclass(frozen=True)
class _DesktopRunner:
    """Where the GPU plays: whose kits, which lab, what is asked."""

    execution: Execution
    gpu: DesktopGpu
    subject: Subject
    pixels: PixelSet
    anew: bool

    def answer(self, candidate: Candidate) -> None:
        """Evaluate one kit. A failure is filed as a race is, so that a cached build starts no process only to fail again."""
        subject, name = self.subject, candidate.id
        package = self.execution.artifacts.get(f"package:{name}")
        if package is None:
            subject.failures[name] = Failed(ref="not-made", what=self._why_not_made(name))
            return
        kit = KitRef.of(candidate, package)
        alone = self._request(kit)
        stored = stored_race(alone, subject.lab)
        if stored is not None and stored.failed:
            subject.failures[name] = Failed(ref="run-failed", what=stored.failed[kit.digest])
            return
        answered = tried(partial(evaluate_finite, kit, self.pixels, subject.lab))
        if isinstance(answered, Failed):
            subject.lab.tell.note(f"{self.gpu.model} cannot run the desktop baseline with {name}: {answered.what}")
            file_failure(alone, subject.lab, answered.what)
            subject.failures[name] = answered
            return
        subject.kits[name] = subject.answering[name] = kit
        subject.evaluations[name, "test"] = answered

    def race(self, extra_runs: ExtraRuns) -> None:
        """Race those that answered, and with more images a call where that was asked for."""
        subject = self.subject
        raced = tried(lambda: subject.race(self._request(*subject.kits.values())))
        if isinstance(raced, Failed):
            subject.lab.tell.note(f"{self.gpu.model} cannot run the desktop baseline: {raced.what}")
            subject.failures[subject.reference] = raced
            return
        subject.races["baseline"] = raced
        if subject.reference in subject.failures:
            return
        batches_only = ExtraRuns(batches=extra_runs.batches, best_batch=extra_runs.best_batch)
        ExtraRunner(subject, tuple(subject.runnable.values()), subject.race_choice, anew=self.anew).measure(batches_only)

    def _request(self, *kits: KitRef) -> RaceRequest:
        return RaceRequest.of(self.subject.race_choice, kits, "baseline", anew=self.anew)

    def _why_not_made(self, name: str) -> str:
        outcomes = [self.execution.outcomes.get(f"{kind}:{name}") for kind in ("program", "variant", "package")]
        failed = next((outcome.what for outcome in outcomes if isinstance(outcome, Failed)), None)
        blocked = next((f"{outcome.by} failed" for outcome in outcomes if isinstance(outcome, Blocked)), None)
        return failed or blocked or "its kit was not made"


def desktop_baseline(subject: Subject, records: Sequence[BaselineRecord] = ()) -> BaselineFacts:
    """The role's figures, by whoever plays it; MISSING, with why, where nobody does. ``records``: of ``baselines/``."""
    played, resolved = subject.desktop, subject.resolved
    gpu = resolved.desktop_gpu
    failed = played.failures.get(played.reference) if played else None
    question = BaselineQuestion(
        device=role(),
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        accuracy_machine=subject.lab.machine,
        failure=f"{gpu.model} is here but could not run it: {failed.what}" if gpu and failed else None,
    )
    facts = baseline_facts(question, local=local_record(subject), records=records if resolved.is_catalogue_network else ())
    if gpu is None or played is None or played.reference not in played.raced("baseline"):
        return facts
    answered = _accuracy(subject, played, played.reference, answer_of(subject, BASELINE_ID, "test"))
    reference = answer_of(played, played.reference, "test")
    variants = tuple(
        variant.model_copy(update={"accuracy": _accuracy(subject, played, variant.id, reference)}) for variant in facts.variants
    )
    origin = f"accuracy measured on {gpu.model}"
    return facts.model_copy(update={"accuracy": answered, "accuracy_from": origin, "variants": variants})


def local_record(subject: Subject) -> BaselineRecord | None:
    """What a GPU of this machine did in this build, in the form of a dated record; None where none raced."""
    played, resolved = subject.desktop, subject.resolved
    gpu = resolved.desktop_gpu
    if gpu is None or played is None or (profile := played.raced("baseline").get(played.reference)) is None:
        return None
    conditions = profile.environment.conditions
    versions = ", ".join(
        f"{name} {conditions[name]}" for name in ("runtime", "runtime_version", "driver", "cpu") if name in conditions
    )
    return BaselineRecord(
        device=gpu.device,
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        latency=latency(profile, machine=profile.host),
        how=describe_candidate(gpu.candidate),
        throughput=throughput_of(played.reference, played),
        variants=tuple(_variant(played, gpu, name) for name in (*(variant.id for variant in gpu.variants), *gpu.unavailable)),
        source=f"a build of {resolved.arch.name} with {len(resolved.data.classes)} classes; {versions}",
    )


def _variant(played: Subject, gpu: DesktopGpu, name: str) -> BaselineVariant:
    raced = played.raced("baseline")
    if name not in raced:
        why = played.failures[name].what if name in played.failures else "it did not race"
        return BaselineVariant(id=name, how=describe_variant(name), latency=Latency(reason=why, machine=gpu.model))
    times = latency(raced[name], fp32=raced[played.reference], machine=raced[name].host)
    return BaselineVariant(id=name, how=describe_variant(name), latency=times, throughput=throughput_of(name, played))


def _accuracy(subject: Subject, played: Subject, name: str, reference: Answers | None) -> Accuracy | None:
    """A variant's is held against the reference's own answers: what it changes, whatever the GPU changes."""
    answers, labels = answer_of(played, name, "test"), subject.labels("test")
    if answers is None or labels is None or labels.ndim != 1 or name not in played.raced("baseline"):
        return None
    return accuracy(answers, labels, "test", reference)
