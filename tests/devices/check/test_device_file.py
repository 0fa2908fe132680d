from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edgecnn.devices.check.board import differences, recognised_as
from edgecnn.devices.check.device_file import device_of, device_toml
from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.files import device_named, load_device_file
from edgecnn.devices.this_machine import matches
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.device import Device
from tests.devices.check.recorded import JETSON_ORIN_NANO, RASPBERRY_PI_5, READY, recorded

DAY = "2026-11-21"
PI = facts_of(recorded(RASPBERRY_PI_5, READY))
JETSON = facts_of(recorded(JETSON_ORIN_NANO, cores=6))
ODD = facts_of(recorded(READY, {"files": {"proc/device-tree/model": 'Kitchen "Board" \\ Rev \t2\0'}}))


@pytest.mark.parametrize("facts", [PI, JETSON, ODD], ids=["pi", "jetson", "odd"])
def test_the_file_reads_back_as_the_device_and_recognises_its_machine(facts: object, tmp_path: Path) -> None:
    board = device_of("my-board", facts, attached=False, day=DAY)  # type: ignore[arg-type]
    path = tmp_path / "my-board.toml"
    path.write_text(device_toml(board), encoding="utf-8")
    assert load_device_file(path) == board == Device.model_validate(tomllib.loads(path.read_text()))
    assert matches(board, facts)  # type: ignore[arg-type]
    assert differences(board, facts) == ()  # type: ignore[arg-type]


def test_what_was_measured_is_said_to_be_and_what_was_not_keeps_its_source() -> None:
    board = device_of("my-board", PI, attached=False, day=DAY)
    assert board.title == "Raspberry Pi 5 Model B Rev 1.0, 8,063 MiB (Debian GNU/Linux 12 (bookworm))"
    assert board.memory is not None and board.memory.mib == 8063
    assert board.memory.source == "read from the machine on 2026-11-21: /proc/meminfo"
    runtime = board.runtimes[Runtime.ONNXRUNTIME]
    assert (runtime.versions, runtime.python) == (">=1.31,<1.32", ">=3.11,<3.12")
    assert runtime.source.startswith("read from the machine on 2026-11-21: Python and onnxruntime 1.31.1. ")
    assert "https://onnxruntime.ai" in runtime.source


@pytest.mark.parametrize("isa, bf16", [(("avx2", "avx512_vnni"), "none"), (("avx2", "avx512_vnni", "avx512_bf16"), "native")])
def test_whether_bf16_is_multiplied_is_read_from_the_instructions_of_this_machine(isa: tuple[str, ...], bf16: str) -> None:
    intel = device_named("intel-cpu")
    assert intel.runtimes[Runtime.OPENVINO].precisions[Precision.BF16] == "none"
    facts = PI.model_copy(update={"architecture": "x86_64", "cpu_vendor": "GenuineIntel", "isa": isa, "models": ()})
    board = device_of("my-server", facts, attached=True, day=DAY)
    assert board.runtimes[Runtime.OPENVINO].precisions[Precision.BF16] == bf16


def test_a_board_without_a_runtime_is_said_to_have_what_its_python_can_have() -> None:
    old = facts_of(recorded(RASPBERRY_PI_5, {"python": {"version": [3, 9, 2], "glibc": "2.31"}}))
    board = device_of("old-board", old, attached=False, day=DAY)
    assert board.runtimes[Runtime.ONNXRUNTIME].versions == "==1.19.2"


def test_a_jetson_has_the_tensorrt_that_is_installed() -> None:
    board = device_of("my-jetson", JETSON, attached=False, day=DAY)
    assert board.runtimes[Runtime.TENSORRT].versions == ">=10.3,<10.4"
    assert board.accelerator is not None and board.accelerator.compute_capability == "8.7"
    assert not board.runtimes[Runtime.ONNXRUNTIME].by_default


def test_a_tensorrt_of_which_nothing_is_known_is_left_out_and_said() -> None:
    recording = recorded(JETSON_ORIN_NANO, {"python": {"packages": {"tensorrt": "8.6.2"}}}, cores=6)
    board = device_of("my-jetson", facts_of(recording), attached=False, day=DAY)
    assert list(board.runtimes) == [Runtime.ONNXRUNTIME] and board.runtimes[Runtime.ONNXRUNTIME].by_default
    assert any(note.startswith("TensorRT 8.6.2 is installed and ignored") for note in board.notes)


def test_a_file_of_another_machine_is_held_against_this_one() -> None:
    board = device_of("my-board", PI, attached=False, day=DAY)
    changed = recorded(
        RASPBERRY_PI_5,
        {"files": {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0", "proc/meminfo": "MemTotal: 3884032 kB\n"}},
        {"python": {"version": [3, 13, 5], "packages": {"onnxruntime": "1.23.2"}}},
        cores=2,
    )
    assert differences(board, facts_of(changed)) == (
        "the file identifies its board by 'Raspberry Pi 5 Model B Rev 1.0'; the machine is Raspberry Pi 4 Model B Rev 1.5",
        "the file says 4 cores; a process may use 2 here",
        "the file says 8,063 MiB of memory; the machine has 3,793 MiB",
        "the file says Python >=3.11,<3.12 for onnxruntime; the machine has 3.13.5",
        "the file says onnxruntime >=1.31,<1.32; the machine has 1.23.2",
        "the file says Python >=3.11,<3.12 for ncnn; the machine has 3.13.5",
        "the file says Python >=3.11,<3.12 for litert; the machine has 3.13.5",
    )


def test_a_recorded_board_is_recognised_as_the_shipped_one() -> None:
    assert "raspberry-pi-5" in recognised_as(PI)
    assert "jetson-orin-nano" in recognised_as(JETSON)
