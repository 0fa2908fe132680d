"""The notice of a weak accuracy: how weak it is, and which option would help."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.installed import lacking
from edgecnn.judging.judgement import weakness_of, weakness_sentence
from edgecnn.measure.subject import Subject
from edgecnn.models.catalogue import all_archs
from edgecnn.models.weights import held_weights
from edgecnn.planning.complete import stored_weights, tool_versions
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.report import CandidateFacts
from edgecnn.values.resolved import Resolved


def weak_notices(subject: Subject, rows: Sequence[CandidateFacts]) -> tuple[str, ...]:
    """One sentence if the accuracy of what ships is weak; else nothing. If nothing was chosen, that of fp32 counts."""
    shown = next((row for row in rows if row.chosen), None) or next((row for row in rows if row.is_baseline), None)
    weak = None if shown is None else weakness_of(shown)
    if shown is None or weak is None:
        return ()
    return (f"{weakness_sentence(shown.candidate.id, weak)}; {what_would_help(subject.resolved, subject.lab.store)}",)


def what_would_help(resolved: Resolved, store: Store) -> str:
    """The advice for a weak result, with the option that follows it."""
    if resolved.mode == "custom":
        return "nothing was trained here: check the order of the classes and the preprocessing of the model"
    if resolved.mode == "kept":
        return "nothing was trained: without --keep-head, the network learns these classes"
    if resolved.mode == "scratch":
        if resolved.weights.pretrained:
            return "pretrained weights were not used: `--transfer all`"
        if (better := pretrained_here(resolved, store)) is not None:
            same = better.name == resolved.arch.name
            unasked = " --weights auto" if resolved.weights.choice == "none" else ""
            option = "--weights imagenet" if same else f"--arch {better.name}{unasked}"
            return f"pretrained weights of {better.name} are on this machine: `{option}`"
    if not resolved.recipe.train.epochs:  # only the head learned
        return "more images may help, or training every layer: `--transfer all`"
    epochs = 2 * resolved.recipe.train.epochs
    return f"more images may help, or a longer training: `--set train.epochs={epochs}`"


def pretrained_here(resolved: Resolved, store: Store) -> ArchSpec | None:
    """The network most like the one that was trained whose published weights are on this machine; None if there is none.

    The network itself comes first, then its family, then those with about as many multiply-adds. A stated scale or resolution
    has to fit.
    """
    own, model, versions = resolved.arch, resolved.asked.model, tool_versions()

    def unlikeness(spec: ArchSpec) -> tuple[bool, bool, float]:
        macs = abs(math.log(spec.macs / own.macs)) if spec.macs and own.macs else math.inf
        return spec.name != own.name, spec.family != own.family, macs

    for spec in sorted(all_archs(), key=unlikeness):
        fits = model.resolution_px is None or (spec.least_px <= min(model.resolution_px) and not spec.only_native_px)
        if spec.weights is None or not fits or (model.scale is not None and spec.name != own.name) or lacking(spec.needs, "zoo"):
            continue
        if held_weights(spec.weights, cached=stored_weights(spec, store, versions)) is not None:
            return spec
    return None
