import json
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.recipes import RECIPE_INVALID
from edgecnn.errors.sweeps import BUILD_REPEATED, BUILDS_NAMED_ALIKE, SWEEP_INVALID, SWEEP_TOO_LARGE
from edgecnn.planning.recipe import apply_overrides
from edgecnn.sweeps.file import group_by_training
from edgecnn.values.recipe import Recipe
from tests.sweeps.written import cells, written

REMEDY = "docs/howto/sweep.md shows every table, and docs/schemas/recipe.json lists every recipe value [sweep-invalid]"


def test_a_grid_is_every_combination_in_the_file_s_order(tmp_path: Path) -> None:
    found = cells(tmp_path)
    assert [cell.name for cell in found] == [
        "lenet-5-cpu-onnxruntime", "lenet-5-raspberry-pi-5", "mobilenet-v2-cpu-onnxruntime", "mobilenet-v2-raspberry-pi-5",
    ]  # fmt: skip
    assert found[0].words == ("--set", "model.arch=lenet-5", "--set", "target.device=cpu:onnxruntime")


def test_the_words_of_a_build_make_its_recipe_again(tmp_path: Path) -> None:
    text = """
    set = { train = { learning_rate = 0.01 }, data = { group_by = 'clip(\\d+)' }, gates = { max = { p99_ms = 20.0 } } }
    [grid]
    model.arch = ["lenet-5"]
    model.resolution_px = ["48x192", 32]
    preprocessing.mean = [[0.5, 0.5, 0.5]]
    preprocessing.std = [[0.2, 0.2, 0.2]]
    """
    for cell in cells(tmp_path, text):
        words = list(cell.words)
        assert words[::2] == ["--set"] * (len(words) // 2)
        assert apply_overrides(Recipe(), words[1::2]) == cell.recipe


def test_builds_of_one_network_share_a_training_whatever_measures_them(tmp_path: Path) -> None:
    groups = group_by_training(cells(tmp_path))
    assert [[cell.name for cell in group] for group in groups] == [
        ["lenet-5-cpu-onnxruntime", "lenet-5-raspberry-pi-5"],
        ["mobilenet-v2-cpu-onnxruntime", "mobilenet-v2-raspberry-pi-5"],
    ]
    other = cells(tmp_path, '[grid]\nmodel.arch = ["lenet-5"]\ntrain.epochs = [1, 2]\nrace.rounds = [8, 9]')
    assert [len(group) for group in group_by_training(other)] == [2, 2]


def test_single_builds_stand_beside_the_grid_with_names_of_their_own(tmp_path: Path) -> None:
    text = '[grid]\nmodel.arch = ["lenet-5"]\n[[build]]\nname = "long-one"\nmodel.arch = "lenet-5"\ntrain.epochs = 30'
    found = cells(tmp_path, text)
    assert [(cell.name, cell.variant) for cell in found] == [("lenet-5-cpu", "lenet-5"), ("long-one", "lenet-5, epochs=30")]


def test_what_differs_besides_network_and_device_is_in_name_and_row(tmp_path: Path) -> None:
    found = cells(tmp_path, '[grid]\nmodel.arch = ["lenet-5"]\ntrain.epochs = [1, 2]')
    assert [(cell.name, cell.variant) for cell in found] == [
        ("lenet-5-cpu-epochs=1", "lenet-5, epochs=1"), ("lenet-5-cpu-epochs=2", "lenet-5, epochs=2"),
    ]  # fmt: skip


def test_paths_count_from_the_sweep_s_folder(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('schema = "edgecnn.recipe/2"\n[data]\npath = "photos"\n', encoding="utf-8")
    written(tmp_path, 'recipe = "./base.toml"\n[grid]\nmodel.arch = ["lenet-5"]\ndata.classes = ["names.txt"]')
    (cell,) = cells(tmp_path, (tmp_path / "sweep.toml").read_text())
    assert cell.recipe.data.path == str(tmp_path / "photos")
    assert cell.words == (
        str(tmp_path / "base.toml"), "--set", "model.arch=lenet-5", "--set", f'data.classes="{tmp_path}/names.txt"',
    )  # fmt: skip


def test_a_board_is_asked_for_by_its_device(tmp_path: Path) -> None:
    text = '[grid]\nmodel.arch = ["lenet-5"]\ntarget.device = ["cpu", "raspberry-pi-5"]\n[hosts]\nraspberry-pi-5 = "pi@10.0.0.7"'
    here, board = cells(tmp_path, text)
    assert (here.host, board.host) == (None, "pi@10.0.0.7")
    with pytest.raises(
        EdgecnnError,
        match="hosts.raspberry-pi-5 = '-oProxyCommand=x' is not an SSH destination; pass user@board",
        check=SWEEP_INVALID.made,
    ):
        cells(tmp_path, text.replace("pi@10.0.0.7", "-oProxyCommand=x"))


OF_DEVICES = """
set = { gates = { max = { p99_ms = 50 } } }
[grid]
model.arch = ["lenet-5"]
target.device = ["cpu", "pi5:onnxruntime"]
[devices.raspberry-pi-5]
gates.max.p99_ms = 20
race.rounds = 9
[[build]]
name = "own"
model.arch = "lenet-5"
target.device = "raspberry-pi-5"
gates.max.p99_ms = 30
"""


def test_builds_of_a_device_have_its_values_above_those_of_all_and_below_their_own(tmp_path: Path) -> None:
    found = cells(tmp_path, OF_DEVICES)
    assert [(cell.recipe.gates.max["p99_ms"], cell.recipe.race.rounds) for cell in found] == [(50, 8), (20, 9), (30, 9)]
    assert len({cell.variant for cell in found[:2]}) == 1, "one network for both, each under its own bounds"
    assert [cell.name for cell in found] == ["lenet-5-cpu", "lenet-5-raspberry-pi-5-onnxruntime", "own"]
    assert found[1].words[-8:] == (
        "--set", "gates.max.p99_ms=20.0", "--set", "race.rounds=9", "--set", "model.arch=lenet-5",
        "--set", "target.device=pi5:onnxruntime",
    )  # fmt: skip
    assert all(apply_overrides(Recipe(), cell.words[1::2]) == cell.recipe for cell in found)
    assert [len(group) for group in group_by_training(found)] == [3]


def test_a_runtime_may_be_said_of_one_device(tmp_path: Path) -> None:
    text = '[grid]\nmodel.arch = ["lenet-5"]\ntarget.device = ["cpu", "pi5"]\n[set]\ntarget.runtime = "litert"\n'
    found = cells(tmp_path, f'{text}[devices.cpu]\ntarget.runtime = "onnxruntime"')
    assert [cell.name for cell in found] == ["lenet-5-cpu-onnxruntime", "lenet-5-raspberry-pi-5-litert"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 1 problem: it has neither a [grid] nor a [[build]] — "),
        ("grids = 1", "has 1 problem: grids is not a key, the nearest is grid — "),
        ("[grid]\nmodel.arch = 'lenet-5'\ntrain.epochs = []", "2 problems: grid.model.arch must be a list of values; grid.tr"),
        ("[grid]\ntrain.epoch = [1, 2]", "has 1 problem: train.epoch is not a key, the nearest is train.epochs — "),
        ("[set]\nname = 'x'\n[grid]\nmodel.arch = ['lenet-5']", "has 1 problem: name is not a key"),
        ("[[build]]\nname = 5", "has 1 problem: build.name must be text in quotes, not 5 — "),
        ("[grid]\n'model.arch=x' = [1]", "has 1 problem: model.arch=x is not a key, the nearest is model.arch — "),
        ("[grid]\nmodel.arch = ['lenet-5']\n[hosts]\nraspberry = 'pi@x'", "hosts.raspberry is not a device of this sweep"),
        ("[devices.cpu]\ntrain.epoch = 1\n[grid]\nmodel.arch = ['lenet-5']", "has 1 problem: train.epoch is not a key"),
        ("[devices.cpu]\ntrain.epochs = 'x'\n[grid]\nmodel.arch = ['lenet-5']", "has 1 problem: train.epochs must be a whole"),
        ("[devices]\ncpu = 5\n[grid]\nmodel.arch = ['lenet-5']", "has 1 problem: devices.cpu must be a table, not 5"),
        ("[devices.cpus]\nrace.rounds = 9\n[grid]\nmodel.arch = ['lenet-5']", "devices.cpus is not a device of this sweep; did"),
        ("[devices.cpu]\ntarget.device = 'pi5'\n[grid]\ntrain.seed = [1]", "devices.cpu cannot set target.device"),
        (
            "[grid]\nmodel.arch = ['lenet-5']\ntarget.device = ['cpu', 'raspberry-pi-5']\n[hosts]\nraspberry-pi-5 = 'emulated'",
            'has 1 problem: hosts.raspberry-pi-5 is "emulated", but the emulated machine is the device arm64-emulated — ',
        ),
        ("[grid]\nmodel.arch = ['rsnet-18']\ntarget.device = ['cpu', 'cqu']", "; there is no device 'cqu': the known devices "),
        ("[grid]\nmodel.arch = ['rsnet-18', 'resnet-18']", "has 1 problem: 'rsnet-18' is not a known network — did you mean"),
        ("[grid]\ntrain.epochs = [1, 'two']", "has 1 problem: train.epochs must be a whole number"),
        ("[grid]\ntrain.minutes = [5, 10]", "has 1 problem: train.minutes can give each build other epochs; set train.epochs"),
        ("[devices.cpu]\ntrain.minutes = 5\n[grid]\nmodel.arch = ['lenet-5']", "has 1 problem: train.minutes can give each"),
        ("[grid]\ntrain.epochs = [1]\n[set]\ntrain.augment = [{kind = 'mirror'}]", "train.augment holds tables; set it in"),
    ],
)  # fmt: skip
def test_what_no_sweep_can_ask_is_named_at_once(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=SWEEP_INVALID.made) as caught:
        cells(tmp_path, text)
    assert said in caught.value.line() and caught.value.line().endswith(REMEDY)


def test_minutes_of_the_base_recipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('schema = "edgecnn.recipe/2"\n[train]\nminutes = 20\n', encoding="utf-8")
    text = 'recipe = "./base.toml"\n[grid]\nmodel.arch = ["lenet-5", "resnet-18"]'
    with pytest.raises(EdgecnnError, match="1 problem: train.minutes can give each build other", check=SWEEP_INVALID.made):
        cells(tmp_path, text)


def test_two_builds_of_one_folder_are_refused(tmp_path: Path) -> None:
    same = '[[build]]\nmodel.arch = "lenet-5"\n[[build]]\nmodel.arch = "lenet-5"'
    with pytest.raises(EdgecnnError, check=BUILD_REPEATED.made):
        cells(tmp_path, same)
    other = '[[build]]\nname = "one"\nmodel.arch = "lenet-5"\n[[build]]\nname = "One"\nmodel.arch = "resnet-18"'
    with pytest.raises(EdgecnnError, check=BUILDS_NAMED_ALIKE.made) as caught:
        cells(tmp_path, other)
    assert caught.value.ref == "builds-named-alike"


TEXTS = ["a\x7fb", "inf", "nan", "true", "1", "[1]", "photos of cats", "猫", "a'b\"c", "0x10", "2026-11-26"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_was_written(text: str, tmp_path: Path) -> None:
    quoted = json.dumps(text).replace("\x7f", "\\u007f")
    (cell,) = cells(tmp_path, f"[grid]\nmodel.arch = ['lenet-5']\ndata.path = [{quoted}]")
    assert cell.recipe.data.path == str(tmp_path / text)
    assert apply_overrides(Recipe(), cell.words[1::2]).data.path == cell.recipe.data.path


def test_grids_whose_values_no_file_name_holds_are_told_apart(tmp_path: Path) -> None:
    found = cells(tmp_path, '[grid]\nmodel.arch = ["lenet-5"]\ndata.path = ["猫", "犬"]')
    assert len({cell.name for cell in found}) == 2 and len({cell.tested_on for cell in found}) == 2
    both = cells(tmp_path, '[grid]\nmodel.arch = ["lenet-5"]\ntrain.epochs = [1]\nsurgery.epochs = [2]')
    assert both[0].variant == "lenet-5, train.epochs=1, surgery.epochs=2"


def test_however_a_device_is_spelt_it_is_one(tmp_path: Path) -> None:
    (cell,) = cells(tmp_path, '[grid]\ntarget.device = ["pi5"]\nmodel.arch = ["lenet-5"]\n[hosts]\nraspberry-pi-5 = "pi@x"')
    assert (cell.device, cell.host) == ("raspberry-pi-5", "pi@x")


def test_a_name_leads_out_of_no_folder(tmp_path: Path) -> None:
    (cell,) = cells(tmp_path, '[[build]]\nname = "../../etc/passwd"\nmodel.arch = "lenet-5"')
    assert "/" not in cell.name and not cell.name.startswith(".")


def test_more_builds_than_anybody_means_are_refused_before_any_is_looked_at(tmp_path: Path) -> None:
    numbers = list(range(1, 102))
    with pytest.raises(EdgecnnError, check=SWEEP_TOO_LARGE.made) as caught:
        cells(tmp_path, f"[grid]\ntrain.epochs = {numbers}\ntrain.seed = {numbers}")
    assert (caught.value.ref, caught.value.fields["builds"]) == ("sweep-too-large", 10201)


def test_a_recipe_that_is_none_is_refused_as_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('schema = "edgecnn.recipe/2"\n[train]\nepoch = 1\n', encoding="utf-8")
    with pytest.raises(EdgecnnError, match="the nearest is train.epochs", check=RECIPE_INVALID.made):
        cells(tmp_path, 'recipe = "./base.toml"\n[grid]\nmodel.arch = ["lenet-5"]')


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('recipe = "a\\u0000.toml"', "recipe"),
        ('boards = "a\\u0000.toml"\n[grid]\nmodel.arch = ["lenet-5"]', "boards"),
        ('[set]\ndata.path = "a\\u0000"\n[grid]\nmodel.arch = ["lenet-5"]', "set.data.path"),
        ('[grid]\nmodel.onnx = ["a\\u0000.onnx"]', "grid.model.onnx.0"),
        ('[devices.cpu]\ndata.classes = "a\\u0000"\n[grid]\nmodel.arch = ["lenet-5"]', "devices.cpu.data.classes"),
        ('[[build]]\nname = "a\\u0000"\nmodel.arch = "lenet-5"', "build.0.name"),
        ('[hosts]\ncpu = "a\\u0000"\n[grid]\nmodel.arch = ["lenet-5"]', "hosts.cpu"),
    ],
)
def test_a_text_with_a_nul_is_refused_by_its_key(text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match=f"{key} must not hold a NUL character", check=SWEEP_INVALID.made):
        cells(tmp_path, text)
