"""The asking phase: reads disk and versions, asks the network at most once, and leaves nothing open.

A request is never edited: what the user left unset is filled in here, visibly, and ``plan.json`` shows both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edgecnn.backends.installed import Lacking, installed_version, lacking, require_packages
from edgecnn.backends.registry import all_backends, backend_for
from edgecnn.building.as_brought import as_brought
from edgecnn.building.aware import PACKAGE as TORCHAO
from edgecnn.building.aware import aware_candidates
from edgecnn.building.aware import why_unavailable as aware_unavailable
from edgecnn.building.brought import brought_arch, brought_model, brought_weights, check_brought
from edgecnn.building.build_folder import BUNDLE, PLAN
from edgecnn.building.desktop_variants import TENSORRT
from edgecnn.building.devices import LocalFacts, local_facts, matches, with_local_facts
from edgecnn.building.local_gpu import local_gpu
from edgecnn.building.offer import require_candidate, require_precision
from edgecnn.building.plan import BASELINE_ID
from edgecnn.building.request import BuildRequest
from edgecnn.building.resolved import Attachment, DesktopGpu, Resolved, TrunkMode
from edgecnn.building.surgery import require_something_to_replace, surgery_candidates
from edgecnn.building.surgery import why_unavailable as surgery_unavailable
from edgecnn.building.synthesis import require_synthesis, synthesis_asked, synthesis_sources, with_size
from edgecnn.building.teachers import teacher_asked
from edgecnn.building.teaching import require_teachable
from edgecnn.building.training_defaults import completed_training, mode_of
from edgecnn.data.manifest import summarize
from edgecnn.errors.building import NothingToBuild
from edgecnn.errors.data import NoClassFolders
from edgecnn.errors.kept_head import NoHeadToKeep
from edgecnn.errors.models import ResolutionTooSmall
from edgecnn.errors.quantization import CalibrationSetTooSmall
from edgecnn.errors.training import WeightsNotWanted
from edgecnn.judging.bounds import check_bounds
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.models.compound import settled
from edgecnn.models.weights import answer_weights
from edgecnn.runner.sensors import gpu_models
from edgecnn.stages.fetch import FetchStage
from edgecnn.stages.package import runner_digest
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Artifact, Unavailable
from edgecnn.values.brought import BroughtModel
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
from edgecnn.values.dataset import DataSummary
from edgecnn.values.device import Device
from edgecnn.values.key import Key
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import QuantizeChoice, Recipe
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import Synthesis, images_trained_on
from edgecnn.values.teacher import Teacher
from edgecnn.values.weights import WeightsAnswer

DEMO_RESOLUTION_PX = 64
"""The demo's images are 28 pixels wide: a larger input would cost time and show nothing more."""
DISTRIBUTIONS = (
    "torch", "torchvision", "safetensors", "onnx", "onnxscript", "onnxruntime", "onnxconverter-common", "openvino", "nncf",
    "pillow", "numpy", "timm", "tensorrt", "tensorrt-rtx-cu13-bindings", TORCHAO, "scikit-learn", "ncnn", "pnnx",
)  # fmt: skip
"""Everything whose version can bind an artifact's bytes."""
ABSENT = "absent"
"""The version of a distribution that is not installed: it enters the key, so that installing it makes another."""
BASELINE = Candidate(id=BASELINE_ID, runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32)
AHEAD_OF_TIME_BUILDERS = {"tensorrt-rtx-cu13-bindings": "tensorrt_rtx_bindings"}
"""The full ``tensorrt`` builds for the GPU that it runs on alone, which is the device's own work and no proof ahead of time."""


