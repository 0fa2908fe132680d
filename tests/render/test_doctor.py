from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgecnn.devices.doctor.facts import (
    Addition,
    DeviceFact,
    DiskFact,
    DoctorReport,
    GpuFact,
    MachineFact,
    PackageFact,
    Part,
    PythonFact,
    State,
    StoreFact,
)
from edgecnn.errors.base import ExitCode
from edgecnn.render.screens.machines import show_doctor
from edgecnn.values.profile import Environment
from edgecnn.values.sandbox import Confinement

CHEAP = Addition(
    adds="INT8", command="pip install x", download_mib=70, disk_mib=256, beyond="edgecnn without extras", measured="so"
)
FULL = DiskFact(use="store", path="/s", state=State.BROKEN, free_mib=0, total_mib=10, found="full", hint="edgecnn store gc")
UNKNOWN = Addition(adds="engines", command="pip install y", measured="not measured: nobody did")


def a_part(name: str, state: State, found: str, addition: Addition = CHEAP, **wrong: str | None) -> Part:
    package = PackageFact(
        name=name, wanted=">=1", version=None if state is State.ABSENT else "1.2", fits=state is not State.ABSENT
    )
    more = tuple(PackageFact(name=each, wanted=">=2,<3", version=version, fits=False) for each, version in wrong.items())
    return Part(
        name=name,
        kind="runtime",
        version=package.version,
        state=state,
        found=found,
        seconds=0.4,
        packages=(*more, package),
        addition=addition,
    )


def a_report() -> DoctorReport:
    return DoctorReport(
        edgecnn="0.1.0",
        made_at="2026-11-20T14:00:00+00:00",
        python=PythonFact(version="3.11.7", implementation="CPython", executable="/v/bin/python", in_virtual_environment=True),
        packages=(),
        machine=MachineFact(
            architecture="x86_64", cpu="Xeon", isa=("avx2",), cores_online=8, cores_allowed=4, cpu_limit=2.5, cores_used=2,
            memory_mib=8192, memory_available_mib=None, memory_limit_mib=512, limits_known=True,
        ),
        environment=Environment(conditions={}, observed={}),
        confinement=Confinement(landlock=0, unrestricted=("files", "signals")),
        disks=(FULL,),
        store=StoreFact(root="/s", state=State.WORKS, artifacts=3, profiles=1, mib=12.5, damaged=(), found="no damage"),
        parts=(
            a_part("onnxruntime", State.WORKS, "ran [bold]it[/bold]"),
            a_part("openvino", State.WORKS, "ran it", nncf="4.0"),
            a_part("train", State.BROKEN, "torch crashed"),
            a_part("report", State.ABSENT, "altair is not installed"),
            a_part("tensorrt", State.ABSENT, "tensorrt is not installed", UNKNOWN),
        ),
        gpu=GpuFact(state=State.ABSENT, models=(), found="none is listed"),
        devices=(DeviceFact(name="jetson", aliases=(), title="J", state=State.ABSENT, found="another machine"),),
        seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_doctor(a_report())
    return capsys.readouterr().out.splitlines()


def test_a_part_s_version_is_its_own_and_not_that_of_another_package(shown: list[str]) -> None:
    (row,) = [line for line in shown if "openvino" in line and "ran it" in line]
    assert "1.2" in row and "4.0" not in row


def test_what_was_found_is_never_taken_for_markup(shown: list[str]) -> None:
    assert any("ran [bold]it[/bold]" in line for line in shown)


@pytest.mark.parametrize(
    ("variables", "coloured"), [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)]
)
def test_no_color_is_heeded(variables: dict[str, str], coloured: bool) -> None:
    code = (
        "from tests.render.test_doctor import a_report; "
        "from edgecnn.render.screens.machines import show_doctor; show_doctor(a_report())"
    )
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**plain, "TERM": "xterm", **variables}, capture_output=True, text=True, check=True
    )
    assert ("\x1b[32mworks" in done.stdout) is coloured
    assert done.returncode == ExitCode.OK
