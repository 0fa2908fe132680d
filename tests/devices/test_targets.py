"""A target is a device or the path of its file, and perhaps a runtime of it; any other is answered with one that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgecnn.devices.files import device_named, parse_target, runtime_of, target_of
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.devices import (
    RUNTIME_NOT_ON_DEVICE,
    RUNTIMES_CONTRADICT,
    UNKNOWN_RUNTIME,
    UnknownDevice,
)
from edgecnn.errors.recipes import FILE_UNREADABLE
from edgecnn.values.candidate import Runtime
from edgecnn.values.recipe import TargetChoice
from tests.devices.test_files import BOARD, written


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
    with pytest.raises(EdgecnnError, match="~nobody-of-this-name/my-board.toml", check=FILE_UNREADABLE.made):
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


def test_a_name_too_long_for_a_file_is_unknown_like_any_other() -> None:
    with pytest.raises(UnknownDevice):
        device_named("a" * 5000)


def test_an_unknown_runtime_names_a_target_that_works() -> None:
    with pytest.raises(EdgecnnError, check=UNKNOWN_RUNTIME.made) as caught:
        parse_target("jetson:tensorr")
    assert caught.value.line() == (
        "there is no runtime 'tensorr': the known runtimes are onnxruntime, openvino, tensorrt, ncnn, litert, wasm, webgpu, all"
        " — pass --target jetson:tensorrt [unknown-runtime]"
    )


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("cpu:tensorflow", "pass --target cpu:litert"),
        ("cpu:tflite", "pass --target cpu:litert"),
        ("jetson-orin-nano:tflite", "pass --target jetson-orin-nano:tensorrt"),
        ("cpu:litert,ncnn", "choose one runtime, or build all of them with --target cpu:all"),
    ],
)
def test_another_name_of_a_runtime_or_several_names_say_which_target_works(target: str, hint: str) -> None:
    with pytest.raises(EdgecnnError, check=UNKNOWN_RUNTIME.made) as caught:
        parse_target(target)
    assert caught.value.hint == hint


def test_all_means_every_runtime_of_the_file_and_no_name_those_by_default() -> None:
    device, named = parse_target("raspberry-pi-5:all")
    assert device.built_for(named) == (Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.NCNN, Runtime.LITERT)
    assert device.built_for(None) == (Runtime.ONNXRUNTIME, Runtime.NCNN, Runtime.LITERT)
    assert device.built_for(Runtime.LITERT) == (Runtime.LITERT,)
    assert target_of(TargetChoice(device="raspberry-pi-5", runtime="all"), None) == (device, named)
    with pytest.raises(EdgecnnError, check=RUNTIMES_CONTRADICT.made):
        target_of(TargetChoice(device="raspberry-pi-5:litert", runtime="all"), None)


def test_an_empty_runtime_is_no_runtime() -> None:
    with pytest.raises(EdgecnnError, check=UNKNOWN_RUNTIME.made):
        parse_target("jetson:")


def test_a_runtime_that_the_device_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(EdgecnnError, check=RUNTIME_NOT_ON_DEVICE.made) as caught:
        runtime_of(device_named("raspberry-pi-5"), "tensorrt")
    assert caught.value.line() == (
        "raspberry-pi-5 has no tensorrt: its device file lists onnxruntime, openvino, ncnn, litert — "
        "pass --target raspberry-pi-5:onnxruntime, or --target raspberry-pi-5:all for all of them [runtime-not-on-device]"
    )


def test_of_a_device_file_the_hint_is_its_path_which_works_and_not_its_name_which_does_not(tmp_path: Path) -> None:
    own = written(tmp_path, BOARD)
    with pytest.raises(
        EdgecnnError,
        match=re.escape(f"--target {own}:onnxruntime, or --target {own}:all for all of them"),
        check=RUNTIME_NOT_ON_DEVICE.made,
    ):
        parse_target(f"{own}:tensorrt")
    with pytest.raises(EdgecnnError, match=re.escape(f"--target {own}:onnxruntime"), check=UNKNOWN_RUNTIME.made):
        parse_target(f"{own}:onnxruntim")
    with pytest.raises(EdgecnnError, match=re.escape(f"--target {own}:onnxruntime"), check=RUNTIME_NOT_ON_DEVICE.made):
        target_of(TargetChoice(device=str(own), runtime=Runtime.OPENVINO), None)


def test_two_runtimes_in_one_recipe_contradict_each_other() -> None:
    with pytest.raises(EdgecnnError, check=RUNTIMES_CONTRADICT.made) as caught:
        target_of(TargetChoice(device="cpu:openvino", runtime=Runtime.ONNXRUNTIME), None)
    assert caught.value.ref == "runtimes-contradict"
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_one_runtime_said_twice_is_that_runtime_and_a_call_outranks_the_recipe() -> None:
    said_twice = TargetChoice(device="cpu:openvino", runtime=Runtime.OPENVINO)
    contradicting = TargetChoice(device="cpu:openvino", runtime=Runtime.ONNXRUNTIME)
    assert target_of(said_twice, None) == (device_named("cpu"), Runtime.OPENVINO)
    assert target_of(TargetChoice(device="cpu", runtime=Runtime.OPENVINO), None).runtime is Runtime.OPENVINO
    assert target_of(contradicting, "jetson") == (device_named("jetson"), None)
