"""Paths in a recipe count from its file, and a recipe's own path is told from the name of a shipped pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.recipes import (
    NOT_TOML,
    RECIPE_FILE_MISSING,
    RECIPE_INVALID,
    UNKNOWN_PIPELINE,
    OverridesInvalid,
)
from edgecnn.planning.recipe import apply_overrides, load_recipe
from edgecnn.values.recipe import Recipe
from tests.planning.test_recipe import written


def test_a_path_and_a_name_are_told_apart_by_their_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("no recipe", encoding="utf-8")
    assert load_recipe("demo").data.path == "demo", "a bare name is always a shipped pipeline"
    with pytest.raises(EdgecnnError, check=NOT_TOML.made):
        load_recipe("./demo")


def test_relative_paths_in_a_recipe_file_count_from_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    path = written(
        tmp_path / "recipes",
        'schema = "edgecnn.recipe/2"\n'
        '[data]\npath = "../photos"\n[model]\nweights = "mine.pth"\n[target]\ndevice = "./my-board.toml:openvino"\n',
    )
    monkeypatch.chdir(tmp_path)
    for named in (path, "recipes/my.toml", "./recipes/../recipes/my.toml"):
        recipe = load_recipe(named)
        assert recipe.data.path == str(tmp_path / "photos")
        assert recipe.model.weights == str(tmp_path / "recipes" / "mine.pth")
        assert recipe.target.device == str(tmp_path / "recipes" / "my-board.toml:openvino")


def test_a_relative_device_file_may_lie_in_a_folder_with_a_colon(tmp_path: Path) -> None:
    for text in ("boards:v2/mine.toml", "boards:v2/mine.toml:openvino"):
        recipe = load_recipe(written(tmp_path, f'[target]\ndevice = "{text}"\n'))
        assert recipe.target.device == str(tmp_path / text)


def test_two_dots_mean_what_they_mean_to_the_system_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "project" / "recipes").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "project" / "recipes")
    written(tmp_path / "project" / "recipes", '[data]\npath = "../photos"\n')
    assert load_recipe(tmp_path / "link" / "my.toml").data.path == str(tmp_path / "project" / "photos")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("data.path", "demo"), ("data.path", "/photos"), ("data.path", "~/photos"), ("model.weights", "auto"),
        ("model.weights", "none"), ("model.weights", "/mine.pth"), ("target.device", "jetson:tensorrt"), ("target.device", "cpu"),
        ("target.device", "~/mine.toml"),
    ],
)  # fmt: skip
def test_what_is_no_relative_path_comes_back_as_it_is_written(tmp_path: Path, key: str, text: str) -> None:
    table, _, name = key.partition(".")
    recipe = load_recipe(written(tmp_path, f'[{table}]\n{name} = "{text}"\n'))
    assert getattr(getattr(recipe, table), name) == text


def test_a_folder_called_demo_beside_a_recipe_is_meant_by_dot_slash(tmp_path: Path) -> None:
    assert load_recipe(written(tmp_path, '[data]\npath = "./demo"\n')).data.path == str(tmp_path / "demo")


def test_a_path_given_by_set_is_left_as_it_is(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, '[data]\npath = "photos"\n'))
    assert apply_overrides(recipe, ["data.path=other"]).data.path == "other"
    assert apply_overrides(recipe, ["train.epochs=3"]).data.path == str(tmp_path / "photos")


def test_an_empty_path_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(
        EdgecnnError, match=r"model\.weights must not be empty; data\.path must not be empty", check=RECIPE_INVALID.made
    ):
        load_recipe(written(tmp_path, '[data]\npath = ""\n[model]\nweights = " "\n'))
    with pytest.raises(OverridesInvalid, match=r"data\.path must not be empty"):
        apply_overrides(Recipe(), ["data.path="])


@pytest.mark.parametrize("path", ["pipelines/demo.toml", "demo.toml", "pipelines/demo"])
def test_a_shipped_pipeline_that_is_named_like_a_file_is_answered_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgecnnError, check=RECIPE_FILE_MISSING.made) as caught:
        load_recipe(path)
    assert caught.value.ref == "recipe-file-missing"


def test_a_file_beside_that_was_given_without_its_path_is_answered_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my demo.toml").touch()
    with pytest.raises(EdgecnnError, check=UNKNOWN_PIPELINE.made) as caught:
        load_recipe("my demo")
    assert caught.value.ref == "unknown-pipeline"


def test_a_folder_of_photographs_in_a_recipe_s_place_is_answered_with_its_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photos").mkdir()
    with pytest.raises(EdgecnnError, check=UNKNOWN_PIPELINE.made) as caught:
        load_recipe("my photos")
    assert caught.value.ref == "unknown-pipeline"
