"""Find the preprocessing of a custom model: the stated preprocessing, or the one with the most correct predictions.

Candidates run on images of the role ``validation``, each decoded once. The test split is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from edgecnn.data.images import ImageSource
from edgecnn.errors.custom_model import (
    ANSWERS_NOT_FINITE,
    COLOURS_OF_GREY,
    GREY_NUMBERS_DIFFER,
    PREPROCESSING_GIVEN_TWICE,
    PREPROCESSING_HALF_GIVEN,
    PREPROCESSING_UNPROVED,
    answers_alike,
)
from edgecnn.judging.accuracy import share_of
from edgecnn.judging.intervals import Groups, sample_worth
from edgecnn.judging.judgement import chance_verdict
from edgecnn.judging.quality import sign_test
from edgecnn.models.preprocessings import BYTES, MARGIN, USUAL, usual_named
from edgecnn.planning.stated_preprocessing import Stated, merge_stated
from edgecnn.runner.pixels import ImageSize, pixels_sha256
from edgecnn.values.custom_model import Channels, Feeding, FeedingTrial, GraphEntry
from edgecnn.values.dataset import ImageEntry
from edgecnn.values.preprocessing import Normalization, PixelRecipe, PreprocessingChoice, ResizeMode
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


IMAGES = 256
"""The most images tried: enough to tell apart two ways that differ on one image in twenty (13 to 0 discordant answers)."""
TOLD_APART = 0.05
"""The level of all one-sided exact sign tests of the best way against the others together.

Any of n ways may be the best by chance. A wrong one wins only if its own test against the truly best way errs. These are n - 1
tests, each at 0.05 / (n - 1). Bonferroni; J. C. Hsu, Annals of Statistics 12 (1984) 1136-1144.
"""
GIVEN: dict[str, Channels] = {"given": "rgb", "given-bgr": "bgr"}
"""Names for a user's own mean and std, by channel order."""
MODES: tuple[ResizeMode, ...] = ("crop", "letterbox", "stretch")
"""The modes that are tried, most common first. Wide inputs are also tried as a line of text."""
WIDE = 2
"""Ratio of width to height from which an input counts as wide."""


@dataclass(frozen=True)
class CustomFile:
    """A model file whose inputs and outputs are known."""

    path: Path
    entry: GraphEntry
    stated: Stated | None
    """The preprocessing that the file, or a file next to it, states."""


@dataclass(frozen=True)
class FoundPreprocessing:
    """The preprocessing in use and how it was found; see ``CustomModel``."""

    feeding: Feeding
    stated_by: Literal["recipe", "file", "search"]
    trials: tuple[FeedingTrial, ...]
    rivals: tuple[str, ...]
    answers: NDArray[np.float32]
    """The model's answers with this preprocessing, (images, classes)."""
    at_chance: float | None = None
    """See ``CustomModel``, as of ``source`` and ``notes``."""
    source: str | None = None
    notes: tuple[str, ...] = ()


def find_preprocessing(
    custom: CustomFile, choice: PreprocessingChoice, source: ImageSource, tell: Progress
) -> FoundPreprocessing:
    """Try every preprocessing that the settings leave open, and return the best.

    Raises:
        UNKNOWN_PREPROCESSING, PREPROCESSING_HALF_GIVEN, PREPROCESSING_GIVEN_TWICE: the settings are wrong or incomplete.
        COLOURS_OF_GREY, GREY_NUMBERS_DIFFER: the settings are for three channels, and the network has one.
        ANSWERS_ALIKE, ANSWERS_NOT_FINITE: all answers are the same, or some are not numbers.
        PREPROCESSING_UNPROVED: no preprocessing is stated, and the images have no labels.
        CustomModelUnusable: the runtime cannot run the file.
    """
    own = choice
    choice, notes = merge_stated(own, custom.stated, custom.entry)
    _refuse_colours_of_grey(custom, choice)
    names = _normalization_names(custom, choice)
    by: Literal["recipe", "file", "search"] = "search" if choice.mean is None and choice.like is None else "file"
    if own.mean is not None or own.like is not None:
        by = "recipe"
    stating = custom.stated.source if custom.stated is not None and by == "file" else None
    if by == "search" and not source.classes:
        raise PREPROCESSING_UNPROVED(path=custom.path)
    ways = [way for name in names for way in _ways(name, custom.entry, choice)]
    entries = source.entries("validation")
    images = ([image for image in entries if image.labels != ()] or list(entries))[:IMAGES]
    ways, answers = _distinct_answers(custom, ways, partial(_decode, source, images), tell)
    _refuse_no_answers(custom.path, answers, images)
    if not source.classes:
        return FoundPreprocessing(ways[0], by, (), (), answers[0], None, stating, notes)
    labels = source.labels(images)
    shown = labels.astype(bool) if labels.ndim != 1 else labels[:, None] == np.arange(len(source.classes))  # (images, classes)
    right = [shown[np.arange(len(shown)), logits.argmax(axis=1)] for logits in answers]
    groups = source.groups(images)
    chosen, trials, rivals = _best_way(ways, right, groups)
    chance = float(shown.mean(axis=0).max())
    at_chance = _chance_not_beaten(right[chosen], len(ways), chance, groups)
    return FoundPreprocessing(ways[chosen], by, trials, rivals, answers[chosen], at_chance, stating, notes)


