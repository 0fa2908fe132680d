"""From what was made and seen to rows of figures: arithmetic over stored facts, so that a cached build judges in no time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.building.execute import Execution
from edgecnn.building.extra_runs import RaceResults
from edgecnn.building.observe import SPLITS, Observations, Split
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.judging.accuracy import Answers, accuracy, agreement
from edgecnn.judging.energy import energy, missing_energy
from edgecnn.judging.latency import latency, missing_latency
from edgecnn.judging.memory import memory, missing_memory
from edgecnn.judging.quality import quality
from edgecnn.judging.sustained import sustained
from edgecnn.judging.throughput import screened, throughput
from edgecnn.measure.energy import metered, why_not
from edgecnn.measure.evaluate import logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.models.compound import base_name
from edgecnn.planning.request import ExtraRuns
from edgecnn.values.artifact import Outcome
from edgecnn.values.candidate import BASELINE_ID, Candidate, Method
from edgecnn.values.figures import Agreement, Energy, Memory, Throughput
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Purpose
from edgecnn.values.report import Accuracy, CandidateFacts, EndToEnd, Latency
from edgecnn.values.scale import Inheritance, ScaledNetwork
from edgecnn.values.verdict import Fidelity

PURPOSES: tuple[Purpose, ...] = ("report", "select")
SCREENED: tuple[Purpose, ...] = (*PURPOSES, "screen")


@dataclass(frozen=True)
class Scene:
    """What assembling reads: the execution, what was seen, and where."""

    execution: Execution
    seen: Observations
    lab: Lab

    @property
    def attached(self) -> bool:
        """True when this machine is the device."""
        return self.execution.plan.resolved.attachment.attached


def candidate_facts(scene: Scene) -> dict[str, CandidateFacts]:
    """Every candidate's row before anything is chosen, in the plan's order."""
    candidates = scene.execution.candidates
    answers = {split: answers_of(scene, split) for split in SPLITS}
    labelled = scene.execution.plan.resolved.data.labelled
    labels = {split: labels_of(scene, split) for split in SPLITS if answers[split] and labelled}
    return {c.id: _facts(c, scene, answers, labels) for c in candidates}


def with_quality(rows: Mapping[str, CandidateFacts], scene: Scene) -> dict[str, CandidateFacts]:
    """The same rows with what top-1 does not say. Only of the report split and only for the report: nothing is chosen by it."""
    answers = answers_of(scene, "report")
    if not answers or not scene.execution.plan.resolved.data.labelled:
        return dict(rows)
    labels = labels_of(scene, "report")
    names = scene.execution.plan.resolved.data.classes

    def of(name: str, row: CandidateFacts) -> CandidateFacts:
        if row.report is None or name not in answers:
            return row
        found = quality(answers[name], labels, names, None if row.is_baseline else answers.get(BASELINE_ID))
        return row.model_copy(update={"report": row.report.model_copy(update={"quality": found})})

    return {name: of(name, row) for name, row in rows.items()}


def _facts(
    candidate: Candidate, scene: Scene, answers: Mapping[Split, Mapping[str, Answers]], labels: Mapping[Split, Any]
) -> CandidateFacts:
    seen, name = scene.seen, candidate.id
    kit, answering = seen.kits.get(name), seen.answering.get(name)

    def of(split: Split) -> Accuracy | None:
        mine = answers[split].get(name)
        baseline = None if name == BASELINE_ID else answers[split].get(BASELINE_ID)
        return None if mine is None or split not in labels else accuracy(mine, labels[split], split, baseline)

    def alike(split: Split) -> Agreement | None:
        mine, theirs = answers[split].get(name), answers[split].get(BASELINE_ID)
        if mine is None or theirs is None or split in labels:
            return None
        return agreement(mine, split, None if name == BASELINE_ID else theirs)

    return CandidateFacts(
        candidate=candidate,
        is_baseline=name == BASELINE_ID,
        report=of("report"),
        choose=of("choose"),
        agreement=alike("report"),
        agreement_on_choose=alike("choose"),
        latency=_latency(name, scene),
        memory=_memory(name, scene),
        energy=_energy(name, scene),
        size_mib=kit.size_mib if kit else None,
        kit_mib=kit.whole_mib if kit else None,
        residency=_residency(name, scene),
        kit=kit.digest if kit else None,
        evaluated_kit=answering.digest if answering else None,
        outcomes=outcomes_of(candidate, scene),
        kept_float=_kept_float(candidate, scene),
    )


def _kept_float(candidate: Candidate, scene: Scene) -> tuple[str, ...]:
    made = scene.execution.artifacts.get(f"quantize:{candidate.id}")
    if made is None or candidate.method is not Method.MIXED:
        return ()
    return tuple(json.loads((made.folder / "quantize.json").read_text())["kept_float"])


def outcomes_of(candidate: Candidate, scene: Scene) -> dict[str, Outcome]:
    """What became of each step of one candidate, and of measuring it."""
    found = {
        step.id.partition(":")[0]: outcome
        for step in scene.execution.plan.of_candidate(candidate.id)
        if (outcome := scene.execution.outcomes.get(step.id)) is not None
    }
    if (failure := scene.seen.failures.get(candidate.id)) is not None:
        found["measure"] = failure
    return found


def answers_of(scene: Scene, split: Split) -> dict[str, Answers]:
    """What each evaluated candidate answered to a split, by its name."""
    found = {name: answer_of(scene, name, split) for name in scene.seen.answering}
    return {name: answers for name, answers in found.items() if answers is not None}


def answer_of(scene: Scene, name: str, split: Split) -> Answers | None:
    """What one candidate answered to a split; None where it was not evaluated."""
    stored = scene.seen.evaluations.get((name, split))
    if stored is None:
        return None
    return Answers(
        candidate=name,
        logits=logits_of(stored),
        pixels=stored.profile.pixels or "",
        machine=stored.profile.host,
        fidelity=stored.profile.fidelity if scene.attached else Fidelity.EMULATED,
    )


def labels_of(scene: Scene, split: Split) -> Any:
    """The true classes of a split, int64 (images,)."""
    import numpy as np

    return np.load(scene.execution.artifacts["prepare"].folder / f"{split}.labels.npy", allow_pickle=False)


def _unmeasured(name: str, scene: Scene) -> tuple[str, str] | None:
    """Why nothing was measured of a candidate, and of which machine that is said; None where it may have been."""
    failed = scene.seen.failures.get(name)
    if failed is not None and not (failed.ref == LogitsNotFinite.ref and _was_raced(name, scene)):
        return failed.what, scene.lab.machine
    device = scene.execution.plan.resolved.device.name
    return None if scene.attached else (f"not measured on {device}", device)


def _was_raced(name: str, scene: Scene) -> bool:
    """A finished build is raced whatever its kit answers: a time is a time where the answers are no numbers."""
    return any(name in scene.seen.raced(purpose) for purpose in SCREENED)


def _latency(name: str, scene: Scene) -> Latency:
    """From the last race that it was in, the one of the reported figures first; else said to be missing, with why."""
    seen, machine = scene.seen, scene.lab.machine
    if (absent := _unmeasured(name, scene)) is not None:
        return missing_latency(reason=absent[0], machine=absent[1])
    for purpose in PURPOSES:
        raced = seen.raced(purpose)
        if name in raced:
            fp32 = None if name == BASELINE_ID else raced.get(BASELINE_ID)
            found = latency(raced[name], fp32=fp32, machine=machine)
            return found.model_copy(update={"selecting": purpose == "select" and bool(seen.raced("report"))})
    if name in seen.screen_ms:
        objective = scene.execution.plan.resolved.recipe.choice.objective
        out = "not among the finalists" if objective == "latency" else f"this build chose by {objective}"
        reason = f"short screening runs: {seen.screen_ms[name]:.2f} ms; {out}, and so few runs have no interval"
        return missing_latency(reason=reason, machine=machine)
    return missing_latency(reason="not raced", machine=machine)


def _memory(name: str, scene: Scene) -> Memory:
    """From the same race as the latency; screening runs are few, and say so."""
    if (absent := _unmeasured(name, scene)) is not None:
        return missing_memory(reason=absent[0], machine=absent[1])
    for purpose in SCREENED:
        if name in (raced := scene.seen.raced(purpose)):
            return memory(raced[name], machine=scene.lab.machine)
    return missing_memory(reason="not raced", machine=scene.lab.machine)


def _energy(name: str, scene: Scene) -> Energy:
    """Of the candidates whose figures are reported; of the others, and without a meter, why there is none."""
    seen, machine = scene.seen, scene.lab.machine
    if (absent := _unmeasured(name, scene)) is not None:
        return missing_energy(reason=absent[0], machine=absent[1])
    if name in (measured := seen.raced("energy")):
        return energy(measured[name], machine=machine)
    kit, result = seen.kits.get(name), seen.races.get("energy")
    if kit is not None and result is not None and kit.entrant in result.failed:
        return missing_energy(reason=result.failed[kit.entrant], machine=machine)
    if result is None and (kit is None or not metered(kit, scene.lab.environment)):
        return missing_energy(reason=why_not(scene.lab.environment), machine=machine)
    return missing_energy(reason="measured for what ships and for fp32 alone", machine=machine)


def _residency(name: str, scene: Scene) -> Residency | None:
    """What ran here is no evidence of what would run on a device that is not here."""
    seen = scene.seen.residency.get(name)
    if seen is None or scene.attached or seen.basis != "executed":
        return seen
    return seen.model_copy(update={"basis": "elsewhere"})


def history_of(scene: Scene) -> Mapping[str, Any] | None:
    """What training wrote down of itself, as ``training.history.History``; None where nothing was trained."""
    trained = scene.execution.artifacts.get("train")
    if trained is None:
        return None
    history: Mapping[str, Any] = json.loads((trained.folder / "history.json").read_text("utf-8"))
    return history


def made_images(scene: Scene) -> Path | None:
    """The folder of composed training images; None where none was made."""
    made = scene.execution.artifacts.get("synthesize")
    return None if made is None else made.folder


def scaled_network(scene: Scene) -> ScaledNetwork | None:
    """What was scaled and how much of it was inherited, as training wrote it down; None of a network as the catalogue has it."""
    resolved, history = scene.execution.plan.resolved, history_of(scene)
    if resolved.arch.scale is None or history is None:
        return None
    return ScaledNetwork(
        base=base_name(resolved.arch.name),
        asked=resolved.asked.model.scale,
        depth=resolved.arch.scale.depth,
        width=resolved.arch.scale.width,
        inheritance=Inheritance.model_validate(history["inheritance"]),
    )


def began_anew(scene: Scene) -> bool:
    """True where ``--transfer auto`` chose random weights, though pretrained ones were fetched to be probed."""
    history = history_of(scene)
    return scene.execution.plan.resolved.weights.pretrained and history is not None and history["initial"]["kind"] == "random"


def weights_sentence(scene: Scene) -> str:
    """What training began with, and why."""
    history = history_of(scene)
    if history is None or not began_anew(scene):
        return scene.execution.plan.resolved.weights.why
    return "; ".join(("random weights", *filter(None, (history.get("transfer"),))))


def weights_sha256(scene: Scene) -> str | None:
    """Of the original pretrained file, as fetched, or of the model that was brought; None when training began from scratch."""
    brought = scene.execution.plan.resolved.brought
    if brought is not None:
        return brought.content
    fetched = scene.execution.artifacts.get("fetch")
    if fetched is None or began_anew(scene):
        return None
    return str(json.loads((fetched.folder / "weights.json").read_text())["sha256"])


def with_extents(rows: Mapping[str, CandidateFacts], scene: Scene, extent: ExtraRuns) -> dict[str, CandidateFacts]:
    """The same rows, with throughput, the whole way and the soak of the candidates that were measured so."""
    return {name: row.model_copy(update=_found(name, scene, extent)) for name, row in rows.items()}


def _found(name: str, scene: Scene, extent: ExtraRuns) -> dict[str, Any]:
    machine = scene.lab.machine
    soaked = scene.seen.raced("soak").get(name)
    kit = scene.seen.kits.get(name)
    found: dict[str, Any] = {
        "throughput": None if kit is None else throughput_of(kit, scene.seen, extent.batches, machine),
        "end_to_end": _end_to_end(name, scene),
        "sustained": None if soaked is None else sustained(soaked, machine),
    }
    return {field: value for field, value in found.items() if value is not None}


def throughput_of(kit: KitRef, seen: RaceResults, asked: Sequence[int], machine: str) -> Throughput | None:
    """Images a second of one kit; None where it was in no such race."""
    entrant = kit.entrant
    raced = [result.profiles[entrant] for result in seen.throughput if entrant in result.profiles]
    failed = [result.failed[entrant] for result in seen.throughput if entrant in result.failed]
    if not raced and not failed:
        return None
    screens = {batch: result.profiles[entrant] for batch, result in seen.batch_screens.items() if entrant in result.profiles}
    once = {profile.runs[0].batch: profile for profile in raced}  # a best batch that was asked for by number too
    return throughput(tuple(once.values()), screened(screens), asked, machine, failed[0] if failed else None)


def _end_to_end(name: str, scene: Scene) -> EndToEnd | None:
    raced = scene.seen.raced("end-to-end")
    if name not in raced:
        return None
    fp32 = None if name == BASELINE_ID else raced.get(BASELINE_ID)
    found = latency(raced[name], fp32=fp32, machine=scene.lab.machine)
    return EndToEnd(latency=found, picture=next((run.picture for run in raced[name].runs if run.picture), "a picture"))
