"""Device files: the shipped ones state sourced facts, and a user's own is read whole or refused with every problem."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from edgecnn.devices.files import device_named, load_device_file, load_devices, parse_target
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.devices import DEVICE_FILE_INVALID, DEVICE_NAME_SHIPPED, DEVICE_NAME_TAKEN
from edgecnn.errors.recipes import FILE_UNREADABLE, NOT_TOML
from edgecnn.installed import resource_folder
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.device import Device, Sourced

SHIPPED = tuple(load_devices())
BOARD = """
name = "my-board"
title = "A board"
usually_attached = false
match = {}
processor = { architecture = "aarch64", model = "Cortex-A55", isa = ["asimddp"], source = "https://example.org/board" }

[runtimes.onnxruntime]
versions = ">=1.19,<2"
python = ">=3.11"
onnx_opset_max = 21
onnx_ir_max = 10
precisions = { fp32 = "native", int8 = "native" }
source = "https://example.org/runtime"
"""


def sourced_facts(device: Device) -> list[tuple[str, Sourced]]:
    facts: list[tuple[str, Sourced]] = [("processor", device.processor)]
    facts += [(name, fact) for name, fact in (("accelerator", device.accelerator), ("memory", device.memory)) if fact is not None]
    facts += [] if device.facts_only is None else [("facts only", device.facts_only)]
    return facts + [(runtime.value, fact) for runtime, fact in device.runtimes.items()]


def written(folder: Path, text: str) -> Path:
    path = folder / "my-board.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_five_first_devices_are_shipped() -> None:
    assert {"cpu", "intel-cpu", "jetson-orin-nano", "raspberry-pi-5", "rtx-4090"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_fact_of_a_shipped_device_has_a_page_or_says_why_not(name: str) -> None:
    for what, fact in sourced_facts(device_named(name)):
        assert re.search(r"https?://\S+\.\S+/", fact.source) or fact.source.startswith("reason: "), what


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_device_states_every_precision_and_valid_version_ranges(name: str) -> None:
    for runtime, facts in device_named(name).runtimes.items():
        assert set(facts.precisions) == set(Precision) - {Precision.TF32}, f"{runtime}: tf32 is of the desktop GPU's part alone"
        SpecifierSet(facts.versions)
        SpecifierSet(facts.python)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_device_is_found_under_the_name_of_its_file(name: str) -> None:
    assert load_device_file(resource_folder("devices") / f"{name}.toml").name == name


def test_jetson_is_an_alias() -> None:
    assert device_named("jetson") is device_named("jetson-orin-nano")


def test_the_jetson_is_what_jetpack_6_makes_it() -> None:
    jetson = device_named("jetson")
    assert jetson.accelerator is not None and jetson.accelerator.compute_capability == "8.7"
    tensorrt = jetson.runtimes[Runtime.TENSORRT]
    assert "3.10.12" in SpecifierSet(tensorrt.python) and "3.11.0" not in SpecifierSet(tensorrt.python)
    assert "10.3.0" in SpecifierSet(tensorrt.versions)


def test_the_rtx_4090_is_a_baseline_and_no_target() -> None:
    assert device_named("rtx-4090").role == "baseline"


def test_two_files_with_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(resource_folder("devices") / "cpu.toml", tmp_path / "a.toml")
    shutil.copy(resource_folder("devices") / "cpu.toml", tmp_path / "b.toml")
    monkeypatch.setattr("edgecnn.devices.files.resource_folder", lambda name: tmp_path)
    with pytest.raises(EdgecnnError, check=DEVICE_NAME_TAKEN.made) as caught:
        load_devices.__wrapped__()
    assert caught.value.ref == "device-name-taken"


@pytest.mark.parametrize("name", ["cpu", "jetson"], ids=["name", "alias"])
def test_a_file_that_gives_other_facts_under_a_shipped_name_is_refused(tmp_path: Path, name: str) -> None:
    own = written(tmp_path, BOARD.replace('"my-board"', f'"{name}"'))
    with pytest.raises(EdgecnnError, check=DEVICE_NAME_SHIPPED.made) as caught:
        parse_target(f"{own}:onnxruntime")
    assert caught.value.ref == "device-name-shipped"
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("file", ["cpu.toml", "+.toml"])
def test_the_name_that_is_suggested_is_one_that_a_device_file_may_have(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text(BOARD.replace('"my-board"', '"cpu"'))
    with pytest.raises(EdgecnnError, match='such as name = "my-cpu"', check=DEVICE_NAME_SHIPPED.made):
        parse_target(str(tmp_path / file))


def test_an_unchanged_copy_of_a_shipped_file_is_that_device(tmp_path: Path) -> None:
    shutil.copy(resource_folder("devices") / "cpu.toml", tmp_path / "mine.toml")
    assert parse_target(str(tmp_path / "mine.toml")).device == device_named("cpu")


def test_a_copy_of_a_shipped_file_with_another_name_keeps_its_aliases_to_itself(tmp_path: Path) -> None:
    text = (resource_folder("devices") / "cpu.toml").read_text().replace('name = "cpu"', 'name = "my-cpu"')
    assert parse_target(str(written(tmp_path, text))).device.name == "my-cpu"
    assert parse_target("local").device.name == "cpu"


def test_every_problem_of_a_device_file_is_named_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    text = BOARD.replace("onnx_opset_max = 21", 'onnx_opset_max = "21"\nopset_max = 3').replace(
        "[runtimes.onnxruntime]", "[runtimes.onnx-runtime]"
    )
    path = written(tmp_path, text.replace("usually_attached", "usualy_attached").replace('fp32 = "native"', 'fp32 = "fast"'))
    with pytest.raises(EdgecnnError, check=DEVICE_FILE_INVALID.made) as caught:
        load_device_file(path)
    assert caught.value.line() == (
        f"device file {path} has 6 problems: "
        "usually_attached is missing; "
        "runtimes.onnx-runtime is not a key, the nearest is runtimes.onnxruntime; "
        'runtimes.onnx-runtime.onnx_opset_max must be a whole number, not "21"; '
        "runtimes.onnx-runtime.precisions.fp32 must be 'native', 'slow' or 'none', not \"fast\"; "
        "runtimes.onnx-runtime.opset_max is not a key, the nearest is runtimes.onnx-runtime.onnx_opset_max; "
        "usualy_attached is not a key, the nearest is usually_attached "
        "— docs/schemas/device.json lists every key [device-file-invalid]"
    )


def test_a_device_without_a_runtime_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, BOARD.partition("[runtimes.onnxruntime]")[0] + "runtimes = {}\n")
    with pytest.raises(
        EdgecnnError, match="has 1 problem: runtimes must list at least one runtime", check=DEVICE_FILE_INVALID.made
    ):
        load_device_file(path)


@pytest.mark.parametrize("precisions", ['{ fp32 = "none", int8 = "none" }', "{}"], ids=["all-none", "empty"])
def test_a_runtime_that_computes_in_nothing_is_refused_with_its_key(tmp_path: Path, precisions: str) -> None:
    path = written(tmp_path, BOARD.replace('{ fp32 = "native", int8 = "native" }', precisions))
    with pytest.raises(EdgecnnError, check=DEVICE_FILE_INVALID.made) as caught:
        load_device_file(path)
    assert caught.value.line() == (
        f"device file {path} has 1 problem: runtimes.onnxruntime.precisions must be native or slow for at least one precision "
        "— docs/schemas/device.json lists every key [device-file-invalid]"
    )


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "my-board"\ntitle = A board\n')
    with pytest.raises(EdgecnnError, check=NOT_TOML.made) as caught:
        load_device_file(path)
    assert (caught.value.ref, caught.value.fields["reason"]) == ("not-toml", "Invalid value")


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=FILE_UNREADABLE.made) as caught:
        parse_target("./nowhere.toml")
    assert caught.value.line() == "nowhere.toml cannot be read: no such file or directory [file-unreadable]"
    with pytest.raises(EdgecnnError, match="is a directory", check=FILE_UNREADABLE.made):
        load_device_file(tmp_path)


def test_a_version_range_that_is_none_is_refused_with_the_key(tmp_path: Path) -> None:
    text = (resource_folder("devices") / "cpu.toml").read_text().replace('">=1.19,<2"', '"abc"')
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(EdgecnnError, check=DEVICE_FILE_INVALID.made) as raised:
        load_device_file(path)
    assert "runtimes.onnxruntime.versions" in raised.value.line()
    assert "'abc' is not a version range such as '>=1.19,<2'" in raised.value.line()