def _refuse_no_answers(path: Path, answers: Sequence[NDArray[np.float32]], images: Sequence[ImageEntry]) -> None:
    finite = [np.isfinite(logits).all(axis=1) for logits in answers]
    if not any(rows.all() for rows in finite):
        best = max(finite, key=np.count_nonzero)
        first, bad = images[int(np.argmin(best))].path, len(images) - int(np.count_nonzero(best))
        raise ANSWERS_NOT_FINITE(path=path, image=first, bad=bad, images=len(images))
    if len({image.sha256 for image in images}) > 1 and all(
        len(logits) and not np.ptp(logits, axis=0).any() for logits in answers
    ):
        raise answers_alike(path=path, images=len(images), ways=len(answers))


def _refuse_colours_of_grey(custom: CustomFile, choice: PreprocessingChoice) -> None:
    """Refuse different settings per channel for a network with one channel, which is computed from three equal channels."""
    if custom.entry.colours != 1:
        return
    stated = choice.like
    if choice.channels is not None or (choice.mean is None and stated is not None and not usual_named(stated).is_of_grey):
        setting = "preprocessing.channels" if choice.channels is not None else f"preprocessing.like={stated}"
        raise COLOURS_OF_GREY(setting=setting)
    if any(len(set(numbers)) > 1 for numbers in (choice.mean, choice.std) if numbers is not None):
        raise GREY_NUMBERS_DIFFER()


def _normalization_names(custom: CustomFile, choice: PreprocessingChoice) -> tuple[str, ...]:
    if (choice.mean is None) != (choice.std is None):
        raise PREPROCESSING_HALF_GIVEN(missing="std" if choice.std is None else "mean")
    if choice.mean is not None and choice.like is not None:
        raise PREPROCESSING_GIVEN_TWICE()
    if choice.mean is not None:
        is_open = choice.channels is None and custom.entry.colours > 1
        return tuple(GIVEN) if is_open else ("given",)
    if choice.like is not None:
        usual_named(choice.like)
        return (choice.like,)
    names = BYTES if custom.entry.dtype == "uint8" else tuple(USUAL)
    if custom.entry.colours == 1:
        names = tuple(name for name in names if USUAL[name].is_of_grey)
    return names


def _ways(name: str, entry: GraphEntry, choice: PreprocessingChoice) -> list[Feeding]:
    """Return the ways to shape images for one normalization.

    They are a crop with and without the classic border, letterbox, stretch and, for a wide input, a line of text.
    """
    if choice.mean is not None and choice.std is not None:
        normalization, usually = Normalization(mean=choice.mean, std=choice.std), GIVEN[name]
    else:
        normalization, usually, _ = usual_named(name)
    channels: Channels = "grey" if entry.colours == 1 else choice.channels or usually
    shapes = _shapes(entry, choice, normalization)
    return [Feeding(name=name, pixels=pixels, normalization=normalization, channels=channels) for pixels in shapes]


def _shapes(entry: GraphEntry, choice: PreprocessingChoice, normalization: Normalization) -> Iterator[PixelRecipe]:
    size = entry.resolution_px
    with_border = ImageSize(*(round(side * MARGIN) for side in size))
    modes = (choice.resize or "crop",) if choice.resize or choice.resize_px else MODES
    if modes is MODES and size.width_px >= WIDE * size.height_px:
        modes = (*MODES, "line")
    for mode in modes:
        of_mode = choice.model_copy(update={"resize": mode})
        for resize_px in (with_border, size) if mode == "crop" and choice.resize_px is None else (size,):
            yield of_mode.shaped(size, resize_px, normalization, "bilinear")


