"""Steps and keys of a request: the trunk that all candidates share, one branch per candidate, and the plan that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import keeps_all
from edgecnn.planning.candidates import mixed_rungs, surgery_instead
from edgecnn.planning.complete import filled_in
from edgecnn.planning.data_rules import synthesize_stage
from edgecnn.planning.training import NO_SETTING
from edgecnn.stages.candidate import MixedStage, PackageStage, QuantizeStage, RankStage
from edgecnn.stages.desktop import ProgramStage, VariantStage
from edgecnn.stages.engine import CompileStage, EngineStage
from edgecnn.stages.images import PrepareStage
from edgecnn.stages.learning import AwareStage, SurgeryStage, TrainStage, TransferStage
from edgecnn.stages.trunk import AdoptStage, ExportStage
from edgecnn.stages.weights import FetchStage
from edgecnn.training.settings import BATCH_SIZE, Mode, OtherTerms
from edgecnn.values.arch import ArchSpec
from edgecnn.values.candidate import AWARE, ENGINE, SURGERY, TRUNK, Candidate, Precision, Rung, graph_of, is_of_trunk, learned_by
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import TrainChoice
from edgecnn.values.resolved import PLAN_SCHEMA, DesktopGpu, Resolved
from edgecnn.values.stage import Key, Role, Stage
from edgecnn.values.training import Surgery, Teacher

IMAGES, MADE = "images", "made"
"""Roles of the training images: a manifest of photographs, and composed images."""
THRESHOLDS = "thresholds"
"""The role of the trunk in a kit of a multi-label network, which ships the thresholds that were chosen with it."""


@dataclass(frozen=True)
class Step:
    """One stage of a plan. ``candidate`` is None on the trunk that all candidates share."""

    id: str
    stage: Stage
    key: Key
    candidate: str | None = None


class Steps:
    """Collects steps and the keys that later ones name as inputs."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self.versions = versions
        self.steps: list[Step] = []

    def add(self, step_id: str, stage: Stage, candidate: str | None = None) -> Key:
        """Add a step and return its key."""
        key = stage.key(self.versions)
        self.steps.append(Step(id=step_id, stage=stage, key=key, candidate=candidate))
        return key


def lay_trunk(resolved: Resolved, steps: Steps) -> dict[Role, Key]:
    """Lay the trunk. Return the keys that branches begin from: ``pixels``, ``model`` and, for a trained one, ``weights`` and
    its training inputs."""
    arch = resolved.arch
    images = resolved.data.content
    prepared = steps.add("prepare", PrepareStage(inputs={"images": images}, pixels=resolved.preprocessing.pixels))
    if resolved.custom_model is not None:
        custom = resolved.custom_model
        inputs = {"model": custom.content, "pixels": prepared}
        adopt = AdoptStage(inputs=inputs, entry=custom.entry, feeding=custom.feeding)
        return {"pixels": prepared, **_model_and_thresholds(resolved, steps.add("export", adopt))}
    begun = {} if resolved.mode == "scratch" else {"weights": steps.add("fetch", FetchStage.from_answer(arch, resolved.weights))}
    if resolved.mode == "kept":
        return {"pixels": prepared, **begun, "model": steps.add("export", _export(resolved, begun["weights"], prepared))}
    learned = {IMAGES: resolved.data.content} if resolved.recipe.data.train else {}
    if resolved.synthesis is not None:
        learned[MADE] = steps.add("synthesize", synthesize_stage(resolved, resolved.synthesis))
    train_inputs: dict[Role, Key] = {**learned, "pixels": prepared, **begun}
    if decides := resolved.mode == "finetune" and resolved.recipe.train.transfer == "auto":
        # without composed images: those from a few cut-outs would look like many images
        measured = {role: key for role, key in train_inputs.items() if role != MADE}
        train_inputs["transfer"] = steps.add("transfer", _transfer(resolved, measured))
    if resolved.teacher is not None:
        train_inputs["teacher"] = _teacher_weights(resolved, resolved.teacher, steps, {**learned, "pixels": prepared})
    train = TrainStage(
        inputs=train_inputs,
        teacher=None if resolved.teacher is None else resolved.teacher.terms,
        arch=arch.name,
        classes=len(resolved.data.classes),
        preprocessing=resolved.preprocessing,
        mode=resolved.mode,
        otherwise=_terms(resolved, "scratch") if decides else None,
        relearned=_terms(resolved, "inherit") if decides and not keeps_all(arch) else None,
        **_train_settings(resolved),
    )
    trunk = {**learned, "pixels": prepared, "weights": steps.add("train", train)}
    surgery = surgery_instead(resolved.recipe)
    exported = _export(resolved, trunk["weights"], prepared) if surgery is None else surgery_stage(resolved, surgery, trunk)
    model = steps.add("export", exported)
    return {**trunk, **_model_and_thresholds(resolved, model)}


