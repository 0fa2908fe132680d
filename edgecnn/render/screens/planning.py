"""The screens before a build: the plan, the recipe with the origin of each value, and the inspection of images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecnn.building.build import PlannedBuild, PlannedStep
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.errors.base import EXIT_MEANINGS
from edgecnn.errors.wording import counted, first_of, shell_word, short_number
from edgecnn.judging.gates import DEFAULT_DROP_PP, bound_of
from edgecnn.judging.resolution import (
    fewest_images_to_pass,
    labels_sentence,
    resolution_sentence,
    resolvable_drop_pp,
    validation_sentence,
)
from edgecnn.planning.candidates import surgery_instead
from edgecnn.planning.recipe_settings import RecipeDifference, RecipeSettings
from edgecnn.render.figures import expected_kit_text, forecast_notes, predicted, predicted_rate, untested_lines
from edgecnn.render.sentences import gate_origin, stated_gates_lines
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import duration_range_text, names_by_reason
from edgecnn.store.disk import user_path
from edgecnn.training.settings import BATCH_SIZE
from edgecnn.values.augmentation import AugmentationPreview
from edgecnn.values.candidate import Rung
from edgecnn.values.dataset import (
    DataDivision,
    DataInspection,
    DataSummary,
    ImageEntry,
    Spread,
    roles_text,
)
from edgecnn.values.device import Device
from edgecnn.values.forecast import ExpectedKit
from edgecnn.values.resolved import Resolved
from edgecnn.values.toml import toml_value
from edgecnn.values.training import TrainingBudget
from edgecnn.values.verdict import Gate

KEY_SHOWN = 12


def show_plan(planned: PlannedBuild) -> None:
    """Print the plan, then its steps."""
    resolved = planned.plan.resolved
    changed = (candidate.surgery.done for candidate in resolved.candidates if candidate.surgery is not None)
    instead = surgery_instead(resolved.recipe)
    classes = f"{resolved.data.class_names}; " if resolved.data.labelled else ""
    folds = ""
    if resolved.folds:
        times = len(resolved.folds) + 1
        folds = f"; {times} times, for cross-validation: each network is tested on its fold, and the first one is bundled"
    show_lines(
        [
            f"{resolved.arch.name} at {resolved.recipe.model.resolution_px} px for {resolved.device.title}",
            *([f"better: {better.sentence}"] if (better := resolved.weights.alternative) and resolved.weights.fell_back else []),
            f"weights: {resolved.weights.why}{_licence_text(resolved)}",
            f"images: {resolved.preprocessing.pixels.describe()}",
            f"data: {resolved.data.root}, {classes}{resolved.roles_text}",
            *([] if (change := planned.data_change) is None else [f"images since the build in {planned.out}: {change.sentence}"]),
            *_composed_lines(resolved),
            _training_text(resolved) + folds,
            *(f"surgery: {done}, next to the unchanged network" for done in dict.fromkeys(changed)),
            *([f"surgery: {instead.done}; the unchanged network is not built"] if instead is not None else []),
            *_unused_file_lines(resolved.data),
            f"test split: {planned.test_set}",
            *(_gate_line(gate, resolved) for gate in planned.gates.gates),
            *stated_gates_lines((), planned.gates.dropped),
            *(
                []
                if "accuracy" in planned.gates.sources
                else [f"no gate on accuracy: the stated bounds replace the default, drop_pp at most {DEFAULT_DROP_PP:g}"]
            ),
            f"latency: {resolved.attachment.why}" + ("" if resolved.attachment.attached else "; it is not measured here"),
            *_forecast_lines(planned),
            *(f"not supported: {u.runtime.value} {u.precision.value}: {u.why}" for u in resolved.unsupported),
            *_time_lines(planned),
            *_repair_lines(planned),
            *_runtime_lines(resolved),
            *(
                f"not available: {names}: {why}"
                for why, names in names_by_reason({name: outcome.words for name, outcome in resolved.unavailable.items()}).items()
            ),
        ]
    )
    rungs = {candidate.id: rung for rung in planned.plan.rungs for candidate in rung.candidates}
    of_step = {step.id: rungs.get(step.candidate or "") for step in planned.plan.steps}
    rows = [
        (
            _rung_text(step, rung := of_step.get(step.id)),
            step.id,
            step.key[:KEY_SHOWN],
            "cached" if step.missing is None else "run" if rung is None or rung.mends is None else "if needed",
            "; ".join(step.missing or ()),
        )
        for step in planned.steps
    ]
    show_rows(("rung", "step", "key", "store", "because"), rows)


_REQUIRED = {"always": "always applied", "when-measured": "applied if measured", "advisory": "advisory"}


def _gate_line(gate: Gate, resolved: Resolved) -> str:
    """Return a gate with its origin. A gate on a drop that the test images can never pass says so."""
    images, few = resolved.test_images, ""
    if gate.metric == "drop_pp" and gate.bound > 0 and images < (fewest := fewest_images_to_pass(gate.bound)):
        few = f"; {counted(images, 'test image')} cannot show that: at least {fewest:,} are needed for a PASS"
    return f"gate: {bound_of(gate)} ({gate_origin(gate)}, {_REQUIRED[gate.required]}){few}"


def _forecast_lines(planned: PlannedBuild) -> list[str]:
    """Return the kit that ships without the device, the other forecasts, and why some candidates have none."""
    kit, forecasts, absent = planned.expected.kit, planned.expected.forecasts.by_candidate, planned.expected.forecasts.absent
    others = {name: forecast for name, forecast in forecasts.items() if kit is None or name != kit.candidate}
    times = [f"{name} {predicted(other)} ms, {predicted_rate(other).estimate} images/s" for name, other in others.items()]
    gates = {gate.metric: gate for gate in planned.gates.gates}
    return [
        *([] if kit is None else _shipping_lines(kit, gates.get("p50_ms"))),
        *(
            [f"ships without the device: known after the export, because {bound_of(gates['size_mib'])} decides too"]
            if kit is None and forecasts and "size_mib" in gates
            else []
        ),
        *([f"other forecasts: {'; '.join(times)}"] if times else []),
        *forecast_notes(forecasts.values()),
        *(f"no forecast: {names}: {why}" for why, names in names_by_reason(absent).items()),
    ]


def _shipping_lines(kit: ExpectedKit, latency: Gate | None) -> list[str]:
    """Return the kit that ships, whether its forecast contradicts the gate on latency, and whether it is tested here."""
    lines = [f"ships without the device: {expected_kit_text(kit)}"]
    if kit.forecast is not None and latency is not None:
        low, high = kit.forecast.p50_ms.low, kit.forecast.p50_ms.high
        if low > latency.bound:
            lines.append(f"  predicted to miss {bound_of(latency)}")
        elif high > latency.bound:
            lines.append(f"  may miss {bound_of(latency)}: the bound is inside the interval")
    return [*lines, *untested_lines(kit, kit.candidate, kit.device)]


def _time_lines(planned: PlannedBuild) -> list[str]:
    if planned.make_seconds is None or all(step.missing is None for step in planned.steps):
        return []
    return [f"time: {duration_range_text(*planned.make_seconds)} for the missing steps, without measuring"]


def _rung_text(step: PlannedStep, rung: Rung | None) -> str:
    if rung is None:
        return "trunk" if step.fold == 1 else f"fold {step.fold}"
    return rung.name if rung.mends is None else f"repairs {rung.mends}"


def _licence_text(resolved: Resolved) -> str:
    """Return the licence of published weights. The licence of a user's file is unknown."""
    published = resolved.arch.weights
    if published is None or resolved.weights.kind in ("none", "file", "onnx"):
        return ""
    return f" (licence: {published.licence})"


