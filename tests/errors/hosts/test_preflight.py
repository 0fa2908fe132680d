from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.devices import DeviceFileDisagrees, DeviceFileThere, DeviceNameBad
from edgecnn.errors.hosts.board import BoardNotReady, CarryWithoutHost
from edgecnn.errors.hosts.process import RecordingUnusable, WheelsNotUnpacked


def test_recording_unusable() -> None:
    error = RecordingUnusable(board="pi@board", said="python3: not found")
    assert error.line() == (
        "pi@board could not be asked what it is: python3: not found — it takes Python 3.6 or newer there, by the name python3 or "
        "the one that --python gives [recording-unusable]"
    )
    assert error.exit_code is ExitCode.MISSING


def test_board_not_ready() -> None:
    error = BoardNotReady(
        board="pi@board", whats=["numpy is missing", "300 MiB are free"], hints=["pip install numpy", "make room"]
    )
    assert error.line() == (
        "kits cannot run on pi@board as it is: numpy is missing; 300 MiB are free — "
        "pip install numpy; make room [board-not-ready]"
    )
    assert error.exit_code is ExitCode.MISSING


def test_device_file_disagrees() -> None:
    error = DeviceFileDisagrees(device="pi5", board="pi@board", differences=["the file says 4 cores, a process may use 2 here"])
    assert error.line() == (
        "pi@board is not the pi5 of its device file: the file says 4 cores, a process may use 2 here — "
        "correct the file, or write another: `edgecnn devices add NAME` [device-file-disagrees]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_device_file_there() -> None:
    mine = DeviceFileThere(name="kitchen", title="", file=Path("/home/me/kitchen.toml"))
    assert mine.line() == (
        "there is a device 'kitchen' already: /home/me/kitchen.toml — give it another name, or write over it with --force "
        "[device-file-there]"
    )
    shipped = DeviceFileThere(name="pi5", title="Raspberry Pi 5", file=None)
    assert shipped.line() == "there is a device 'pi5' already: Raspberry Pi 5 — give it another name [device-file-there]"


def test_device_name_bad() -> None:
    assert DeviceNameBad(name="My Board", suggestion="my-board").line() == (
        "'My Board' is no name of a device: a name is lower-case letters, digits and single dashes between them — "
        "such as my-board [device-name-bad]"
    )


def test_wheels_not_unpacked() -> None:
    error = WheelsNotUnpacked(board="pi@board", said="No space left on device")
    assert error.line() == (
        "pi@board could not take the packages that were sent to it: No space left on device [wheels-not-unpacked]"
    )
    assert error.exit_code is ExitCode.MISSING


def test_carry_without_host() -> None:
    assert CarryWithoutHost().line() == (
        "--carry-wheels copies packages to a board, and --host names none — "
        "say --host user@board, or install what the findings name [carry-without-host]"
    )
