"""Whatever stands in a device file, in a shipped file with a slip, or in several overrides: a value or an error of ours."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, find, given, settings
from hypothesis import strategies as st

from edgecnn.devices.files import load_device_file, load_devices
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.installed import resource_folder
from edgecnn.planning.recipe import apply_overrides, load_pipelines, load_recipe
from edgecnn.values.device import Device
from edgecnn.values.recipe import Recipe
from edgecnn.values.toml import dotted_keys

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TEXTS = st.text(max_size=12)
VALUES = st.one_of(
    st.booleans(),
    st.integers(min_value=-(10**30), max_value=10**30).map(str),
    st.floats().map(lambda number: repr(number) if number == number else "nan"),
    st.sampled_from(["1e999", "-0", "0x10", "1979-05-27", "12:00:00", "[[]]", "{}", "{a = 1}", "[1, 'x']", "'''", '"\\u0000"']),
    TEXTS.map(lambda text: '"' + text.encode("unicode_escape").decode("ascii").replace('"', "").replace("\\", "") + '"'),
)
"""How a value may be spelled in TOML: right, of another type, out of range, or not at all."""


def ends_well(read: Callable[[], Any]) -> None:
    """A value, or an error that a user can act on: its text on one line, its code that of bad input."""
    try:
        read()
    except EdgecnnError as error:
        said = str(error)
        assert said.strip()
        assert "\n" not in said
        assert error.exit_code is ExitCode.BAD_INPUT


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _file(keys: dict[str, object]) -> str:
    """TOML of dotted keys, which need no tables."""
    return "".join(f"{key} = {_spelled(value)}\n" for key, value in keys.items())


RECIPE_KEYS = st.sampled_from([*dotted_keys(Recipe), "model", "train.epoch", "gates.max.drop_pp", "schema", '""', "a.b.c"])
DEVICE_KEYS = st.sampled_from([*dotted_keys(Device), "runtimes.onnxruntime.version", "runtimes.tensorrt", "schema", "processor"])


@FUZZ
@given(keys=st.dictionaries(DEVICE_KEYS, VALUES, max_size=5))
def test_a_device_of_right_and_wrong_keys(tmp_path: Path, keys: dict[str, object]) -> None:
    path = tmp_path / "board.toml"
    path.write_text(_file(keys), encoding="utf-8", errors="surrogatepass")
    ends_well(lambda: load_device_file(path))


@FUZZ
@given(data=st.binary(max_size=200))
@example(data=b"\xff\xfe")
@example(data=b"[" * 5000)
@example(data=b"a = " + b"1" * 5000)
@example(data=b"\x00")
def test_bytes_that_are_no_device(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "board.toml"
    path.write_bytes(data)
    ends_well(lambda: load_device_file(path))


@FUZZ
@given(damage=st.data())
def test_a_shipped_file_of_which_one_line_was_changed(tmp_path: Path, damage: st.DataObject) -> None:
    """Most wrong files are right ones with a slip."""
    shipped = [*((pipeline.path, load_recipe) for pipeline in load_pipelines().values())]
    shipped += [(resource_folder("devices") / f"{name}.toml", load_device_file) for name in load_devices()]
    source, read = damage.draw(st.sampled_from(shipped))
    lines = source.read_text(encoding="utf-8").splitlines()
    at = damage.draw(st.integers(0, len(lines) - 1))
    kind = damage.draw(st.sampled_from(["drop", "double", "cut", "value", "junk"]))
    if kind == "drop":
        del lines[at]
    elif kind == "double":
        lines.insert(at, lines[at])
    elif kind == "cut":
        lines[at] = lines[at][: damage.draw(st.integers(0, len(lines[at])))]
    elif kind == "value":
        lines[at] = lines[at].partition("=")[0] + "= " + _spelled(damage.draw(VALUES))
    else:
        lines[at] = damage.draw(TEXTS)
    path = tmp_path / source.name
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    ends_well(lambda: read(path))


@FUZZ
@given(overrides=st.lists(st.one_of(TEXTS, st.tuples(RECIPE_KEYS, VALUES).map(lambda pair: f"{pair[0]}={_spelled(pair[1])}"))))
def test_overrides_of_right_and_wrong_keys(overrides: list[str]) -> None:
    ends_well(lambda: apply_overrides(Recipe(), overrides))


@pytest.mark.parametrize("good", [True, False])
def test_the_spellings_hold_good_toml_and_bad(good: bool) -> None:
    """Else the fuzz would only ever see the parser's refusal, or never."""

    def parses(value: object) -> bool:
        try:
            tomllib.loads(f"a = {_spelled(value)}")
        except ValueError:
            return False
        return True

    find(VALUES, lambda value: parses(value) is good)