def _training_text(resolved: Resolved) -> str:
    if resolved.custom_model is not None:
        return resolved.custom_model.why
    if resolved.mode == "kept":
        return "training: none"
    train = resolved.recipe.train
    if resolved.mode == "finetune" and train.transfer == "head":
        how = counted(train.head_epochs, "epoch") if train.head == "linear" else f"{train.head} fitted on frozen features"
        return f"training: finetune, only the head, {how}{_teacher_text(resolved)}"
    of_finetune = {
        "auto": "; a linear probe decides which layers are retrained",
        "last": "; only the last groups of blocks",
    }
    details = of_finetune.get(train.transfer or "", "") if resolved.mode == "finetune" else ""
    details += "; one group of blocks after another, from the last to the first" if train.unfreeze == "groups" else ""
    if resolved.mode == "finetune" and train.batch_size != BATCH_SIZE:
        details += f"; in batches of {train.batch_size} images"
    details += f"; in {train.processes} processes" if train.processes > 1 else ""
    details += "; on a GPU" if train.device == "gpu" else ""
    details += f"; computed in {train.precision}" if train.precision != "fp32" else ""
    epochs = counted(train.epochs or 0, "epoch")
    if train.cycles == "while-better":
        epochs = f"at most {epochs}, in two cycles"
    if resolved.budget is not None:
        settings = f"--set train.epochs={resolved.budget.epochs}"
        settings += f" --set train.cycles={train.cycles}" if train.cycles != "one" else ""
        budget = f"train.minutes={resolved.budget.minutes:g}: {_budget_text(resolved.budget)}"
        epochs += f" ({budget}; to keep this number in another folder: {settings})"
    return f"training: {resolved.mode}, {epochs}{details}{_teacher_text(resolved)}"


