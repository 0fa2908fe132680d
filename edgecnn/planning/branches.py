"""The steps of one candidate from the trunk on, and what a network that learns anew begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.planning.trunk import THRESHOLDS, Steps, learning_of, surgery_stage
from edgecnn.stages.aware import AwareStage
from edgecnn.stages.compile import CompileStage, EngineStage
from edgecnn.stages.package import PackageStage
from edgecnn.stages.program import ProgramStage, VariantStage
from edgecnn.stages.quantize import MixedStage, QuantizeStage
from edgecnn.stages.rank import RankStage
from edgecnn.values.candidate import ENGINE, TRUNK, Candidate, Rung, graph_of
from edgecnn.values.resolved import DesktopGpu, Resolved
from edgecnn.values.stage import Key, Role

CAPABILITIES = ("8.6", "8.9")
"""GPUs that the ahead-of-time proof builds for: RTX 30 and RTX 40, since nothing in the RTX package builds for Orin's 8.7."""


def beginning_of(resolved: Resolved, candidate: Candidate, steps: Steps, trunk: Mapping[Role, Key]) -> Mapping[Role, Key]:
    """The keys that a branch begins from: the trunk's, or where a network learns anew its own model, by one training a step."""
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
        **learning_of(resolved, trunk),
        scheme=candidate.scheme,
        images=quantize.images,
        epochs=quantize.aware_epochs,
        learning_rate=quantize.aware_learning_rate,
    )


def lay_desktop_branches(resolved: Resolved, gpu: DesktopGpu, steps: Steps, trunk: Mapping[Role, Key]) -> None:
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
    steps.add(f"package:{candidate.id}", _package(resolved, candidate, {"model": made, **_beside(trunk)}), candidate.id)
    for each in gpu.variants:
        given = {"program": made, "pixels": trunk["pixels"]}
        variant = VariantStage(inputs=given, candidate=each, normalization=resolved.preprocessing.normalization)
        key = steps.add(f"variant:{each.id}", variant, each.id)
        steps.add(f"package:{each.id}", _package(resolved, each, {"model": key, **_beside(trunk)}), each.id)


def _package(resolved: Resolved, candidate: Candidate, inputs: Mapping[Role, Key]) -> PackageStage:
    return PackageStage(
        inputs=inputs,
        name=f"{resolved.arch.file_name}--{candidate.id}",
        candidate=candidate,
        preprocessing=resolved.preprocessing,
        runner_sha256=resolved.runner_sha256,
    )


def _beside(trunk: Mapping[Role, Key]) -> dict[Role, Key]:
    """What every kit is given beside its model."""
    return {role: trunk[role] for role in ("pixels", THRESHOLDS) if role in trunk}


def quantize_stage(resolved: Resolved, candidate: Candidate, trunk: Mapping[Role, Key]) -> QuantizeStage:
    """The stage that makes a candidate's model."""
    return QuantizeStage(
        inputs={"model": trunk["model"], "pixels": trunk["pixels"]},
        candidate=candidate,
        images=resolved.recipe.quantize.images,
        normalization=resolved.preprocessing.normalization,
    )


def lay_mixed_branches(resolved: Resolved, rungs: Sequence[Rung], steps: Steps, trunk: Mapping[Role, Key]) -> None:
    """Of one INT8 candidate. The ranking belongs to its first rung: the others are climbed after that one, or not at all."""
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
    """Lay a candidate's steps from its model to its kit, and to its engine where it has one."""
    candidate = quantize.candidate
    quantized = steps.add(f"quantize:{candidate.id}", quantize, candidate.id)
    package = _package(resolved, candidate, {"model": quantized, **_beside(trunk)})
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
