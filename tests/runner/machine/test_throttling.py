from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.runner.machine.throttling import read_throttles, throttled, vcgencmd
from tests.runner.trees import command, tree

PI4 = "sys/devices/platform/soc/soc:firmware/get_throttled"
PI5 = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"


@pytest.mark.parametrize("place", [PI4, PI5])
def test_a_raspberry_pis_word_is_read_wherever_its_firmware_node_is(tmp_path: Path, place: str) -> None:
    assert throttled(read_throttles(tree(tmp_path, {place: "50005\n"}))) == "under-voltage, throttled"
    assert throttled(read_throttles(tree(tmp_path, {place: "0\n"}))) == "no"


def test_what_happened_since_boot_is_not_what_happened_in_the_run(tmp_path: Path) -> None:
    before = read_throttles(tree(tmp_path, {PI4: "10000\n"}))
    assert throttled(read_throttles(tmp_path), before) == "no"
    assert throttled(read_throttles(tree(tmp_path, {PI4: "90000\n"})), before) == "soft temperature limit"


def test_the_command_is_asked_where_there_is_no_file(tmp_path: Path) -> None:
    command(tmp_path, "vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0x2\n')
    assert throttled(read_throttles(tmp_path)) == "frequency capped"


def test_a_command_that_may_not_ask_says_nothing(tmp_path: Path) -> None:
    command(tmp_path, "vcgencmd", "echo 'VCHI initialization failed'; exit 255\n")
    assert throttled(read_throttles(tmp_path)) is None
    assert vcgencmd("get_throttled", tmp_path).why == "vcgencmd get_throttled: VCHI initialization failed"


def test_cores_and_package_that_saw_the_same_heat_are_counted_once(tmp_path: Path) -> None:
    folder = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    names = [folder.format(cpu, part) for cpu in (0, 1) for part in ("core", "package")]
    before = read_throttles(tree(tmp_path, dict.fromkeys(names, "100\n")))
    tree(tmp_path, {names[0]: "101\n", names[1]: "103\n", names[3]: "103\n"})
    assert throttled(read_throttles(tmp_path), before) == "too hot (3 times)"


def test_a_counter_that_fell_was_reset_and_says_nothing(tmp_path: Path) -> None:
    name = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    before = read_throttles(tree(tmp_path, {name: "100\n"}))
    assert throttled(read_throttles(tree(tmp_path, {name: "3\n"})), before) == "no"


def test_a_jetson_counts_over_current(tmp_path: Path) -> None:
    name = "sys/class/hwmon/hwmon3/oc3_event_cnt"
    before = read_throttles(tree(tmp_path, {"sys/class/hwmon/hwmon3/name": "soctherm_oc\n", name: "7\n"}))
    assert throttled(read_throttles(tree(tmp_path, {name: "8\n"})), before) == "over-current or low voltage (1 time)"


def test_a_fan_cools_without_slowing_anything_down(tmp_path: Path) -> None:
    devices = {
        "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
        "sys/class/thermal/cooling_device0/cur_state": "3\n",
    }
    assert throttled(read_throttles(tree(tmp_path, devices))) is None
    slowing = {
        "sys/class/thermal/cooling_device1/type": "cpu-throttle-alert\n",
        "sys/class/thermal/cooling_device1/cur_state": "0\n",
        "sys/class/thermal/cooling_device2/type": "intel_powerclamp\n",
        "sys/class/thermal/cooling_device2/cur_state": "-1\n",
    }
    before = read_throttles(tree(tmp_path, slowing))
    assert throttled(before) == "no"
    tree(tmp_path, {"sys/class/thermal/cooling_device1/cur_state": "1\n"})
    assert throttled(read_throttles(tmp_path), before) == "cooling by cpu-throttle-alert"


def test_a_machine_without_any_of_it_says_nothing(tmp_path: Path) -> None:
    assert throttled(read_throttles(tmp_path), read_throttles(tmp_path)) is None