def _model_and_thresholds(resolved: Resolved, model: Key) -> dict[Role, Key]:
    return {"model": model, **({THRESHOLDS: model} if resolved.multi_label else {})}


def surgery_stage(resolved: Resolved, surgery: Surgery, trunk: Mapping[Role, Key]) -> SurgeryStage:
    """Return the stage that trains the changed network from the trained one."""
    learning_rate = resolved.recipe.surgery.learning_rate
    if learning_rate is None:
        raise ValueError("resolve fills in what is unset of [surgery] before anything is planned")
    device = resolved.recipe.train.device
    return SurgeryStage(
        **training_inputs_and_settings(resolved, trunk), device=device, surgery=surgery, learning_rate=learning_rate
    )


def training_inputs_and_settings(resolved: Resolved, trunk: Mapping[Role, Key]) -> dict[str, Any]:
    """Return the inputs and settings of every training that starts from the trained network.

    These train batch norm, and in more epochs than a short fine-tuning, so its small batches are not for them.
    """
    batch_size = resolved.asked.train.batch_size or max(BATCH_SIZE, resolved.recipe.train.batch_size or BATCH_SIZE)
    return {
        "inputs": {role: trunk[role] for role in (IMAGES, MADE, "pixels", "weights") if role in trunk},
        "arch": resolved.arch.name,
        "classes": len(resolved.data.classes),
        "preprocessing": resolved.preprocessing,
        "batch_size": batch_size,
        "seed": resolved.recipe.train.seed,
        "threads": resolved.recipe.train.threads,
    }


def _teacher_weights(resolved: Resolved, teacher: Teacher, steps: Steps, learned: Mapping[Role, Key]) -> Key:
    """Return the key of the teacher's weights, from a build or from a training before the network's own."""
    if teacher.trained is not None:
        return teacher.trained
    if teacher.weights is None:
        raise ValueError("a teacher that was not trained begins with weights")
    arch = arch_named(teacher.terms.arch)
    fetched = steps.add("fetch:teacher", FetchStage.from_answer(arch, teacher.weights))
    inputs = {**learned, "weights": fetched}
    return steps.add("train:teacher", _teacher_training(arch, resolved).model_copy(update={"inputs": inputs}))


def _teacher_training(arch: ArchSpec, resolved: Resolved) -> TrainStage:
    """Return the training of a teacher of the catalogue: fine-tuned as the network would be on these pixels."""
    chosen = resolved.recipe.train
    train = filled_in(TrainChoice(processes=chosen.processes), "finetune", resolved.training_images, arch)
    ours = {name: getattr(chosen, name) for name in ("seed", "threads", "processes", "device")}
    settings = train.model_dump(exclude=NO_SETTING) | ours | {"transfer": "all"}
    preprocessing = resolved.preprocessing.model_copy(update={"normalization": arch.normalization})
    return TrainStage(
        arch=arch.name, classes=len(resolved.data.classes), preprocessing=preprocessing, mode="finetune", **settings
    )


def _export(resolved: Resolved, weights: Key, pixels: Key) -> ExportStage:
    return ExportStage(
        inputs={"weights": weights, "pixels": pixels},
        arch=resolved.arch.name,
        classes=len(resolved.data.classes),
        resolution_px=resolved.recipe.model.resolution_px or resolved.arch.resolution_px,
        normalization=resolved.preprocessing.normalization,
    )


def _transfer(resolved: Resolved, inputs: Mapping[Role, Key]) -> TransferStage:
    return TransferStage(
        inputs=dict(inputs),
        arch=resolved.arch.name,
        classes=len(resolved.data.classes),
        preprocessing=resolved.preprocessing,
        seed=resolved.recipe.train.seed,
        threads=resolved.recipe.train.threads,
        device=resolved.recipe.train.device,
    )


def _terms(resolved: Resolved, mode: Mode) -> OtherTerms:
    """Return the terms for another mode: stated values stay, open ones are filled in for that mode."""
    terms = filled_in(resolved.asked.train, mode, resolved.training_images, resolved.arch)
    return OtherTerms.model_validate({name: getattr(terms, name) for name in OtherTerms.model_fields})


def _train_settings(resolved: Resolved) -> dict[str, Any]:
    train = resolved.recipe.train
    settings = train.model_dump(exclude=NO_SETTING)
    alone = train.transfer == "head" or train.epochs == 0
    if resolved.mode != "finetune" or alone or train.body_rate is None:  # None: a plan of an earlier version
        del settings["body_rate"]
    if any(value is None for value in settings.values()):
        raise ValueError("resolve fills in what is unset of [train] before anything is planned")
    return settings


CAPABILITIES = ("8.6", "8.9")
"""GPUs of the ahead-of-time build: RTX 30 and RTX 40. The RTX package builds nothing for Orin's 8.7."""


