"""The pure middle: what would be done, under which keys, before anything is.

Every key is known here, those of rungs that may never be climbed too. Nothing in this module reads a disk, a clock or a
network, so a plan can be tested, printed and compared without running it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from edgecnn.building.aware import AWARE, TRUNK, graph_of
from edgecnn.building.mixed import mixed_rungs
from edgecnn.building.resolved import DesktopGpu, Resolved
from edgecnn.building.surgery import SURGERY
from edgecnn.building.synthesis import synthesize_stage
from edgecnn.building.training_defaults import filled_in
from edgecnn.models.catalogue import arch_named
from edgecnn.models.compound import keeps_all
from edgecnn.models.defaults import Mode
from edgecnn.stages.adopt import AdoptStage
from edgecnn.stages.aware import AwareStage
from edgecnn.stages.compile import CompileStage, EngineStage
from edgecnn.stages.export import ExportStage
from edgecnn.stages.fetch import FetchStage
from edgecnn.stages.package import PackageStage
from edgecnn.stages.prepare import PrepareStage
from edgecnn.stages.program import ProgramStage
from edgecnn.stages.quantize import MixedStage, QuantizeStage
from edgecnn.stages.rank import RankStage
from edgecnn.stages.surgery import SurgeryStage
from edgecnn.stages.train import TrainStage
from edgecnn.stages.transfer import TransferStage
from edgecnn.stages.variant import VariantStage
from edgecnn.training.settings import OtherTerms
from edgecnn.values.arch import ArchSpec
from edgecnn.values.candidate import Candidate, Method, Precision, Rung
from edgecnn.values.key import Key
from edgecnn.values.recipe import TrainChoice
from edgecnn.values.stage import Role, Stage
from edgecnn.values.teacher import Teacher

BASELINE_ID = "onnxruntime-fp32"
"""The network that every drop is counted from: fp32 in ONNX Runtime, whatever the device."""
AS_BROUGHT_ID = "onnxruntime-as-brought"
"""The one candidate of a file that came quantized, in the place of fp32: its float network is not in it."""
ENGINE = "engine"
"""Begins the names of the steps that build on the device."""
CAPABILITIES = ("8.6", "8.9")
"""GPUs that the ahead-of-time proof builds for: RTX 30 and RTX 40, since nothing in the RTX package builds for Orin's 8.7."""
IMAGES, MADE = "images", "made"
"""Roles of what a training learns from: a manifest of photographs, and composed images."""
RUNGS = (("fp32", (Precision.FP32,)), ("half", (Precision.FP16, Precision.BF16)), ("int8", (Precision.INT8,)))


@dataclass(frozen=True)
class Step:
    """One stage of a plan. ``candidate`` is None on the trunk that all candidates share."""

    id: str
    stage: Stage
    key: Key
    candidate: str | None = None


@dataclass(frozen=True)
class Plan:
    """Trunk, branches and rungs. Steps stand in an order in which each one's inputs come before it."""

    resolved: Resolved
    steps: tuple[Step, ...]
    rungs: tuple[Rung, ...]

    def step(self, step_id: str) -> Step | None:
        """The step of this name, or None where the plan has none."""
        return next((step for step in self.steps if step.id == step_id), None)

    def of_candidate(self, candidate: str) -> tuple[Step, ...]:
        """The branch of one candidate, in order."""
        return tuple(step for step in self.steps if step.candidate == candidate)

    def facts(self) -> dict[str, Any]:
        """The plan for ``plan.json`` and ``--json``: what was resolved, and each step with the payload of its key."""
        return {
            "schema": "edgecnn.plan/1",
            "resolved": self.resolved.model_dump(mode="json", by_alias=True),
            "rungs": [rung.model_dump(mode="json") for rung in self.rungs],
            "steps": [
                {
                    "id": step.id,
                    "kind": step.stage.kind,
                    "key": step.key,
                    "candidate": step.candidate,
                    "payload": step.stage.payload(self.resolved.versions),
                }
                for step in self.steps
            ],
        }


def is_of_a_device(step_id: str) -> bool:
    """Whether a step builds an engine where it runs: another board makes another, and the build stays the same."""
    return step_id.startswith(f"{ENGINE}:")


def reference_of(candidates: Iterable[Candidate]) -> str:
    """What everything else is held against: fp32 in ONNX Runtime; or a file that came quantized, which stands alone."""
    alone = any(candidate.method is Method.BROUGHT for candidate in candidates)
    return AS_BROUGHT_ID if alone else BASELINE_ID