def resolve(request: BuildRequest, store: Store, tell: Progress, facts: LocalFacts | None = None) -> Resolved:
    """Settle everything that planning needs.

    Args:
        request: what is asked.
        store: where work lies.
        tell: hears progress.
        facts: of the machine that the kits will run on; None: of this one.

    Raises:
        EdgecnnError: an unknown network, unusable data, weights that cannot be had, a device without any candidate.
    """
    asked = request.recipe
    check_bounds(asked.gates)
    check_brought(asked, request.goal, request.out / BUNDLE)
    versions = _versions()
    facts = facts or local_facts()
    candidates, unsupported, unavailable = _candidates(request.device, asked, facts)
    weights, data, recipe, synthesis = settle_recipe(request, store, tell)
    brought = None if asked.model.onnx is None else brought_model(asked, data, store.root, tell)
    arch, recipe = _network(recipe, brought)
    candidates, unavailable = _with_learned(candidates, unavailable, recipe, data)
    if brought is not None:
        candidates, unavailable = as_brought(brought, candidates, unavailable, recipe, request.device)
    teacher = teacher_asked(recipe, data, store, versions)
    return Resolved(
        asked=asked,
        recipe=recipe,
        device=request.device,
        device_file=None if request.device_file is None else str(request.device_file),
        attachment=attachment_of(request.device, facts, None if request.host is None else request.host.address),
        arch=arch,
        data=data,
        weights=weights,
        mode=_mode(recipe, arch, brought, weights),
        teacher=teacher,
        synthesis=synthesis,
        brought=brought,
        preprocessing=_preprocessing(recipe, arch, brought),
        candidates=candidates,
        unsupported=unsupported,
        unavailable=unavailable,
        desktop_gpu=None if brought is not None else _desktop_gpu(request),
        builder=next((module for name, module in AHEAD_OF_TIME_BUILDERS.items() if versions[name] != ABSENT), None),
        versions=versions,
        runner_sha256=runner_digest(),
        sources=_sources(data, weights, brought, teacher) | synthesis_sources(synthesis),
    )


def _sources(data: DataSummary, weights: WeightsAnswer, brought: BroughtModel | None, teacher: Teacher | None) -> dict[Key, Path]:
    """Inputs that no stage of this plan makes, by content."""
    sources: dict[Key, Path] = {data.content: Path(data.manifest_path)}
    if brought is not None:
        sources[brought.content] = Path(brought.path)
    if weights.kind == "file" and weights.path is not None and weights.sha256 is not None:
        sources[Key(weights.sha256)] = Path(weights.path)
    if teacher is not None and teacher.trained is not None and teacher.folder is not None:
        sources[teacher.trained] = Path(teacher.folder)
    return sources


def _mode(recipe: Recipe, arch: ArchSpec, brought: BroughtModel | None, weights: WeightsAnswer) -> TrunkMode:
    if brought is not None:
        return "brought"
    if recipe.model.keep_head:
        return "kept"
    return mode_of(recipe.train, arch, weights)


class Settled(NamedTuple):
    """A recipe with nothing left unset, and what its defaults were taken from."""

    weights: WeightsAnswer
    data: DataSummary
    recipe: Recipe
    synthesis: Synthesis | None = None


def settle_recipe(request: BuildRequest, store: Store, tell: Progress) -> Settled:
    """Fill in what the recipe leaves to the data, the weights and the network. No runtime needs to be installed.

    Raises:
        EdgecnnError: an unknown network, an impossible scale, unusable data, weights that cannot be had.
    """
    require_synthesis(request.recipe)
    if request.recipe.model.onnx is not None or request.recipe.model.keep_head:
        require_teachable(request.recipe, None)
    if request.recipe.model.onnx is not None:
        return _settle_brought(request.recipe, store, tell)
    arch = arch_named(request.recipe.model.arch)
    require_something_to_replace(request.recipe, arch)
    _require_large_enough(request.recipe, arch)
    require_packages(arch.needs, extra="zoo", needed_for=arch.name)
    settled(arch, request.recipe.model.scale, None, arch.resolution_px)  # an impossible scale is said before images are read
    weights = _answer(request, arch, store, _versions())
    if request.recipe.model.keep_head:
        return _settle_kept(request.recipe, arch, weights, store, tell)
    data = summarize(request.recipe.data, store.root, tell)
    synthesis = synthesis_asked(request.recipe, data, store.root, tell)
    images = images_trained_on(data, synthesis, photographs=request.recipe.data.train)
    return Settled(weights, data, _completed(request.recipe, arch, data, (weights, images)), synthesis)


def _require_large_enough(asked: Recipe, arch: ArchSpec) -> None:
    wished = asked.model.resolution_px
    if wished is not None and wished < arch.least_px:
        raise ResolutionTooSmall(arch=arch.name, asked_px=wished, least_px=arch.least_px)


