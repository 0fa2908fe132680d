"""The steps that all candidates share, from images to the exported network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import keeps_all
from edgecnn.planning.candidates import surgery_instead
from edgecnn.planning.complete import filled_in
from edgecnn.planning.synthesis import synthesize_stage
from edgecnn.planning.training import NO_SETTING
from edgecnn.stages.images import PrepareStage
from edgecnn.stages.learning import SurgeryStage, TrainStage, TransferStage
from edgecnn.stages.trunk import AdoptStage, ExportStage
from edgecnn.stages.weights import FetchStage
from edgecnn.training.settings import Mode, OtherTerms
from edgecnn.values.arch import ArchSpec
from edgecnn.values.recipe import TrainChoice
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Key, Role, Stage
from edgecnn.values.training import Surgery, Teacher

IMAGES, MADE = "images", "made"
"""Roles of what a training learns from: a manifest of photographs, and composed images."""
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
    learned = _learned_from(resolved, steps)
    train_inputs: dict[Role, Key] = {**learned, "pixels": prepared, **begun}
    if decides := resolved.mode == "finetune" and resolved.recipe.train.transfer == "auto":
        measured = {role: key for role, key in train_inputs.items() if role != MADE}  # many images of few cut-outs are few
        train_inputs["transfer"] = steps.add("transfer", _transfer(resolved, measured))
    if resolved.teacher is not None:
        train_inputs["teacher"] = _taught_by(resolved, resolved.teacher, steps, {**learned, "pixels": prepared})
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
    return SurgeryStage(**learning_of(resolved, trunk), device=device, surgery=surgery, learning_rate=learning_rate)


def learning_of(resolved: Resolved, trunk: Mapping[Role, Key]) -> dict[str, Any]:
    """Return the inputs and settings of every training that starts from the trained network."""
    return {
        "inputs": {role: trunk[role] for role in (IMAGES, MADE, "pixels", "weights") if role in trunk},
        "arch": resolved.arch.name,
        "classes": len(resolved.data.classes),
        "preprocessing": resolved.preprocessing,
        "batch_size": resolved.recipe.train.batch_size,
        "seed": resolved.recipe.train.seed,
        "threads": resolved.recipe.train.threads,
    }


def _learned_from(resolved: Resolved, steps: Steps) -> dict[Role, Key]:
    """Return the inputs of every training of this plan: photographs, composed images, or both."""
    materials = {IMAGES: resolved.data.content} if resolved.recipe.data.train else {}
    if resolved.synthesis is not None:
        materials[MADE] = steps.add("synthesize", synthesize_stage(resolved, resolved.synthesis))
    return materials


def _taught_by(resolved: Resolved, teacher: Teacher, steps: Steps, learned: Mapping[Role, Key]) -> Key:
    """Return the key of the teacher's weights, from a build or from a training before the network's own."""
    if teacher.trained is not None:
        return teacher.trained
    if teacher.weights is None:
        raise ValueError("a teacher that was not trained begins with weights")
    arch = arch_named(teacher.terms.arch)
    fetched = steps.add("fetch:teacher", FetchStage.from_answer(arch, teacher.weights))
    inputs = {**learned, "weights": fetched}
    return steps.add("train:teacher", _lessons(arch, resolved).model_copy(update={"inputs": inputs}))


def _lessons(arch: ArchSpec, resolved: Resolved) -> TrainStage:
    """Return the training of a teacher of the catalogue: fine-tuned as the network would be on these pixels."""
    train = filled_in(TrainChoice(), "finetune", resolved.training_images, arch)
    chosen = resolved.recipe.train
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
    settings = resolved.recipe.train.model_dump(exclude=NO_SETTING)
    if any(value is None for value in settings.values()):
        raise ValueError("resolve fills in what is unset of [train] before anything is planned")
    return settings
