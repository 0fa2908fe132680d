"""How a custom model wants its photographs: what a user or the file states, else what makes it right most often.

Tried on images of the role ``validation``, each decoded once: nothing is chosen on test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgecnn.data.images import ImageSource
from edgecnn.errors.custom_model import (
    AnswersAlike,
    AnswersNotFinite,
    PreprocessingIncomplete,
    PreprocessingNotFound,
    PreprocessingUnproved,
)
from edgecnn.judging.intervals import wilson
from edgecnn.judging.predictions.classes import sign_test
from edgecnn.models.preprocessings import BYTES, MARGIN, USUAL, usual_named
from edgecnn.runner.pixels import PixelRecipe as Pixels
from edgecnn.runner.pixels import to_pixels
from edgecnn.values.custom_model import Feeding, FeedingTrial, GraphEntry
from edgecnn.values.dataset import ImageEntry, Normalization, PixelRecipe
from edgecnn.values.recipe import PreprocessingChoice
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


IMAGES = 256
"""Tried at most: two ways that differ on one image in twenty are then told apart (13 to 0 of discordant answers)."""
TOLD_APART = 0.05
"""Of the exact one-sided sign test."""
GIVEN = "given"


@dataclass(frozen=True)
class CustomFile:
    """A file whose ends are known."""

    path: Path
    entry: GraphEntry
    stated: str | None
    """The usual preprocessing that its metadata names."""


@dataclass(frozen=True)
class FoundPreprocessing:
    """What ``CustomModel`` says of its feeding."""

    feeding: Feeding
    stated_by: Literal["recipe", "file", "search"]
    trials: tuple[FeedingTrial, ...]
    rivals: tuple[str, ...]


def find_preprocessing(
    custom: CustomFile, choice: PreprocessingChoice, source: ImageSource, tell: Progress
) -> FoundPreprocessing:
    """Try every way that is left open, and take the best.

    Raises:
        UnknownPreprocessing, PreprocessingIncomplete: of the choice.
        AnswersAlike, AnswersNotFinite: what it answers tells nothing apart, or is no number.
        PreprocessingUnproved: nothing was stated, and the images have no labels.
        PreprocessingNotFound: nothing was stated, and nothing makes it right more often than chance.
        CustomModelUnusable: the runtime cannot run the file.
    """
    from edgecnn.graph.custom.file import opened

    names, by = _names(custom, choice)
    if by == "search" and not source.classes:
        raise PreprocessingUnproved(path=custom.path)
    ways = _distinct([way for name in names for way in _ways(name, custom.entry.resolution_px, choice)])
    images = source.entries("validation")[:IMAGES]
    session = opened(custom.path, custom.entry)
    shapes: dict[PixelRecipe, NDArray[np.uint8]] = {}
    answers: list[NDArray[np.float32]] = []
    for number, way in enumerate(ways):
        tell.step("trying preprocessings", number, len(ways))
        if way.pixels not in shapes:
            shapes = {way.pixels: _decoded(source, images, way.pixels)}  # one at a time is held
        answers.append(session.answers(shapes[way.pixels], way))
    tell.step("trying preprocessings", len(ways), len(ways))
    _refuse_no_answers(custom.path, answers, images)
    if not source.classes:
        return FoundPreprocessing(feeding=ways[0], stated_by=by, trials=(), rivals=())
    labels = np.array([image.label for image in images])
    right = [each.argmax(axis=1) == labels for each in answers]
    return _best(custom, ways, right, by, float(np.bincount(labels).max() / len(labels)))


def _refuse_no_answers(path: Path, answers: Sequence[NDArray[np.float32]], images: Sequence[ImageEntry]) -> None:
    finite = [np.isfinite(each).all(axis=1) for each in answers]
    if not any(each.all() for each in finite):
        best = max(finite, key=np.count_nonzero)
        first, bad = images[int(np.argmin(best))].path, len(images) - int(np.count_nonzero(best))
        raise AnswersNotFinite(path=path, image=first, bad=bad, images=len(images))
    if len({image.sha256 for image in images}) > 1 and all(len(each) and not np.ptp(each, axis=0).any() for each in answers):
        raise AnswersAlike(path=path, images=len(images), ways=len(answers))


def _names(custom: CustomFile, choice: PreprocessingChoice) -> tuple[tuple[str, ...], Literal["recipe", "file", "search"]]:
    if (choice.mean is None) != (choice.std is None):
        raise PreprocessingIncomplete(because=f"preprocessing.{'std' if choice.std is None else 'mean'} is missing")
    if choice.mean is not None and choice.like is not None:
        raise PreprocessingIncomplete(because="there are preprocessing.like and preprocessing.mean")
    if choice.mean is not None:
        return (GIVEN,), "recipe"
    if choice.like is not None:
        usual_named(choice.like)
        return (choice.like,), "recipe"
    if custom.stated is not None:
        return (custom.stated,), "file"
    return (BYTES if custom.entry.dtype == "uint8" else tuple(USUAL)), "search"


def _ways(name: str, crop_px: int, choice: PreprocessingChoice) -> list[Feeding]:
    """Of one normalization: with the classic border around the crop and without, unless the recipe says which."""
    if name == GIVEN and choice.mean is not None and choice.std is not None:
        normalization, channels = Normalization(mean=choice.mean, std=choice.std), choice.channels or "rgb"
    else:
        usual = usual_named(name)
        normalization, channels = usual.normalization, choice.channels or usual.channels
    resized = (choice.resize_px,) if choice.resize_px else (round(crop_px * MARGIN), crop_px)
    return [
        Feeding(
            name=name,
            pixels=PixelRecipe(resize_px=max(resize, crop_px), crop_px=crop_px, interpolation=choice.interpolation),
            normalization=normalization,
            channels=channels,
        )
        for resize in resized
    ]


def _distinct(ways: Sequence[Feeding]) -> list[Feeding]:
    """Without those that feed alike under another name, as two do where the recipe states the channels' order."""
    first: dict[object, Feeding] = {}
    for way in ways:
        first.setdefault(str(way.model_dump(exclude={"name"})), way)
    return list(first.values())


