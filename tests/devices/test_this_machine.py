"""What a machine says of itself in /proc, and which devices it is by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices.files import device_named, load_devices
from edgecnn.devices.this_machine import complete_device, contradiction, local_facts, matches
from edgecnn.values.board import LocalFacts
from edgecnn.values.profile import Environment

THIS_MACHINE = LocalFacts(
    architecture="x86_64", cpu_vendor="GenuineIntel", models=(), isa=("avx512_vnni",), cores=2, memory_mib=2048
)


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
    cpu = complete_device(device_named("cpu"), THIS_MACHINE)
    assert (cpu.processor.architecture, cpu.processor.isa, cpu.processor.cores) == ("x86_64", ("avx512_vnni",), 2)
    assert cpu.memory is not None and cpu.memory.mib == 2048
    assert complete_device(device_named("intel-cpu"), THIS_MACHINE) == device_named("intel-cpu")


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
    write_proc(tmp_path, "device-tree/compatible", "raspberrypi,5-model-b\0brcm,bcm2712\0")
    facts = local_facts(tmp_path)
    assert facts.compatible == ("raspberrypi,5-model-b", "brcm,bcm2712")
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


@pytest.mark.parametrize("name", [each.name for each in load_devices().values() if each.role == "baseline"])
def test_a_desktop_gpu_is_known_by_its_whole_name(name: str) -> None:
    """The laptop's card and the one of another market have the desktop's name inside theirs, and fewer cores."""
    device = device_named(name)
    assert device.match.model_contains is None
    for model, same in ((device.title, True), (f"{device.title} Laptop GPU", False), (f"{device.title} D", False)):
        assert matches(device, THIS_MACHINE.model_copy(update={"models": (model,)})) == same
        ran = Environment(conditions={}, observed={"gpu": f"NVIDIA GeForce GT 1030; {model}"})
        assert (contradiction(device, ran) is None) == same


def test_a_processor_s_name_names_a_device_beside_that_of_the_computer_and_of_its_gpu() -> None:
    laptop = {"architecture": "x86_64", "cpu_vendor": "GenuineIntel", "model": "XPS 14 9440", "gpu": "NVIDIA GeForce RTX 4050"}
    ran = Environment(conditions={"cpu": "Intel(R) Core(TM) Ultra 7 155H (6/170/4)"}, observed=laptop)
    assert contradiction(device_named("intel-core-ultra"), ran) is None
    older = Environment(conditions={"cpu": "13th Gen Intel(R) Core(TM) i7-1370P (6/186/2)"}, observed=laptop)
    assert contradiction(device_named("intel-core-ultra"), older) == (
        "they were made on XPS 14 9440, NVIDIA GeForce RTX 4050; intel-core-ultra identifies itself as Core(TM) Ultra"
    )
