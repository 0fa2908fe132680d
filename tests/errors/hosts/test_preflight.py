from __future__ import annotations

from edgecnn.errors.base import ExitCode
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
