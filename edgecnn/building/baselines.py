"""Who plays the desktop GPU in a build: a GPU of this machine, a dated record of one as shipped in ``baselines/``, or nobody."""

from __future__ import annotations

from edgecnn.building.assemble import Scene, answers_of, labels_of
from edgecnn.building.desktop_gpu import HOW, Played
from edgecnn.building.plan import BASELINE_ID
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.judging.baseline import BaselineQuestion, BaselineRecord, baseline_facts
from edgecnn.judging.latency import latency
from edgecnn.measure.evaluate import logits_of
from edgecnn.resources import resource_folder
from edgecnn.values.report import Accuracy, BaselineFacts

ROLE = "rtx-4090"
"""The desktop GPU that the role is named after."""


def load_baselines() -> tuple[BaselineRecord, ...]:
    """Every shipped record."""
    files = sorted(resource_folder("baselines").glob("*.json"))
    return tuple(BaselineRecord.model_validate_json(path.read_text()) for path in files)


def desktop_baseline(scene: Scene) -> BaselineFacts:
    """The role's figures, by whoever plays it; MISSING, with why, where nobody does."""
    played = scene.seen.desktop
    resolved = scene.execution.plan.resolved
    question = BaselineQuestion(
        device=ROLE,
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        accuracy_machine=scene.lab.machine,
        failure=f"{played.gpu.model} is here: {played.failure}" if played and played.failure else None,
    )
    facts = baseline_facts(question, local=local_record(scene), records=load_baselines())
    answered = _accuracy(scene, played) if played else None
    if played is None or answered is None:
        return facts
    return facts.model_copy(update={"accuracy": answered, "accuracy_from": f"{played.gpu.model} itself: {HOW}"})


def local_record(scene: Scene) -> BaselineRecord | None:
    """What a GPU of this machine did in this build, in the form of a dated record; None where none raced."""
    played = scene.seen.desktop
    if played is None or played.race is None:
        return None
    resolved = scene.execution.plan.resolved
    conditions = played.race.environment.conditions
    versions = ", ".join(f"{name} {conditions[name]}" for name in ("runtime_version", "driver", "cpu") if name in conditions)
    return BaselineRecord(
        device=played.gpu.device,
        arch=resolved.arch.name,
        resolution_px=resolved.preprocessing.pixels.crop_px,
        latency=latency(played.race, machine=f"{played.gpu.model}: {HOW}"),
        source=f"{resolved.arch.name} with {len(resolved.data.classes)} classes; {versions}",
    )


def _accuracy(scene: Scene, played: Played) -> Accuracy | None:
    stored = played.evaluation
    if stored is None:
        return None
    answers = Answers(
        candidate=played.gpu.candidate.id,
        logits=logits_of(stored),
        pixels=stored.profile.pixels or "",
        machine=played.gpu.model,
        fidelity=stored.profile.fidelity,
    )
    return accuracy(answers, labels_of(scene, "report"), "report", answers_of(scene, "report").get(BASELINE_ID))
