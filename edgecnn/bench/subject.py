"""The subject of a finished build: its kits, images and predictions, read from its bundle and the store.

A kit is read from the bundle, else from the store by its digest. ``absent`` says why results are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edgecnn.building.engines import build_engines
from edgecnn.devices.this_machine import attachment_of
from edgecnn.errors.comparing import BundleUnreadable, KitNotCarried
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of, nonfinite
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, has_engine, tried
from edgecnn.measure.residency import residency, stored_residency, traced_residency
from edgecnn.measure.subject import Subject
from edgecnn.results.finished import FinishedBuild, KeptStep
from edgecnn.results.origin import TRUNK_KINDS, ancestor, kit_artifact, kit_of_store, whole_entry, whole_kit
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
    """Return the shipped kit and the fp32 kit, with their predictions and residency.

    ``facts``: facts of the lab's machine. ``builder``: builds the engines that kits need on it; None: kits that need an engine
    run only if they hold one.
    """
    subject = _subject_with_kits(finished, lab, facts)
    if builder is not None:
        built = build_engines(subject.kits, builder, subject.lab)
        subject.kits.update(built.kits)
        subject.answering.update(built.kits)
        subject.unrunnable.update({name: failed.what for name, failed in built.failed.items()})
    _read_accuracy(finished, subject)
    _read_residency(finished, subject)
    return subject


def _subject_with_kits(finished: FinishedBuild, lab: Lab, facts: LocalFacts) -> Subject:
    rows = [row for row in (finished.baseline, finished.row) if row is not None]
    here = attachment_of(finished.resolved.device, facts)
    candidates = tuple({row.candidate.id: row.candidate for row in rows}.values())
    resolved = finished.resolved.model_copy(update={"candidates": candidates, "attachment": here, "desktop_gpu": None})
    subject = Subject.from_build(resolved, replace(lab, device=resolved.device.name) if here.attached else lab)
    for row in rows:
        _find_kits(finished, subject, row)
    _find_origins(subject)
    return subject


def _read_accuracy(finished: FinishedBuild, subject: Subject) -> None:
    """Read the predictions on the test split: stored for this machine, else made now, else of any machine."""
    if subject.prepared is None:
        return
    pixels = PixelSet.prepared(subject.prepared, "test", finished.resolved.data.counts["test"])
    for name, kit in subject.answering.items():
        stored = _evaluate_or_read(subject, name, kit, pixels)
        if isinstance(stored, Failed):
            subject.absent["accuracy"] = (
                f"the store holds no predictions of {name} on the test split, and it does not run here: {stored.what}"
            )
            continue
        if (failure := nonfinite(kit, logits_of(stored), pixels.split, pixels.file)) is not None:
            subject.fail(name, failed := Failed.of(failure))
            if name != finished.row.candidate.id:  # if the shipped kit fails, every gate on accuracy fails
                subject.notes.append(f"accuracy drops are not available: {failed.what}")
            continue
        subject.evaluations[name, "test"] = stored
    read_folds(finished.folds, subject, _evaluate_or_read)
    if len(finished.folds) < len(finished.resolved.folds):
        subject.notes.append(
            "accuracy is of the first fold's test images only: plan.json of an earlier version does not list the other folds"
        )
    row, baseline = finished.row, finished.baseline
    if row.candidate.method is not Method.ORIGINAL and (baseline is None or baseline.candidate.id not in subject.answering):
        subject.absent["accuracy"] = f"{_store(subject)} no longer holds the fp32 kit that drops are counted from"
    if row.candidate.id not in subject.answering:
        subject.absent["accuracy"] = f"{_store(subject)} no longer holds the twin that the kit was evaluated on"


def _read_residency(finished: FinishedBuild, subject: Subject) -> None:
    """Read the residency of each kit; trace the kit now if it runs here and the store has no trace of this machine."""
    for name, kit in subject.kits.items():
        row = next(row for row in finished.report.candidates if row.candidate.id == name)
        if kit.candidate.needs_engine and not has_engine(kit):
            if row.residency is not None and row.residency.basis == "planned":
                subject.residency[name] = row.residency
            continue
        traced = tried(partial(_trace, subject, name, finished.report.build.resolution_px))
        if traced is not None:
            subject.absent["residency"] = f"residency of {name} could not be read: {traced.what}"


def _find_kits(finished: FinishedBuild, subject: Subject, row: CandidateFacts) -> None:
    kit, name = _kit(finished, subject, row.candidate, row.kit), row.candidate.id
    if kit is None:
        return
    subject.kits[name] = kit
    answering = kit if row.evaluated_kit in (None, row.kit) else _kit(finished, subject, row.candidate, row.evaluated_kit)
    if answering is not None:
        subject.answering[name] = answering


def _kit(finished: FinishedBuild, subject: Subject, candidate: Candidate, digest: str | None) -> KitRef | None:
    if digest is None:
        return None
    try:
        carried = shipped_kit(finished.shipped.folder, candidate.id).kit
        if carried.digest == digest:
            return kit_of_store(carried, subject.lab.store)
    except (KitNotCarried, BundleUnreadable):  # the bundle holds only the shipped candidate; the store may hold this one
        pass
    made = whole_kit(subject.lab.store, digest)
    return None if made is None else KitRef.of(candidate, made)


def _find_origins(subject: Subject) -> None:
    """Find the images and the multiply-adds through the store's records of any kit of this build."""
    store = subject.lab.store
    for kit in subject.kits.values():
        if (made := kit_artifact(store, kit.digest)) is None:
            continue
        if subject.prepared is None and (prepared := ancestor(store, made, "prepare")) is not None:
            subject.prepared = prepared.folder
        graph = graph_of(kit.candidate)
        kinds = TRUNK_KINDS if graph == "export" else (KINDS.get(graph, graph),)
        if graph not in subject.graphs and (exported := ancestor(store, made, *kinds)) is not None:
            subject.graphs[graph] = exported.folder / "macs.json"
    if subject.prepared is None:
        subject.absent["accuracy"] = f"{_store(subject)} no longer holds the images that this build was evaluated on"


