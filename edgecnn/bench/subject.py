"""What a finished build is judged on: its kits and what went into them, found again, with the networks of its other folds.

Kits come out of the bundle, else out of the store by their digest. What is gone is absent, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edgecnn.building.engines import build_engines
from edgecnn.building.runnable import has_engine, tried
from edgecnn.building.subject import Subject
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.comparing import BundleUnreadable, KitNotCarried
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of, nonfinite
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.residency import residency, stored_residency, traced_residency
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


def subject_of(finished: FinishedBuild, lab: Lab, facts: LocalFacts, builder: EngineBuilder | None) -> Subject:
    """The kits of what ships and of the network that drops are counted from, with what they answered and what really ran.

    ``facts``: of the lab's machine. ``builder``: of the engines that kits need there; None: only those in their kits run.
    """
    seen = _found_kits(finished, lab, facts)
    if builder is not None:
        _add_engines(seen, builder)
    _read_accuracy(finished, seen)
    _read_residency(finished, seen)
    return seen


def _found_kits(finished: FinishedBuild, lab: Lab, facts: LocalFacts) -> Subject:
    rows = [row for row in (finished.baseline, finished.row) if row is not None]
    here = attachment_of(finished.resolved.device, facts)
    candidates = tuple({row.candidate.id: row.candidate for row in rows}.values())
    resolved = finished.resolved.model_copy(update={"candidates": candidates, "attachment": here, "desktop_gpu": None})
    seen = Subject.of_build(resolved, replace(lab, device=resolved.device.name) if here.attached else lab)
    for row in rows:
        _find_kits(finished, seen, row)
    _find_origins(seen)
    return seen


def _add_engines(seen: Subject, builder: EngineBuilder) -> None:
    """Put the engines of this lab's machine into the kits that need one; of a kit that has none then, why is known."""
    found = build_engines(seen.kits, builder, seen.lab)
    seen.kits.update(found.kits)
    seen.answering.update(found.kits)
    seen.unrunnable.update({name: failed.what for name, failed in found.failed.items()})


def _read_accuracy(finished: FinishedBuild, seen: Subject) -> None:
    """Answers to the test split: the stored ones of this machine's conditions, else asked now, else those of any machine."""
    if seen.prepared is None:
        return
    pixels = PixelSet.prepared(seen.prepared, "test", finished.resolved.data.counts["test"])
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


def _read_residency(finished: FinishedBuild, seen: Subject) -> None:
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


def _find_kits(finished: FinishedBuild, seen: Subject, row: CandidateFacts) -> None:
    kit, name = _kit(finished, seen, row.candidate, row.kit), row.candidate.id
    if kit is None:
        return
    seen.kits[name] = kit
    answering = kit if row.evaluated_kit in (None, row.kit) else _kit(finished, seen, row.candidate, row.evaluated_kit)
    if answering is not None:
        seen.answering[name] = answering


def _kit(finished: FinishedBuild, seen: Subject, candidate: Candidate, digest: str | None) -> KitRef | None:
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


def _find_origins(seen: Subject) -> None:
    """The images and the multiply-adds, along the records of whichever kit of this build the store still has."""
    store = seen.lab.store
    for kit in seen.kits.values():
        if (made := kit_artifact(store, kit.digest)) is None:
            continue
        if seen.prepared is None and (prepared := ancestor(store, made, "prepare")) is not None:
            seen.prepared = prepared.folder
        graph = graph_of(kit.candidate)
        kinds = TRUNK_KINDS if graph == "export" else (KINDS.get(graph, graph),)
        if graph not in seen.graphs and (exported := ancestor(store, made, *kinds)) is not None:
            seen.graphs[graph] = exported.folder / "macs.json"
    if seen.prepared is None:
        seen.absent["accuracy"] = f"{_store(seen)} no longer holds the images that this build was evaluated on"


def _store(seen: Subject) -> str:
    return f"the store {seen.lab.store.root}"


def _answered(seen: Subject, name: str, kit: KitRef, pixels: PixelSet) -> StoredProfile | Failed:
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


def _trace(seen: Subject, name: str, resolution_px: ImageSize) -> None:
    kit = seen.kits[name]
    stored = stored_residency(kit, seen.lab)
    if stored is None and seen.attached:
        if (why := seen.why_not_runnable(name)) is not None:
            seen.absent["residency"] = why
        elif (macs := seen.macs(kit.candidate)) is not None:
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


Answering = Callable[[Subject, str, KitRef, PixelSet], StoredProfile | Failed]
"""What a candidate's kit answers to pixels: asked now, or stored of any machine where it does not run here."""


def read_folds(folds: Sequence[Mapping[str, KeptStep]], seen: Subject, asked: Answering) -> None:
    """Add the other folds, all or none: where one is gone, figures are of the first fold's images alone, and it is said.

    ``folds``: the steps of each, as the build's plan names them. ``seen``: what its first network answered.
    """
    found: list[Subject] = []
    for number, steps in enumerate(folds, 2):
        fold = _read(steps, seen, asked)
        if isinstance(fold, str):
            seen.notes.append(f"accuracy is of the first fold's test images alone: of fold {number}, {fold}")
            return
        found.append(fold)
    seen.folds = found


def _read(steps: Mapping[str, KeptStep], seen: Subject, asked: Answering) -> Subject | str:
    store = seen.lab.store
    prepared = _made(steps, "prepare", store)
    if prepared is None:
        return f"the store {store.root} no longer holds the images"
    fold = Subject(lab=seen.lab, attached=seen.attached, reference=seen.reference, classes=seen.classes, prepared=prepared.folder)
    pixels = PixelSet.prepared(prepared.folder, "test", len(np.load(prepared.folder / "test.labels.npy", mmap_mode="r")))
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