def _decoded(source: ImageSource, images: Sequence[Any], recipe: PixelRecipe) -> NDArray[np.uint8]:
    wanted = Pixels(recipe.resize_px, recipe.crop_px, recipe.interpolation)
    return np.stack([to_pixels(source.read(image), wanted) for image in images])


def _best(
    custom: CustomFile, ways: Sequence[Feeding], right: Sequence[NDArray[np.bool_]], by: Any, most: float
) -> FoundPreprocessing:
    """``most`` is the share of the commonest class: who always answers that is right so often, and has learned nothing."""
    order = sorted(range(len(ways)), key=lambda number: (-int(right[number].sum()), number))
    trials = tuple(FeedingTrial(feeding=ways[n], right=int(right[n].sum()), images=len(right[n])) for n in order)
    first, classes = order[0], custom.entry.classes
    # The best of several tries is good by chance more often than one: Bonferroni.
    share = wilson(trials[0].right, trials[0].images, confidence=1 - TOLD_APART / len(ways))
    if by == "search" and (share is None or share.low <= max(most, 1 / classes)):
        tried = tuple(dict.fromkeys(way.name for way in ways))
        raise PreprocessingNotFound(path=custom.path, tried=tried, best=trials[0].right, images=trials[0].images, classes=classes)
    alike = [n for n in order[1:] if _alike(right[first], right[n])]
    chosen = first
    if by == "search" and ways[first].channels == "bgr":  # which few networks want: chance is no reason to believe it of one
        chosen = next((n for n in alike if ways[n].channels == "rgb"), first)
    rivals = dict.fromkeys(ways[n].name for n in (first, *alike) if ways[n].name != ways[chosen].name)
    return FoundPreprocessing(feeding=ways[chosen], stated_by=by, trials=trials, rivals=tuple(rivals))


def _alike(best: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    lost, gained = int((best & ~other).sum()), int((other & ~best).sum())
    return bool(sign_test(np.array([lost]), np.array([gained]))[0] >= TOLD_APART)