def _store(subject: Subject) -> str:
    return f"the store {subject.lab.store.root}"


def _evaluate_or_read(subject: Subject, name: str, kit: KitRef, pixels: PixelSet) -> StoredProfile | Failed:
    answered = tried(partial(evaluate, kit, pixels, subject.lab))
    if not isinstance(answered, Failed):
        return answered
    if subject.attached and not answered.missing:  # it failed on the device itself, so older predictions do not count
        subject.fail(name, answered)
        return answered
    evaluations = subject.lab.store.profiles.of(kit.digest, "evaluation")
    older = next((stored for stored in evaluations if stored.profile.pixels == pixels.sha256), None)
    if older is None:
        return answered
    if older.profile.host != subject.lab.machine:
        subject.elsewhere.add(name)
    origin = f"{older.profile.observed_at} on {older.profile.host}"
    subject.notes.append(f"accuracy of {name} is of {origin}, because it does not run here: {answered.what}")
    return older


def _trace(subject: Subject, name: str, resolution_px: ImageSize) -> None:
    kit = subject.kits[name]
    stored = stored_residency(kit, subject.lab)
    if stored is None and subject.attached:
        if (why := subject.why_not_runnable(name)) is not None:
            subject.absent["residency"] = why
        elif (macs := subject.macs(kit.candidate)) is not None:
            stored = residency(kit, macs, subject.lab)
        else:
            gone = f"{_store(subject)} no longer holds the network that multiply-adds are counted in"
            subject.notes.append(f"the residency of {name} is known by time only: {gone}")
            subject.absent["residency"] = gone
            ran = traced_residency(kit, MacTable(resolution_px=resolution_px, layers=()), subject.lab).residency
            if ran is not None:
                subject.residency[name] = ran
    if stored is not None and stored.profile.residency is not None:
        subject.residency[name] = stored.profile.residency


Answering = Callable[[Subject, str, KitRef, PixelSet], StoredProfile | Failed]
"""Returns the evaluation of a kit on pixels: made now, or stored by any machine if the kit does not run here."""


def read_folds(folds: Sequence[Mapping[str, KeptStep]], subject: Subject, evaluate_kit: Answering) -> None:
    """Add the other folds, all or none. If a fold is gone, figures are of the first fold's images, and a note says so.

    ``folds``: the steps of each fold in the build's plan. ``subject``: the subject of the first fold.
    """
    others: list[Subject] = []
    for number, steps in enumerate(folds, 2):
        fold = _read_fold(steps, subject, evaluate_kit)
        if isinstance(fold, str):
            subject.notes.append(f"accuracy is of the first fold's test images only: fold {number} is incomplete, {fold}")
            return
        others.append(fold)
    subject.folds = others


def _read_fold(steps: Mapping[str, KeptStep], subject: Subject, evaluate_kit: Answering) -> Subject | str:
    store = subject.lab.store
    prepared = _made(steps, "prepare", store)
    if prepared is None:
        return f"the store {store.root} no longer holds the images"
    fold = Subject(
        lab=subject.lab, attached=subject.attached, reference=subject.reference, classes=subject.classes, prepared=prepared.folder
    )
    pixels = PixelSet.prepared(prepared.folder, "test", len(np.load(prepared.folder / "test.labels.npy", mmap_mode="r")))
    for name, kit in subject.answering.items():
        if (name, "test") not in subject.evaluations:
            continue
        kind = "package-twin" if kit.stands_for else "package"
        if (made := _made(steps, f"{kind}:{name}", store)) is None:
            return f"the store {store.root} no longer holds the kit of {name}"
        fold.answering[name] = KitRef.of(kit.candidate, made)
        stored = evaluate_kit(subject, name, fold.answering[name], pixels)
        if isinstance(stored, Failed):
            return f"{name} made no predictions: {stored.what}"
        fold.evaluations[name, "test"] = stored
    return fold


def _made(steps: Mapping[str, KeptStep], step_id: str, store: Store) -> Artifact | None:
    step = steps.get(step_id)
    return None if step is None else whole_entry(store, step.kind, step.key)
