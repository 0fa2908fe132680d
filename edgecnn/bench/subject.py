"""What a finished build is judged on: its kits and what went into them, found again, with the networks of its other folds.

Kits come out of the bundle, else out of the store by their digest. What is gone is absent, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edgecnn.building.engines import with_engines
from edgecnn.building.execute import Execution
from edgecnn.building.observed import Observed, ObservedBuild, pixel_sets
from edgecnn.building.runnable import has_engine, tried
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.comparing import BundleUnreadable, KitNotCarried
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of, nonfinite, prepared_groups
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.residency import residency, stored_residency, traced_residency
from edgecnn.planning.plan import Plan
from edgecnn.results.finished import FinishedBuild, KeptStep
from edgecnn.results.lineage import TRUNK_KINDS, ancestor, kit_artifact, whole_entry, whole_kit
from edgecnn.results.shipped import shipped_kit
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.profiles import StoredProfile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Failed
from edgecnn.values.board import LocalFacts
from edgecnn.values.candidate import KINDS, Candidate, Method, graph_of
from edgecnn.values.device import EngineBuilder
from edgecnn.values.layers import MacTable
from edgecnn.values.report import CandidateFacts


def subject_of(finished: FinishedBuild, lab: Lab, facts: LocalFacts, builder: EngineBuilder | None) -> ObservedBuild:
    """The kits of what ships and of the network that drops are counted from, with what they answered and what really ran.

    ``facts``: of the lab's machine. ``builder``: of the engines that kits need there; None: only those in their kits run.
    """
    seen = _found_kits(finished, lab, facts)
    if builder is not None:
        _add_engines(seen, builder)
    _read_accuracy(finished, seen)
    _read_residency(finished, seen)
    return seen


def _found_kits(finished: FinishedBuild, lab: Lab, facts: LocalFacts) -> ObservedBuild:
    rows = [row for row in (finished.baseline, finished.row) if row is not None]
    here = attachment_of(finished.resolved.device, facts)
    resolved = finished.resolved.model_copy(
        update={
            "candidates": tuple({row.candidate.id: row.candidate for row in rows}.values()),
            "attachment": here,
            "desktop_gpu": None,
        }
    )
    plan = Plan(resolved=resolved, steps=(), rungs=())
    seen = ObservedBuild(execution=Execution(plan=plan), lab=replace(lab, device=resolved.device.name) if here.attached else lab)
    for row in rows:
        _find_kits(finished, seen, row)
    _find_origins(seen)
    return seen


def _add_engines(seen: ObservedBuild, builder: EngineBuilder) -> None:
    """Put the engines of this lab's machine into the kits that need one; of a kit that has none then, why is known."""
    found = with_engines(seen.kits, builder, seen.lab)
    seen.kits.update(found.kits)
    seen.answering.update(found.kits)
    seen.unrunnable.update({name: failed.what for name, failed in found.failed.items()})


def _read_accuracy(finished: FinishedBuild, seen: ObservedBuild) -> None:
    """Answers to the test split: the stored ones of this machine's conditions, else asked now, else those of any machine."""
    if "accuracy" in seen.absent:
        return
    pixels = pixel_sets(seen.execution)["test"]
    for name, kit in seen.answering.items():
        stored = _answered(seen, name, kit, pixels)
        if isinstance(stored, Failed):
            seen.absent["accuracy"] = (
                f"there are no answers of {name} to the test split, and none can be made here: {stored.what}"
            )
            continue
        if (failure := nonfinite(kit, logits_of(stored), pixels.split, pixels.file)) is not None:
            seen.fail(name, failed := Failed.of(failure))
            if name != finished.row.candidate.id:  # of what ships, every gate on accuracy fails
                seen.notes.append(f"nothing is counted from {failed.what}")
            continue
        seen.evaluations[name, "test"] = stored
    read_folds(finished.folds, seen, _answered)
    if len(finished.folds) < len(finished.resolved.folds):
        seen.notes.append(
            "accuracy is of the first fold's test images alone: plan.json is of an earlier version without the other folds"
        )
    row, baseline = finished.row, finished.baseline
    if row.candidate.method is not Method.ORIGINAL and (baseline is None or baseline.candidate.id not in seen.answering):
        seen.absent["accuracy"] = f"{_store(seen)} no longer holds the fp32 kit that drops are counted from"
    if row.candidate.id not in seen.answering:
        seen.absent["accuracy"] = f"{_store(seen)} no longer holds the twin that the kit was evaluated on"


def _read_residency(finished: FinishedBuild, seen: ObservedBuild) -> None:
    """What really ran; traced now where the store has no trace of this machine and the kit runs here."""
    for name, kit in seen.kits.items():
        row = next(row for row in finished.report.candidates if row.candidate.id == name)
        if kit.candidate.needs_engine and not has_engine(kit):
            if row.residency is not None and row.residency.basis == "planned":
                seen.residency[name] = row.residency
            continue
        traced = tried(partial(_trace, seen, name, finished.report.build.resolution_px))
        if traced is not None:
            seen.absent["residency"] = f"residency of {name} could not be read: {traced.what}"


def _find_kits(finished: FinishedBuild, seen: ObservedBuild, row: CandidateFacts) -> None:
    kit, name = _kit(finished, seen, row.candidate, row.kit), row.candidate.id
    if kit is None:
        return
    seen.kits[name] = kit
    answering = kit if row.evaluated_kit in (None, row.kit) else _kit(finished, seen, row.candidate, row.evaluated_kit)
    if answering is not None:
        seen.answering[name] = answering