def _distinct_answers(
    custom: CustomFile, ways: Sequence[Feeding], decoded: Callable[[PixelRecipe], NDArray[np.uint8]], tell: Progress
) -> tuple[list[Feeding], list[NDArray[np.float32]]]:
    """Return the ways that give the model different inputs, and its answers to each. Images are decoded once per shape."""
    from edgecnn.graph.custom.trial import SandboxedFile

    answers_by_feed: dict[object, tuple[int, NDArray[np.float32]]] = {}
    done = 0
    with SandboxedFile(custom.path, custom.entry) as session:
        for shape in dict.fromkeys(way.pixels for way in ways):
            pixels = decoded(shape)  # only one shape is in memory at a time
            digest = pixels_sha256(pixels)
            for number, way in enumerate(ways):
                if way.pixels != shape:
                    continue
                tell.step("trying preprocessings", done, len(ways))
                done += 1
                same = (digest, way.normalization, way.channels)
                if same not in answers_by_feed:
                    answers_by_feed[same] = number, session.answers(pixels, way)
    tell.step("trying preprocessings", len(ways), len(ways))
    kept = sorted(answers_by_feed.values(), key=lambda numbered: numbered[0])
    return [ways[number] for number, _ in kept], [answers for _, answers in kept]


def _decode(source: ImageSource, images: Sequence[ImageEntry], pixels: PixelRecipe) -> NDArray[np.uint8]:
    recipe = pixels.runner_recipe()
    return np.stack([source.pixels(image, recipe) for image in images])


class _Best(NamedTuple):
    chosen: int
    """Index into the ways."""
    trials: tuple[FeedingTrial, ...]
    rivals: tuple[str, ...]


def _best_way(ways: Sequence[Feeding], right: Sequence[NDArray[np.bool_]], groups: Groups | None = None) -> _Best:
    order = sorted(range(len(ways)), key=lambda number: (-int(right[number].sum()), number))
    trials = tuple(FeedingTrial(feeding=ways[n], right=int(right[n].sum()), images=len(right[n])) for n in order)
    first, told_apart = order[0], TOLD_APART / max(1, len(ways) - 1)
    alike = [n for n in order[1:] if _p_by_chance(right[first], right[n], groups) >= told_apart]
    # Few networks need BGR, a letterbox or a changed shape, so a better result by chance is not enough to choose them.
    # The correction applies to the best way alone: a way is not preferred to one that beats it in a single test.
    unbeaten = [n for n in order if all(_p_by_chance(right[other], right[n], groups) >= TOLD_APART for other in order)]
    chosen = min(unbeaten, key=lambda n: (ways[n].channels == "bgr") + (ways[n].pixels.resize != "crop"))
    rivals = dict.fromkeys(_way_name(ways[n]) for n in (first, *alike) if _way_name(ways[n]) != _way_name(ways[chosen]))
    return _Best(chosen, trials, tuple(rivals))


def _chance_not_beaten(right: NDArray[np.bool_], ways: int, chance: float, groups: Groups | None = None) -> float | None:
    """Return ``chance`` if the chosen way does not beat it. The level is corrected for the number of ways (Bonferroni)."""
    share = share_of(right, groups, confidence=1 - TOLD_APART / ways)
    images = sample_worth(right, groups).independent_to_pass(len(right))
    return None if share is None or chance_verdict(share, chance, images) is None else chance


def _way_name(way: Feeding) -> str:
    """Name a way for comparison with others, without the size of a crop."""
    return way.name if way.pixels.resize == "crop" else f"{way.name} by {way.pixels.resize}"


def _p_by_chance(best: NDArray[np.bool_], other: NDArray[np.bool_], groups: Groups | None) -> float:
    """Return the p-value of the sign test, over images or, if images come in groups, over groups."""
    net: NDArray[np.float64] = best.astype(float) - other
    if groups is not None:
        net = np.asarray(np.bincount(np.unique(groups, return_inverse=True)[1].ravel(), net), np.float64)
    lost, gained = int((net > 0).sum()), int((net < 0).sum())
    return float(sign_test(np.array([lost]), np.array([gained]))[0])
