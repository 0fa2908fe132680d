from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.runner.classifier import Classifier
from edgecnn.runner.messages import RunnerError
from tests.house.source_tree import ROOT
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


def test_an_opened_photograph_gives_what_its_path_gives(folder: Path, tmp_path: Path) -> None:
    """Turned by EXIF, transparent, or grey: what a program opened itself is no other picture."""
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(colour_card()).save(tmp_path / "turned.jpg", exif=turned, quality=95)
    clear = np.dstack([colour_card(), np.tile(np.linspace(0, 255, 56).astype(np.uint8), (40, 1))])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray((np.arange(40 * 56, dtype=np.uint16) * 29).reshape(40, 56)).save(tmp_path / "grey16.png")
    classifier = Classifier(folder)
    answers = []
    for name in ("turned.jpg", "clear.png", "grey16.png"):
        answers.append(classifier.predict(tmp_path / name))
        with Image.open(tmp_path / name) as opened:
            assert classifier.predict(opened) == answers[-1]
            assert opened.size == (56, 40), "the caller's picture stays as it is"
        with (tmp_path / name).open("rb") as stream:
            assert classifier.predict(stream) == answers[-1]
    lying = np.asarray(Image.open(tmp_path / "turned.jpg").convert("RGB"))
    assert classifier.predict(lying) != answers[0], "this network sees which way it is turned"


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


def test_files_of_tools_are_skipped_by_a_kit_too(onnx_kit: Path, tmp_path: Path) -> None:
    for name in ("Thumbs.db", "._card.png"):
        (tmp_path / name).write_text("x")
    status, last = runner(onnx_kit, "predict", str(tmp_path / "Thumbs.db"), "golden/card.png", str(tmp_path / "._card.png"))
    assert (status, last["ok"], [answer["file"] for answer in last["predictions"]]) == (0, True, ["golden/card.png"])
    assert error_of(onnx_kit, "predict", str(tmp_path / "Thumbs.db")) == "no-pictures"


def test_a_folder_s_files_are_classified_in_order_without_those_of_tools(onnx_kit: Path, tmp_path: Path) -> None:
    card = onnx_kit / "golden" / "card.png"
    photos = tmp_path / "photos"
    for name in ("b/card.png", "a.png", "@eaDir/card.png", ".hidden/card.png", "._a.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(card), str(photos / name))
    (tmp_path / "empty").mkdir()
    status, last = runner(onnx_kit, "predict", str(photos), "golden/0.png")
    files = [str(photos / "a.png"), str(photos / "b" / "card.png"), "golden/0.png"]
    assert (status, [answer["file"] for answer in last["predictions"]]) == (0, files)
    assert error_of(onnx_kit, "predict", str(tmp_path / "empty")) == "no-pictures"


def test_a_file_that_cannot_be_read_is_an_error_and_the_others_are_still_answered(onnx_kit: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    status, last = runner(onnx_kit, "predict", "nowhere.png", "golden/card.png", str(tmp_path / "note.txt"))
    assert (status, last["ok"], last["error"]["ref"]) == (1, False, "unreadable-image")
    assert last["error"]["what"] == "2 of 3 files cannot be read as images"
    assert [answer["file"] for answer in last["predictions"]] == ["golden/card.png"]
    assert [failure["file"] for failure in last["unreadable"]] == ["nowhere.png", str(tmp_path / "note.txt")]
    assert last["unreadable"][1]["because"] == "unsupported image format (supported: JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, AVIF)"


def test_the_program_that_the_how_to_shows_runs_as_shown_and_leaves_the_bundle_as_it_was(onnx_kit: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs/howto/use-a-kit-in-a-program.md").read_text(encoding="utf-8")
    program = next(block for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "runner.classifier" in block)
    ((kit, arguments),) = re.findall(r"^PYTHONPATH=(\S+) python3 (.*)$", page, re.M)
    assert len([line for line in program.splitlines() if line.strip()]) == 4
    (tmp_path / "classify.py").write_text(program, encoding="utf-8")
    shutil.copy(onnx_kit / "golden/photo.jpg", tmp_path)
    shutil.copytree(onnx_kit, tmp_path / kit, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": kit}
    command = [sys.executable, *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["class"] * 4
    assert list(tmp_path.rglob("__pycache__")) == []


def test_the_two_halves_of_predict_give_what_it_gives(folder: Path) -> None:
    classifier = Classifier(folder)
    pixels = classifier.pixels(folder / "golden/card.png")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (32, 32, 3))
    assert classifier.classify(pixels) == classifier.predict(folder / "golden/card.png")


def test_a_picture_too_narrow_to_be_brought_to_size_is_an_unreadable_one(folder: Path) -> None:
    with pytest.raises(RunnerError, match="cannot be read as an image") as caught:
        Classifier(folder).predict(Image.new("RGB", (1, 150_000)))
    assert caught.value.ref == "unreadable-image"
    assert re.fullmatch(
        r"1 x 150,000 pixels would be \d+ x [\d,]+ when resized, more than 178,956,970 in all", str(caught.value.because)
    )
