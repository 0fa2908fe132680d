from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.runner.classifier import Classifier
from edgecnn.runner.failure import RunnerError
from tests.runner.kits import colour_card
from tests.runner.processes import error_of, runner


@pytest.fixture(params=["onnx_kit", "openvino_kit"])
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def test_probabilities_add_up_and_the_best_comes_first(folder: Path) -> None:
    answer = Classifier(folder).predict(folder / "golden/card.png")
    shares = [share for _, share in answer]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    best = int(np.load(folder / "golden/logits.npy")[0].argmax())
    assert answer[0][0] == f"class {best}"


def test_a_path_a_picture_and_its_pixels_give_the_same(folder: Path) -> None:
    classifier = Classifier(folder)
    card = colour_card()
    expected = classifier.predict(folder / "golden/card.png")
    assert classifier.predict(Image.fromarray(card)) == expected
    assert classifier.predict(card) == expected


def test_many_threads_get_what_one_gets(folder: Path) -> None:
    classifier = Classifier(folder)
    pictures = [np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8) for seed in range(24)]
    alone = [classifier.predict(picture) for picture in pictures]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(classifier.predict, pictures)) == alone


def test_what_is_no_picture_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    classifier = Classifier(folder)
    for wrong in (tmp_path / "note.txt", tmp_path / "absent.png", np.zeros((4, 4), np.uint8)):
        with pytest.raises(RunnerError) as caught:
            classifier.predict(wrong)
        assert caught.value.ref == "unreadable-image"


def test_the_command_line_answers_for_each_file(onnx_kit: Path) -> None:
    status, last = runner(onnx_kit, "predict", "golden/card.png", "golden/0.png", "--top", "2")
    assert status == 0
    assert [(answer["file"], len(answer["labels"])) for answer in last["predictions"]] == [
        ("golden/card.png", 2),
        ("golden/0.png", 2),
    ]
    assert error_of(onnx_kit, "predict", "nowhere.png") == "unreadable-image"