def _budget_text(budget: TrainingBudget) -> str:
    """Return the speed of training on this machine, and the time of the epochs."""
    minutes = budget.seconds / 60
    estimate = "under 1 min" if minutes < 1 else f"about {minutes:.0f} min"
    over = "" if minutes <= budget.minutes else ", more than allowed, but one epoch is the minimum"
    return f"this machine trains {short_number(budget.speed.learned_per_s)} images/s, {estimate}{over}"


def _composed_lines(resolved: Resolved) -> list[str]:
    synthesis = resolved.synthesis
    if synthesis is None:
        return []
    cutouts, backgrounds = synthesis.cutouts, synthesis.backgrounds
    others = f"next to {resolved.data.training_photographs:,} images" if resolved.recipe.data.train else "and no other image"
    of = f"{cutouts.counts['train']:,} cut-outs of {len(synthesis.class_names):,} classes"
    of += f" on {backgrounds.counts['train']:,} backgrounds"
    return [
        f"composed: {synthesis.images:,} training images, {others}; {of}",
        *_unused_file_lines(cutouts),
        *_unused_file_lines(backgrounds),
    ]


def _teacher_text(resolved: Resolved) -> str:
    if resolved.teacher is None:
        return ""
    first = "" if resolved.teacher.weights is None else ", which is fine-tuned first"
    return f"; distilled from {resolved.teacher.named}{first}"


def _repair_lines(planned: PlannedBuild) -> list[str]:
    """Return a line for each INT8 candidate that may need some layers in float."""
    names = names_by_reason({rung.name: rung.mends for rung in planned.plan.rungs if rung.mends is not None})
    budget = planned.gates.budget_pp
    when = f"loses more than {budget:g} pp on validation; variants with the fewest layers in float are tried first"
    return [f"if needed: {mending}: built only if {mended} {when}" for mended, mending in names.items()]


def _runtime_lines(resolved: Resolved) -> list[str]:
    """Return a line with the runtimes that only a target with their name builds."""
    named, device = resolved.recipe.target.runtime, resolved.device
    names = [runtime.value for runtime in device.runtimes if runtime not in device.built_for(None)]
    if named is not None or not names:
        return []
    return [f"not built unless the target names it: {', '.join(names)} (--target {device.name}:{names[0]}, or {device.name}:all)"]


def _unused_file_lines(data: DataSummary) -> list[str]:
    """Return the numbers of skipped files with the first names, and the number of images outside the data folder."""
    left = (("skipped", data.skipped), ("skipped copies of other images", data.copies))
    lines = [f"{what}: {len(names)}: {first_of(names, 3)}" for what, names in left if names]
    return lines + ([] if data.links_out is None else [data.links_out.sentence])


SCHEMA_LINE = 'schema = "edgecnn.recipe/2"'
UNSET = "unset"


def settings_lines(settings: RecipeSettings) -> list[str]:
    """Return the complete recipe as TOML, with the origin of each value."""
    lines, table = [SCHEMA_LINE], None
    for setting in settings.settings:
        name, _, key = setting.key.partition(".")
        if name != table:
            lines += ["", f"[{name}]"]
            table = name
        value = f"# {key} is unset" if setting.value is None else f"{key} = {toml_value(setting.value)}"
        lines.append(f"{value}  # {' '.join(setting.origin.split())}")
    return lines


def show_difference(difference: RecipeDifference) -> None:
    """Print a row for each value that differs."""
    summary = f"{len(difference.differing)} of {len(difference.differing) + difference.same} values differ"
    show_lines([f"{difference.before} → {difference.after}: {summary}"])
    if difference.differing:
        rows = [
            (setting.key, _value_text(setting.before), _value_text(setting.after), setting.before_origin, setting.after_origin)
            for setting in difference.differing
        ]
        show_rows(("key", "before", "after", "source before", "source after"), rows)


def _value_text(value: Any) -> str:
    return UNSET if value is None else toml_value(value)


