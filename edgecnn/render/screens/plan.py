"""A plan for people: what is asked, what would run and why, and what the test set can show."""

from __future__ import annotations

from edgecnn.building.build import PlannedBuild, PlannedStep
from edgecnn.errors.wording import counted, first_of
from edgecnn.judging.gates import budget_pp
from edgecnn.planning.variants import surgery_instead
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import by_reason
from edgecnn.values.candidate import Rung
from edgecnn.values.data.dataset import DataSummary
from edgecnn.values.resolved import Resolved

KEY_SHOWN = 12


def show_plan(planned: PlannedBuild) -> None:
    """Print it."""
    resolved = planned.plan.resolved
    changed = (candidate.surgery.done for candidate in resolved.candidates if candidate.surgery is not None)
    instead = surgery_instead(resolved.recipe)
    classes = f"{resolved.data.class_names}; " if resolved.data.labelled else ""
    show_lines(
        [
            f"{resolved.arch.name} at {resolved.recipe.model.resolution_px} px for {resolved.device.title}",
            f"weights: {resolved.weights.why}{_licence(resolved)}",
            f"photographs: {resolved.preprocessing.pixels.describe()}",
            f"data: {resolved.data.root}, {classes}{resolved.data.splits_from}",
            *_composed(resolved),
            _training(resolved) + _folds(resolved),
            *(f"surgery: {done}, beside the unchanged network" for done in dict.fromkeys(changed)),
            *([f"surgery: {instead.done}, and nothing of the unchanged network"] if instead is not None else []),
            *_left_out(resolved.data),
            f"the test set: {planned.test_set}",
            *(f"gate: {gate.side} {gate.metric} {gate.bound:g}, {gate.required} ({gate.stated_by})" for gate in planned.gates),
            f"latency: {resolved.attachment.why}" + ("" if resolved.attachment.attached else "; it is not measured here"),
            *(f"not supported: {u.runtime.value} {u.precision.value}: {u.why}" for u in resolved.unsupported),
            *_perhaps(planned),
            *_not_by_default(resolved),
            *(
                f"not available: {names}: {why}"
                for why, names in by_reason({name: outcome.words for name, outcome in resolved.unavailable.items()}).items()
            ),
        ]
    )
    rungs = {candidate.id: rung for rung in planned.plan.rungs for candidate in rung.candidates}
    of_step = {step.id: rungs.get(step.candidate or "") for step in planned.plan.steps}
    rows = [
        (
            _rung(step, rung := of_step.get(step.id)),
            step.id,
            step.key[:KEY_SHOWN],
            "cached" if step.missing is None else "run" if rung is None or rung.mends is None else "if needed",
            "; ".join(step.missing or ()),
        )
        for step in planned.steps
    ]
    show_rows(("rung", "step", "key", "store", "because"), rows)


def _rung(step: PlannedStep, rung: Rung | None) -> str:
    if rung is None:
        return "trunk" if step.fold == 1 else f"fold {step.fold}"
    return rung.name if rung.mends is None else f"mends {rung.mends}"


def _licence(resolved: Resolved) -> str:
    """Of published weights; whose a file of the user's are, nobody here knows."""
    published = resolved.arch.weights
    if published is None or resolved.weights.kind in ("none", "file", "onnx"):
        return ""
    return f" (licence: {published.licence})"


def _training(resolved: Resolved) -> str:
    if resolved.custom_model is not None:
        return resolved.custom_model.why
    if resolved.mode == "kept":
        return "training: none"
    train = resolved.recipe.train
    if resolved.mode == "finetune" and train.transfer == "head":
        how = counted(train.head_epochs, "epoch") if train.head == "linear" else f"{train.head} fitted on frozen features"
        return f"training: finetune, the head alone, {how}{_teacher(resolved)}"
    of_finetune = {
        "auto": "; what is learned anew is decided by a linear probe",
        "last": "; the last groups of blocks alone",
    }
    said = of_finetune.get(train.transfer or "", "") if resolved.mode == "finetune" else ""
    said += "; by groups of blocks, the last ones first" if train.unfreeze == "groups" else ""
    said += f"; by {train.processes} processes" if train.processes > 1 else ""
    said += "; on a GPU" if train.device == "gpu" else ""
    said += f"; steps in {train.precision}" if train.precision != "fp32" else ""
    return f"training: {resolved.mode}, {counted(train.epochs or 0, 'epoch')}{said}{_teacher(resolved)}"


def _folds(resolved: Resolved) -> str:
    if not resolved.folds:
        return ""
    folds = len(resolved.folds) + 1
    return f"; {folds} times, for cross-validation: each network is tested on the images of its fold, and the first one ships"


def _composed(resolved: Resolved) -> list[str]:
    synthesis = resolved.synthesis
    if synthesis is None:
        return []
    cutouts, backgrounds = synthesis.cutouts, synthesis.backgrounds
    beside = f"beside {resolved.data.counts['train']:,} photographs" if resolved.recipe.data.train else "and no photograph"
    of = f"{cutouts.counts['train']:,} cut-outs of {len(synthesis.class_names):,} classes"
    of += f" on {backgrounds.counts['train']:,} backgrounds"
    return [f"composed: {synthesis.images:,} training images, {beside}; {of}", *_left_out(cutouts), *_left_out(backgrounds)]


def _teacher(resolved: Resolved) -> str:
    if resolved.teacher is None:
        return ""
    first = "" if resolved.teacher.weights is None else ", which is fine-tuned first"
    return f"; from the answers of {resolved.teacher.named}{first}"


def _perhaps(planned: PlannedBuild) -> list[str]:
    """One line for each INT8 candidate whose loss may ask for layers in float."""
    names = by_reason({rung.name: rung.mends for rung in planned.plan.rungs if rung.mends is not None})
    budget = budget_pp(planned.gates, labelled=planned.plan.resolved.data.labelled)
    when = f"loses more than {budget:g} pp on validation, the fewest layers in float first"
    return [f"perhaps: {mending}: only where {mended} {when}" for mended, mending in names.items()]


def _not_by_default(resolved: Resolved) -> list[str]:
    """One line for the runtimes that the device has and that only a target with their name builds."""
    named, device = resolved.recipe.target.runtime, resolved.device
    names = [runtime.value for runtime in device.runtimes if runtime not in device.built_for(None)]
    if named is not None or not names:
        return []
    return [f"not built unless the target names it: {', '.join(names)} (--target {device.name}:{names[0]}, or {device.name}:all)"]


def _left_out(data: DataSummary) -> list[str]:
    """Files that are not used, counted and with the first names: in no table would anybody look for them."""
    left = (("left out", data.skipped), ("copies of other images, left out", data.copies))
    return [f"{what}: {len(names)}: {first_of(names, 3)}" for what, names in left if names]
