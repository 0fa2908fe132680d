"""A recipe as a recipe file: completed, each value with where it comes from, or a first one for a folder of photographs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecnn.data.demo import DEMO
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.errors.wording import shell_word
from edgecnn.judging.resolution import labels_sentence, resolution_sentence, resolvable_drop_pp
from edgecnn.planning.recipe_settings import RecipeDifference, RecipeSettings
from edgecnn.recipes.toml_file import toml_value
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.store.disk import user_path
from edgecnn.values.data.dataset import DataSummary, ImageEntry
from edgecnn.values.device import Device

SCHEMA_LINE = 'schema = "edgecnn.recipe/2"'
UNSET = "unset"


def settings_lines(settings: RecipeSettings) -> list[str]:
    """TOML, which can be kept as a recipe: it says what this one comes to here."""
    lines, table = [SCHEMA_LINE], None
    for setting in settings.settings:
        name, _, key = setting.key.partition(".")
        if name != table:
            lines += ["", f"[{name}]"]
            table = name
        value = f"# {key} is unset" if setting.value is None else f"{key} = {toml_value(setting.value)}"
        lines.append(f"{value}  # {' '.join(setting.origin.split())}")
    return lines


def show_difference(found: RecipeDifference) -> None:
    """A row a value that differs."""
    said = f"{len(found.differing)} of {len(found.differing) + found.same} values differ"
    show_lines([f"{found.before} → {found.after}: {said}"])
    if found.differing:
        rows = [
            (each.key, _cell(each.before), _cell(each.after), each.before_origin, each.after_origin) for each in found.differing
        ]
        show_rows(("key", "before", "after", "before is from", "after is from"), rows)


def _cell(value: Any) -> str:
    return UNSET if value is None else toml_value(value)


@dataclass(frozen=True)
class FirstChoices:
    """What was asked, or its defaults. ``device`` is as the user wrote it; one of ``arch`` and ``onnx`` is None."""

    arch: str | None
    onnx: str | None
    device: str
    drop_pp: float
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Settings of ``[data]`` that say how the images are read."""


def recipe_text(choices: FirstChoices, data: DataSummary, images: Sequence[ImageEntry], device: Device, file: Path) -> str:
    """The recipe as it is written to ``file``, whose folder its relative paths count from."""
    network = [
        f"arch = {toml_value(choices.arch or '')}  # `edgecnn list archs` shows the others",
        'weights = "auto"  # pretrained ones where they can be had, else from scratch, and said',
    ]
    if choices.onnx is not None:
        onnx = toml_value(_relative(choices.onnx, file))
        network = [f"onnx = {onnx}  # your own trained network; its preprocessing is found by accuracy"]
    own = shell_word(file.name)
    return "\n".join(
        [
            f"# Written by `edgecnn init` for {data.root}.",
            f"# `edgecnn build {own}` makes it; `edgecnn plan {own}` shows before what would be done.",
            SCHEMA_LINE,
            "",
            "[model]",
            *network,
            "",
            "[data]",
            f"path = {toml_value(_data_path(data, file))}",
            *(
                f"{key} = {toml_value(_relative(value, file) if key == 'image_root' else value)}"
                for key, value in choices.read_as.items()
            ),
            *(f"# {line}" for line in _found(data, images)),
            "",
            "[target]",
            f"device = {toml_value(_device(choices.device, file))}  # {_one_line(device.title)}; others: `edgecnn list devices`",
            "",
            "# Each bound here is required: a failed one ends the build with exit code 1, an open one with 4.",
            "[gates.max]",
            *_accuracy_gate(choices.drop_pp, data),
            "# p99_ms = 20    # latency, where the device is attached or was measured",
            "# size_mib = 16  # of the model's files",
            "",
            "# Everything else has a default that is shown by",
            f"#   edgecnn recipe show {own}",
            "",
        ]
    )


def _found(data: DataSummary, images: Sequence[ImageEntry]) -> list[str]:
    """What a reader of the recipe should know of the images."""
    each = Counter(label for image in images for label in ((image.label,) if image.labels is None else image.labels))
    (least, rare), *_, (most, common) = sorted((each[label], _one_line(name)) for label, name in enumerate(data.classes))
    kinds = "with any of {} labels" if data.multi_label else "of {} classes"
    lines = [
        f"found: {len(images):,} photographs {kinds.format(len(data.classes))}, {least:,} ({rare}) to {most:,} ({common})",
        f"roles: {_one_line(data.splits_from)}",
        f"the test split: {_can_show(data)}",
    ]
    left = len(data.skipped) + len(data.copies)
    return lines + ([f"{left:,} files are left out; `edgecnn data inspect` names them"] if left else [])


def _can_show(data: DataSummary) -> str:
    images = data.counts["test"]
    return labels_sentence(images) if data.multi_label else f"{resolution_sentence(images)} of accuracy between two candidates"


def _accuracy_gate(drop_pp: float, data: DataSummary) -> list[str]:
    """Required only where the test split can show it: else every build would end open, whatever it lost."""
    metric, name = ("map_drop_pp", "mAP") if data.multi_label else ("drop_pp", "top-1")
    said = f"{metric} = {drop_pp:g}  # percentage points of {name} that the shipped candidate may lose against fp32"
    if data.multi_label:
        return [f"# {said}"]
    images = data.counts["test"]
    shown = resolvable_drop_pp(images)
    if shown is not None and shown <= drop_pp:
        return [said]
    why = f"{images:,} images show ± {shown or 100:.1f} pp: this bound would mostly be UNSURE. Without one, 1 pp is advised."
    return [f"# {why}", f"# {said}"]


def _data_path(data: DataSummary, file: Path) -> str:
    """``demo`` is the embedded images' name; a folder of that name is written so that it is none."""
    if data.origin == "demo":
        return DEMO
    if not is_on_disk(data.root):
        return data.root
    written = _relative(data.root, file)
    return f"./{written}" if written == DEMO else written


def _relative(path: str, file: Path) -> str:
    """Beside or below the recipe a relative path, which moves with it; elsewhere an absolute one."""
    there, here = user_path(path).resolve(), file.parent.resolve()
    return os.path.relpath(there, here) if there.is_relative_to(here) else str(there)


def _device(text: str, file: Path) -> str:
    if "/" not in text and not text.endswith(".toml"):
        return text
    written = _relative(text, file)
    return written if "/" in written else f"./{written}"


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else "?" for letter in text).split())
