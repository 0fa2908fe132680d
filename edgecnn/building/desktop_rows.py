"""Who plays the desktop GPU in a build: a GPU of this machine, a dated record of one as shipped in ``baselines/``, or nobody."""

from __future__ import annotations

from edgecnn.building.desktop_gpu import DesktopRun
from edgecnn.building.rows import Scene, answer_of, labels_of, throughput_of
from edgecnn.devices.desktop_gpu import how, how_of, role
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.judging.desktop_baseline import BaselineQuestion, BaselineRecord, baseline_facts
from edgecnn.judging.latency import latency, missing_latency
from edgecnn.measure.evaluate import logits_of
from edgecnn.resources import resource_folder
from edgecnn.values.candidate import BASELINE_ID
from edgecnn.values.figures import Throughput
from edgecnn.values.report import Accuracy, BaselineFacts, BaselineVariant


def load_baselines() -> tuple[BaselineRecord, ...]:
    """Every shipped record."""
    files = sorted(resource_folder("baselines").glob("*.json"))
    return tuple(BaselineRecord.model_validate_json(path.read_text()) for path in files)


def desktop_baseline(scene: Scene) -> BaselineFacts:
    """The role's figures, by whoever plays it; MISSING, with why, where nobody does."""
    played = scene.seen.desktop
    resolved = scene.execution.plan.resolved
    question = BaselineQuestion(
        device=role(),
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        accuracy_machine=scene.lab.machine,
        failure=f"{played.gpu.model} is here but could not run it: {played.failure}" if played and played.failure else None,
    )
    facts = baseline_facts(question, local=local_record(scene), records=load_baselines())
    if played is None or played.profile is None:
        return facts
    name = played.gpu.candidate.id
    answered = accuracy(_answers(played, name), labels_of(scene, "test"), "test", answer_of(scene, BASELINE_ID, "test"))
    variants = tuple(each.model_copy(update={"accuracy": _drop(scene, played, each.id)}) for each in facts.variants)
    return facts.model_copy(update={"accuracy": answered, "accuracy_from": f"{played.gpu.model} itself", "variants": variants})


def local_record(scene: Scene) -> BaselineRecord | None:
    """What a GPU of this machine did in this build, in the form of a dated record; None where none raced."""
    played = scene.seen.desktop
    if played is None or played.profile is None:
        return None
    resolved, gpu = scene.execution.plan.resolved, played.gpu
    conditions = played.profile.environment.conditions
    versions = ", ".join(
        f"{name} {conditions[name]}" for name in ("runtime", "runtime_version", "driver", "cpu") if name in conditions
    )
    return BaselineRecord(
        device=gpu.device,
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        latency=latency(played.profile, machine=played.profile.host),
        how=how(gpu.candidate),
        throughput=_throughput(played, gpu.candidate.id),
        variants=tuple(_variant(played, name) for name in (*(each.id for each in gpu.variants), *gpu.unavailable)),
        source=f"a build of {resolved.arch.name} with {len(resolved.data.classes)} classes; {versions}",
    )


def _variant(played: DesktopRun, name: str) -> BaselineVariant:
    profile, reference = played.profiles.get(name), played.profile
    if profile is None or reference is None:
        nothing = missing_latency(reason=played.failures.get(name, "it did not race"), machine=played.gpu.model)
        return BaselineVariant(id=name, how=how_of(name), latency=nothing)
    found = latency(profile, fp32=reference, machine=profile.host)
    return BaselineVariant(id=name, how=how_of(name), latency=found, throughput=_throughput(played, name))


def _throughput(played: DesktopRun, name: str) -> Throughput | None:
    if played.profile is None or name not in played.kits:
        return None
    asked = played.asked.batches
    return throughput_of(played.kits[name], played, asked, played.profile.host)


def _drop(scene: Scene, played: DesktopRun, name: str) -> Accuracy | None:
    """Against the reference's own answers: what the variant changes, whatever the GPU changes."""
    if name not in played.profiles:
        return None
    reference = _answers(played, played.gpu.candidate.id)
    return accuracy(_answers(played, name), labels_of(scene, "test"), "test", reference)


def _answers(played: DesktopRun, name: str) -> Answers:
    stored = played.evaluations[name]
    profile = stored.profile
    return Answers(
        candidate=name,
        logits=logits_of(stored),
        pixels=profile.pixels or "",
        machine=profile.host,
        fidelity=profile.fidelity,
    )
