"""Rules on the images of a recipe: several labels per image, folds and composed images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgecnn.data.cutouts import find_synthesis
from edgecnn.data.manifest import summarize
from edgecnn.errors.data import SYNTHESIS_INCOMPLETE, SYNTHESIS_NOT_FITTING
from edgecnn.errors.labels import BOUND_OF_SEVERAL_LABELS, multi_label_not_fitting
from edgecnn.errors.training import FOLDS_NOT_FITTING
from edgecnn.errors.wording import first_of
from edgecnn.judging.findings import OF_ONE_CLASS, OF_SEVERAL
from edgecnn.planning.training import is_folder
from edgecnn.stages.images import SynthesizeStage
from edgecnn.store.store import Store
from edgecnn.values.dataset import DataSummary, Fold
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import GateChoice, Recipe
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import FOLDERS, Synthesis, SynthesisChoice, SynthesisFacts, SynthesisSettings

_SOFTMAX = "it learns from probabilities that sum to 1 over the classes"


def require_fitting(recipe: Recipe, data: DataSummary) -> None:
    """Refuse settings that do not work with multi-label data. Raises MultiLabelNotFitting."""
    train, surgery = recipe.train, bool(recipe.surgery.suffix)
    unfitting = (
        (recipe.model.keep_head, "--keep-head", "a published head predicts one class per image"),
        (surgery, "[surgery]", _SOFTMAX),
        (
            train.head != "linear",
            f"train.head={train.head}",
            "it is fitted to one class per image; train.head=linear learns each label separately",
        ),
        (train.folds is not None, "train.folds", "the drop of mAP is not computed over folds"),
        (
            train.balance != "none",
            f"train.balance={train.balance}",
            "an image with several labels has no single class to balance by",
        ),
        (
            train.transfer == "auto",
            "--transfer auto",
            "it compares accuracy with one class per image; choose head, last or all",
        ),
        (train.teacher is not None, "train.teacher", _SOFTMAX),
        (recipe.quantize.aware, "quantize.aware", _SOFTMAX),
        (recipe.synthesis.cutouts is not None, "[synthesis]", "a composed image shows one object of one class"),
    )
    for applies, setting, because in unfitting:
        if applies and data.multi_label:
            raise multi_label_not_fitting(setting=setting, because=because)


def require_bounds(data: DataSummary, *gates: GateChoice | None) -> None:
    """Refuse bounds on metrics that these images do not have. Raises MultiLabelNotFitting, BOUND_OF_SEVERAL_LABELS."""
    bounded = [name for choice in gates if choice is not None for name in (*choice.max, *choice.min)]
    if data.multi_label and (name := next((name for name in bounded if name in OF_ONE_CLASS), None)) is not None:
        because = f"{', '.join(OF_SEVERAL)}, macro_f1 and agreement have bounds there"
        raise multi_label_not_fitting(setting=f"a bound of {name}", because=because, hint="as in --max map_drop_pp=1")
    one_class = data.labelled and not data.multi_label
    if one_class and (name := next((name for name in bounded if name in OF_SEVERAL), None)) is not None:
        raise BOUND_OF_SEVERAL_LABELS(metric=name)


def require_foldable(recipe: Recipe) -> None:
    """Refuse settings that contradict folds, before images are read. Raises FoldsNotFitting."""
    folds, train = recipe.train.folds, recipe.train
    if folds is None:
        return
    if train.teacher is not None and is_folder(train.teacher):
        because = "the teacher learned from images that other folds test"
        raise FOLDS_NOT_FITTING(folds=folds, beside=f"train.teacher={train.teacher}", because=because)
    if recipe.synthesis.cutouts is not None:
        because = "the photographs behind the cut-outs are unknown, and each fold tests some photographs"
        raise FOLDS_NOT_FITTING(folds=folds, beside="[synthesis]", because=because)


def first_fold(recipe: Recipe) -> Fold | None:
    """Return the fold whose network ships; None without cross-validation."""
    return None if recipe.train.folds is None else Fold(number=1, of=recipe.train.folds)


def other_folds(recipe: Recipe, store: Store, tell: Progress) -> tuple[DataSummary, ...]:
    """Return the images with the roles of the second fold and those after it; none without cross-validation."""
    of = recipe.train.folds
    if of is None:
        return ()
    return tuple(summarize(recipe.data, store.root, tell, Fold(number=number, of=of)) for number in range(2, of + 1))


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
    for beside, because in _unfitting_synthesis(recipe) if stated else ():
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


def _unfitting_synthesis(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.model.onnx is not None or recipe.model.keep_head:
        yield "--model" if recipe.model.onnx is not None else "--keep-head", "nothing is trained"
    if not recipe.data.train and recipe.train.transfer == "auto":
        yield (
            "--transfer auto and data.train = false",
            "auto counts photographs, and images from a few cut-outs would look like many",
        )
    if not recipe.data.train and recipe.synthesis.classes == "some":
        yield "synthesis.classes = some and data.train = false", "a class without cut-outs would have no training images"