@dataclass(frozen=True)
class FirstChoices:
    """The answers of ``init``, or its defaults. ``device`` is as the user wrote it; one of ``arch`` and ``onnx`` is None."""

    arch: str | None
    onnx: str | None
    device: str
    drop_pp: float
    drop_stated: bool = False
    """Whether the user stated the bound. A stated bound is active even if the test split is too small to decide it."""
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Settings of ``[data]`` that say how the images are read."""


def recipe_text(choices: FirstChoices, data: DataSummary, images: Sequence[ImageEntry], device: Device, file: Path) -> str:
    """Return the text of a recipe. Its relative paths start at the folder of ``file``."""
    network = [
        f"arch = {toml_value(choices.arch or '')}  # `edgecnn list archs` shows the others",
        'weights = "auto"  # pretrained weights if available, else training from scratch',
    ]
    if choices.onnx is not None:
        onnx = toml_value(_recipe_path(choices.onnx, file))
        network = [f"onnx = {onnx}  # your own trained network; its preprocessing is found by accuracy"]
    own = shell_word(file.name)
    return "\n".join(
        [
            f"# Written by `edgecnn init` for {data.root}.",
            f"# `edgecnn build {own}` runs this build; `edgecnn plan {own}` shows first what it will do.",
            SCHEMA_LINE,
            "",
            "[model]",
            *network,
            "",
            "[data]",
            f"path = {toml_value(_data_path_text(data, file))}",
            *(
                f"{key} = {toml_value(_recipe_path(value, file) if key == 'image_root' else value)}"
                for key, value in choices.read_as.items()
            ),
            *(f"# {line}" for line in _image_comments(data, images)),
            "",
            "[target]",
            f"device = {toml_value(_device_text(choices.device, file))}  # {_one_line(device.title)}; "
            "others: `edgecnn list devices`",
            "",
            "# Every gate below is required. Exit codes:",
            *(f"#   {code:d}  {about.verdict}" for code, about in EXIT_MEANINGS.items() if about.verdict),
            "[gates.max]",
            *_accuracy_gate(choices, data),
            "# p99_ms = 20    # latency, if the device is attached or was measured",
            "# size_mib = 16  # of the model's files",
            "",
            "# Everything else has a default. To see all values:",
            f"#   edgecnn recipe show {own}",
            "",
        ]
    )


def _image_comments(data: DataSummary, images: Sequence[ImageEntry]) -> list[str]:
    """Return facts about the images as comments of the recipe."""
    per_label = Counter(label for image in images for label in ((image.label,) if image.labels is None else image.labels))
    (least, rare), *_, (most, common) = sorted((per_label[label], _one_line(name)) for label, name in enumerate(data.classes))
    kinds = "with any of {} labels" if data.multi_label else "of {} classes"
    test_images = data.counts["test"]
    shown = f"{resolution_sentence(test_images)} of accuracy between two candidates"
    if data.multi_label:
        shown = labels_sentence(test_images)
    lines = [
        f"found: {len(images):,} images {kinds.format(len(data.classes))}, {least:,} ({rare}) to {most:,} ({common})",
        f"roles: {_one_line(roles_text(data.splits_from))}",
        f"the test split: {shown}",
        *([f"the validation split: {few}"] if (few := validation_sentence(data.counts["validation"])) else []),
    ]
    left = len(data.skipped) + len(data.copies)
    return lines + ([f"{left:,} files are skipped; `edgecnn data inspect` names them"] if left else [])


def _accuracy_gate(choices: FirstChoices, data: DataSummary) -> list[str]:
    """Return the gate on accuracy. A default gate is a comment if the test split is too small to decide it."""
    drop_pp = choices.drop_pp
    metric, name = ("map_drop_pp", "mAP") if data.multi_label else ("drop_pp", "top-1")
    line = f"{metric} = {drop_pp:g}  # percentage points of {name} that the chosen candidate may lose against fp32"
    if data.multi_label:
        return [line if choices.drop_stated else f"# {line}"]
    images = data.counts["test"]
    shown = resolvable_drop_pp(images)
    if shown is not None and shown <= drop_pp:
        return [line]
    why = f"{images:,} test images show ± {shown or 100:.1f} pp: this bound will mostly be UNSURE"
    if choices.drop_stated:
        return [f"# {why}.", line]
    return [f"# {why}. Without it, edgecnn checks 1 pp, and only a clear failure stops the build.", f"# {line}"]


def _data_path_text(data: DataSummary, file: Path) -> str:
    """Return the path of the images. A folder with the name of a data set, such as ``demo``, becomes ``./demo``."""
    if not is_on_disk(data.root):
        return data.root
    written = _recipe_path(data.root, file)
    return written if is_on_disk(written) else f"./{written}"


def _recipe_path(path: str, file: Path) -> str:
    """Return a path relative to the recipe if it is in the same folder or below; else the absolute path."""
    there, here = user_path(path).resolve(), file.parent.resolve()
    return os.path.relpath(there, here) if there.is_relative_to(here) else str(there)


def _device_text(text: str, file: Path) -> str:
    if "/" not in text and not text.endswith(".toml"):
        return text
    written = _recipe_path(text, file)
    return written if "/" in written else f"./{written}"


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else "?" for letter in text).split())


_CLASSES_SHOWN = 60
_NAMED = 5
_GROUP_CHARACTERS = 100
"""Maximum number of characters of a group's name."""