def branch_inputs(resolved: Resolved, candidate: Candidate, steps: Steps, trunk: Mapping[Role, Key]) -> Mapping[Role, Key]:
    """Return the keys that a branch begins from: the trunk's, with the model of a separate training if the candidate has one."""
    name = graph_of(candidate)
    if name == TRUNK:
        return trunk
    changed = candidate.surgery
    stage = _aware(resolved, candidate, trunk) if changed is None else surgery_stage(resolved, changed, trunk)
    key = stage.key(resolved.versions)
    made = next((step for step in steps.steps if step.id == name), None)
    if made is None:
        steps.add(name, stage)
    elif made.key != key:
        raise ValueError(f"{candidate.id} wants another training than the step {name} has")
    return {**trunk, "model": key}


def _aware(resolved: Resolved, candidate: Candidate, trunk: Mapping[Role, Key]) -> AwareStage:
    quantize = resolved.recipe.quantize
    return AwareStage(
        **training_inputs_and_settings(resolved, trunk),
        scheme=candidate.scheme,
        images=quantize.images,
        epochs=quantize.aware_epochs,
        learning_rate=quantize.aware_learning_rate,
    )


def lay_desktop_branches(resolved: Resolved, gpu: DesktopGpu, steps: Steps, trunk: Mapping[Role, Key]) -> None:
    """Lay the branches of the desktop GPU, which belong to no rung, because they never ship.

    The variants run the program of the reference, because another export could give another network.
    """
    candidate = gpu.candidate
    program = ProgramStage(
        inputs={"weights": trunk["weights"], "pixels": trunk["pixels"]},
        candidate=candidate,
        arch=resolved.arch.name,
        classes=len(resolved.data.classes),
        resolution_px=resolved.preprocessing.pixels.crop_px,
        normalization=resolved.preprocessing.normalization,
    )
    made = steps.add(f"program:{candidate.id}", program, candidate.id)
    steps.add(f"package:{candidate.id}", _package(resolved, candidate, {"model": made, **_shared_inputs(trunk)}), candidate.id)
    for variant in gpu.variants:
        stage = VariantStage(
            inputs={"program": made, "pixels": trunk["pixels"]},
            candidate=variant,
            normalization=resolved.preprocessing.normalization,
        )
        key = steps.add(f"variant:{variant.id}", stage, variant.id)
        steps.add(f"package:{variant.id}", _package(resolved, variant, {"model": key, **_shared_inputs(trunk)}), variant.id)


def _package(resolved: Resolved, candidate: Candidate, inputs: Mapping[Role, Key]) -> PackageStage:
    return PackageStage(
        inputs=inputs,
        name=f"{resolved.arch.file_name}--{candidate.id}",
        candidate=candidate,
        preprocessing=resolved.preprocessing,
        runner_sha256=resolved.runner_sha256,
    )


def _shared_inputs(trunk: Mapping[Role, Key]) -> dict[Role, Key]:
    """Return the inputs of every kit in addition to its model."""
    return {role: trunk[role] for role in ("pixels", THRESHOLDS) if role in trunk}


def quantize_stage(resolved: Resolved, candidate: Candidate, trunk: Mapping[Role, Key]) -> QuantizeStage:
    """Return the stage that makes a candidate's model."""
    return QuantizeStage(
        inputs={"model": trunk["model"], "pixels": trunk["pixels"]},
        candidate=candidate,
        images=resolved.recipe.quantize.images,
        normalization=resolved.preprocessing.normalization,
    )


def lay_mixed_branches(resolved: Resolved, rungs: Sequence[Rung], steps: Steps, trunk: Mapping[Role, Key]) -> None:
    """Lay the mixed-precision branches of one INT8 candidate. The ranking belongs to the first rung, which is always climbed
    first."""
    first = rungs[0].candidates[0]
    plain = quantize_stage(resolved, first, trunk)
    rank = RankStage(
        inputs=plain.inputs,
        images=plain.images,
        reduced_range=first.scheme is not None and first.scheme.reduced_range,
        normalization=plain.normalization,
        multi_label=resolved.multi_label,
    )
    ranking = steps.add(f"rank:{first.id}", rank, first.id)
    for rung in rungs:
        mixed = MixedStage(
            inputs={**plain.inputs, "ranking": ranking},
            candidate=rung.candidates[0],
            images=plain.images,
            normalization=plain.normalization,
            kept_float=rung.kept_float,
        )
        lay_branch(resolved, mixed, steps, trunk)


