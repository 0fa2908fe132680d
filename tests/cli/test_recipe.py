"""`edgecnn recipe` on the command line: what is shown is what a build takes, and can be kept as a recipe."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from edgecnn.cli.main import app
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import BundleUnreadable
from edgecnn.errors.recipes import PLAN_UNREADABLE
from edgecnn.planning.recipe import load_recipe
from edgecnn.planning.recipe_settings import settings_of_build
from edgecnn.results.finished import read_plan
from edgecnn.values.toml import toml_value
from tests.house.schemas import FOLDER
from tests.house.source_tree import ROOT

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
HINT = (
    " — pass the folder of a finished build, such as builds/ARCH-DEVICE, a recipe file or a shipped pipeline [plan-unreadable]\n"
)
RECIPE = """schema = "edgecnn.recipe/2"
[model]
arch = "mobilenet-v3-small"
weights = "none"

[train]
epochs = 3
patience = 4
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores") / "store"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    return path


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(store: Path, *words: str) -> Done:
    return edgecnn(store, "recipe", *words)


def edgecnn(store: Path, *words: str) -> Done:
    done = CliRunner().invoke(app, words, env={"EDGECNN_STORE": str(store), "EDGECNN_OFFLINE": "1"})
    return Done(done.exit_code, done.stdout, done.stderr)


def shown(store: Path, *words: str) -> dict[str, tuple[Any, str]]:
    done = run(store, "show", *words, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    Draft202012Validator(json.loads((FOLDER / "recipe-settings.json").read_text(encoding="utf-8"))).validate(document)
    return {setting["key"]: (setting["value"], setting["origin"]) for setting in document["settings"]}


def test_each_value_says_where_it_comes_from_and_the_later_word_wins(store: Path, mine: Path) -> None:
    words = ("--set", "train.epochs=5", "--set", "gates.max.p99_ms=20", "--target", "cpu:openvino", "--arch", "resnet-18")
    text = shown(store, str(mine), *words)
    assert text["model.arch"] == ("resnet-18", "--arch")
    assert text["model.weights"] == ("none", f"file {mine}")
    assert text["train.epochs"] == (5, "--set")
    assert text["train.patience"] == (4, f"file {mine}")
    assert text["train.batch_size"] == (64, "filled in: training from scratch")
    assert text["train.cycles"] == ("one", "filled in: training from scratch")
    assert text["train.weight_decay"] == (1e-4, "default")
    assert text["target.device"] == ("cpu", "--target")
    assert text["target.runtime"] == ("openvino", "--target")
    assert text["gates.max"] == ({"p99_ms": 20}, "--set")


def test_what_was_left_unset_is_filled_in_and_says_from_what(store: Path, mine: Path) -> None:
    text = shown(store, str(mine))
    assert text["model.resolution_px"] == (64, "filled in: a small one for the demo's small images")
    assert text["quantize.images"] == (300, "filled in: every calibration image")
    assert text["train.learning_rate"][1] == "filled in: training from scratch"
    assert text["target.runtime"] == (None, "default")
    assert text["train.epochs"] == (3, f"file {mine}")


def test_the_cycles_of_fine_tuning_follow_the_number_of_images(store: Path) -> None:
    text = shown(store, "--arch", "efficientnet-lite0")
    value, origin = text["train.cycles"]
    assert value == "while-better"
    assert origin.startswith("filled in: fine-tuning on ") and "training images" in origin
    assert text["train.body_rate"] == (1.0, "filled in: fine-tuning")
    stated = shown(store, "--arch", "efficientnet-lite0", "--set", "train.epochs=1")
    assert stated["train.cycles"] == ("one", "filled in: train.epochs is stated")
    assert stated["train.batch_size"] == (32, origin)


def test_what_is_printed_is_a_recipe_that_comes_to_the_same(store: Path, mine: Path, tmp_path: Path) -> None:
    words = (str(mine), "--set", "gates.max.drop_pp=1.5")
    kept = tmp_path / "kept.toml"
    kept.write_text(run(store, "show", *words).stdout)
    expected = {key: value for key, (value, _) in shown(store, *words).items()}
    assert {key: value for key, (value, _) in shown(store, str(kept)).items()} == expected
    assert load_recipe(kept).gates.max == {"drop_pp": 1.5}


def test_a_device_file_of_ones_own_is_shown_by_its_path(store: Path, mine: Path, tmp_path: Path) -> None:
    board = tmp_path / "board.toml"
    shipped = (ROOT / "devices" / "raspberry-pi-5.toml").read_text(encoding="utf-8")
    board.write_text(shipped.replace("raspberry-pi", "my-pi").replace('"pi5"', '"my5"'), encoding="utf-8")
    assert shown(store, str(mine), "--target", str(board))["target.device"] == (str(board), "--target")


def test_two_recipes_are_compared_by_what_they_come_to(store: Path, mine: Path, tmp_path: Path) -> None:
    """A default that one of them states in words is no difference."""
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.replace("epochs = 3", "epochs = 8") + "batch_size = 64\n")
    done = run(store, "diff", str(mine), str(other), "--json")
    document = json.loads(done.stdout)
    Draft202012Validator(json.loads((FOLDER / "recipe-difference.json").read_text(encoding="utf-8"))).validate(document)
    (only,) = document["differing"]
    assert (only["key"], only["before"], only["after"]) == ("train.epochs", 3, 8)
    assert (only["before_origin"], only["after_origin"]) == (f"file {mine}", f"file {other}")
    assert run(store, "diff", str(mine), str(mine)).stdout == f"{mine} → {mine}: 0 of 94 values differ\n"


