"""Recipes are read whole or refused whole: every problem at once, the nearest right key, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgecnn.devices.files import parse_target
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.recipes import (
    FILE_UNREADABLE,
    NOT_TOML,
    RECIPE_INVALID,
    RECIPE_TOO_NEW,
    RECIPE_TOO_OLD,
    UNKNOWN_PIPELINE,
)
from edgecnn.planning.recipe import RENAMED, SCHEMA, apply_overrides, load_pipelines, load_recipe, pipeline_names
from edgecnn.runner.causes import cause_in
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.settings import default_epochs
from edgecnn.values.candidate import ALL_RUNTIMES, Runtime
from edgecnn.values.recipe import Recipe
from edgecnn.values.toml import dotted_keys

SHIPPED = pipeline_names()


def written(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(f'schema = "{SCHEMA}"\n' * ("schema" not in text) + text, encoding="utf-8")
    return path


def test_the_five_first_pipelines_are_shipped_and_each_has_a_summary() -> None:
    pipelines = load_pipelines()
    assert {"ci-gate", "demo", "efficientnet-on-jetson", "mobilenet-on-raspberry-pi", "resnet-on-openvino"} <= set(pipelines)
    assert all(pipeline.summary.endswith(".") for pipeline in pipelines.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pipeline_is_a_recipe_for_a_shipped_device_that_has_its_runtime(name: str) -> None:
    recipe = load_recipe(name)
    target = recipe.target
    asked = target.device if target.runtime is None else f"{target.device}:{target.runtime.value}"
    assert parse_target(asked).runtime is target.runtime


def test_the_demo_says_its_resolution_and_its_epochs() -> None:
    demo = load_recipe("demo")
    assert demo.data.path == "demo"
    assert demo.model.resolution_px == ImageSize.square(64)
    assert demo.train.epochs == default_epochs("scratch", 3_700), "as many as when nothing is said, so that the keys are the same"


def test_the_ci_gate_states_bounds_and_requires_measurements() -> None:
    gates = load_recipe("ci-gate").gates
    assert gates.require_measured
    assert {"drop_pp", "p99_ms", "size_mib"} <= set(gates.max)


def test_a_recipe_is_read_from_a_path(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, '[target]\ndevice = "intel-cpu"\nruntime = "openvino"\n[gates.max]\np99_ms = 20\n'))
    assert recipe.target.runtime is Runtime.OPENVINO
    assert recipe.gates.max == {"p99_ms": 20.0}
    assert recipe.model.arch == "efficientnet-b0", "what is unset keeps its default"


def test_a_recipe_is_validated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, calls = written(tmp_path, "[train]\nepochs = 3\n"), []
    real = Recipe.model_validate_json
    monkeypatch.setattr(Recipe, "model_validate_json", lambda *given, **named: calls.append(1) or real(*given, **named))
    recipe = load_recipe(path)
    assert len(calls) == 1
    assert apply_overrides(recipe, ["train.epochs=4"]).train.epochs == 4
    assert len(calls) == 2


def test_what_a_file_leaves_unset_stays_unset(tmp_path: Path) -> None:
    assert load_recipe(written(tmp_path, "[train]\nepochs = 3\n")).model_fields_set == {"schema_", "train"}


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(b'\xef\xbb\xbfschema = "edgecnn.recipe/2"\r\n' + b"[train]\r\nepochs = 3\r\n")
    assert load_recipe(path).train.epochs == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[train]\nepochs = 3\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        (b"#" * ((1 << 20) + 1), "it is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_recipe_is_named_by_what_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(content)
    with pytest.raises(EdgecnnError, check=FILE_UNREADABLE.made) as caught:
        load_recipe(path)
    assert caught.value.line() == f"{path} cannot be read: {reason} [file-unreadable]"


def test_a_device_without_an_end_is_not_read() -> None:
    with pytest.raises(EdgecnnError, match="not a regular file", check=FILE_UNREADABLE.made):
        load_recipe("/dev/zero")


def test_an_unknown_pipeline_names_the_nearest() -> None:
    with pytest.raises(EdgecnnError, match="did you mean ci-gate\\?", check=UNKNOWN_PIPELINE.made):
        load_recipe("ci-gates")


def test_every_problem_is_named_at_once_with_the_nearest_right_key(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "epochs = 3\n[train]\nepoch = 3\nbatch_size = 0\nlearning_rate = nan\nseed = 99999999999999999999\n[model]\narch = 18\n"
        '[target]\nruntime = "onnx"\n[race]\nrounds = 4\nsamples = "many"\n[gates]\nmax = { p99_ms = "20" }\n[dta]\npath = "x"\n',
    )
    runtimes = [*(repr(runtime.value) for runtime in Runtime if runtime.ships), repr(ALL_RUNTIMES)]
    with pytest.raises(EdgecnnError, check=RECIPE_INVALID.made) as caught:
        load_recipe(path)
    assert caught.value.line() == (
        f"recipe {path} has 11 problems: "
        "train.learning_rate must be a finite number, not nan; "
        "train.seed must fit in 64 bits; "
        "model.arch must be text in quotes, not 18; "
        "train.batch_size must be greater than 0, not 0; "
        "train.epoch is not a key, the nearest is train.epochs; "
        f'target.runtime must be {", ".join(runtimes[:-1])} or {runtimes[-1]}, not "onnx"; '
        "race.rounds must be at least 8, not 4; "
        'race.samples must be a whole number, not "many"; '
        'gates.max.p99_ms must be a number, not "20"; '
        "epochs is not a key, the nearest is train.epochs; "
        "dta is not a key, the nearest is data "
        "— docs/schemas/recipe.json lists every key [recipe-invalid]"
    )


def test_a_table_where_a_value_belongs_and_a_value_where_a_table_belongs(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=RECIPE_INVALID.made) as caught:
        load_recipe(written(tmp_path, 'train = 3\n[model.arch]\nname = "x"\n'))
    assert caught.value.because == 'model.arch must be text in quotes, not {"name": "x"}; train must be a table, not 3'


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "[model]\narch = resnet-18\n")
    with pytest.raises(EdgecnnError, check=NOT_TOML.made) as caught:
        load_recipe(path)
    assert caught.value.line().startswith(f"{path}:3 is not valid TOML: Invalid value")


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        EdgecnnError, match=r"nowhere\.toml cannot be read: no such file or directory", check=FILE_UNREADABLE.made
    ):
        load_recipe("nowhere.toml")
    path = tmp_path / "my.toml"
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(EdgecnnError, check=FILE_UNREADABLE.made) as caught:
        load_recipe(path)
    assert caught.value.line() == f"{path} cannot be read: byte 5 is not valid UTF-8 [file-unreadable]"


def test_a_recipe_of_a_later_edgecnn_is_refused_before_its_keys_are_judged(tmp_path: Path) -> None:
    path = written(tmp_path, 'schema = "edgecnn.recipe/3"\nfuture = true\n')
    with pytest.raises(EdgecnnError, check=RECIPE_TOO_NEW.made) as caught:
        load_recipe(path)
    assert caught.value.ref == "recipe-too-new"


def test_a_recipe_of_an_earlier_edgecnn_is_told_what_its_keys_are_called_now(tmp_path: Path) -> None:
    path = written(tmp_path, 'schema = "edgecnn.recipe/1"\n[data]\nchoose_share = 0.1\n')
    with pytest.raises(EdgecnnError, check=RECIPE_TOO_OLD.made) as caught:
        load_recipe(path)
    assert caught.value.ref == "recipe-too-old"
    assert set(RENAMED.values()) <= set(dotted_keys(Recipe))


def test_a_schema_of_something_else_is_an_invalid_recipe(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match="schema must be 'edgecnn.recipe/2'", check=RECIPE_INVALID.made):
        load_recipe(written(tmp_path, 'schema = "edgecnn.device/2"\n'))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass"))))
@example(content=b"\x89PNG\n")
def test_no_bytes_in_a_recipe_file_end_in_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.toml"
    path.write_bytes(content)
    read_or_refused(path)


SCALARS = st.sampled_from(
    [
        "3",
        "-1",
        "0.5",
        "nan",
        "-inf",
        "1e400",
        "true",
        '"text"',
        '""',
        "[]",
        "[[1], 'a']",
        "{}",
        "{a = 1}",
        "1979-05-27",
        "07:32:00",
    ]
    + ["0x" + "f" * 20, "'''\n'''", "9223372036854775808", "[" * 40 + "]" * 40]
)
TABLES = st.sampled_from(
    ["schema", "model", "data", "train", "quantize", "target", "race", "gates", "gates.max", "gates.min", "other"]
)
NAMES = st.sampled_from(sorted({key.rpartition(".")[2] for key in dotted_keys(Recipe)} | {"typo", '"with space"', '""'}))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables=st.dictionaries(TABLES, st.one_of(SCALARS, st.dictionaries(NAMES, SCALARS, max_size=4)), max_size=4))
def test_no_toml_in_a_recipe_file_ends_in_a_traceback(tmp_path: Path, tables: dict[str, str | dict[str, str]]) -> None:
    lines = [f"{name} = {value}" for name, value in tables.items() if isinstance(value, str)]
    for name, inner in tables.items():
        if isinstance(inner, dict):
            lines += [f"[{name}]", *(f"{key} = {value}" for key, value in inner.items())]
    read_or_refused(written(tmp_path, "\n".join(lines)))


def read_or_refused(path: Path) -> None:
    try:
        assert isinstance(load_recipe(path), Recipe)
    except EdgecnnError as error:
        assert str(path) in error.line()
        known_cause = cause_in(path.read_bytes()) is not None
        refs = {"file-unreadable", "not-toml", "recipe-invalid", "recipe-too-new", "recipe-without-schema"}
        assert error.ref in ({"wrong-bytes"} if known_cause else refs)


def test_a_misspelt_suffix_names_the_recipe_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pi.toml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgecnnError, check=UNKNOWN_PIPELINE.made) as caught:
        load_recipe("pi.tml")
    assert caught.value.ref == "unknown-pipeline"


@pytest.mark.parametrize(
    ("text", "because"),
    [("", "it is empty"), ("# gates\n\n", "it is empty"), ("[train]\nepochs = 3\n", "it has no key schema")],
)
def test_a_recipe_without_a_schema_is_refused(tmp_path: Path, text: str, because: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EdgecnnError) as caught:
        load_recipe(path)
    assert (caught.value.ref, caught.value.because) == ("recipe-without-schema", because)
