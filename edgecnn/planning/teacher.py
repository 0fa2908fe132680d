"""Who teaches, settled before any time is spent: a network of the list that learns these images first, or a finished build's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.installed import require_packages
from edgecnn.errors.comparing import NoBuildToJudge
from edgecnn.errors.training import NoTeacher, TeacherSawOtherImages
from edgecnn.errors.weights import ResolutionTooSmall, WeightsUnavailable
from edgecnn.models.catalogue import all_archs, arch_named
from edgecnn.models.weights import answer_weights
from edgecnn.recipes.target import is_path
from edgecnn.results.finished import FinishedBuild, finished_build
from edgecnn.stages.fetch import FetchStage
from edgecnn.stages.train import TrainStage
from edgecnn.store.entry import trusted_entry
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Artifact
from edgecnn.values.dataset import DataSummary
from edgecnn.values.key import Key
from edgecnn.values.recipe import Recipe
from edgecnn.values.training import Teacher, TeacherTerms

TRAINED = "weights.safetensors"


def teacher_of(recipe: Recipe, data: DataSummary, store: Store, versions: Mapping[str, str]) -> Teacher | None:
    """Who teaches, or None where labels do.

    Args:
        recipe: with every default filled in.
        data: the images that are learned from.
        store: where fetched weights and finished trainings lie.
        versions: of what binds an artifact's bytes.

    Raises:
        UnknownArch: neither a network of the list nor a folder.
        MissingPackage: the network of the list needs a package of the extra ``zoo``.
        NoTeacher: the network of the list has no pretrained weights to begin with, or the folder is no finished build of this
            store with a trained network.
        TeacherSawOtherImages: the build is of other images, or of other roles of these.
        ResolutionTooSmall: the teacher cannot see images as small as those that are learned from.
    """
    named = recipe.train.teacher
    if named is None:
        return None
    found = _of_build(named, data, store) if _is_folder(named) else _of_list(named, store, versions)
    arch, shown_px = arch_named(found.terms.arch), recipe.model.resolution_px
    if shown_px is not None and shown_px < arch.least_px:
        raise ResolutionTooSmall(arch=arch.name, asked_px=shown_px, least_px=arch.least_px)
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _is_folder(named: str) -> bool:
    """A name of the list is never a folder, whatever lies here; another is one where a folder of that name does."""
    return is_path(named) or (all(named != arch.name for arch in all_archs()) and Path(named).is_dir())


def _terms(arch: ArchSpec) -> TeacherTerms:
    return TeacherTerms(arch=arch.name, normalization=arch.normalization)


def _of_list(named: str, store: Store, versions: Mapping[str, str]) -> Teacher:
    arch = arch_named(named)
    require_packages(arch.needs, extra="zoo", needed_for=arch.name)
    kept = None if arch.weights is None else store.artifacts.find(FetchStage.published(arch), versions, {})
    try:
        weights = answer_weights(arch, "imagenet", cached=kept.folder if isinstance(kept, Artifact) else None)
    except WeightsUnavailable as error:
        hint = "name another network of the list, or the folder of a finished build"
        raise NoTeacher(named=named, because=f"it has no pretrained weights to begin with: {error.because}", hint=hint) from error
    return Teacher(named=named, terms=_terms(arch), weights=weights)


def _of_build(named: str, data: DataSummary, store: Store) -> Teacher:
    folder = Path(os.path.expanduser(named))  # noqa: PTH111 - pathlib's raises where nobody has the name after the ~
    build = _finished(folder)
    theirs = build.resolved
    if theirs.data.content != data.content:
        raise TeacherSawOtherImages(folder=folder, theirs=theirs.data.root, ours=data.root)
    key = build.keys.get("train")
    if key is None:
        raise NoTeacher(named=folder, because="nothing was trained in it", hint="name a network of the list")
    made = trusted_entry(store.layout, TrainStage.kind, key)
    if not isinstance(made, Artifact) or not store.artifacts.use(made):
        because = f"the store {store.root} no longer holds its trained network"
        raise NoTeacher(named=folder, because=because, hint=build.again)
    sha256 = Key(made.record.files[TRAINED].sha256)
    return Teacher(named=named, terms=_terms(theirs.arch), trained=sha256, folder=str(made.folder))


def _finished(folder: Path) -> FinishedBuild:
    try:
        return finished_build(folder)
    except NoBuildToJudge as error:
        raise NoTeacher(named=folder, because=error.because or error.what, hint="edgecnn build makes one") from error