def _kit(finished: FinishedBuild, seen: ObservedBuild, candidate: Candidate, digest: str | None) -> KitRef | None:
    if digest is None:
        return None
    try:
        carried = shipped_kit(finished.folder, candidate.id).kit
        if carried.digest == digest:
            return carried
    except (KitNotCarried, BundleUnreadable):  # of another candidate than the one that ships: the store may have it
        pass
    made = whole_kit(seen.lab.store, digest)
    return None if made is None else KitRef.of(candidate, made)


def _find_origins(seen: ObservedBuild) -> None:
    """The images and the multiply-adds, along the records of whichever kit of this build the store still has."""
    store, artifacts = seen.lab.store, seen.execution.artifacts
    for kit in seen.kits.values():
        made = kit_artifact(store, kit.digest)
        for step in ("prepare", graph_of(kit.candidate)):
            kinds = TRUNK_KINDS if step == "export" else (KINDS.get(step, step),)
            if made is not None and step not in artifacts and (found := ancestor(store, made, *kinds)) is not None:
                artifacts[step] = found
    if "prepare" not in artifacts:
        seen.absent["accuracy"] = f"{_store(seen)} no longer holds the images that this build was evaluated on"


def _store(seen: ObservedBuild) -> str:
    return f"the store {seen.lab.store.root}"


def _answered(seen: ObservedBuild, name: str, kit: KitRef, pixels: PixelSet) -> StoredProfile | Failed:
    answered = tried(partial(evaluate, kit, pixels, seen.lab))
    if not isinstance(answered, Failed):
        return answered
    if seen.attached and not answered.missing:  # it was tried on the device itself, and no older answer counts
        seen.fail(name, answered)
        return answered
    stored = seen.lab.store.profiles.of(kit.digest, "evaluation")
    found = next((each for each in stored if each.profile.pixels == pixels.sha256), None)
    if found is None:
        return answered
    if found.profile.host != seen.lab.machine:
        seen.elsewhere.add(name)
    then = f"{found.profile.observed_at} on {found.profile.host}"
    seen.notes.append(f"accuracy of {name} is of {then}, since it does not run here: {answered.what}")
    return found


def _trace(seen: ObservedBuild, name: str, resolution_px: ImageSize) -> None:
    kit, artifacts = seen.kits[name], seen.execution.artifacts
    made_from = graph_of(kit.candidate)
    stored = stored_residency(kit, seen.lab)
    if stored is None and seen.attached:
        if (why := seen.why_not_runnable(name)) is not None:
            seen.absent["residency"] = why
        elif made_from in artifacts:
            macs = MacTable.model_validate_json((artifacts[made_from].folder / "macs.json").read_text(encoding="utf-8"))
            stored = residency(kit, macs, seen.lab)
        else:
            gone = f"{_store(seen)} no longer holds the network whose multiply-adds are counted"
            seen.notes.append(f"of the residency of {name} only times are known: {gone}")
            seen.absent["residency"] = gone
            found = traced_residency(kit, MacTable(resolution_px=resolution_px, layers=()), seen.lab).residency
            if found is not None:
                seen.residency[name] = found
    if stored is not None and stored.profile.residency is not None:
        seen.residency[name] = stored.profile.residency


Answering = Callable[[ObservedBuild, str, KitRef, PixelSet], StoredProfile | Failed]
"""What a candidate's kit answers to pixels: asked now, or stored of any machine where it does not run here."""


def read_folds(folds: Sequence[Mapping[str, KeptStep]], seen: ObservedBuild, asked: Answering) -> None:
    """Add the other folds, all or none: where one is gone, figures are of the first fold's images alone, and it is said.

    ``folds``: the steps of each, as the build's plan names them. ``seen``: what its first network answered.
    """
    found: list[Observed] = []
    for number, steps in enumerate(folds, 2):
        fold = _read(steps, seen, asked)
        if isinstance(fold, str):
            seen.notes.append(f"accuracy is of the first fold's test images alone: of fold {number}, {fold}")
            return
        found.append(fold)
    seen.folds = found


def _read(steps: Mapping[str, KeptStep], seen: ObservedBuild, asked: Answering) -> Observed | str:
    store = seen.lab.store
    prepared = _made(steps, "prepare", store)
    if prepared is None:
        return f"the store {store.root} no longer holds the images"
    fold = Observed(lab=seen.lab, attached=seen.attached, reference=seen.reference, classes=seen.classes)
    fold.known_labels = {"test": np.load(prepared.folder / "test.labels.npy", allow_pickle=False)}
    fold.known_groups = {"test": prepared_groups(prepared.folder, "test")}
    pixels = PixelSet.prepared(prepared.folder, "test", len(fold.known_labels["test"]))
    for name, kit in seen.answering.items():
        if (name, "test") not in seen.evaluations:
            continue
        kind = "package-twin" if kit.stands_for else "package"
        if (made := _made(steps, f"{kind}:{name}", store)) is None:
            return f"the store {store.root} no longer holds the kit of {name}"
        fold.answering[name] = KitRef.of(kit.candidate, made)
        stored = asked(seen, name, fold.answering[name], pixels)
        if isinstance(stored, Failed):
            return f"{name} gave no answers: {stored.what}"
        fold.evaluations[name, "test"] = stored
    return fold


def _made(steps: Mapping[str, KeptStep], step_id: str, store: Store) -> Artifact | None:
    step = steps.get(step_id)
    return None if step is None else whole_entry(store, step.kind, step.key)