def test_a_finished_build_is_compared_by_its_plan(store: Path, mine: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    (build / "plan.json").write_text(edgecnn(store, "plan", str(mine), "--target", "cpu", "--json").stdout)
    document = json.loads(run(store, "diff", str(build), str(mine), "--json").stdout)
    assert document["differing"] == []
    other = json.loads(run(store, "diff", str(build), "demo", "--json").stdout)
    arch = next(difference for difference in other["differing"] if difference["key"] == "model.arch")
    assert (arch["before_origin"], arch["after_origin"]) == (f"build {build}", "pipeline demo")


def test_a_folder_without_a_readable_plan_is_bad_input(store: Path, tmp_path: Path) -> None:
    absent = run(store, "diff", str(tmp_path), "demo")
    assert (absent.returncode, absent.stdout) == (2, "")
    assert absent.stderr == f"edgecnn: error: {tmp_path} cannot be read as a build: it holds no plan.json{HINT}"
    for text in ("{", "[]", '{"resolved": {"asked": {}, "recipe": {"later": 1}}}', "\x00"):
        (tmp_path / "plan.json").write_text(text)
        damaged = run(store, "diff", "demo", str(tmp_path))
        assert damaged.returncode == 2 and damaged.stderr.endswith(HINT), damaged.stderr


def test_the_plan_of_an_earlier_version_says_so(tmp_path: Path) -> None:
    plan = {"schema": "edgecnn.plan/1", "resolved": {"asked": {"data": {"choose_share": 0.1}}, "recipe": {}}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(EdgecnnError, check=PLAN_UNREADABLE.made) as refused:
        settings_of_build(tmp_path)
    because = "plan.json is of another version: its schema is edgecnn.plan/1, and this version reads edgecnn.plan/2"
    assert refused.value.line() == f"{tmp_path} cannot be read as a build: {because}{HINT.rstrip()}"
    with pytest.raises(BundleUnreadable, match="its schema is edgecnn.plan/1, and this version reads edgecnn.plan/2"):
        read_plan(tmp_path, {}, "edgecnn build")


def test_a_misspelt_key_is_refused_before_anything_is_read(store: Path, mine: Path) -> None:
    done = run(store, "show", str(mine), "--set", "train.epoch=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "[overrides-invalid]" in done.stderr


def test_the_schema_is_the_published_one(store: Path) -> None:
    assert json.loads(run(store, "schema").stdout) == json.loads((FOLDER / "recipe.json").read_text(encoding="utf-8"))


def test_showing_makes_no_build(store: Path, mine: Path, tmp_path: Path) -> None:
    assert run(store, "show", str(mine)).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml"]


@given(TEXTS | st.integers(-(2**63), 2**63 - 1) | st.booleans() | NUMBERS)
def test_every_value_is_written_as_toml_reads_it(value: Any) -> None:
    assert tomllib.loads(f"key = {toml_value(value)}")["key"] == value


@given(st.dictionaries(TEXTS, NUMBERS, max_size=4))
def test_every_table_of_bounds_is_written_as_toml_reads_it(bounds: dict[str, float]) -> None:
    assert tomllib.loads(f"key = {toml_value(bounds)}")["key"] == bounds
