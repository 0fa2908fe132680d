"""A board is looked at before anything is copied to it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from edgecnn.devices.check import board as of_boards
from edgecnn.devices.check.board import BoardUse, FitBoard, ReachedBoard, fit_board, furnish_board, runtimes_for
from edgecnn.devices.check.findings import package_status
from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARD_IS_ANOTHER_DEVICE, BOARD_NOT_READY, WHEELS_NOT_FOUND
from edgecnn.hosts.ssh.link import Answer, Link
from edgecnn.hosts.wheels import Parcel
from edgecnn.values.board import HostRequest, Recording
from edgecnn.values.candidate import Runtime
from tests.devices.check.recorded import JETSON_ORIN_NANO, RASPBERRY_PI_5, READY, recorded
from tests.store.toys import Ear

ENVIRONMENT = '"$HOME"/.local/share/edgecnn/env/bin/python3'
PI = BoardUse(device_named("raspberry-pi-5"), "a test", frozenset({Runtime.ONNXRUNTIME}))


class Board:
    """Answers for each Python with what was recorded of it, as a link does."""

    board = "pi@board"

    def __init__(self, **pythons: Recording) -> None:
        self.asked = list[str]()
        self._pythons = {"exec python3 -": pythons.get("usual"), f"exec {ENVIRONMENT} -": pythons.get("carried")}

    def ask(self, remote: str, **_: Any) -> Answer:
        self.asked.append(remote)
        found = self._pythons.get(remote)
        return Answer(b"", "not found", 127) if found is None else Answer(json.dumps(found.model_dump()).encode(), "", 0)

    def answers_as(self, remote: str, recording: Recording) -> None:
        self._pythons[remote] = recording

    @property
    def link(self) -> Link:
        return cast("Link", self)


def asked(**options: Any) -> HostRequest:
    return HostRequest(address="pi@board", **options)


def test_a_board_that_lacks_nothing_is_asked_once() -> None:
    board = Board(usual=recorded(RASPBERRY_PI_5, READY))
    seen = fit_board(board.link, asked(), PI)
    assert seen.reached.python == "python3" and len(board.asked) == 1
    assert seen.warnings == (
        "the governor is ondemand: clocks rise only under load, so the first samples are slow — echo performance | sudo tee "
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor (until the next boot)",
    )


def test_a_board_is_held_against_what_kits_need_once() -> None:
    looks = Counter[str]()
    sys.setprofile(lambda frame, event, _: looks.update([frame.f_code.co_name] if event == "call" else []))
    try:
        seen = fit_board(Board(usual=recorded(RASPBERRY_PI_5, READY)).link, asked(), PI)
        _ = furnish_board(seen, PI, Ear()).warnings
    finally:
        sys.setprofile(None)
    assert {name: looks[name] for name in ("facts_of", "package_status", "_runtime_status")} == {
        "facts_of": 1, "package_status": 1, "_runtime_status": 1,
    }  # fmt: skip


def test_what_is_missing_ends_it_with_the_line_that_installs_it() -> None:
    with pytest.raises(EdgecnnError, check=BOARD_NOT_READY.made) as caught:
        fit_board(Board(usual=recorded(RASPBERRY_PI_5)).link, asked(), PI)
    assert caught.value.ref == "board-not-ready"
    assert caught.value.exit_code == 3


def test_packages_that_were_carried_there_once_serve_unless_a_python_is_named() -> None:
    board = Board(usual=recorded(RASPBERRY_PI_5), carried=recorded(RASPBERRY_PI_5, READY))
    assert fit_board(board.link, asked(), PI).reached.python == "~/.local/share/edgecnn/env/bin/python3"
    with pytest.raises(EdgecnnError, check=BOARD_NOT_READY.made):
        fit_board(board.link, asked(python="python3"), PI)


def test_packages_that_are_to_be_carried_are_no_obstacle_and_all_else_is() -> None:
    bare = recorded(RASPBERRY_PI_5, {"python": {"ensurepip": False}})
    assert fit_board(Board(usual=bare).link, asked(carry_wheels=True), PI).reached.python == "python3"
    full = recorded(RASPBERRY_PI_5, {"disk": {"free_mib": 300}})
    with pytest.raises(EdgecnnError, match=r"300 MiB are free in the home folder", check=BOARD_NOT_READY.made):
        fit_board(Board(usual=full).link, asked(carry_wheels=True), PI)


def test_nothing_is_carried_to_a_board_that_has_everything() -> None:
    board = Board(usual=recorded(RASPBERRY_PI_5, READY))
    seen = fit_board(board.link, asked(carry_wheels=True), PI)
    assert furnish_board(seen, PI, Ear()) == seen and len(board.asked) == 1


def test_a_board_with_its_packages_may_be_nearly_full() -> None:
    nearly = recorded(RASPBERRY_PI_5, READY, {"disk": {"free_mib": 300}})
    assert fit_board(Board(usual=nearly).link, asked(), PI).reached.facts.disk_free_mib == 300


def test_another_device_is_refused_before_it_is_told_what_it_lacks() -> None:
    with pytest.raises(
        EdgecnnError,
        match=r"^pi@board is not Raspberry Pi 5.*: it is .* — pass --target jetson-orin-nano \[",
        check=BOARD_IS_ANOTHER_DEVICE.made,
    ):
        fit_board(Board(usual=recorded(JETSON_ORIN_NANO)).link, asked(), PI)


def test_a_machine_of_no_name_is_told_to_be_a_processor_and_no_browser() -> None:
    nameless = Board(usual=recorded(READY))
    with pytest.raises(
        EdgecnnError,
        match=r"^pi@board is not Raspberry Pi 5.*: it is .* — pass --target cpu \[",
        check=BOARD_IS_ANOTHER_DEVICE.made,
    ):
        fit_board(nameless.link, asked(), PI)


def test_a_board_has_what_the_named_runtimes_need_too() -> None:
    pi = device_named("raspberry-pi-5")
    board = recorded(RASPBERRY_PI_5, READY)
    fit_board(Board(usual=board).link, asked(), BoardUse(pi, "a test", runtimes_for(pi, None)))
    with pytest.raises(EdgecnnError, match="ai-edge-litert>=2.3,<3 is missing", check=BOARD_NOT_READY.made):
        fit_board(Board(usual=board).link, asked(), BoardUse(pi, "a test", runtimes_for(pi, Runtime.LITERT)))
    with pytest.raises(EdgecnnError, match="ncnn.* and ai-edge-litert>=2.3,<3 are missing", check=BOARD_NOT_READY.made):
        fit_board(Board(usual=board).link, asked(), BoardUse(pi, "a test", runtimes_for(pi, "all")))


def test_only_the_runtimes_that_the_kits_open_are_asked_for() -> None:
    jetson = device_named("jetson-orin-nano")
    ready = {"python": {"packages": {**JETSON_ORIN_NANO["python"]["packages"], "onnxruntime": "1.23.2"}}}
    without = recorded(
        JETSON_ORIN_NANO, ready, {"python": {"packages": {"numpy": "1.26.4", "pillow": "9.0.1", "onnxruntime": "1.23.2"}}}
    )
    fit_board(Board(usual=without).link, asked(), BoardUse(jetson, "a test", frozenset({Runtime.ONNXRUNTIME})))
    with pytest.raises(EdgecnnError, match="TensorRT is missing", check=BOARD_NOT_READY.made):
        fit_board(Board(usual=without).link, asked(), BoardUse(jetson, "a test"))


def test_an_optional_package_without_a_wheel_is_told_and_the_others_are_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    carried: list[tuple[str, ...]] = []

    def download(packages: tuple[str, ...], *_: object) -> tuple[Path, ...]:
        if packages[0].startswith("ncnn"):
            raise WHEELS_NOT_FOUND(packages=packages, board="a board", because="pip has none")
        return ()

    def carry(link: object, python: str, parcel: Parcel, tell: object) -> str:
        carried.append(parcel.packages)
        return "/home/pi/.local/share/edgecnn/env/bin/python3"

    monkeypatch.setattr(of_boards, "download_wheels", download)
    monkeypatch.setattr(of_boards, "carry_wheels", carry)
    ready = recorded(RASPBERRY_PI_5, READY)
    board, ear = Board(usual=recorded(RASPBERRY_PI_5), carried=ready), Ear()
    board.answers_as("exec /home/pi/.local/share/edgecnn/env/bin/python3 -", ready)
    wanted = BoardUse(device_named("raspberry-pi-5"), "a test")
    bare = facts_of(recorded(RASPBERRY_PI_5))
    lacking = package_status(bare, wanted.needs)
    furnish_board(FitBoard(ReachedBoard("pi@board", bare, board.link, "python3"), lacking, ()), wanted, ear)
    assert carried == [("onnxruntime>=1.19,<2", "numpy", "pillow", "ai-edge-litert>=2.3,<3")]
    assert ear.notes == [
        "the wheels of ncnn>=1.0.20261020,<2 for a board could not be downloaded: its kits are skipped on this board"
    ]
