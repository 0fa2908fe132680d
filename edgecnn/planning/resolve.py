"""Resolve a request: read the disk and versions, go online at most once, and leave nothing open.

A request is never edited. Defaults are filled in here, and ``plan.json`` shows both.
"""

from __future__ import annotations

from pathlib import Path

from edgecnn.devices.this_machine import attachment_of, local_facts
from edgecnn.judging.gates import check_bounds
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.models.compound import scaled_or_same
from edgecnn.planning.candidates import (
    add_trained_candidates,
    candidates_of,
    custom_candidates,
)
from edgecnn.planning.complete import complete_recipe, mode_of, tool_versions
from edgecnn.planning.custom_model import check_custom, custom_arch, custom_model
from edgecnn.planning.data_rules import other_folds, require_bounds
from edgecnn.planning.request import BuildRequest
from edgecnn.planning.training import teacher_of
from edgecnn.results.folder import BUNDLE
from edgecnn.stages.candidate import runner_digest
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import ABSENT, WeightsAnswer
from edgecnn.values.board import LocalFacts
from edgecnn.values.custom_model import CustomModel
from edgecnn.values.dataset import DataSummary
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved, TrunkMode
from edgecnn.values.stage import Key, Progress
from edgecnn.values.synthesis import Synthesis
from edgecnn.values.training import Teacher

AHEAD_OF_TIME_BUILDERS = {"tensorrt-rtx-cu13-bindings": "tensorrt_rtx_bindings"}
"""Packages that build engines for other GPUs. The full ``tensorrt`` builds only for the GPU that it runs on."""


def resolve(request: BuildRequest, store: Store, tell: Progress, facts: LocalFacts | None = None) -> Resolved:
    """Settle everything that planning needs.

    ``facts``: of the machine that runs the kits; None: this machine.

    Raises EdgecnnError: an unknown network, unusable data, unavailable weights, or a device without a candidate.
    """
    stated = request.recipe
    check_bounds(stated.gates)
    check_custom(stated, request.goal, request.out / BUNDLE)
    versions = tool_versions()
    facts = facts or local_facts()
    candidates, unsupported, unavailable = candidates_of(request.device, stated, facts)
    weights, data, recipe, synthesis, gpu, budget = complete_recipe(request, store, tell)
    require_bounds(data, stated.gates, request.gates)
    custom = None if stated.model.onnx is None else custom_model(stated, data, store.root, tell)
    arch, recipe = _network(recipe, custom)
    candidates, unavailable = add_trained_candidates(candidates, unavailable, recipe, data)
    if custom is not None:
        candidates, unavailable = custom_candidates(custom, candidates, unavailable, recipe, request.device)
    teacher = teacher_of(recipe, data, store, versions)
    return Resolved(
        asked=stated,
        recipe=recipe,
        device=request.device,
        device_file=None if request.device_file is None else str(request.device_file),
        attachment=attachment_of(request.device, facts, None if request.host is None else request.host.address),
        arch=arch,
        data=data,
        folds=other_folds(recipe, store, tell),
        weights=weights,
        mode=_mode(recipe, arch, custom, weights),
        budget=budget,
        teacher=teacher,
        synthesis=synthesis,
        custom_model=custom,
        preprocessing=_preprocessing(recipe, arch, custom),
        candidates=candidates,
        unsupported=unsupported,
        unavailable=unavailable,
        desktop_gpu=None if custom is not None or recipe.surgery.instead else gpu,
        builder=next((module for name, module in AHEAD_OF_TIME_BUILDERS.items() if versions[name] != ABSENT), None),
        versions=versions,
        runner_sha256=runner_digest(),
        sources=_external_sources(data, weights, custom, teacher, synthesis),
    )


def _external_sources(
    data: DataSummary, weights: WeightsAnswer, custom: CustomModel | None, teacher: Teacher | None, synthesis: Synthesis | None
) -> dict[Key, Path]:
    """Return the inputs that no stage of this plan makes, by content."""
    composed = () if synthesis is None else tuple(synthesis.summaries.values())
    sources: dict[Key, Path] = {summary.content: Path(summary.manifest_path) for summary in (data, *composed)}
    if custom is not None:
        sources[custom.content] = Path(custom.path)
    if weights.kind == "file" and weights.path is not None and weights.sha256 is not None:
        sources[Key(weights.sha256)] = Path(weights.path)
    if teacher is not None and teacher.trained is not None and teacher.folder is not None:
        sources[teacher.trained] = Path(teacher.folder)
    return sources


def _mode(recipe: Recipe, arch: ArchSpec, custom: CustomModel | None, weights: WeightsAnswer) -> TrunkMode:
    if custom is not None:
        return "custom"
    if recipe.model.keep_head:
        return "kept"
    return mode_of(recipe.train, arch, weights)


def _network(recipe: Recipe, custom: CustomModel | None) -> tuple[ArchSpec, Recipe]:
    """Return the catalogue row, scaled as requested, and the recipe with the resolution that a custom file fixes."""
    if custom is None:
        arch = arch_named(recipe.model.arch)
        return scaled_or_same(arch, recipe.model.scale, None, arch.resolution_px).spec, recipe
    model = recipe.model.model_copy(update={"resolution_px": custom.entry.resolution_px})
    return custom_arch(model, custom), recipe.model_copy(update={"model": model})


def _preprocessing(recipe: Recipe, arch: ArchSpec, custom: CustomModel | None) -> Preprocessing:
    if custom is not None:
        return Preprocessing(pixels=custom.feeding.pixels, normalization=custom.feeding.normalization)
    pixels = pixel_recipe(arch, recipe.model.resolution_px, recipe.preprocessing)
    return Preprocessing(pixels=pixels, normalization=arch.normalization)
