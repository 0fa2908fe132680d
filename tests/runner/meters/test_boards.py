"""The boards' own meters, on recorded trees and answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.runner.meters.ina3221 import Ina3221
from edgecnn.runner.meters.meter import MeterAbsent
from edgecnn.runner.meters.pmic import Pmic, rails_watts
from tests.runner.meters.recorded import AGX_ORIN, CHIP, NANO, ORIN_NANO, PI_5, PI_5_WATTS, forbidden
from tests.runner.trees import command, tree


def absent(open_: object, root: Path) -> MeterAbsent:
    with pytest.raises(MeterAbsent) as caught:
        open_(root)  # type: ignore[operator]
    return caught.value


def test_the_input_rail_is_the_whole_module_and_its_parts_are_not_added(tmp_path: Path) -> None:
    meter = Ina3221(tree(tmp_path, ORIN_NANO))
    assert meter.watts() == pytest.approx(5.064)
    assert meter.covers == "the Jetson module's supply (VDD_IN), without its carrier board"


def test_a_module_without_an_input_rail_is_the_sum_of_its_outermost_ones(tmp_path: Path) -> None:
    meter = Ina3221(tree(tmp_path, AGX_ORIN))
    assert meter.watts() == pytest.approx(8.0 + 2.0 + 4.0)
    assert meter.covers == "the Jetson module's supply (VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0), without its carrier board"


def test_the_older_drivers_say_milliwatts(tmp_path: Path) -> None:
    assert Ina3221(tree(tmp_path, NANO)).watts() == pytest.approx(1.75)


def test_a_missing_rail_gives_no_part_of_the_energy_under_the_name_of_the_whole(tmp_path: Path) -> None:
    root = tree(tmp_path, {name: text for name, text in ORIN_NANO.items() if "in1" not in name})
    assert absent(Ina3221, root).why == "the rails VDD_CPU_GPU_CV, VDD_SOC are not known to add up to the module"


def test_a_rail_that_is_switched_off_is_missing(tmp_path: Path) -> None:
    root = tree(tmp_path, ORIN_NANO | {f"{CHIP}/in1_enable": "0\n"})
    assert absent(Ina3221, root).why == "the rails VDD_CPU_GPU_CV, VDD_SOC are not known to add up to the module"


def test_a_rail_without_a_current_names_the_file(tmp_path: Path) -> None:
    root = tree(tmp_path, {name: text for name, text in ORIN_NANO.items() if "curr1" not in name})
    assert absent(Ina3221, root).why == f"/{CHIP}/curr1_input cannot be read: No such file or directory"


def test_a_chip_that_this_user_may_not_read_says_so() -> None:
    with forbidden(ORIN_NANO, f"{CHIP}/in1_input") as root:
        problem = absent(Ina3221, root)
    assert problem.why == f"/{CHIP}/in1_input may not be read by this user"


def test_a_machine_without_the_chip_is_no_jetson(tmp_path: Path) -> None:
    assert absent(Ina3221, tmp_path).why == "/sys/bus/i2c/drivers has no INA3221 with named rails: this is not a Jetson"


def test_a_raspberry_pi_5_is_the_sum_of_its_rails_and_of_nothing_that_has_no_current(tmp_path: Path) -> None:
    assert rails_watts(PI_5) == pytest.approx(PI_5_WATTS)
    command(tmp_path, "vcgencmd", f"[ $1 = pmic_read_adc ] && cat <<'END'\n{PI_5}END\n")
    assert Pmic(tmp_path).watts() == pytest.approx(PI_5_WATTS)


def test_a_rail_whose_voltage_is_not_said_gives_no_figure() -> None:
    with pytest.raises(MeterAbsent, match="pmic_read_adc printed no voltage of 3V3_SYS"):
        rails_watts(PI_5.replace("3V3_SYS_V", "3V3_SOMETHING_V"))


def test_an_answer_without_the_core_is_no_figure() -> None:
    with pytest.raises(MeterAbsent, match="pmic_read_adc printed no current of VDD_CORE"):
        rails_watts("EXT5V_V volt(24)=5.1V\n")


def test_an_older_raspberry_pi_says_that_it_has_no_such_chip(tmp_path: Path) -> None:
    command(tmp_path, "vcgencmd", "echo 'error=1 error_msg=\"Command not registered\"'\n")
    assert absent(Pmic, tmp_path).sentence == (
        'vcgencmd pmic_read_adc: error=1 error_msg="Command not registered"; Raspberry Pis before the 5 have no such chip'
    )


def test_a_user_outside_of_the_group_is_told_how_to_get_in(tmp_path: Path) -> None:
    command(tmp_path, "vcgencmd", 'echo "Can\'t open device file: /dev/vcio"; exit 1\n')
    assert absent(Pmic, tmp_path).sentence == (
        "vcgencmd pmic_read_adc: Can't open device file: /dev/vcio; sudo usermod -aG video $USER, then log in again"
    )


def test_a_machine_without_the_command_is_no_raspberry_pi(tmp_path: Path) -> None:
    assert absent(Pmic, tmp_path).sentence == "vcgencmd is not installed: this is not a Raspberry Pi"
