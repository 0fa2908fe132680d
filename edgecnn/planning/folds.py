"""Cross-validation: what it does not go with, and the roles that images have in each fold."""

from __future__ import annotations

from edgecnn.data.manifest import summarize
from edgecnn.errors.training import FOLDS_NOT_FITTING
from edgecnn.planning.training import is_folder
from edgecnn.store.store import Store
from edgecnn.values.dataset import DataSummary, Fold
from edgecnn.values.recipe import Recipe
from edgecnn.values.stage import Progress


def require_foldable(recipe: Recipe) -> None:
    """Refuse a contradiction before any image is read. Raises FoldsNotFitting: names what does not go with folds."""
    folds, train = recipe.train.folds, recipe.train
    if folds is None:
        return
    if train.teacher is not None and is_folder(train.teacher):
        because = "its network learned from images that other folds test"
        raise FOLDS_NOT_FITTING(folds=folds, beside=f"train.teacher={train.teacher}", because=because)
    if recipe.synthesis.cutouts is not None:
        because = "nothing says which photographs cut-outs were taken from, and each is tested by one of the folds"
        raise FOLDS_NOT_FITTING(folds=folds, beside="[synthesis]", because=because)


def first_fold(recipe: Recipe) -> Fold | None:
    """Whose network ships; None without cross-validation."""
    return None if recipe.train.folds is None else Fold(number=1, of=recipe.train.folds)


def other_folds(recipe: Recipe, store: Store, tell: Progress) -> tuple[DataSummary, ...]:
    """The same images with the roles of the second fold, the third and so on; none without cross-validation."""
    of = recipe.train.folds
    if of is None:
        return ()
    return tuple(summarize(recipe.data, store.root, tell, Fold(number=number, of=of)) for number in range(2, of + 1))
