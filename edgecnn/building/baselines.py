"""Who plays the desktop GPU in a build: a GPU of this machine, a dated record of one as shipped in ``baselines/``, or nobody."""

from __future__ import annotations

from edgecnn.building.assemble import Scene, answer_of, labels_of
from edgecnn.building.desktop_gpu import HOW
from edgecnn.building.local_gpu import role
from edgecnn.building.plan import BASELINE_ID
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.judging.baseline import BaselineQuestion, BaselineRecord, baseline_facts
from edgecnn.judging.latency import latency
from edgecnn.measure.evaluate import logits_of
from edgecnn.resources import resource_folder
from edgecnn.values.report import Accuracy, BaselineFacts


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
        failure=f"{played.gpu.model} is here but could not play: {played.failure}" if played and played.failure else None,
    )
    facts = baseline_facts(question, local=local_record(scene), records=load_baselines())
    answered = _accuracy(scene)
    if played is None or answered is None:
        return facts
    return facts.model_copy(update={"accuracy": answered, "accuracy_from": f"{played.gpu.model} itself"})


def local_record(scene: Scene) -> BaselineRecord | None:
    """What a GPU of this machine did in this build, in the form of a dated record; None where none raced."""
    played = scene.seen.desktop
    if played is None or played.profile is None:
        return None
    resolved = scene.execution.plan.resolved
    conditions = played.profile.environment.conditions
    versions = ", ".join(
        f"{name} {conditions[name]}" for name in ("runtime", "runtime_version", "driver", "cpu") if name in conditions
    )
    return BaselineRecord(
        device=played.gpu.device,
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        latency=latency(played.profile, machine=played.profile.host),
        how=HOW,
        source=f"a build of {resolved.arch.name} with {len(resolved.data.classes)} classes; {versions}",
    )


def _accuracy(scene: Scene) -> Accuracy | None:
    """Of a GPU whose race finished too: a row is of one machine."""
    played = scene.seen.desktop
    if played is None or played.evaluation is None or played.profile is None:
        return None
    profile = played.evaluation.profile
    answers = Answers(
        candidate=played.gpu.candidate.id,
        logits=logits_of(played.evaluation),
        pixels=profile.pixels or "",
        machine=profile.host,
        fidelity=profile.fidelity,
    )
    return accuracy(answers, labels_of(scene, "report"), "report", answer_of(scene, BASELINE_ID, "report"))
