"""Each shipped device plans what its hardware and runtimes really take, or refuses with its reason."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgecnn.devices.files import build_targets, device_named, load_device_file, load_devices, parse_target
from edgecnn.devices.this_machine import match_closeness, matches
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.devices import DEVICE_FACTS_ONLY, DEVICE_FILE_INVALID
from edgecnn.installed import resource_folder
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.plan import plan
from edgecnn.runtimes.registry import all_backends, offers
from edgecnn.values.board import LocalFacts
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.device import Device
from tests.building.resolutions import resolved

FACTS_ONLY = {
    "jetson-nano": (
        "nothing can be built for jetson-nano: JetPack 4.6 has Python 3.6 and TensorRT 8.2, where a kit's runner needs Python "
        "3.8 and its network TensorRT 10.3 — its successor is --target jetson-orin-nano [device-facts-only]"
    ),
    "android-arm64": (
        "nothing can be built for android-arm64: a kit is run by Python, which Android does not have; an app loads ONNX Runtime "
        "as an Android package — files of --target raspberry-pi-4:litert, raspberry-pi-4 or raspberry-pi-4:ncnn are for the same "
        "architecture, and an app of yours may load them; docs/howto/use-an-android-telephone.md has three ways to try a network "
        "there [device-facts-only]"
    ),
    "intel-npu": (
        "nothing can be built for intel-npu: edgecnn's OpenVINO kits are for its CPU plugin; none has been built for, or run on, "
        "its NPU plugin — on that machine --target cpu builds for the processor beside it [device-facts-only]"
    ),
}
CPU = ["onnxruntime-fp32", "onnxruntime-int8"]
ARM_IN_HALVES = ["onnxruntime-fp32", "onnxruntime-fp16", "onnxruntime-int8"]
OPENVINO_IN_HALVES = ["openvino-fp32", "openvino-fp16"]
NCNN = ["ncnn-fp32"]
NCNN_IN_HALVES = [*NCNN, "ncnn-fp16"]
LITERT = ["litert-fp32", "litert-int8"]
LITERT_WITH_HALVES = ["litert-fp32", "litert-fp16", "litert-int8"]
INTEL = [*CPU, "openvino-fp32", "openvino-int8", *LITERT]
ARM_BOARD_IN_HALVES = [*ARM_IN_HALVES, *NCNN_IN_HALVES, *LITERT_WITH_HALVES]
GPU = ["tensorrt-fp16", "tensorrt-int8"]
BUILT = {
    "arm64-emulated": ARM_BOARD_IN_HALVES,
    "arm64-emulated:openvino": OPENVINO_IN_HALVES,
    "arm64-server": ARM_BOARD_IN_HALVES,
    "arm64-server:openvino": OPENVINO_IN_HALVES,
    "arm64-server-i8mm": ARM_BOARD_IN_HALVES,
    "arm64-server-i8mm:openvino": OPENVINO_IN_HALVES,
    "cpu": INTEL,
    "cpu:ncnn": NCNN,
    "browser": ["wasm-fp32", "wasm-int8"],
    "browser:webgpu": ["webgpu-fp32"],
    "h100": [*CPU, *GPU],
    "h200": [*CPU, *GPU],
    "intel-cpu": INTEL,
    "intel-core-ultra": INTEL,
    "intel-cpu-avx2": INTEL,
    "intel-n100": INTEL,
    "jetson-agx-orin": GPU,
    "jetson-agx-orin:onnxruntime": ARM_IN_HALVES,
    "jetson-agx-thor": GPU,
    "jetson-agx-thor:onnxruntime": ARM_IN_HALVES,
    "jetson-orin-nano": GPU,
    "jetson-orin-nano:onnxruntime": ARM_IN_HALVES,
    "jetson-orin-nx": GPU,
    "jetson-orin-nx:onnxruntime": ARM_IN_HALVES,
    "jetson-xavier-nx:onnxruntime": CPU,
    "jetson-xavier-nx:tensorrt": ["tensorrt8-fp16-unverified", "tensorrt8-int8-unverified"],
    "raspberry-pi-4": [*CPU, *NCNN, *LITERT],
    "raspberry-pi-5": ARM_BOARD_IN_HALVES,
    "raspberry-pi-5:openvino": OPENVINO_IN_HALVES,
    "rk3588": ARM_BOARD_IN_HALVES,
    "rk3588:openvino": OPENVINO_IN_HALVES,
    "rtx-3060": [*CPU, *GPU],
    "rtx-4090": [*CPU, *GPU],
}


def by_default(device: Device, runtime: Runtime | None = None) -> list[Candidate]:
    """The candidates of one runtime, or of all that are built without being named."""
    asked = [each for each, facts in device.runtimes.items() if (facts.by_default if runtime is None else each is runtime)]
    entries = [entry for backend in all_backends() if backend.runtime in asked for entry in offers(backend.runtime, device)]
    return [entry for entry in entries if isinstance(entry, Candidate)]


def int8_of(name: str) -> dict[Runtime, Candidate]:
    return {each.runtime: each for each in by_default(device_named(name)) if each.precision is Precision.INT8}


def test_every_shipped_device_is_built_for_or_says_why_not() -> None:
    built = [target for device in load_devices().values() for target in build_targets(device)]
    assert sorted(built) == sorted(BUILT)
    assert {device.name for device in load_devices().values() if not build_targets(device)} == set(FACTS_ONLY)


@pytest.mark.parametrize("target", BUILT)
def test_what_a_device_takes_is_planned(target: str) -> None:
    device, runtime = parse_target(target)
    candidates = by_default(device, runtime)
    assert [each.id for each in candidates] == BUILT[target]
    found = plan(resolved(device=device, candidates=tuple({each.id: each for each in (BASELINE, *candidates)}.values())))
    assert {f"package:{name}" for name in BUILT[target]} <= {step.id for step in found.steps}


@pytest.mark.parametrize("name", FACTS_ONLY)
@pytest.mark.parametrize("runtime", ["", ":onnxruntime", ":tensorrt"])
def test_a_device_of_facts_alone_is_refused_with_why_and_what_instead(name: str, runtime: str) -> None:
    with pytest.raises(EdgecnnError, check=DEVICE_FACTS_ONLY.made) as caught:
        parse_target(f"{name}{runtime}")
    assert caught.value.line() == FACTS_ONLY[name]
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("name", FACTS_ONLY)
def test_a_reason_that_is_empty_is_none(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = (resource_folder("devices") / f"{name}.toml").read_text(encoding="utf-8")
    why = next(line for line in text.splitlines() if line.startswith("why = "))
    path = tmp_path_factory.mktemp("device") / "own.toml"
    path.write_text(text.replace(why, 'why = ""'), encoding="utf-8")
    with pytest.raises(EdgecnnError, match="facts_only.why", check=DEVICE_FILE_INVALID.made):
        load_device_file(path)


def test_int8_weights_keep_to_seven_bits_on_the_one_intel_processor_without_vnni() -> None:
    for name, reduced in (("intel-cpu", False), ("intel-cpu-avx2", True), ("intel-n100", False), ("intel-core-ultra", False)):
        schemes = {runtime: each.scheme for runtime, each in int8_of(name).items()}
        assert set(schemes) == {Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.LITERT}
        unsigned = [scheme for scheme in schemes.values() if scheme is not None and scheme.activation_dtype == "uint8"]
        assert {scheme.reduced_range for scheme in unsigned} == {reduced}, name


def test_a_raspberry_pi_4_has_neither_dot_products_nor_fp16_and_its_int8_is_exact_all_the_same() -> None:
    assert device_named("pi4").processor.isa == ()
    scheme = int8_of("raspberry-pi-4")[Runtime.ONNXRUNTIME].scheme
    assert scheme is not None and not scheme.reduced_range
    assert scheme == int8_of("raspberry-pi-5")[Runtime.ONNXRUNTIME].scheme


@pytest.mark.parametrize("name", ["rtx-3060", "rtx-4090", "h100", "h200"])
def test_desktop_and_data_centre_gpus_are_baselines(name: str) -> None:
    assert device_named(name).role == "baseline"


@pytest.mark.parametrize(
    ("facts", "devices"),
    [
        ({"isa": ("avx2",)}, {"intel-cpu-avx2"}),
        ({"isa": ("avx2", "avx512_vnni")}, {"intel-cpu"}),
        ({"isa": ("avx2", "avx_vnni"), "cpu_model": "Intel(R) N100"}, {"intel-n100"}),
        ({"isa": ("avx2", "avx_vnni"), "cpu_model": "Intel(R) Core(TM) Ultra 7 155H"}, {"intel-core-ultra"}),
        ({"isa": ("avx2", "avx_vnni"), "cpu_model": "13th Gen Intel(R) Core(TM) i7-1360P"}, set()),
        ({"cpu_vendor": "AuthenticAMD", "isa": ("avx2", "avx512_vnni")}, set()),
        ({"cpu_vendor": "AuthenticAMD", "models": ("NVIDIA GeForce RTX 3060",)}, {"rtx-3060"}),
        ({"cpu_vendor": "AuthenticAMD", "models": ("NVIDIA GeForce RTX 3060 Ti",)}, set()),
        ({"cpu_vendor": "AuthenticAMD", "models": ("NVIDIA H200",)}, {"h200"}),
        ({"architecture": "aarch64", "models": ("NVIDIA Jetson AGX Orin Developer Kit",)}, {"jetson-agx-orin"}),
        (
            {"architecture": "aarch64", "models": ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit",)},
            {"jetson-orin-nx"},
        ),
        ({"architecture": "aarch64", "models": ("NVIDIA Jetson Xavier NX Developer Kit",)}, {"jetson-xavier-nx"}),
        ({"architecture": "aarch64", "models": ("NVIDIA Jetson Nano Developer Kit",)}, {"jetson-nano"}),
        ({"architecture": "aarch64", "models": ("Raspberry Pi 4 Model B Rev 1.4",)}, {"raspberry-pi-4"}),
        ({"architecture": "aarch64", "models": ("NVIDIA Jetson AGX Thor Developer Kit",)}, {"jetson-agx-thor"}),
        ({"architecture": "aarch64", "compatible": ("rockchip,rk3588-evb1-v10", "rockchip,rk3588")}, {"rk3588"}),
        (
            {"architecture": "aarch64", "models": ("Radxa ROCK 5B",), "compatible": ("radxa,rock-5b", "rockchip,rk3588")},
            {"rk3588"},
        ),
        ({"architecture": "aarch64", "models": ("Xunlong Orange Pi 5",), "compatible": ("rockchip,rk3588s",)}, {"rk3588"}),
        ({"architecture": "aarch64", "isa": ("asimddp", "asimdhp")}, set()),
        ({"architecture": "aarch64", "isa": ("asimddp", "asimdhp"), "cpu_parts": ("0xd0b",)}, set()),
        ({"architecture": "aarch64", "isa": ("asimddp", "asimdhp"), "cpu_parts": ("0xd0c",)}, {"arm64-server"}),
        (
            {"architecture": "aarch64", "isa": ("asimddp", "asimdhp", "i8mm"), "cpu_parts": ("0xd40",)},
            {"arm64-server", "arm64-server-i8mm"},
        ),
    ],
)
def test_a_machine_is_the_device_that_it_is_and_no_other(facts: dict[str, object], devices: set[str]) -> None:
    given = {"architecture": "x86_64", "cpu_vendor": "GenuineIntel", "models": (), "isa": (), "cores": 4, "memory_mib": 8192}
    machine = LocalFacts.model_validate({**given, **facts})
    assert {device.name for device in load_devices().values() if matches(device, machine)} == {"cpu", "browser", *devices}


def test_of_devices_that_a_machine_is_the_one_that_says_most_is_named_first() -> None:
    assert match_closeness(device_named("graviton3")) > match_closeness(device_named("graviton2"))
    assert match_closeness(device_named("raspberry-pi-5")) > match_closeness(device_named("graviton3"))


def test_the_list_says_what_is_built_and_of_what_only_facts_are_known() -> None:
    command = [sys.executable, "-c", "from edgecnn.cli.main import main; main()", "list", "devices", "--json"]
    rows = {row["name"]: row for row in json.loads(subprocess.run(command, capture_output=True, check=True).stdout)}
    assert rows["jetson-xavier-nx"]["build_with"] == ["jetson-xavier-nx:tensorrt", "jetson-xavier-nx:onnxruntime"]
    assert rows["raspberry-pi-4"]["facts_only"] is None
    assert {name for name, row in rows.items() if row["facts_only"]} == set(FACTS_ONLY)
    assert all(rows[name]["build_with"] == [] for name in FACTS_ONLY)
