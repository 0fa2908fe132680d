from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import CALIBRATION_NOT_FINITE, CALIBRATION_SET_TOO_SMALL
from edgecnn.runtimes.job import Job, calibration_classes, calibration_pixels, require_finite
from tests.graph.trunks import NORMALIZATION, feed_of, pictures
from tests.runtimes.made import CANDIDATES


@pytest.fixture
def sorted_by_class(tmp_path: Path) -> Path:
    """Ten pictures of each of four classes, one class after another; every picture holds its own number."""
    pixels = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)
    np.save(tmp_path / "calibration.pixels.npy", pixels)
    np.save(tmp_path / "calibration.labels.npy", np.repeat(np.arange(4), 10))
    return tmp_path


def test_a_few_pictures_of_a_sorted_set_still_show_every_class(sorted_by_class: Path) -> None:
    assert calibration_classes(sorted_by_class, 4) == 4
    assert calibration_pixels(sorted_by_class, 4)[:, 0, 0, 0].tolist() == [0, 10, 20, 30]


def test_all_of_the_set_is_all_of_it_in_order(sorted_by_class: Path) -> None:
    assert calibration_pixels(sorted_by_class, 40)[:, 0, 0, 0].tolist() == list(range(40))


def test_one_more_than_there_are_is_refused(sorted_by_class: Path) -> None:
    with pytest.raises(EdgecnnError, check=CALIBRATION_SET_TOO_SMALL.made):
        calibration_pixels(sorted_by_class, 41)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_picture_whose_answer_is_no_number_is_named(value: float) -> None:
    logits = np.zeros((4, 3), np.float32)
    logits[2, 1] = value
    with pytest.raises(EdgecnnError, check=CALIBRATION_NOT_FINITE.made) as caught:
        require_finite(logits, images=300, first=16)
    assert caught.value.ref == "calibration-not-finite"


def test_batches_of_a_job_are_its_pictures_as_the_model_wants_them(tmp_path: Path) -> None:
    pixels = pictures(5)
    job = Job(tmp_path / "model.onnx", tmp_path, CANDIDATES["onnxruntime-int8"], NORMALIZATION, pixels)
    assert [len(batch) for batch in job.feeds(2)] == [2, 2, 1]
    assert np.array_equal(np.concatenate(list(job.feeds(2))), feed_of(pixels))
    assert np.array_equal(job.feed(3), feed_of(pixels[3:4]))