class _Steps:
    """Collects steps and the keys that later ones name as inputs."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self.versions = versions
        self.steps: list[Step] = []

    def add(self, step_id: str, stage: Stage, candidate: str | None = None) -> Key:
        key = stage.key(self.versions)
        self.steps.append(Step(id=step_id, stage=stage, key=key, candidate=candidate))
        return key


def plan(resolved: Resolved) -> Plan:
    """Lay out every stage with its key."""
    steps = _Steps(resolved.versions)
    trunk = _trunk(resolved, steps)
    for candidate in resolved.candidates:
        beginning = _beginning(resolved, candidate, steps, trunk)
        _branch(resolved, _quantize(resolved, candidate, beginning), steps, beginning)
    mixed = mixed_rungs(tuple(candidate for candidate in resolved.candidates if _is_of_trunk(candidate)))
    for _, mending in groupby(mixed, key=lambda rung: rung.mends):
        _mixed_branches(resolved, tuple(mending), steps, trunk)
    if resolved.desktop_gpu is not None and resolved.desktop_gpu.unusable is None:
        _desktop_branches(resolved, resolved.desktop_gpu, steps, trunk)
    rungs = tuple(
        Rung(name=name, candidates=members)
        for name, precisions in RUNGS
        if (members := tuple(c for c in resolved.candidates if c.precision in precisions and _is_of_trunk(c)))
    )
    learned = tuple(
        Rung(name=name, candidates=members)
        for name in (AWARE, SURGERY)
        if (members := tuple(candidate for candidate in resolved.candidates if _learned(candidate) == name))
    )
    return Plan(resolved=resolved, steps=tuple(steps.steps), rungs=(*rungs, *mixed, *learned))


def _is_of_trunk(candidate: Candidate) -> bool:
    return graph_of(candidate) == TRUNK


def _learned(candidate: Candidate) -> str | None:
    """The rung of a candidate whose network learned anew; the trainings of one rung may be several, one a scheme."""
    if candidate.surgery is not None:
        return SURGERY
    return None if _is_of_trunk(candidate) else AWARE


def _trunk(resolved: Resolved, steps: _Steps) -> dict[Role, Key]:
    """Lay the trunk and return the keys that branches begin from: ``pixels``, ``model`` and, of a trained one, ``weights`` and
    what it learned from."""
    arch = resolved.arch
    images = resolved.data.content
    prepared = steps.add("prepare", PrepareStage(inputs={"images": images}, pixels=resolved.preprocessing.pixels))
    if resolved.brought is not None:
        brought = resolved.brought
        given = {"model": brought.content, "pixels": prepared}
        adopt = AdoptStage(inputs=given, entry=brought.entry, feeding=brought.feeding)
        return {"pixels": prepared, "model": steps.add("export", adopt)}
    if resolved.mode == "kept":
        kept = steps.add("fetch", FetchStage.from_answer(arch, resolved.weights))
        return {"pixels": prepared, "weights": kept, "model": steps.add("export", _export(resolved, kept, prepared))}
    learned = _learned_from(resolved, steps)
    train_inputs = {**learned, "pixels": prepared}
    if resolved.mode != "scratch":
        train_inputs["weights"] = steps.add("fetch", FetchStage.from_answer(arch, resolved.weights))
    if decides := _decides_transfer(resolved):
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
    trained = steps.add("train", train)
    model = steps.add("export", _export(resolved, trained, prepared))
    return {**learned, "pixels": prepared, "weights": trained, "model": model}


def _learned_from(resolved: Resolved, steps: _Steps) -> dict[Role, Key]:
    """Photographs, composed images, or both: what every training of this plan is given."""
    given = {IMAGES: resolved.data.content} if resolved.recipe.data.train else {}
    if resolved.synthesis is not None:
        given[MADE] = steps.add("synthesize", synthesize_stage(resolved, resolved.synthesis))
    return given


def _taught_by(resolved: Resolved, teacher: Teacher, steps: _Steps, learned: Mapping[Role, Key]) -> Key:
    """The key of the teacher's trained weights: a build's, or those of a training that is laid before the network's own."""
    if teacher.trained is not None:
        return teacher.trained
    if teacher.weights is None:
        raise ValueError("a teacher that was not trained begins with weights")
    arch = arch_named(teacher.terms.arch)
    fetched = steps.add("fetch:teacher", FetchStage.from_answer(arch, teacher.weights))
    given = {**learned, "weights": fetched}
    return steps.add("train:teacher", _lessons(arch, resolved).model_copy(update={"inputs": given}))


def _lessons(arch: ArchSpec, resolved: Resolved) -> TrainStage:
    """The training of a teacher out of the list, as the same network would be fine-tuned for itself on these pixels."""
    train = filled_in(TrainChoice(), "finetune", resolved.training_images, arch)
    asked = resolved.recipe.train
    settings = train.model_dump(exclude={"teacher"}) | {"transfer": "all", "seed": asked.seed, "processes": asked.processes}
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


