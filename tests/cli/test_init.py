"""`edgecnn init`: the recipe that it writes is one that `build` takes, and says what was found."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.planning.recipe import load_recipe
from edgecnn.values.candidate import Runtime
from tests.building.builds import Place, place_with_photos
from tests.data.folders import fill
from tests.house.child import child


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place_with_photos(tmp_path_factory.mktemp("init"))


def test_without_a_terminal_nothing_is_asked_and_every_default_stands(place: Place) -> None:
    done = place.plain("init", "photos", "--out", "usual.toml")
    assert done.returncode == 0, done.stderr
    assert "edgecnn build usual.toml" in done.stdout
    recipe = load_recipe(place.folder / "usual.toml")
    assert (recipe.target.device, recipe.gates.max) == ("cpu", {})
    assert recipe.model.arch == "efficientnet-lite0", "the weights of mobilenet-v3-large are not installed"
    assert Path(recipe.data.path) == place.photos
    offered = done.stderr[done.stderr.index("networks for cpu") :].splitlines()
    assert offered[1].split()[:2] == ["network", "top-1"] and len(offered[2:-1]) == 6
    text = (place.folder / "usual.toml").read_text()
    assert 'path = "photos"\n' in text  # so that the folder and its recipe can move together
    assert "150 " in text and "50 (bag)" in text and "50 (shirt)" in text
    assert "resolve ±" in text
    assert (
        "# 30 test images show ± " in text and "\n# drop_pp = 1 " in text
    )  # a gate that could only stay open would fail every job


def test_the_written_recipe_is_planned(place: Place) -> None:
    place.plain(
        "init", "photos", "--out", "planned.toml", "--arch", "resnet-18", "--target", "intel-cpu:openvino", "--drop-pp", "40"
    )
    recipe = load_recipe(place.folder / "planned.toml")
    assert recipe.gates.max == {"drop_pp": 40} and recipe.model.arch == "resnet-18"
    done = place.plain("plan", "planned.toml", "--set", "model.weights=none")
    assert done.returncode == 0 and "openvino-int8" in done.stdout, done.stderr
    assert ", 3 classes (bag, boot, shirt); " in done.stdout, "the plan names the classes"


def test_a_recipe_elsewhere_names_the_folder_whole(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    assert place.plain("init", "photos", "--out", file).returncode == 0
    assert load_recipe(file).data.path == str(place.photos)


def test_a_model_of_ones_own_stands_in_the_recipe(place: Place) -> None:
    (place.folder / "mine.onnx").write_bytes(b"")
    assert place.plain("init", "photos", "--onnx", "mine.onnx", "--out", "own.toml").returncode == 0
    assert load_recipe(place.folder / "own.toml").model.onnx == str(place.folder / "mine.onnx")


REFUSED = {
    "recipe-there": ("photos", "--out", "there.toml"),
    "unknown-arch": ("photos", "--arch", "resnet-19", "--out", "x.toml"),
    "unknown-device": ("photos", "--target", "jetsen", "--out", "x.toml"),
    "recipe-unwritable": ("photos", "--out", "no/such/folder/x.toml"),
    "custom-model-and-arch": ("photos", "--arch", "resnet-18", "--onnx", "a.onnx", "--out", "x.toml"),
}


def test_a_stated_bound_is_active_even_if_the_test_split_is_small(place: Place) -> None:
    assert place.plain("init", "photos", "--out", "bound.toml", "--drop-pp", "5").returncode == 0
    assert load_recipe(place.folder / "bound.toml").gates.max == {"drop_pp": 5}


def test_a_prompt_whose_input_ends_writes_nothing(place: Place) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"\x04")
    command = [sys.executable, "-m", "edgecnn", "init", "photos", "--out", "ended.toml"]
    with child(command, cwd=place.folder, env=place.environment, stdin=theirs, stderr=theirs) as run:
        os.close(theirs)
        assert run.wait(120) == ExitCode.INTERRUPTED
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert "Traceback" not in text and not (place.folder / "ended.toml").exists()


def test_a_folder_in_place_of_a_recipe_names_the_option_for_images(place: Place) -> None:
    done = place.plain("build", "photos/")
    assert (done.returncode, "[recipe-is-folder]" in done.stderr, "--data" in done.stderr) == (2, True, True)


@pytest.mark.parametrize("ref", REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_written(place: Place, ref: str) -> None:
    (place.folder / "there.toml").write_text("mine")
    done = place.plain("init", *REFUSED[ref])
    assert done.returncode == 2 and f"[{ref}]" in done.stderr
    assert (place.folder / "there.toml").read_text() == "mine" and not (place.folder / "x.toml").exists()


def test_folders_with_two_readings_are_asked_about_and_the_answer_is_written(place: Place, tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", {f"site{site}/{label}": 5 for site in (1, 2) for label in ("cat", "dog")})
    refused = place.plain("init", str(photos), "--out", "sites.toml", "--yes")
    assert (refused.returncode, "--folders nested if 'cat' and 'dog' are the classes" in refused.stderr) == (2, True)
    assert place.plain("init", str(photos), "--out", "sites.toml", "--yes", "--folders", "nested").returncode == 0
    assert load_recipe(str(place.folder / "sites.toml")).data.folders == "nested"


def test_at_a_terminal_three_questions_are_asked_and_a_slip_is_asked_again(place: Place) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edgecnn", "init", "photos", "--out", "asked.toml"]
    os.write(ours, b"\nmobilenet-v9\nmobilenet-v2\n50\n")
    with child(command, cwd=place.folder, env=place.environment, stdin=theirs, stderr=theirs) as run:
        os.close(theirs)
        assert run.wait(60) == 0
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert "'mobilenet-v9' is not a known network" in text
    recipe = load_recipe(place.folder / "asked.toml")
    assert (recipe.model.arch, recipe.target.device, recipe.gates.max) == ("mobilenet-v2", "cpu", {"drop_pp": 50.0})
    assert recipe.target.runtime in (None, *Runtime)


def test_a_folder_called_demo_is_not_the_embedded_demo(place: Place) -> None:
    (place.folder / "photos").rename(place.folder / "demo")
    try:
        assert place.plain("init", "./demo", "--out", "own-demo.toml").returncode == 0
        assert Path(load_recipe(place.folder / "own-demo.toml").data.path) == place.folder / "demo"
        assert place.plain("init", "demo", "--out", "embedded.toml").returncode == 0
        assert load_recipe(place.folder / "embedded.toml").data.path == "demo"
    finally:
        (place.folder / "demo").rename(place.folder / "photos")
