"""Device files: the shipped ones state sourced facts, and a user's own is read whole or refused with every problem."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from edgecnn.devices.files import device_named, load_device_file, load_devices, parse_target, runtime_of, target_of
from edgecnn.devices.this_machine import local_facts, matches, with_local_facts
from edgecnn.errors.base import ExitCode
from edgecnn.errors.devices import (
    DeviceFileInvalid,
    DeviceNameShipped,
    DeviceNameTaken,
    RuntimeNotOnDevice,
    RuntimesContradict,
    UnknownDevice,
    UnknownRuntime,
)
from edgecnn.errors.recipes import FileUnreadable, NotToml
from edgecnn.resources import resource_folder
from edgecnn.values.board import LocalFacts
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.device import Device, Sourced
from edgecnn.values.recipe import TargetChoice

SHIPPED = tuple(load_devices())
THIS_MACHINE = LocalFacts(
    architecture="x86_64", cpu_vendor="GenuineIntel", models=(), isa=("avx512_vnni",), cores=2, memory_mib=2048
)
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
    with pytest.raises(DeviceNameTaken) as caught:
        load_devices.__wrapped__()
    assert caught.value.line() == "the devices cpu and cpu both answer to 'cpu' [device-name-taken]"


def test_a_target_is_a_device_and_perhaps_a_runtime(tmp_path: Path) -> None:
    assert parse_target("cpu") == (device_named("cpu"), None)
    assert parse_target("jetson:tensorrt") == (device_named("jetson"), Runtime.TENSORRT)
    own = written(tmp_path, BOARD)
    assert parse_target(str(own)).device.name == "my-board"
    assert parse_target(f"{own}:onnxruntime").runtime is Runtime.ONNXRUNTIME


def test_a_tilde_in_the_path_of_a_device_file_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, BOARD)
    assert parse_target("~/my-board.toml").device.name == "my-board"
    assert target_of(TargetChoice(device="~/my-board.toml:onnxruntime"), None).runtime is Runtime.ONNXRUNTIME
    with pytest.raises(FileUnreadable, match="~nobody-of-this-name/my-board.toml"):
        parse_target("~nobody-of-this-name/my-board.toml")


def test_a_folder_of_a_device_file_may_hold_a_colon(tmp_path: Path) -> None:
    (tmp_path / "boards:v2").mkdir()
    own = written(tmp_path / "boards:v2", BOARD)
    assert parse_target(str(own)).device.name == "my-board"
    assert parse_target(f"{own}:onnxruntime").runtime is Runtime.ONNXRUNTIME


def test_an_unknown_device_names_the_nearest() -> None:
    with pytest.raises(UnknownDevice, match="did you mean jetson\\?") as caught:
        device_named("jetsn")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert UnknownDevice(name="jetsn", known=["cpu", "jetson"]).line() == (
        "there is no device 'jetsn': known are cpu, jetson — did you mean jetson? `edgecnn list devices` describes them; "
        "a board of your own is one TOML file: --target ./my-board.toml [unknown-device]"
    )


def test_a_name_too_long_for_a_file_is_unknown_like_any_other() -> None:
    with pytest.raises(UnknownDevice):
        device_named("a" * 5000)


def test_an_unknown_runtime_names_a_target_that_works() -> None:
    with pytest.raises(UnknownRuntime) as caught:
        parse_target("jetson:tensorr")
    assert caught.value.line() == (
        "there is no runtime 'tensorr': known are onnxruntime, openvino, tensorrt, ncnn, litert, wasm, webgpu, all — "
        "--target jetson:tensorrt [unknown-runtime]"
    )


def test_all_means_every_runtime_of_the_file_and_no_name_those_by_default() -> None:
    device, named = parse_target("raspberry-pi-5:all")
    assert device.built_for(named) == (Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.NCNN, Runtime.LITERT)
    assert device.built_for(None) == (Runtime.ONNXRUNTIME,)
    assert device.built_for(Runtime.LITERT) == (Runtime.LITERT,)
    assert target_of(TargetChoice(device="raspberry-pi-5", runtime="all"), None) == (device, named)
    with pytest.raises(RuntimesContradict):
        target_of(TargetChoice(device="raspberry-pi-5:litert", runtime="all"), None)


def test_an_empty_runtime_is_no_runtime() -> None:
    with pytest.raises(UnknownRuntime):
        parse_target("jetson:")


def test_a_runtime_that_the_device_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(RuntimeNotOnDevice) as caught:
        runtime_of(device_named("raspberry-pi-5"), "tensorrt")
    assert caught.value.line() == (
        "raspberry-pi-5 has no tensorrt: its device file lists onnxruntime, openvino, ncnn, litert — "
        "--target raspberry-pi-5:onnxruntime, or --target raspberry-pi-5:all for all of them [runtime-not-on-device]"
    )


def test_of_a_device_file_the_hint_is_its_path_which_works_and_not_its_name_which_does_not(tmp_path: Path) -> None:
    own = written(tmp_path, BOARD)
    with pytest.raises(RuntimeNotOnDevice, match=re.escape(f"--target {own}:onnxruntime, or --target {own}:all for all of them")):
        parse_target(f"{own}:tensorrt")
    with pytest.raises(UnknownRuntime, match=re.escape(f"--target {own}:onnxruntime")):
        parse_target(f"{own}:onnxruntim")
    with pytest.raises(RuntimeNotOnDevice, match=re.escape(f"--target {own}:onnxruntime")):
        target_of(TargetChoice(device=str(own), runtime=Runtime.OPENVINO), None)


@pytest.mark.parametrize("name", ["cpu", "jetson"], ids=["name", "alias"])
def test_a_file_that_gives_other_facts_under_a_shipped_name_is_refused(tmp_path: Path, name: str) -> None:
    own = written(tmp_path, BOARD.replace('"my-board"', f'"{name}"'))
    with pytest.raises(DeviceNameShipped) as caught:
        parse_target(f"{own}:onnxruntime")
    assert caught.value.line() == (
        f'device file {own} says name = "{name}", which is a shipped device with other facts: its reports and its results folder '
        'could not be told from the shipped one\'s — give it a name of its own, such as name = "my-board"; '
        f"the shipped one is --target {name} [device-name-shipped]"
    )
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("file", ["cpu.toml", "+.toml"])
def test_the_name_that_is_suggested_is_one_that_a_device_file_may_have(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text(BOARD.replace('"my-board"', '"cpu"'))
    with pytest.raises(DeviceNameShipped, match='such as name = "my-cpu"'):
        parse_target(str(tmp_path / file))


def test_an_unchanged_copy_of_a_shipped_file_is_that_device(tmp_path: Path) -> None:
    shutil.copy(resource_folder("devices") / "cpu.toml", tmp_path / "mine.toml")
    assert parse_target(str(tmp_path / "mine.toml")).device == device_named("cpu")


def test_a_copy_of_a_shipped_file_with_another_name_keeps_its_aliases_to_itself(tmp_path: Path) -> None:
    text = (resource_folder("devices") / "cpu.toml").read_text().replace('name = "cpu"', 'name = "my-cpu"')
    assert parse_target(str(written(tmp_path, text))).device.name == "my-cpu"
    assert parse_target("local").device.name == "cpu"


def test_two_runtimes_in_one_recipe_contradict_each_other() -> None:
    with pytest.raises(RuntimesContradict) as caught:
        target_of(TargetChoice(device="cpu:openvino", runtime=Runtime.ONNXRUNTIME), None)
    assert caught.value.line() == (
        "the target 'cpu:openvino' and the runtime 'onnxruntime' contradict each other: a build takes one runtime, "
        "or all that the device has — leave one of target.device's runtime and target.runtime out [runtimes-contradict]"
    )
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_one_runtime_said_twice_is_that_runtime_and_a_call_outranks_the_recipe() -> None:
    said_twice = TargetChoice(device="cpu:openvino", runtime=Runtime.OPENVINO)
    contradicting = TargetChoice(device="cpu:openvino", runtime=Runtime.ONNXRUNTIME)
    assert target_of(said_twice, None) == (device_named("cpu"), Runtime.OPENVINO)
    assert target_of(TargetChoice(device="cpu", runtime=Runtime.OPENVINO), None).runtime is Runtime.OPENVINO
    assert target_of(contradicting, "jetson") == (device_named("jetson"), None)


def test_every_problem_of_a_device_file_is_named_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    text = BOARD.replace("onnx_opset_max = 21", 'onnx_opset_max = "21"\nopset_max = 3').replace(
        "[runtimes.onnxruntime]", "[runtimes.onnx-runtime]"
    )
    path = written(tmp_path, text.replace("usually_attached", "usualy_attached").replace('fp32 = "native"', 'fp32 = "fast"'))
    with pytest.raises(DeviceFileInvalid) as caught:
        load_device_file(path)
    assert caught.value.line() == (
        f"device file {path} has 6 problems: "
        "usually_attached is missing; "
        "runtimes.onnx-runtime is no key, the nearest is runtimes.onnxruntime; "
        'runtimes.onnx-runtime.onnx_opset_max must be a whole number, not "21"; '
        "runtimes.onnx-runtime.precisions.fp32 must be 'native', 'slow' or 'none', not \"fast\"; "
        "runtimes.onnx-runtime.opset_max is no key, the nearest is runtimes.onnx-runtime.onnx_opset_max; "
        "usualy_attached is no key, the nearest is usually_attached "
        "— docs/schemas/device.json lists every key [device-file-invalid]"
    )


def test_a_device_without_a_runtime_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, BOARD.partition("[runtimes.onnxruntime]")[0] + "runtimes = {}\n")
    with pytest.raises(DeviceFileInvalid, match="has 1 problem: runtimes must list at least one runtime"):
        load_device_file(path)


@pytest.mark.parametrize("precisions", ['{ fp32 = "none", int8 = "none" }', "{}"], ids=["all-none", "empty"])
def test_a_runtime_that_computes_in_nothing_is_refused_with_its_key(tmp_path: Path, precisions: str) -> None:
    path = written(tmp_path, BOARD.replace('{ fp32 = "native", int8 = "native" }', precisions))
    with pytest.raises(DeviceFileInvalid) as caught:
        load_device_file(path)
    assert caught.value.line() == (
        f"device file {path} has 1 problem: runtimes.onnxruntime.precisions must say native or slow of at least one precision "
        "— docs/schemas/device.json lists every key [device-file-invalid]"
    )


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "my-board"\ntitle = A board\n')
    with pytest.raises(NotToml) as caught:
        load_device_file(path)
    assert caught.value.line() == (
        f"{path}:2 is not valid TOML: Invalid value — text stands in quotes and tables in brackets, "
        'as in [train] and device = "jetson" [not-toml]'
    )


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable) as caught:
        parse_target("./nowhere.toml")
    assert caught.value.line() == "nowhere.toml cannot be read: no such file or directory [file-unreadable]"
    with pytest.raises(FileUnreadable, match="is a directory"):
        load_device_file(tmp_path)


def test_the_shipped_cpu_matches_every_machine_and_boards_match_only_themselves() -> None:
    assert matches(device_named("cpu"), THIS_MACHINE)
    assert matches(device_named("intel-cpu"), THIS_MACHINE)
    assert not matches(device_named("jetson"), THIS_MACHINE)
    amd = THIS_MACHINE.model_copy(update={"cpu_vendor": "AuthenticAMD"})
    assert not matches(device_named("intel-cpu"), amd)
    board = LocalFacts(
        architecture="aarch64", cpu_vendor="0x41", models=("Raspberry Pi 5 Model B Rev 1.0",), isa=(), cores=4, memory_mib=8000
    )
    assert matches(device_named("raspberry-pi-5"), board)
    assert not matches(device_named("jetson"), board)


def test_only_a_device_that_leaves_it_to_the_machine_takes_the_machine_s_facts() -> None:
    cpu = with_local_facts(device_named("cpu"), THIS_MACHINE)
    assert (cpu.processor.architecture, cpu.processor.isa, cpu.processor.cores) == ("x86_64", ("avx512_vnni",), 2)
    assert cpu.memory is not None and cpu.memory.mib == 2048
    assert with_local_facts(device_named("intel-cpu"), THIS_MACHINE) == device_named("intel-cpu")


def test_the_facts_of_an_x86_machine_are_read_from_proc(tmp_path: Path) -> None:
    write_proc(tmp_path, "cpuinfo", X86_CPUINFO)
    write_proc(tmp_path, "meminfo", "MemTotal:       24684100 kB\nMemFree: 1 kB\n")
    write_proc(tmp_path, "driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ: 16\n")
    facts = local_facts(tmp_path)
    assert facts.cpu_vendor == "AuthenticAMD"
    assert facts.isa == ("avx2",), "a flag counts only where every core has it"
    assert facts.memory_mib == 24105
    assert facts.models == ("NVIDIA GeForce RTX 4090",)
    assert matches(device_named("rtx-4090"), facts)


def test_the_facts_of_a_board_are_read_from_proc(tmp_path: Path) -> None:
    write_proc(tmp_path, "cpuinfo", ARM_CPUINFO)
    write_proc(tmp_path, "device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    facts = local_facts(tmp_path)
    assert (facts.cpu_vendor, facts.isa, facts.memory_mib) == ("0x41", ("asimddp", "asimdhp"), None)
    assert facts.models == ("Raspberry Pi 5 Model B Rev 1.0",)


def test_what_a_machine_does_not_say_is_absent_and_never_guessed(tmp_path: Path) -> None:
    facts = local_facts(tmp_path)
    assert (facts.cpu_vendor, facts.models, facts.isa, facts.memory_mib) == (None, (), (), None)


def test_a_machine_describes_itself_in_a_few_words() -> None:
    assert THIS_MACHINE.describe() == "GenuineIntel x86_64 with 2 cores"
    board = THIS_MACHINE.model_copy(update={"cpu_vendor": None, "cores": 1, "models": ("A board",)})
    assert board.describe() == "x86_64 with 1 core, A board"


def write_proc(root: Path, name: str, text: str) -> None:
    path = root / "proc" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


X86_CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
flags\t\t: fpu sse2 avx2 avx512_vnni

processor\t: 1
vendor_id\t: AuthenticAMD
flags\t\t: fpu sse2 avx2
"""
ARM_CPUINFO = """processor\t: 0
Features\t: fp asimd fphp asimdhp asimddp
CPU implementer\t: 0x41

Hardware\t: BCM2835
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""


def test_a_version_range_that_is_none_is_refused_with_the_key(tmp_path: Path) -> None:
    text = (resource_folder("devices") / "cpu.toml").read_text().replace('">=1.19,<2"', '"abc"')
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(DeviceFileInvalid) as raised:
        load_device_file(path)
    assert "runtimes.onnxruntime.versions" in raised.value.line()
    assert "'abc' is no version range such as '>=1.19,<2'" in raised.value.line()
