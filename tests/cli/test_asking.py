"""From flags to a request: the more specific wins, and what cannot be meant is refused with the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.cli.asking import BuildOptions, command_of, request_from
from edgecnn.cli.options import options_settling
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.installed import resource_folder
from edgecnn.values.candidate import Runtime
from edgecnn.values.recipe import Recipe


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(
        'schema = "edgecnn.recipe/2"\n[model]\narch = "resnet-50"\nweights = "imagenet"\n[data]\npath = "from-file"\nseed = 7\n'
        '[train]\nepochs = 1\n[target]\ndevice = "raspberry-pi-5"\n'
    )
    return str(path)


def asked_for(**flags: object) -> Recipe:
    return request_from(BuildOptions(**flags), "judge").recipe  # type: ignore[arg-type]


def refusal(**flags: object) -> str:
    with pytest.raises(EdgecnnError) as caught:
        asked_for(**flags)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    return caught.value.line()


def test_the_recipe_file_says_what_no_flag_says(recipe: str) -> None:
    request = asked_for(recipe=recipe)
    assert (request.model.arch, request.model.weights, request.data.path, request.data.seed, request.train.epochs) == (
        "resnet-50", "imagenet", str(Path(recipe).parent / "from-file"), 7, 1,
    )  # fmt: skip
    assert request.target.device == "raspberry-pi-5"


def test_set_wins_over_the_recipe_file(recipe: str) -> None:
    request = asked_for(recipe=recipe, overrides=("train.epochs=3", "model.arch=resnet-18", "data.path=from-set"))
    assert (request.train.epochs, request.model.arch, request.data.path) == (3, "resnet-18", "from-set")
    assert (request.data.seed, request.model.weights) == (7, "imagenet")


def test_named_flags_win_over_set_and_over_the_recipe_file(recipe: str) -> None:
    request = asked_for(
        recipe=recipe, arch="mobilenet-v3-small", weights="none", data="from-flag", target="cpu:openvino",
        overrides=("model.arch=resnet-18", "model.weights=auto", "data.path=from-set", "target.device=jetson"),
    )  # fmt: skip
    assert (request.model.arch, request.model.weights, request.data.path) == ("mobilenet-v3-small", "none", "from-flag")
    assert (request.target.device, request.target.runtime) == ("cpu", Runtime.OPENVINO)
    assert request.train.epochs == 1


def test_a_target_flag_without_a_runtime_means_all_whatever_the_recipe_named(recipe: str) -> None:
    assert asked_for(recipe=recipe, target="cpu", overrides=("target.runtime=openvino",)).target.runtime is None


def test_an_alias_is_settled_to_the_device_s_own_name() -> None:
    assert asked_for(target="jetson").target.device == "jetson-orin-nano"


def test_results_lie_under_the_network_s_and_the_device_s_name_unless_told_otherwise(tmp_path: Path) -> None:
    options = BuildOptions(arch="resnet-18", target="jetson")
    assert request_from(options, "judge").out == Path("builds/resnet-18-jetson-orin-nano")
    assert request_from(BuildOptions(out=str(tmp_path)), "judge").out == tmp_path


def test_bounds_of_the_command_of_are_the_request_s_and_not_the_recipe_s() -> None:
    request = request_from(BuildOptions(at_most=("p99_ms=20",), at_least=("top1=0.8",), require_measured=True), "judge")
    assert request.gates is not None
    assert (request.gates.max, request.gates.min, request.gates.require_measured) == ({"p99_ms": 20}, {"top1": 0.8}, True)
    assert request.recipe.gates.max == {}


def test_two_runtimes_of_one_recipe_contradict_each_other() -> None:
    assert "[runtimes-contradict]" in refusal(overrides=("target.device=cpu:openvino", "target.runtime=onnxruntime"))


@pytest.mark.parametrize(
    ("flags", "nearest", "ref"),
    [
        ({"arch": "resnet18"}, "did you mean resnet-18", "unknown-arch"),
        ({"target": "jetsn"}, "did you mean jetson? ", "unknown-device"),
        ({"target": "cpu:openvin"}, "--target cpu:openvino", "unknown-runtime"),
        ({"at_most": ("p95_ms=20",)}, "did you mean p9", "unknown-metric"),
        ({"overrides": ("train.epoch=3",)}, "train.epoch is not a key, the nearest is train.epochs", "overrides-invalid"),
        ({"overrides": ("modle.arch=resnet-18",)}, "the nearest is model.arch", "overrides-invalid"),
        ({"recipe": "dmeo"}, "did you mean demo? ", "unknown-pipeline"),
    ],
)
def test_a_typo_is_refused_with_the_nearest_right_name(flags: dict[str, object], nearest: str, ref: str) -> None:
    line = refusal(**flags)
    assert nearest in line
    assert line.endswith(f"[{ref}]")


def test_every_typo_of_set_is_named_at_once() -> None:
    line = refusal(overrides=("train.epoch=3", "race.rounds=two", "nothing"))
    assert "train.epochs" in line
    assert "race.rounds must be a whole number" in line
    assert "'nothing' is not KEY=VALUE" in line


def test_paths_of_a_recipe_file_count_from_the_file_and_those_of_flags_from_here(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert asked_for(recipe="../mine.toml").data.path == str(tmp_path / "from-file")
    assert asked_for(recipe="../mine.toml", data="photos").data.path == "photos"
    assert asked_for(recipe="../mine.toml", overrides=("data.path=photos",)).data.path == "photos"


def test_an_empty_out_is_no_wish_for_the_current_folder() -> None:
    from edgecnn.errors.recipes import EMPTY_OPTION

    with pytest.raises(EdgecnnError, match="--out", check=EMPTY_OPTION.made):
        request_from(BuildOptions(arch="resnet-18", out=""), "judge")


def test_the_command_that_asks_again_names_the_recipe_and_not_what_it_says(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = request_from(BuildOptions(recipe="mine.toml", overrides=("train.epochs=3",)), "judge")
    assert str(request.command) == "edgecnn build mine.toml --set train.epochs=3"
    words = list(request.command.words)
    again = request_from(BuildOptions(recipe=words[2], overrides=(words[4],)), "judge")
    assert again.recipe == request.recipe
    assert again.recipe.data.path == str(tmp_path / "from-file")


def test_an_empty_text_is_a_variable_that_was_not_set() -> None:
    for flag, option in (("data", "--data"), ("weights", "--weights"), ("arch", "--arch"), ("recipe", "RECIPE")):
        assert refusal(**{flag: " "}).startswith(f"{option} is empty: ")
    assert refusal(overrides=("",)).startswith("--set is empty: ")


def test_a_text_that_is_no_utf_8_is_refused_before_it_reaches_a_report() -> None:
    assert "[option-not-unicode]" in refusal(data="caf\udce9")
    assert "of --out is not" in refusal(out="caf\udce9")


@pytest.mark.parametrize("verb", ["plan", "build"])
def test_a_data_path_that_can_name_no_folder_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    import typer.testing

    from edgecnn.cli.main import app

    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    words = [verb, "--data", "~nobody-of-this-name/photos", "--weights", "none", "--out", str(tmp_path / "out"), "--quiet"]
    done = typer.testing.CliRunner().invoke(app, words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert done.stderr.endswith("[data-path-unusable]\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["plan", "build"])
def test_a_weights_file_that_cannot_be_read_ends_a_plan_and_a_build_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    import typer.testing

    from edgecnn.cli.main import app

    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    (tmp_path / "mine.pth").write_text("not weights")
    words = [verb, "--weights", str(tmp_path / "mine.pth"), "--out", str(tmp_path / "out"), "--quiet"]
    done = typer.testing.CliRunner().invoke(app, words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "[weights-unreadable]" in done.stderr


def test_the_command_that_asks_again_asks_the_same(tmp_path: Path) -> None:
    import typer.testing

    from edgecnn.cli.main import app

    options = BuildOptions(
        recipe="demo", arch="resnet-18", target="cpu:openvino", data="my photos", weights="none", out=str(tmp_path / "my out"),
        overrides=("train.epochs=3",), at_most=("drop_pp=2",), at_least=("top1=0.5",), require_measured=True,
        meter="my meter.csv", host="pi@10.0.0.5", python="~/venv/bin/python", clean=True,
    )  # fmt: skip
    words = list(command_of(options).words)
    assert words[:3] == ["edgecnn", "build", "demo"]
    heard = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgecnn.cli.build.request_from", lambda again, goal: heard.append(again))
        typer.testing.CliRunner().invoke(app, words[1:])
    assert heard == [options]


def test_until_is_a_share_of_the_request_and_stays_in_the_command() -> None:
    options = BuildOptions(arch="resnet-18", until="2%", verb="profile")
    request = request_from(options, "profile")
    assert request.until == 0.02
    assert list(request.command.words) == ["edgecnn", "profile", "--arch", "resnet-18", "--until", "2%"]
    assert request_from(BuildOptions(), "judge").until is None


def test_what_is_measured_beyond_the_race_is_of_the_request_and_stays_in_the_command() -> None:
    options = BuildOptions(batches="1,best", end_to_end=True, soak="60s", verb="profile")
    request = request_from(options, "profile")
    assert (request.extra_runs.batches, request.extra_runs.best_batch) == ((1,), True)
    assert (request.extra_runs.end_to_end, request.extra_runs.soak_s) == (True, 60.0)
    assert str(request.command) == "edgecnn profile --batches 1,best --soak 60s --end-to-end"


def test_a_user_s_own_device_file_is_remembered_and_a_shipped_device_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (resource_folder("devices") / "raspberry-pi-5.toml").read_text()
    (tmp_path / "mine.toml").write_text(shipped.replace('"raspberry-pi-5"', '"my-board"'))
    monkeypatch.chdir(tmp_path)
    own = request_from(BuildOptions(target="./mine.toml:onnxruntime"), "judge")
    assert (own.device.name, own.device_file) == ("my-board", tmp_path / "mine.toml")
    assert request_from(BuildOptions(target="raspberry-pi-5"), "judge").device_file is None


def test_knobs_are_a_wish_of_the_recipe_too_and_stay_in_the_command() -> None:
    request = request_from(BuildOptions(arch="resnet-18", knobs=True), "judge")
    assert (request.recipe.race.knobs, str(request.command)) == (True, "edgecnn build --arch resnet-18 --knobs")
    assert request_from(BuildOptions(overrides=("race.knobs=true",)), "judge").recipe.race.knobs
    assert not request_from(BuildOptions(), "judge").recipe.race.knobs
    assert options_settling(BuildOptions(knobs=True), "how to build") == ("--knobs",)


@pytest.mark.parametrize("objective", ["latency", "size", "throughput", "energy"])
def test_the_objective_is_a_wish_of_the_recipe_too_and_stays_in_the_command(objective: str) -> None:
    request = request_from(BuildOptions(arch="resnet-18", objective=objective), "judge")
    assert request.recipe.choice.objective == objective
    assert str(request.command) == f"edgecnn build --arch resnet-18 --objective {objective}"
    assert request_from(BuildOptions(overrides=(f"choice.objective={objective}",)), "judge").recipe.choice.objective == objective
    assert options_settling(BuildOptions(objective=objective), "how to build") == ("--objective",)


def test_an_objective_that_nobody_knows_is_refused() -> None:
    with pytest.raises(EdgecnnError, match="choice.objective"):
        request_from(BuildOptions(objective="speed"), "judge")


def test_a_time_budget_is_of_this_call_and_stays_in_the_command() -> None:
    request = request_from(BuildOptions(arch="resnet-18", time_budget="10min"), "judge")
    assert (request.time_budget_s, str(request.command)) == (600.0, "edgecnn build --arch resnet-18 --time-budget 10min")


def test_what_is_asked_of_pretrained_weights_stays_in_the_command_and_says_how_to_build() -> None:
    """A hand-kept list once lacked it."""
    options = BuildOptions(arch="resnet-18", refresh_weights=True)
    assert str(command_of(options)) == "edgecnn build --arch resnet-18 --refresh-weights"
    assert options_settling(options, "how to build") == ("--arch", "--refresh-weights")
