"""The emulated machine as a Host, played by a Python that says that it is emulated."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgecnn.devices import machine
from edgecnn.devices.check import board
from edgecnn.devices.check.board import BoardUse
from edgecnn.devices.files import device_named
from edgecnn.devices.this_machine import contradiction
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARD_IS_ANOTHER_DEVICE, RecordingUnusable
from edgecnn.hosts.local import EmulatedHost
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.values.board import EMULATED, HostRequest
from edgecnn.values.profile import Environment
from edgecnn.values.verdict import Fidelity
from tests.runner.kits import make_kit
from tests.runner.processes import schedule_of
from tests.runtimes.made import Quiet

SAID = "QEMU user mode, cortex-a76"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python3"
    path.write_text(f'#!/bin/sh\necho "$*" >> "{path}.log"\nEDGECNN_EMULATOR="{SAID}" exec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


def test_every_process_that_is_timed_there_is_emulated_and_says_so(python: Path, tmp_path: Path) -> None:
    kit = make_kit(tmp_path)
    wanted = json.loads(schedule_of(tmp_path / "schedule.json", kit).read_text())
    schedule = Schedule(tuple(wanted["items"]), wanted["timeout_s"])
    task = Task(kit, "bench", out=tmp_path / "out", schedule=schedule, made_here=True)
    assert EmulatedHost(python).run(task, lease_s=120, tell=Quiet())["bench"]["failed"] == []
    run = Environment.model_validate(json.loads((tmp_path / "out/run-00000.json").read_text())["environment"])
    assert run.fidelity is Fidelity.EMULATED
    assert contradiction(device_named("arm64-emulated"), run.model_copy(update={"observed": {"architecture": "aarch64"}})) is None
    said = contradiction(device_named("raspberry-pi-5"), run.model_copy(update={"observed": {"architecture": "aarch64"}}))
    assert said is not None and SAID in said


def test_what_it_is_is_asked_once(python: Path) -> None:
    host = EmulatedHost(python)
    assert host.identify().fidelity is Fidelity.EMULATED
    assert host.runtime_version("onnxruntime") is not None and host.runtime_version("tensorrt") is None
    assert len(Path(f"{python}.log").read_text().splitlines()) == 1


def test_a_device_that_it_is_not_is_refused(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "emulated_python", lambda _: python)
    asked = HostRequest(address=EMULATED)
    with pytest.raises(EdgecnnError, match="emulated is not Raspberry Pi 5", check=BOARD_IS_ANOTHER_DEVICE.made):
        machine.machine_for(asked, BoardUse(device_named("raspberry-pi-5"), "a test"), Quiet()).__enter__()
    with machine.machine_for(asked, BoardUse(None, "a test"), Quiet()) as found:
        assert found.facts.models == (SAID,) and found.board == EMULATED
        assert found.environment.fidelity is Fidelity.EMULATED


def test_one_that_does_not_start_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "emulated_python", lambda _: tmp_path)
    with pytest.raises(RecordingUnusable, match="emulated"), board.machine_at(HostRequest(address=EMULATED), Quiet()):
        pass
