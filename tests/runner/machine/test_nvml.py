from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgecnn.runner.machine import nvml as of_nvml
from edgecnn.runner.machine.nvml import Nvml, NvmlAbsent, driver_cuda, driver_models
from tests.runner.nvml_library import build, built_library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return built_library(tmp_path_factory.mktemp("nvml"))


def absent(call: object, *arguments: object) -> NvmlAbsent:
    with pytest.raises(NvmlAbsent) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


def test_a_machine_without_the_driver_says_so() -> None:
    assert absent(Nvml, ["libnvidia-ml-of-nobody.so.1"]).why == (
        "libnvidia-ml-of-nobody.so.1 cannot be loaded: no NVIDIA driver, or a Jetson's"
    )


def test_a_driver_that_is_not_loaded_says_so(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML_NO_DRIVER", "1")
    assert absent(Nvml, [library]).why == "nvmlInit_v2: Driver Not Loaded"


def test_gpus_are_named_where_the_kernel_lists_none(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML", "2 0 0 0")
    monkeypatch.setattr(of_nvml, "LIBRARIES", (library,))
    assert driver_models() == ["NVIDIA Fake 1", "NVIDIA Fake 2"]
    monkeypatch.setenv("FAKE_NVML_NO_DRIVER", "1")
    assert driver_models() == []


def test_the_newest_cuda_that_the_driver_runs(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_nvml, "LIBRARIES", (library,))
    assert driver_cuda() == (12, 4)
    monkeypatch.setenv("FAKE_NVML_NO_DRIVER", "1")
    assert driver_cuda() is None


def test_energy_is_the_boards_counter(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML", "1 250 0 0")
    nvml = Nvml([library])
    first = nvml.energy_mj(nvml.device({}))
    assert nvml.energy_mj(nvml.device({})) - first == 250


def test_a_gpu_that_does_not_count_says_so(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML", "1 0 0 3")
    nvml = Nvml([library])
    assert absent(nvml.energy_mj, nvml.device({})).why == "nvmlDeviceGetTotalEnergyConsumption: Not Supported"


def test_of_several_gpus_none_is_guessed(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML", "2 0 0 0")
    nvml = Nvml([library])
    problem = absent(nvml.device, {"CUDA_VISIBLE_DEVICES": "1"})
    assert problem.why == "2 GPUs are listed, and the one that computes is not known"
    assert problem.hint == "set CUDA_VISIBLE_DEVICES to the GPU's UUID, as nvidia-smi -L shows it"
    assert nvml.device({"CUDA_VISIBLE_DEVICES": "GPU-1b2c,GPU-77"}).value == 1
    assert absent(nvml.device, {"CUDA_VISIBLE_DEVICES": "GPU-0"}).why == "nvmlDeviceGetHandleByUUID: Unknown Error"


def test_memory_is_that_of_one_process_however_many_are_listed(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML", "1 0 123456789 0")
    monkeypatch.setenv("FAKE_NVML_PID", str(os.getpid()))
    nvml = Nvml([library])
    assert nvml.used_bytes(os.getpid()) == 123456789
    assert nvml.used_bytes(2) is None


def test_memory_that_the_driver_does_not_tell_is_not_a_huge_number(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML", f"1 0 {2**64 - 1} 0")
    monkeypatch.setenv("FAKE_NVML_PID", "77")
    assert absent(Nvml([library]).used_bytes, 77).why == "the driver does not report a process's memory"


def test_a_library_too_old_for_a_question_names_it(tmp_path: Path) -> None:
    source = tmp_path / "old.c"
    source.write_text('const char *nvmlErrorString(int c) { return "?"; }\nint nvmlInit_v2(void) { return 0; }\n')
    old = tmp_path / "old.so"
    build(source, old)
    assert absent(Nvml([str(old)]).used_bytes, 1).why == "this driver's library has no nvmlDeviceGetCount_v2"
