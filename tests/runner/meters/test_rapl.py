from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.runner.meters.meter import MeterAbsent
from edgecnn.runner.meters.rapl import Rapl
from tests.runner.meters.recorded import LAPTOP, SERVER, advance, forbidden, machine
from tests.runner.trees import tree


def absent(root: Path) -> MeterAbsent:
    with pytest.raises(MeterAbsent) as caught:
        Rapl(root)
    return caught.value


def test_a_package_is_counted_once_and_neither_its_parts_nor_what_is_around_it(tmp_path: Path) -> None:
    root = machine(tmp_path, LAPTOP)
    meter = Rapl(root)
    meter.start()
    for folder in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl-mmio:0"):
        advance(root, folder, 2_000)
    assert meter.stop().joules == 0.002


def test_the_packages_of_two_sockets_are_summed_without_their_memory(tmp_path: Path) -> None:
    root = machine(tmp_path, SERVER)
    meter = Rapl(root)
    meter.start()
    for folder in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:1:0"):
        advance(root, folder, 1_000)
    assert meter.stop().joules == 0.002


def test_the_second_interface_serves_where_the_first_is_absent(tmp_path: Path) -> None:
    root = machine(tmp_path, {name: text for name, text in LAPTOP.items() if "mmio" in name})
    meter = Rapl(root)
    meter.start()
    advance(root, "intel-rapl-mmio:0", 3_000)
    assert meter.stop().joules == 0.003


def test_a_counter_goes_round_within_a_run(tmp_path: Path) -> None:
    root = machine(tmp_path, LAPTOP | {"sys/class/powercap/intel-rapl:0/energy_uj": "262143328000\n"})
    meter = Rapl(root)
    meter.start()
    tree(root, {"sys/class/powercap/intel-rapl:0/energy_uj": "150\n"})
    assert meter.stop().joules == 0.001


def test_what_only_root_may_read_is_absent_with_what_permits_it() -> None:
    with forbidden(LAPTOP, "sys/class/powercap/intel-rapl:0/energy_uj") as root:
        problem = absent(root)
    assert problem.sentence == (
        "/sys/class/powercap/intel-rapl:0/energy_uj may not be read by this user; "
        "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj (lasts until the next boot)"
    )


def test_one_of_two_sockets_that_cannot_be_read_is_no_half_figure(tmp_path: Path) -> None:
    root = machine(tmp_path, SERVER)
    (root / "sys/class/powercap/intel-rapl:1/energy_uj").unlink()
    assert absent(root).why == "/sys/class/powercap/intel-rapl:1/energy_uj cannot be read: No such file or directory"


def test_a_counter_that_a_virtual_machine_shows_but_does_not_move_is_no_zero(tmp_path: Path) -> None:
    meter = Rapl(machine(tmp_path, LAPTOP))
    meter.start()
    with pytest.raises(MeterAbsent, match=r"package-0 did not change in"):
        meter.stop()


def test_a_virtual_machine_says_that_it_is_one(tmp_path: Path) -> None:
    assert absent(tree(tmp_path, {"proc/cpuinfo": "flags\t\t: fpu hypervisor avx2\n"})).why == (
        "/sys/class/powercap has no package: this is a virtual machine, which cannot read the processor's counters"
    )


def test_a_container_that_hides_the_counters_behind_dangling_links_says_so(tmp_path: Path) -> None:
    root = machine(tmp_path, {"sys/class/powercap/README": ""})
    (root / "sys/class/powercap/intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl/intel-rapl:0")
    assert absent(root).sentence == (
        "/sys/class/powercap/intel-rapl:0 is a dangling link, as in a container; "
        "mount /sys/devices/virtual/powercap into the container, read-only"
    )


def test_a_processor_without_counters_says_so(tmp_path: Path) -> None:
    why = "/sys/class/powercap has no package: this processor or its kernel counts no energy"
    assert absent(machine(tmp_path, {})).why == why
