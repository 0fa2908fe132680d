from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.graph.feature_maps import strongest
from tests.graph.planted import planted, spotted

PICTURES = np.stack([spotted(0, level=100), spotted(1), spotted(0, (12, 3)), spotted(2), spotted(0, level=100)])


def fed(batch: int) -> Iterator[NDArray[np.float32]]:
    ready = PICTURES.transpose(0, 3, 1, 2).astype(np.float32) / 255
    return (ready[start : start + batch] for start in range(0, len(ready), batch))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_strongest_images_of_a_channel_come_first_and_equal_ones_in_their_order(batch: int) -> None:
    strongest_spots = strongest(planted(), ["spots", "halves"], fed(batch), k=3)["spots"]
    assert strongest_spots.images[0].tolist() == [2, 0, 4]
    assert strongest_spots.activations[0] == pytest.approx([1, 100 / 255, 100 / 255])
    assert [divmod(int(position), 16) for position in strongest_spots.positions[0]] == [(12, 3), (4, 9), (4, 9)]
    assert strongest_spots.images[1, 0] == 1 and strongest_spots.images[2, 0] == 3


def test_a_channel_that_hears_nothing_is_said_to_be_the_same_in_every_image() -> None:
    strongest_spots = strongest(planted(), ["spots"], fed(2), k=9)["spots"]
    assert strongest_spots.constant.tolist() == [False, False, False, True]
    assert strongest_spots.images.shape == (4, 5), "fewer images than asked for: all of them"
