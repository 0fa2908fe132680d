"""Cross-validation of a finished build: what the networks of the other folds answered, as far as the store still has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgecnn.building.observed import Observed, ObservedBuild
from edgecnn.measure.evaluate import PixelSet, prepared_groups
from edgecnn.measure.kits import KitRef
from edgecnn.results.finished import KeptStep
from edgecnn.results.lineage import whole_entry
from edgecnn.store.profiles import StoredProfile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Failed

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
