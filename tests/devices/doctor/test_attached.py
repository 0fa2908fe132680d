from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgecnn.devices.doctor.examine import device_facts, gpu_fact, need_names
from edgecnn.devices.doctor.facts import Addition, DeviceFact, GpuFact, Part, State
from edgecnn.devices.doctor.parts import PARTS
from edgecnn.installed import resource_folder
from edgecnn.values.board import LocalFacts

H200 = "NVIDIA H200"


def parts(**states: State) -> tuple[Part, ...]:
    """Every part, absent but for those that are named (with underscores for hyphens)."""
    return tuple(
        Part(
            name=row.name,
            kind=row.kind,
            version=None,
            state=states.get(row.name.replace("-", "_"), State.ABSENT),
            found=f"{row.name} as tried",
            packages=(),
            addition=Addition(adds=row.adds, command=f"install {row.name}"),
        )
        for row in PARTS
    )


def machine(**facts: Any) -> LocalFacts:
    given = {
        "architecture": "x86_64",
        "cpu_vendor": "AuthenticAMD",
        "models": (),
        "isa": ("avx2",),
        "cores": 4,
        "memory_mib": 8192,
    }
    return LocalFacts.model_validate({**given, **facts})


def devices(facts: LocalFacts, found: tuple[Part, ...], gpu: GpuFact | None = None) -> dict[str, DeviceFact]:
    absent = GpuFact(state=State.ABSENT, models=(), found="none", hint=None)
    return {device.name: device for device in device_facts(facts, found, gpu or absent)}


def test_no_gpu_is_absent_and_no_command_is_claimed_to_install_one() -> None:
    fact = gpu_fact((), (), parts(train=State.WORKS))
    assert fact.state is State.ABSENT and "install" not in str(fact.hint)


def test_a_gpu_works_only_where_something_ran_on_it() -> None:
    ran = gpu_fact((H200,), ({"model": H200, "why": None},), parts(train=State.WORKS))
    assert ran.state is State.WORKS and H200 in ran.found
    failed = gpu_fact((H200,), ({"model": H200, "why": "out of memory"},), parts(train=State.WORKS))
    assert (failed.state, failed.found) == (State.BROKEN, f"{H200}: out of memory")
    assert gpu_fact((H200,), (), parts(tensorrt=State.WORKS)).state is State.WORKS


def test_a_gpu_that_nothing_installed_could_try_is_untried_and_its_hint_installs_what_can() -> None:
    fact = gpu_fact((H200,), (), parts())
    assert (fact.state, fact.hint) == (State.UNTRIED, "install train")


def test_a_hidden_gpu_is_broken_and_says_what_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecnn.devices.doctor import examine as attached

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(attached, "installed_version", lambda name: "2.15.0")
    fact = gpu_fact((H200,), (), parts(train=State.WORKS))
    assert (fact.state, fact.found) == (State.BROKEN, "CUDA_VISIBLE_DEVICES hides it")


def test_a_gpu_that_only_torch_sees_is_listed() -> None:
    """Some containers hide the driver's own folder in /proc."""
    assert gpu_fact((), ({"model": H200, "why": None},), parts(train=State.WORKS)).models == (H200,)


def test_this_machine_is_every_device_that_it_matches_and_no_other() -> None:
    found = devices(machine(cpu_vendor="GenuineIntel"), parts(openvino=State.WORKS))
    assert {name for name, device in found.items() if device.state is State.WORKS} == {"cpu", "intel-cpu-avx2"}
    pi = found["raspberry-pi-5"]
    assert pi.state is State.ABSENT and "edgecnn build --target raspberry-pi-5" in str(pi.hint)


def test_nothing_is_promised_of_a_device_of_which_only_facts_are_known() -> None:
    found = devices(machine(), parts())
    nano, xavier = found["jetson-nano"], found["jetson-xavier-nx"]
    assert nano.state is State.ABSENT and "--target jetson-orin-nano" in str(nano.hint)
    assert "edgecnn build --target jetson-xavier-nx:tensorrt" in str(xavier.hint)


def test_a_jetson_is_itself_also_where_it_lacks_its_runtime() -> None:
    found = devices(machine(architecture="aarch64", models=("NVIDIA Jetson Orin Nano Developer Kit",)), parts())
    jetson = found["jetson-orin-nano"]
    assert jetson.state is State.UNTRIED
    assert jetson.hint == "install tensorrt"


def test_a_baseline_is_what_its_gpu_is() -> None:
    gpu = GpuFact(state=State.WORKS, models=("NVIDIA GeForce RTX 4090",), found="it ran")
    here = devices(machine(models=("NVIDIA GeForce RTX 4090",)), parts(), gpu)["rtx-4090"]
    assert here.state is State.WORKS and here.found.endswith("it ran")
    assert devices(machine(), parts())["rtx-4090"].hint is None


def test_a_users_own_devices_are_looked_at_and_a_damaged_file_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "edgecnn" / "devices"
    folder.mkdir(parents=True)
    text = (resource_folder("devices") / "raspberry-pi-5.toml").read_text()
    (folder / "kitchen.toml").write_text(re.sub("(?m)^name = .*$", 'name = "kitchen"', text, count=1))
    (folder / "attic.toml").write_text("[")
    found = devices(machine(architecture="aarch64", models=("Raspberry Pi 5 Model B Rev 1.0",)), parts(onnxruntime=State.WORKS))
    assert list(found)[:2] == ["attic", "kitchen"]
    assert found["kitchen"].state is State.WORKS and "onnxruntime" in found["kitchen"].found
    assert found["attic"].state is State.BROKEN and str(folder / "attic.toml") in found["attic"].found
    assert {"kitchen", "attic"} <= set(need_names())
