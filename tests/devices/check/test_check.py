from __future__ import annotations

from typing import Any

import pytest

from edgecnn.devices.check.findings import Needs, findings_on, install_line, needs_of, package_status
from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.files import device_named
from edgecnn.values.board import Finding, Recording, Weight
from edgecnn.values.candidate import Runtime
from tests.devices.check.recorded import JETPACK_7, JETSON_ORIN_NANO, RASPBERRY_PI_5, READY, TRIXIE, recorded

ONNXRUNTIME = needs_of(None)
PI, JETSON = device_named("raspberry-pi-5"), device_named("jetson-orin-nano")


def found(recording: Recording, needs: Needs = ONNXRUNTIME) -> dict[str, Finding]:
    return {finding.ref: finding for finding in findings_on(facts_of(recording), needs)}


def test_the_readers_of_every_run_read_what_was_recorded() -> None:
    facts = facts_of(recorded(RASPBERRY_PI_5))
    assert facts.models == ("Raspberry Pi 5 Model B Rev 1.0",)
    assert (facts.cpu, facts.isa) == ("arm implementer 0x41 part 0xd0b", ("asimddp", "asimdhp"))
    assert (facts.memory_mib, facts.memory_available_mib, facts.temperature_c) == (8063, 7168, 51.2)
    assert (facts.governor, facts.clocks, facts.throttled) == ("ondemand", "cpu 1500-2400 MHz", "no")
    assert (facts.system, facts.python.glibc) == ("Debian GNU/Linux 12 (bookworm)", (2, 36))


def test_of_this_machine_nothing_enters() -> None:
    facts = facts_of(recorded(machine="aarch64", cores=3))
    assert (facts.architecture, facts.cores, facts.cpu, facts.memory_mib, facts.models) == ("aarch64", 3, None, None, ())
    assert (facts.governor, facts.power_mode, facts.throttled, facts.gpus) == (None, None, None, ())


def test_a_ready_board_has_its_governor_alone_to_mend() -> None:
    findings = found(recorded(RASPBERRY_PI_5, READY), needs_of(PI))
    assert [ref for ref in findings if findings[ref].weight is not Weight.NOTES] == ["governor"]
    assert "'ncnn>=1.0.20261020,<2' 'ai-edge-litert>=2.3,<3'" in str(findings["runtime-missing"].remedy)


def test_a_new_board_is_told_the_line_that_installs_what_it_lacks() -> None:
    missing = found(recorded(RASPBERRY_PI_5), needs_of(PI))["packages-missing"]
    assert "'onnxruntime>=1.19,<2' numpy pillow 'ncnn>=1.0.20261020,<2' 'ai-edge-litert>=2.3,<3'" in str(missing.remedy)


def test_a_board_with_the_system_of_2026_lacks_no_more_than_one_with_that_before() -> None:
    pi = recorded(RASPBERRY_PI_5, READY, TRIXIE, {"python": READY["python"]})
    jetson = recorded(JETSON_ORIN_NANO, JETPACK_7)
    for board, device in ((pi, PI), (jetson, JETSON)):
        stopping = [finding for finding in found(board, needs_of(device)).values() if finding.weight is Weight.STOPS]
        assert stopping == []


def test_a_release_of_jetpack_7_is_named_where_no_package_says_it() -> None:
    old = recorded(JETSON_ORIN_NANO, JETPACK_7, {"commands": {"jetpack": ""}, "python": {"packages": {"tensorrt": "9.0"}}})
    assert "9.0 (JetPack 7)" in found(old, needs_of(JETSON))["tensorrt-version"].what


def test_debian_without_its_venv_package_is_told_so_first() -> None:
    findings = found(recorded(RASPBERRY_PI_5, {"python": {"ensurepip": False}}))
    assert findings["venv-missing"].remedy == "sudo apt-get install python3-venv"
    assert str(findings["packages-missing"].remedy).startswith("sudo apt-get install python3-venv && python3 -m venv")


@pytest.mark.parametrize(
    ("version", "glibc", "runtime"),
    [([3, 8, 10], "2.31", "onnxruntime==1.19.2"), ([3, 10, 12], "2.35", "onnxruntime==1.23.2"),
     ([3, 13, 5], "2.41", "onnxruntime>=1.19,<2")],
)  # fmt: skip
def test_an_older_python_is_told_the_older_runtime(version: list[int], glibc: str, runtime: str) -> None:
    facts = facts_of(recorded({"python": {"version": version, "glibc": glibc, "managed": False}}))
    missing = package_status(facts, ONNXRUNTIME).missing
    assert missing == (runtime, "numpy", "pillow")
    assert install_line(facts, missing).startswith("/usr/bin/python3 -m pip install ")


def test_without_pip_the_line_brings_it() -> None:
    recording = recorded({"python": {"managed": False, "packages": {}}})
    said = recording.model_copy(update={"python": recording.python.model_copy(update={"packages": {}})})
    assert str(found(said)["packages-missing"].remedy).startswith("sudo apt-get install python3-pip && /usr/bin/python3 -m pip")


@pytest.mark.parametrize(
    ("change", "ref"),
    [
        ({"python": {"version": [3, 6, 9]}}, "python-too-old"),
        ({"python": {"version": [3, 15, 0]}}, "no-wheel-for-python"),
        ({"python": {"implementation": "PyPy"}}, "python-is-another"),
        ({"python": {"glibc": "2.24"}}, "no-wheel-for-glibc"),
        ({"python": {"glibc": ""}}, "no-wheel-for-glibc"),
        ({"python": {"bits": 32}}, "userland-32-bit"),
        ({"disk": {"free_mib": 300}}, "disk-low"),
        ({"disk": {"noexec": True}}, "disk-noexec"),
    ],
)
def test_what_stops_a_kit_is_named(change: dict[str, Any], ref: str) -> None:
    finding = found(recorded(RASPBERRY_PI_5, change))[ref]
    assert finding.weight is Weight.STOPS
    assert finding.remedy is not None


