"""Limits as containers set them, read from recorded trees."""

from __future__ import annotations

from pathlib import Path

from edgecnn.devices.doctor.examine import machine_fact
from edgecnn.render.screens.machines import _memory_text, _processor_text
from tests.runner.trees import tree

MIB = 1024 * 1024
CORE = "processor\t: {}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\nflags\t\t: fpu avx2 {}\n\n"
CONTAINER = {
    "proc/cpuinfo": CORE.format(0, "avx512_vnni") + CORE.format(1, "amx_int8"),
    "proc/meminfo": "MemTotal:       33554432 kB\nMemAvailable:   16777216 kB\n",
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "25 21 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/memory.max": f"{512 * MIB}\n",
}


def test_a_containers_limits_are_told_from_the_machine(tmp_path: Path) -> None:
    fact = machine_fact(tree(tmp_path, CONTAINER))
    assert (fact.cpu_limit, fact.memory_limit_mib, fact.limits_known) == (1.5, 512, True)
    assert (fact.memory_mib, fact.memory_available_mib) == (32768, 16384)
    assert fact.cores_used == 1
    assert "1 core used" in _processor_text(fact) and "limited to the CPU time of 1.5 cores" in _processor_text(fact)
    assert _memory_text(fact) == "32.0 GiB memory, 16.0 GiB available, limited to 512.0 MiB"


def test_an_instruction_that_only_some_cores_have_is_not_named(tmp_path: Path) -> None:
    assert machine_fact(tree(tmp_path, CONTAINER)).isa == ("avx2",)


def test_what_cannot_be_read_is_absent_and_said(tmp_path: Path) -> None:
    fact = machine_fact(tmp_path)
    assert (fact.cpu, fact.memory_mib, fact.cpu_limit, fact.limits_known) == (None, None, None, False)
    assert "container limits cannot be read" in _processor_text(fact)
    assert _memory_text(fact) == "memory unknown"