def _beginning(resolved: Resolved, candidate: Candidate, steps: _Steps, trunk: Mapping[Role, Key]) -> Mapping[Role, Key]:
    """The keys that a branch begins from: the trunk's, or where a network learns anew its own model, by one training a step."""
    name = graph_of(candidate)
    if name == TRUNK:
        return trunk
    learn = _surgery if _learned(candidate) == SURGERY else _aware
    stage = learn(resolved, candidate, trunk)
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
        **_learning(resolved, trunk),
        scheme=candidate.scheme,
        images=quantize.images,
        epochs=quantize.aware_epochs,
        learning_rate=quantize.aware_learning_rate,
    )


def _surgery(resolved: Resolved, candidate: Candidate, trunk: Mapping[Role, Key]) -> SurgeryStage:
    learning_rate = resolved.recipe.surgery.learning_rate
    return SurgeryStage(**_learning(resolved, trunk), surgery=candidate.surgery, learning_rate=learning_rate)


def _learning(resolved: Resolved, trunk: Mapping[Role, Key]) -> dict[str, Any]:
    """What every training that starts from the trained network is given."""
    return {
        "inputs": {role: trunk[role] for role in (IMAGES, MADE, "pixels", "weights") if role in trunk},
        "arch": resolved.arch.name,
        "classes": len(resolved.data.classes),
        "preprocessing": resolved.preprocessing,
        "batch_size": resolved.recipe.train.batch_size,
        "seed": resolved.recipe.train.seed,
    }


def _decides_transfer(resolved: Resolved) -> bool:
    return resolved.mode == "finetune" and resolved.recipe.train.transfer == "auto"


def _transfer(resolved: Resolved, inputs: Mapping[Role, Key]) -> TransferStage:
    """The rule is a parameter of train; what it comes to is this stage's file."""
    return TransferStage(
        inputs=dict(inputs),
        arch=resolved.arch.name,
        classes=len(resolved.data.classes),
        preprocessing=resolved.preprocessing,
        seed=resolved.recipe.train.seed,
    )


def _terms(resolved: Resolved, mode: Mode) -> OtherTerms:
    """What the recipe states holds of another mode too; what it leaves open is filled in for that."""
    terms = filled_in(resolved.asked.train, mode, resolved.training_images, resolved.arch)
    return OtherTerms.model_validate({name: getattr(terms, name) for name in OtherTerms.model_fields})


def _train_settings(resolved: Resolved) -> dict[str, Any]:
    settings = resolved.recipe.train.model_dump(exclude={"teacher"})
    if any(value is None for value in settings.values()):
        raise ValueError("resolve fills in what is unset of [train] before anything is planned")
    return settings


def _desktop_branches(resolved: Resolved, gpu: DesktopGpu, steps: _Steps, trunk: Mapping[Role, Key]) -> None:
    """Of no rung, since none is ever shipped; packaged as what ships is, so that the runner can measure it.

    The variants run the reference's own program: a network that was exported anew could be another one.
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
    steps.add(f"package:{candidate.id}", _package(resolved, candidate, {"model": made, "pixels": trunk["pixels"]}), candidate.id)
    for each in gpu.variants:
        given = {"program": made, "pixels": trunk["pixels"]}
        variant = VariantStage(inputs=given, candidate=each, normalization=resolved.preprocessing.normalization)
        key = steps.add(f"variant:{each.id}", variant, each.id)
        steps.add(f"package:{each.id}", _package(resolved, each, {"model": key, "pixels": trunk["pixels"]}), each.id)


def _package(resolved: Resolved, candidate: Candidate, inputs: Mapping[Role, Key]) -> PackageStage:
    return PackageStage(
        inputs=inputs,
        name=f"{resolved.arch.name}--{candidate.id}",
        candidate=candidate,
        preprocessing=resolved.preprocessing,
        runner_sha256=resolved.runner_sha256,
    )


def _quantize(resolved: Resolved, candidate: Candidate, trunk: Mapping[Role, Key]) -> QuantizeStage:
    return QuantizeStage(
        inputs={"model": trunk["model"], "pixels": trunk["pixels"]},
        candidate=candidate,
        images=resolved.recipe.quantize.images,
        normalization=resolved.preprocessing.normalization,
    )


def _mixed_branches(resolved: Resolved, rungs: Sequence[Rung], steps: _Steps, trunk: Mapping[Role, Key]) -> None:
    """Of one INT8 candidate. The ranking belongs to its first rung: the others are climbed after that one, or not at all."""
    first = rungs[0].candidates[0]
    plain = _quantize(resolved, first, trunk)
    rank = RankStage(
        inputs=plain.inputs,
        images=plain.images,
        reduced_range=first.scheme is not None and first.scheme.reduced_range,
        normalization=plain.normalization,
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
        _branch(resolved, mixed, steps, trunk)


def _branch(resolved: Resolved, quantize: QuantizeStage, steps: _Steps, trunk: Mapping[Role, Key]) -> None:
    candidate = quantize.candidate
    quantized = steps.add(f"quantize:{candidate.id}", quantize, candidate.id)
    package = _package(resolved, candidate, {"model": quantized, "pixels": trunk["pixels"]})
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
