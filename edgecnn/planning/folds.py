"""Cross-validation: settings that contradict it, and the roles of images in each fold."""

from __future__ import annotations

from edgecnn.data.manifest import summarize
from edgecnn.errors.training import FOLDS_NOT_FITTING
from edgecnn.planning.training import is_folder
from edgecnn.store.store import Store
from edgecnn.values.dataset import DataSummary, Fold
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import Progress


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