def _settle_brought(asked: Recipe, store: Store, tell: Progress) -> Settled:
    """Nothing is trained, so that no image is spent on training, unless it is said that these images were learned from."""
    learned = asked.data.train and "train" in asked.data.model_fields_set
    choice = asked.data.model_copy(update={"train": learned, "labels": asked.data.labels is not False})
    try:
        data = summarize(choice, store.root, tell)
    except NoClassFolders as error:
        if asked.data.labels is not None or not error.files:
            raise
        choice = choice.model_copy(update={"labels": False})
        data = summarize(choice, store.root, tell)
    filled = {"data": choice, "quantize": _with_images(asked.quantize, data)}
    return Settled(brought_weights(asked.model, train_kept_out=learned), data, asked.model_copy(update=filled))


def _settle_kept(asked: Recipe, arch: ArchSpec, weights: WeightsAnswer, store: Store, tell: Progress) -> Settled:
    """Nothing is trained either; the classes of published weights are ImageNet's."""
    if weights.kind == "none":
        raise NoHeadToKeep(arch=arch.name, why=weights.why)
    published = "folders" if weights.kind == "file" else "imagenet"
    choice = asked.data.model_copy(update={"train": False, "classes": asked.data.classes or published})
    data = summarize(choice, store.root, tell)
    model = asked.model.model_copy(update={"resolution_px": asked.model.resolution_px or arch.resolution_px})
    filled = {"data": choice, "model": model, "quantize": _with_images(asked.quantize, data)}
    said = weights.why.replace("training starts from", "nothing is trained, and the head is kept, of", 1)
    return Settled(weights.model_copy(update={"why": said}), data, asked.model_copy(update=filled))


def _network(recipe: Recipe, brought: BroughtModel | None) -> tuple[ArchSpec, Recipe]:
    """The row of the network, scaled as asked, and the recipe with the resolution that a brought file fixes."""
    if brought is None:
        return _scaled(recipe, arch_named(recipe.model.arch)), recipe
    model = recipe.model.model_copy(update={"resolution_px": brought.entry.resolution_px})
    return brought_arch(model, brought), recipe.model_copy(update={"model": model})


def _versions() -> dict[str, str]:
    return {name: installed_version(name) or ABSENT for name in DISTRIBUTIONS}


def _desktop_gpu(request: BuildRequest) -> DesktopGpu | None:
    versions = {name: installed_version(name) for name in ("torch", "torchvision", TENSORRT)}
    return local_gpu(gpu_models(), versions, request.recipe.desktop.variants)


def attachment_of(device: Device, facts: LocalFacts, board: str | None = None) -> Attachment:
    """Whether a machine with these facts, this one or a board, is the device."""
    attached = matches(device, facts)
    here = f"{board or 'this machine'} is {facts.describe()}"
    return Attachment(attached=attached, why=f"{here}, which {'is' if attached else 'is not'} {device.title}")


def _candidates(
    device: Device, asked: Recipe, facts: LocalFacts
) -> tuple[tuple[Candidate, ...], tuple[Unsupported, ...], dict[str, Unavailable]]:
    """The baseline network's fp32 always comes first, since every drop is counted from it."""
    runtime = asked.target.runtime
    built: dict[str, Candidate] = {BASELINE_ID: BASELINE}
    unsupported: list[Unsupported] = []
    unavailable: dict[str, Unavailable] = {}
    offered: list[Candidate | Unsupported] = []
    for backend in all_backends():
        if runtime not in (None, backend.runtime) or (runtime is None and not _offered(device, backend.runtime)):
            continue
        lacks = lacking(backend.packages, backend.extra)
        entries = backend.supports(with_local_facts(device, facts))
        offered += entries
        for entry in entries:
            if isinstance(entry, Unsupported):
                unsupported.append(entry)
            elif lacks is not None:
                unavailable[entry.id] = _unavailable(lacks)
            else:
                built[entry.id] = entry
    needed = lacking(backend_for(BASELINE.runtime).packages, backend_for(BASELINE.runtime).extra)
    if needed is not None:
        raise NothingToBuild(device=device.name, reasons=(needed.why,), command=needed.command)
    require_candidate(device, runtime, offered)
    if asked.quantize.aware:
        require_precision(device, Precision.INT8, "quantize.aware", offered)
    if unavailable and not any(isinstance(entry, Candidate) and entry.id in built for entry in offered):
        reasons = tuple(dict.fromkeys(each.why for each in unavailable.values()))
        raise NothingToBuild(device=device.name, reasons=reasons, command=next(iter(unavailable.values())).command)
    return tuple(built.values()), tuple(unsupported), unavailable