def lay_branch(resolved: Resolved, quantize: QuantizeStage, steps: Steps, trunk: Mapping[Role, Key]) -> None:
    """Lay a candidate's steps from its model to its kit, and to its engine if it needs one."""
    candidate = quantize.candidate
    quantized = steps.add(f"quantize:{candidate.id}", quantize, candidate.id)
    package = _package(resolved, candidate, {"model": quantized, **_shared_inputs(trunk)})
    packaged = steps.add(f"package:{candidate.id}", package, candidate.id)
    if not candidate.needs_engine:
        return
    twin = package.model_copy(
        update={"name": f"{package.name}--twin", "variant": "twin", "inputs": {**package.inputs, "kit": packaged}}
    )
    steps.add(f"package-twin:{candidate.id}", twin, candidate.id)
    if resolved.builder is not None and not candidate.builder_flags:  # no builder here takes a weakly typed network
        compile_ = CompileStage(inputs={"kit": packaged}, package=resolved.builder, capabilities=CAPABILITIES)
        steps.add(f"compile:{candidate.id}", compile_, candidate.id)
    if resolved.device_builder is not None:
        steps.add(f"{ENGINE}:{candidate.id}", EngineStage.of(resolved.device_builder, packaged), candidate.id)


RUNGS = (("fp32", (Precision.FP32,)), ("half", (Precision.FP16, Precision.BF16)), ("int8", (Precision.INT8,)))


@dataclass(frozen=True)
class Plan:
    """Trunk, branches and rungs. A step comes after the steps that it reads."""

    resolved: Resolved
    steps: tuple[Step, ...]
    rungs: tuple[Rung, ...]
    folds: tuple[Plan, ...] = ()
    """Cross-validation: the networks of the second fold and those after it. Only their images differ from the first."""

    def step(self, step_id: str) -> Step | None:
        """Return the step of this name, or None."""
        return next((step for step in self.steps if step.id == step_id), None)

    @property
    def trunk(self) -> Plan:
        """The plan without the steps of single candidates."""
        return replace(self, steps=tuple(step for step in self.steps if step.candidate is None))

    def branch_of(self, candidate: str) -> tuple[Step, ...]:
        """Return the steps of one candidate, in order."""
        return tuple(step for step in self.steps if step.candidate == candidate)

    def facts(self) -> dict[str, Any]:
        """Return the plan for ``plan.json`` and ``--json``: the resolved request, and each step with the payload of its key."""
        return {
            "schema": PLAN_SCHEMA,
            "resolved": self.resolved.model_dump(mode="json", by_alias=True),
            "rungs": [rung.model_dump(mode="json") for rung in self.rungs],
            "steps": [
                {**_step_facts(step), "candidate": step.candidate, "payload": step.stage.payload(self.resolved.versions)}
                for step in self.steps
            ],
            **({"folds": [[_step_facts(step) for step in fold.steps] for fold in self.folds]} if self.folds else {}),
        }


def _step_facts(step: Step) -> dict[str, str]:
    return {"id": step.id, "kind": step.stage.kind, "key": step.key}


def plan(resolved: Resolved) -> Plan:
    """Lay out every stage with its key."""
    steps = Steps(resolved.versions)
    trunk = lay_trunk(resolved, steps)
    for candidate in resolved.candidates:
        inputs = branch_inputs(resolved, candidate, steps, trunk)
        lay_branch(resolved, quantize_stage(resolved, candidate, inputs), steps, inputs)
    mixed = mixed_rungs(tuple(candidate for candidate in resolved.candidates if is_of_trunk(candidate)))
    for _, mending in groupby(mixed, key=lambda rung: rung.mends):
        lay_mixed_branches(resolved, tuple(mending), steps, trunk)
    if resolved.desktop_gpu is not None and resolved.desktop_gpu.unusable is None:
        lay_desktop_branches(resolved, resolved.desktop_gpu, steps, trunk)
    rungs = tuple(
        Rung(name=name, candidates=members)
        for name, precisions in RUNGS
        if (members := tuple(c for c in resolved.candidates if c.precision in precisions and is_of_trunk(c)))
    )
    learned = tuple(
        Rung(name=name, candidates=members)
        for name in (AWARE, SURGERY)
        if (members := tuple(candidate for candidate in resolved.candidates if learned_by(candidate) == name))
    )
    folds = tuple(plan(_resolved_fold(resolved, data)) for data in resolved.folds)
    return Plan(resolved=resolved, steps=tuple(steps.steps), rungs=(*rungs, *mixed, *learned), folds=folds)


def _resolved_fold(resolved: Resolved, data: DataSummary) -> Resolved:
    """Resolve the request for a fold, which can have one calibration image fewer than the first."""
    quantize, available = resolved.recipe.quantize, data.counts["calibration"]
    images = available if quantize.images is None else min(quantize.images, available)
    recipe = resolved.recipe.model_copy(update={"quantize": quantize.model_copy(update={"images": images})})
    sources = {**resolved.sources, data.content: Path(data.manifest_path)}
    changed = {"data": data, "recipe": recipe, "sources": sources, "folds": (), "desktop_gpu": None}
    return resolved.model_copy(update=changed)