def show_inspection(facts: DataInspection) -> None:
    """Print a row for each class, then facts about all images and the findings."""
    parts = tuple(facts.classes[0].by_split)
    split = parts if len(parts) > 1 else ()
    rows: list[Sequence[str]] = [
        (
            class_facts.name, f"{class_facts.images:,}", f"{class_facts.images / facts.images:.1%}",
            *(f"{class_facts.by_split[part]:,}" for part in split),
            f"{class_facts.unreadable:,}" if class_facts.unreadable else "–",
        )
        for class_facts in facts.classes[:_CLASSES_SHOWN]
    ]  # fmt: skip
    kind = "label" if facts.multi_label else "class"
    of = f"with any of {len(facts.classes):,} labels" if facts.multi_label else f"of {len(facts.classes):,} classes"
    title = f"{facts.root}: {facts.images:,} images {of}"
    show_rows((kind, "images", "share", *split, "unusable"), rows, title=title)
    show_lines(_inspection_lines(facts))


def _inspection_lines(facts: DataInspection) -> Iterator[str]:
    if len(facts.classes) > _CLASSES_SHOWN:
        yield f"  and {len(facts.classes) - _CLASSES_SHOWN:,} more {'labels' if facts.multi_label else 'classes'}"
    yield f"  roles: {roles_text(facts.roles_from)}" if facts.roles is not None else "  roles: none can be drawn"
    if facts.grouping is not None:
        grouping = facts.grouping
        largest = f"the largest {grouping.largest[:_GROUP_CHARACTERS]!r} with {counted(grouping.largest_images, 'image')}"
        alone = f"; {counted(grouping.alone, 'image is', 'images are')} of none" if grouping.alone else ""
        yield f"  groups: {grouping.groups:,} by '{grouping.by}', {largest}{alone}"
    yield f"  shorter side {_spread_text(facts.short_side_px)}; longer side {_spread_text(facts.long_side_px)}"
    yield f"  file format: {_counts_text(facts.formats)}; pixel format: {_counts_text(facts.modes)}"
    for finding in facts.findings:
        weight = "error" if finding.kind == "roles" else "warning" if finding.serious else "note"
        yield f"  {weight}: {finding.sentence}"
    if not facts.findings:
        yield "  nothing odd was found"
    if facts.contact_sheet is not None:
        yield f"  {facts.contact_sheet}"


def _spread_text(side: Spread) -> str:
    if side.min == side.max:
        return f"{side.min:,} px"
    return f"{side.min:,} to {side.max:,} px (median {side.median:,}, 90 % of images within {side.p5:,} to {side.p95:,})"


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({counted(count, 'image')})" for name, count in counts.items())


def division_lines(division: DataDivision) -> Iterator[str]:
    """Yield the written folders and the skipped files."""
    images = ", ".join(f"{name}/ {count:,}" for name, count in division.images.items())
    yield f"{division.out}: {images}{' (hard links)' if division.linked else ''}"
    yield f"  from {division.root}: {roles_text(division.roles_from)}; seed {division.seed}"
    for what, left in (("unusable", division.skipped), ("copies of other images", division.copies)):
        if left:
            yield f"  skipped ({what}): {len(left):,}: {first_of(left, _NAMED)}"
    if division.links_out is not None:
        contains = "hard links to" if division.linked else "copies of"
        yield f"  {division.links_out.sentence}; {division.out} contains {contains} these images"


def preview_lines(preview: AugmentationPreview) -> Iterator[str]:
    """Yield the file of the sheet, and how many images each operation was applied to."""
    yield f"{preview.sheet}: original images, and next to them {len(preview.pictures):,} augmented images"
    if preview.composed_rows:
        first, last = preview.composed_rows[0], preview.composed_rows[-1]
        yield f"  composed of cut-outs and backgrounds: {f'rows {first} to {last}' if last > first else f'row {first}'}"
    for number, operation in enumerate(preview.augment):
        applied = sum(picture.drawn[number].applied for picture in preview.pictures)
        parameters = {name: f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else value for name, value in operation}
        settings = ", ".join(f"{name} {value}" for name, value in parameters.items() if name != "kind")
        yield f"  {operation.kind}: {settings}; applied to {applied:,} of {len(preview.pictures):,} images"
