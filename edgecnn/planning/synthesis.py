"""Composed training images: their sources, and the settings that contradict them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgecnn.data.composed import find_synthesis
from edgecnn.errors.data.synthesis import SYNTHESIS_INCOMPLETE, SYNTHESIS_NOT_FITTING
from edgecnn.errors.wording import first_of
from edgecnn.stages.images import SynthesizeStage
from edgecnn.values.dataset import DataSummary
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import FOLDERS, Synthesis, SynthesisChoice, SynthesisFacts, SynthesisSettings

FACTS = "synthesis.json"


def require_synthesis(recipe: Recipe) -> None:
    """Refuse contradictions before anything is read.

    Raises SYNTHESIS_INCOMPLETE: one of the two folders is missing. SYNTHESIS_NOT_FITTING: a setting contradicts composed
    images.
    """
    choice = recipe.synthesis
    stated = list(choice.stated_folders)
    if len(stated) == 1:
        raise SYNTHESIS_INCOMPLETE(stated=stated[0], missing=next(name for name in FOLDERS if name not in stated))
    if not stated and (idle := choice.model_dump(exclude_defaults=True)):
        raise SYNTHESIS_INCOMPLETE(stated=next(iter(idle)), missing="cutouts")
    for beside, because in _unfitting(recipe) if stated else ():
        raise SYNTHESIS_NOT_FITTING(beside=beside, because=because)


def synthesis_of(recipe: Recipe, data: DataSummary, cache: Path, tell: Progress) -> Synthesis | None:
    """Return the sources of composed images, or None if none are requested. Raises EdgecnnError: see ``find_synthesis``."""
    if recipe.synthesis.cutouts is None:
        return None
    return find_synthesis(recipe.synthesis, data, imagenet=recipe.data.classes == "imagenet", cache=cache, tell=tell)


def fill_size(choice: SynthesisChoice, pixels: PixelRecipe) -> SynthesisChoice:
    """Set the size to the longer side of the training images, unless a size is stated or nothing is composed."""
    if choice.cutouts is None or choice.size_px is not None:
        return choice
    return choice.model_copy(update={"size_px": pixels.decoded_px.long_px})


def synthesize_stage(resolved: Resolved, synthesis: Synthesis) -> SynthesizeStage:
    """Return the stage that composes the images."""
    settings = SynthesisSettings.of(resolved.recipe.synthesis)
    inputs = {name: folder.content for name, folder in synthesis.summaries.items()}
    return SynthesizeStage(inputs=inputs, **settings.model_dump())


def synthesis_facts(resolved: Resolved, made: Path | None) -> SynthesisFacts | None:
    """Return the number of composed images and their sources for the report.

    ``made``: the folder of the synthesize artifact; None if the step did not run.
    """
    synthesis = resolved.synthesis
    if synthesis is None:
        return None
    per_class = resolved.recipe.synthesis.images_per_class
    return SynthesisFacts(
        made=synthesis.images,
        photographs=resolved.data.training_photographs if resolved.recipe.data.train else 0,
        cutouts=synthesis.cutouts.counts["train"],
        backgrounds=synthesis.backgrounds.counts["train"],
        images_per_class=dict.fromkeys(synthesis.class_names, per_class),
        provenance=None if made is None else str(made / FACTS),
    )


def synthesis_notices(resolved: Resolved, facts: SynthesisFacts | None) -> list[str]:
    """Return notes on the composed images."""
    if facts is None or resolved.synthesis is None:
        return []
    total = facts.made + facts.photographs
    notices = [
        f"COMPOSED: {facts.made:,} of {total:,} training images ({facts.share:.0%}) are composed from {facts.cutouts:,} cut-outs"
        f" on {facts.backgrounds:,} backgrounds ({FACTS} of the step synthesize lists them)."
        " They are not used for calibration, validation or test"
    ]
    excluded = (*resolved.synthesis.cutouts.copies, *resolved.synthesis.backgrounds.copies)
    if excluded:
        notices.append(f"{len(excluded):,} cut-outs and backgrounds were excluded: {first_of(excluded, 3)}")
    skipped = (*resolved.synthesis.cutouts.skipped, *resolved.synthesis.backgrounds.skipped)
    if skipped:
        notices.append(f"{len(skipped):,} files of cut-outs and backgrounds were skipped: {first_of(skipped, 3)}")
    return notices


def _unfitting(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.model.onnx is not None or recipe.model.keep_head:
        yield "--model" if recipe.model.onnx is not None else "--keep-head", "nothing is trained"
    if not recipe.data.train and recipe.train.transfer == "auto":
        yield (
            "--transfer auto and data.train = false",
            "auto counts photographs, and images from a few cut-outs would look like many",
        )
    if not recipe.data.train and recipe.synthesis.classes == "some":
        yield "synthesis.classes = some and data.train = false", "a class without cut-outs would have no training images"
