"""What machines show: a laptop, a two-socket server, a Jetson Orin Nano, an AGX Orin, a Jetson Nano, a Raspberry Pi 5."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.runner.trees import tree

RANGE = "262143328850\n"
"""max_energy_range_uj of client processors."""


def domain(folder: str, name: str, energy_uj: int, most: str = RANGE) -> dict[str, str]:
    place = f"sys/class/powercap/{folder}"
    return {f"{place}/name": f"{name}\n", f"{place}/energy_uj": f"{energy_uj}\n", f"{place}/max_energy_range_uj": most}


LAPTOP = {
    **domain("intel-rapl:0", "package-0", 5_000_000),
    **domain("intel-rapl:0:0", "core", 1_000_000),
    **domain("intel-rapl:0:1", "uncore", 1_000_000),
    **domain("intel-rapl:1", "psys", 9_000_000),
    **domain("intel-rapl-mmio:0", "package-0", 5_000_000),
}
SERVER = {
    **domain("intel-rapl:0", "package-1", 7_000_000),
    **domain("intel-rapl:1", "package-0", 5_000_000),
    **domain("intel-rapl:1:0", "dram", 1_000_000, "65712999613\n"),
}
CHIP = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
ORIN_NANO = {
    f"{CHIP}/in1_label": "VDD_IN\n",
    f"{CHIP}/in1_input": "5064\n",
    f"{CHIP}/curr1_input": "1000\n",
    f"{CHIP}/in1_enable": "1\n",
    f"{CHIP}/in2_label": "VDD_CPU_GPU_CV\n",
    f"{CHIP}/in2_input": "5064\n",
    f"{CHIP}/curr2_input": "200\n",
    f"{CHIP}/in3_label": "VDD_SOC\n",
    f"{CHIP}/in3_input": "5064\n",
    f"{CHIP}/curr3_input": "300\n",
    f"{CHIP}/in7_label": "sum of shunt voltages\n",
    f"{CHIP}/in7_input": "9\n",
}
SECOND = "sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon2"
AGX_ORIN = {
    f"{CHIP}/in1_label": "VDD_GPU_SOC\n",
    f"{CHIP}/in1_input": "20000\n",
    f"{CHIP}/curr1_input": "400\n",
    f"{CHIP}/in2_label": "VDD_CPU_CV\n",
    f"{CHIP}/in2_input": "20000\n",
    f"{CHIP}/curr2_input": "100\n",
    f"{CHIP}/in3_label": "VIN_SYS_5V0\n",
    f"{CHIP}/in3_input": "5000\n",
    f"{CHIP}/curr3_input": "800\n",
    f"{SECOND}/in1_label": "NC\n",
    f"{SECOND}/in1_enable": "0\n",
    f"{SECOND}/in2_label": "VDDQ_VDD2_1V8AO\n",
    f"{SECOND}/in2_input": "4968\n",
    f"{SECOND}/curr2_input": "80\n",
}
OLD = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
NANO = {
    f"{OLD}/rail_name_0": "POM_5V_IN\n",
    f"{OLD}/in_power0_input": "1750\n",
    f"{OLD}/rail_name_1": "POM_5V_GPU\n",
    f"{OLD}/in_power1_input": "120\n",
    f"{OLD}/rail_name_2": "POM_5V_CPU\n",
    f"{OLD}/in_power2_input": "366\n",
}
PI_5 = """\
   3V7_WL_SW_A current(0)=0.00000000A
     3V3_SYS_A current(1)=0.10000000A
    VDD_CORE_A current(7)=1.25000000A
        HDMI_A current(22)=0.02000000A
   3V7_WL_SW_V volt(8)=3.70720000V
     3V3_SYS_V volt(9)=3.30000000V
    VDD_CORE_V volt(15)=0.80000000V
        HDMI_V volt(23)=5.00000000V
       EXT5V_V volt(24)=5.13756000V
        BATT_V volt(25)=0.00000000V
"""
PI_5_WATTS = 0.33 + 1.0 + 0.1


def advance(root: Path, folder: str, by_uj: int) -> None:
    """Let a RAPL domain count on."""
    path = root / f"sys/class/powercap/{folder}/energy_uj"
    path.write_text(f"{int(path.read_text()) + by_uj}\n")


@contextlib.contextmanager
def forbidden(files: dict[str, str], name: str) -> Iterator[Path]:
    """A tree as a user sees it who may look at all of it except one file. Whoever runs the tests as root is nobody meanwhile.

    The tree is not in pytest's own folder, into which nobody else may look at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = machine(Path(folder), files)
        for path in (root, *root.rglob("*")):
            path.chmod(0o755)
        (root / name).chmod(0o600 if os.geteuid() == 0 else 0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield root
        finally:
            os.seteuid(user)


def machine(root: Path, files: dict[str, str]) -> Path:
    """A tree of a physical machine."""
    return tree(root, {"proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu avx2\n", **files})
