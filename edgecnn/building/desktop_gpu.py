"""Measure the desktop-GPU baseline on a GPU of this machine: accuracy on the test split, and latency in a separate race.

The GPU does not race the device's candidates, because no choice is made between them; the report shows both. The reference and
its variants run in one race, so that their ratios are paired. If a variant cannot run, the report says so. Without a GPU, a
dated record from ``baselines/`` is shown, if there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from edgecnn.building.execute import Execution
from edgecnn.building.measuring import ExtraRunner
from edgecnn.building.rows import answer_of, throughput_of
from edgecnn.devices.desktop_gpu import baseline_device_name, describe_candidate, describe_variant
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


def measure_desktop_gpu(
    execution: Execution, lab: Lab, pixels: PixelSet, extra_runs: ExtraRuns, *, anew: bool = False
) -> Subject | None:
    """Measure the GPU of this machine; None without a GPU. A failure is reported and does not stop the build.

    ``lab``: of this machine; profiles are stored under the GPU's name. ``pixels``: the test split. ``extra_runs``: only the
    batch sizes are used, because a soak and image decoding matter only on the device.
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
    runner.evaluate(gpu.candidate)
    if subject.reference not in subject.failures:
        for variant in gpu.variants:
            runner.evaluate(variant)
        runner.race(extra_runs)
    return subject


@dataclass(frozen=True)
class _DesktopRunner:
    """Evaluates and races the kits of the desktop GPU."""

    execution: Execution
    gpu: DesktopGpu
    subject: Subject
    pixels: PixelSet
    anew: bool

    def evaluate(self, candidate: Candidate) -> None:
        """Evaluate one kit. A failure is stored like a race, so that a cached build does not start a process that fails."""
        subject, name, outcomes = self.subject, candidate.id, self.execution.outcomes
        package = self.execution.artifacts.get(f"package:{name}")
        if package is None:
            steps = [outcomes.get(f"{kind}:{name}") for kind in ("program", "variant", "package")]
            failed = next((step.what for step in steps if isinstance(step, Failed)), None)
            blocked = next((f"{step.by} failed" for step in steps if isinstance(step, Blocked)), None)
            subject.failures[name] = Failed(ref="not-made", what=failed or blocked or "its kit was not made")
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
        """Race the evaluated kits, also at the requested batch sizes."""
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


def desktop_baseline(subject: Subject, records: Sequence[BaselineRecord] = ()) -> BaselineFacts:
    """Return the figures of the desktop baseline, from this machine's GPU or a dated record, or why they are missing.

    ``records``: of ``baselines/``.
    """
    desktop, resolved = subject.desktop, subject.resolved
    gpu = resolved.desktop_gpu
    failed = desktop.failures.get(desktop.reference) if desktop else None
    question = BaselineQuestion(
        device=baseline_device_name(),
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        accuracy_machine=subject.lab.machine,
        failure=f"{gpu.model} is here but could not run it: {failed.what}" if gpu and failed else None,
    )
    facts = baseline_facts(question, local=local_record(subject), records=records if resolved.is_catalogue_network else ())
    if gpu is None or desktop is None or desktop.reference not in desktop.raced("baseline"):
        return facts
    answered = _accuracy(subject, desktop, desktop.reference, answer_of(subject, BASELINE_ID, "test"))
    reference = answer_of(desktop, desktop.reference, "test")
    variants = tuple(
        variant.model_copy(update={"accuracy": _accuracy(subject, desktop, variant.id, reference)}) for variant in facts.variants
    )
    origin = f"accuracy measured on {gpu.model}"
    return facts.model_copy(update={"accuracy": answered, "accuracy_from": origin, "variants": variants})


def local_record(subject: Subject) -> BaselineRecord | None:
    """Return the figures of this machine's GPU in this build as a record; None if no GPU raced."""
    desktop, resolved = subject.desktop, subject.resolved
    gpu = resolved.desktop_gpu
    if gpu is None or desktop is None or (profile := desktop.raced("baseline").get(desktop.reference)) is None:
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
        throughput=throughput_of(desktop.reference, desktop),
        variants=tuple(
            _variant_figures(desktop, gpu, name) for name in (*(variant.id for variant in gpu.variants), *gpu.unavailable)
        ),
        source=f"a build of {resolved.arch.name} with {len(resolved.data.classes)} classes; {versions}",
    )


def _variant_figures(desktop: Subject, gpu: DesktopGpu, name: str) -> BaselineVariant:
    raced = desktop.raced("baseline")
    if name not in raced:
        why = desktop.failures[name].what if name in desktop.failures else "it did not race"
        return BaselineVariant(id=name, how=describe_variant(name), latency=Latency(reason=why, machine=gpu.model))
    times = latency(raced[name], fp32=raced[desktop.reference], machine=raced[name].host)
    return BaselineVariant(id=name, how=describe_variant(name), latency=times, throughput=throughput_of(name, desktop))


def _accuracy(subject: Subject, desktop: Subject, name: str, reference: Answers | None) -> Accuracy | None:
    """Return the accuracy on test, compared with ``reference``, so that only the variant's own change counts."""
    answers, labels = answer_of(desktop, name, "test"), subject.labels("test")
    if answers is None or labels is None or labels.ndim != 1 or name not in desktop.raced("baseline"):
        return None
    return accuracy(answers, labels, "test", reference)
