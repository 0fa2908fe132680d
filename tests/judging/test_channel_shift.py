"""Calibration images that would give wrong ranges are told, and ordinary draws of the same photographs are not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.data.demo import DEMO_FILE
from edgecnn.judging.channel_shift import LEAST_IMAGES, channel_shifts

DRAWS = 60


@pytest.fixture(scope="module")
def demo() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Fashion-MNIST as RGB of 28 pixels, and its labels: the first 5,000."""
    with np.load(DEMO_FILE) as stored:
        images, labels = stored["images"][:5000], stored["labels"][:5000].astype(np.int64)
    return np.repeat(images.reshape(-1, 28, 28, 1), 3, axis=3), labels


def told(calibration: NDArray[np.uint8], validation: NDArray[np.uint8]) -> set[str]:
    found = channel_shifts(calibration, validation)
    assert found is not None
    return {each.statistic for each in found}


def test_brightened_images_are_told_with_both_figures(demo: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    images, _ = demo
    bright = np.clip(images[:300].astype(int) + 40, 0, 255).astype(np.uint8)
    found = channel_shifts(bright, images[4000:])
    assert found is not None
    level = next(each for each in found if each.statistic == "level")
    assert level.channel == "red" and level.calibration > level.validation + 25 and level.spreads > 0.5


def test_one_channel_alone_is_named(demo: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    images, _ = demo
    warm = images[:300].copy()
    warm[..., 0] = np.clip(warm[..., 0].astype(int) + 60, 0, 255)
    found = channel_shifts(warm, images[4000:])
    assert found is not None and {each.channel for each in found if each.statistic == "level"} == {"red"}


def test_flattened_contrast_is_told(demo: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    images, _ = demo
    flat = (images[:300] * 0.5 + images[:300].mean() * 0.5).astype(np.uint8)
    assert "contrast" in told(flat, images[4000:])


def test_a_class_by_itself_is_told_unless_it_looks_like_the_average(
    demo: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    images, labels = demo
    flagged = [bool(told(images[:4000][labels[:4000] == label][:100], images[4000:])) for label in range(10)]
    assert [label for label in range(10) if not flagged[label]] == [6], "Shirt, which a count of classes tells"


@pytest.mark.parametrize("count", [LEAST_IMAGES, 300])
def test_stratified_draws_of_the_same_images_are_hardly_ever_told(
    demo: tuple[NDArray[np.uint8], NDArray[np.int64]], count: int
) -> None:
    """60 draws each: at a rate of 1 %, more than 4 would be seen once in two thousand times."""
    images, labels = demo
    small = images[:, ::4, ::4]
    draw, validation = np.random.default_rng(5), small[4000:4500]
    by_class = [np.flatnonzero(labels[:4000] == label) for label in range(10)]
    flagged = 0
    for _ in range(DRAWS):
        places = np.concatenate([draw.choice(each, count // 10, replace=False) for each in by_class])
        flagged += bool(told(small[places], validation))
    assert flagged <= 4


def test_a_difference_that_thousands_of_images_show_and_no_range_would_notice_is_not_told() -> None:
    draw = np.random.default_rng(5)
    levels = draw.normal(120, 40, 6000).clip(0, 250)
    images = np.repeat(levels, 12).reshape(6000, 2, 2, 3)
    shifted = (images[:3000] + 4).astype(np.uint8)
    assert told(shifted, images[3000:].astype(np.uint8)) == set(), "a tenth of the spread, at six standard errors"


def test_too_few_images_say_nothing(demo: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    assert channel_shifts(demo[0][: LEAST_IMAGES - 1], demo[0][4000:]) is None