def test_processors_of_32_bits_and_of_other_kinds() -> None:
    assert "armv7l" in found(recorded(RASPBERRY_PI_5, machine="armv7l"))["userland-32-bit"].what
    assert "riscv64" in found(recorded(machine="riscv64"))["architecture-unknown"].what


def test_large_pages_are_told_with_the_kernel_of_small_ones() -> None:
    finding = found(recorded(RASPBERRY_PI_5, READY, page_bytes=16384))["large-pages"]
    assert finding.weight is Weight.NOTES
    assert "kernel=kernel8.img" in str(finding.remedy)
    assert found(recorded(READY, page_bytes=65536))["large-pages"].remedy is None


def test_throttling_now_is_told_from_throttling_since_boot() -> None:
    now = found(recorded(RASPBERRY_PI_5, READY, {"commands": {"get_throttled": "throttled=0x50005"}}))
    assert now["throttled"].what.endswith(": under-voltage, throttled") and "throttled-before" not in now
    before = found(recorded(RASPBERRY_PI_5, READY, {"commands": {"get_throttled": "throttled=0x80000"}}))["throttled-before"]
    assert before.weight is Weight.NOTES and before.what.endswith(": soft temperature limit")


def test_heat_and_little_memory_distort() -> None:
    files = {"sys/class/thermal/thermal_zone0/temp": "84000\n", "proc/meminfo": "MemTotal: 1048576 kB\nMemAvailable: 204800 kB\n"}
    findings = found(recorded(RASPBERRY_PI_5, READY, {"files": files}))
    assert "84" in findings["hot"].what and findings["hot"].weight is Weight.DISTORTS
    assert "200" in findings["memory-low"].what and findings["memory-low"].weight is Weight.DISTORTS


def test_a_jetson_as_it_is_flashed_may_run_and_is_told_its_mode_and_moving_clocks() -> None:
    findings = found(recorded(JETSON_ORIN_NANO), needs_of(JETSON))
    assert [ref for ref in findings if findings[ref].weight is Weight.STOPS] == []
    assert "gpu 306-1020 MHz" in findings["clocks-move"].what
    assert str(findings["clocks-move"].remedy).startswith("sudo jetson_clocks")
    assert "25W" in findings["power-mode"].what


def test_held_clocks_and_full_power_are_not_told() -> None:
    held = {
        "sys/class/devfreq/17000000.gpu/min_freq": "1020000000",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "1728000",
    }
    recording = recorded(JETSON_ORIN_NANO, {"files": held, "commands": {"nvpmodel": "NV Power Mode: MAXN_SUPER\n2"}})
    assert {"clocks-move", "power-mode", "governor"}.isdisjoint(found(recording, needs_of(JETSON)))


@pytest.mark.parametrize(
    ("change", "ref"),
    [
        ({"in_environment": True, "packages": {}}, "tensorrt-hidden"),
        ({"packages": {}}, "tensorrt-missing"),
        ({"packages": {"tensorrt": "8.5.2.2"}}, "tensorrt-version"),
    ],
)
def test_tensorrt_is_looked_for_where_jetpack_puts_it(change: dict[str, Any], ref: str) -> None:
    recording = recorded(JETSON_ORIN_NANO)
    python = recording.python.model_copy(update=change)
    finding = found(recording.model_copy(update={"python": python}), needs_of(JETSON))[ref]
    assert finding.weight is Weight.STOPS
    assert finding.remedy is not None


def test_tensorrt_without_cuda_cannot_run() -> None:
    recording = recorded(JETSON_ORIN_NANO, {"files": {"usr/local/cuda/version.json": "no json"}})
    assert found(recording, needs_of(JETSON))["cuda-missing"].remedy == "sudo apt-get install nvidia-jetpack"
    assert "cuda-missing" not in found(recording), "a kit of ONNX Runtime does not ask for it"


def test_closed_accelerators_and_counters_of_energy_are_notes_with_the_line_that_opens_them() -> None:
    rails = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input"
    refused = {"sys/class/powercap/intel-rapl:0/energy_uj": "Permission denied", rails: "Permission denied"}
    findings = found(recorded(READY, {"nodes": {"dev/dri/renderD128": False}, "refused": refused}))
    assert "render,video" in str(findings["accelerator-closed"].remedy)
    assert "/sys/class/powercap/intel-rapl*/energy_uj" in str(findings["energy-closed"].remedy)
    assert "/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/*" in str(findings["rails-closed"].remedy)


def test_a_laptop_that_saves_power_is_told_so() -> None:
    files = {"sys/firmware/acpi/platform_profile": "low-power\n"}
    assert found(recorded(READY, {"files": files}, machine="x86_64"))["power-saved"].weight is Weight.DISTORTS


def test_openvinos_wheels_for_arm_are_bounded_by_the_c_library() -> None:
    needs = Needs({Runtime.OPENVINO: ">=2026.2,<2027"})
    finding = found(recorded({"python": {"glibc": "2.31"}}), needs)["no-wheel-for-glibc"]
    assert "2.35" in finding.what


def test_the_gravest_comes_first() -> None:
    weights = [finding.weight for finding in findings_on(facts_of(recorded(RASPBERRY_PI_5, page_bytes=16384)), ONNXRUNTIME)]
    assert weights == sorted(weights, key=list(Weight).index) and weights[0] is Weight.STOPS