def _with_learned(
    candidates: tuple[Candidate, ...], unavailable: dict[str, Unavailable], recipe: Recipe, data: DataSummary
) -> tuple[tuple[Candidate, ...], dict[str, Unavailable]]:
    """Candidates that cost another training come last, and only where they are asked for."""
    aware = aware_candidates(candidates) if recipe.quantize.aware else ()
    found = list(candidates)
    for more, why in (
        (aware, aware_unavailable(recipe, data)),
        (surgery_candidates(candidates, recipe), surgery_unavailable(recipe, data)),
    ):
        if why is None:
            found += more
        else:
            unavailable = {**unavailable, **{candidate.id: why for candidate in more}}
    return tuple(found), unavailable


def _offered(device: Device, runtime: Runtime) -> bool:
    return runtime in device.runtimes and device.runtimes[runtime].offered


def _unavailable(lacks: Lacking) -> Unavailable:
    return Unavailable(why=lacks.why, command=lacks.command)


def _answer(request: BuildRequest, arch: ArchSpec, store: Store, versions: Mapping[str, str]) -> WeightsAnswer:
    """Asked of this machine every time, of the network only where the last build of this folder was not answered already."""
    found = store.artifacts.find(FetchStage.published(arch), versions, {}) if arch.weights is not None else None
    choice = request.recipe.model.weights
    if request.recipe.train.transfer == "scratch":
        if choice not in ("auto", "none"):
            raise WeightsNotWanted(weights=choice)
        choice = "none"
    previous = None if request.refresh_weights else _previous_answer(request.out / PLAN, arch.name, choice)
    return answer_weights(arch, choice, cached=found.folder if isinstance(found, Artifact) else None, previous=previous)


def _previous_answer(plan_file: Path, arch: str, choice: str) -> WeightsAnswer | None:
    """What the network answered the last build of this folder; None unless it was asked this very question."""
    try:
        before = json.loads(plan_file.read_text())["resolved"]
        if before["asked"]["model"]["arch"] != arch or before["asked"]["model"]["weights"] != choice:
            return None
        answer = WeightsAnswer.model_validate(before["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no plan.json, or an older or damaged one: that only costs one more question
    return answer if answer.asked else None


def _scaled(recipe: Recipe, arch: ArchSpec) -> ArchSpec:
    return settled(arch, recipe.model.scale, None, arch.resolution_px).spec


def _completed(asked: Recipe, arch: ArchSpec, data: DataSummary, training: tuple[WeightsAnswer, int]) -> Recipe:
    """Every default, filled in once; ``training``: what it begins with, and how many images it has."""
    weights, images = training
    usual = demo_resolution(arch) if data.origin == "demo" else arch.resolution_px
    scaled = settled(arch, asked.model.scale, asked.model.resolution_px, usual)
    resolution = scaled.resolution_px
    return asked.model_copy(
        update={
            "model": asked.model.model_copy(update={"resolution_px": resolution}),
            "train": completed_training(asked, scaled.spec, images, weights),
            "synthesis": with_size(asked.synthesis, pixel_recipe(scaled.spec, resolution)),
            "quantize": _with_images(asked.quantize, data),
        }
    )


def demo_resolution(arch: ArchSpec) -> int:
    """Small, but never more than the network's own resolution and never less than it needs."""
    return max(arch.least_px, min(DEMO_RESOLUTION_PX, arch.resolution_px))


def _with_images(asked: QuantizeChoice, data: DataSummary) -> QuantizeChoice:
    """All calibration images unless fewer are asked for; more than there are would cost every INT8 candidate, after training."""
    found = data.counts["calibrate"]
    if asked.images is not None and asked.images > found:
        raise CalibrationSetTooSmall(asked=asked.images, found=found)
    return asked.model_copy(update={"images": asked.images or found})


def _preprocessing(recipe: Recipe, arch: ArchSpec, brought: BroughtModel | None) -> Preprocessing:
    if brought is not None:
        return Preprocessing(pixels=brought.feeding.pixels, normalization=brought.feeding.normalization)
    pixels = pixel_recipe(arch, recipe.model.resolution_px)
    return Preprocessing(pixels=pixels, normalization=arch.normalization)


def python_version() -> str:
    """Of this process, for records."""
    return ".".join(str(part) for part in sys.version_info[:3])
