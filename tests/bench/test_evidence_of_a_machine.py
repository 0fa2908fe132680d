"""Which machine a record is of and of which day, as the record itself has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgecnn.bench import evidence as of_evidence
from edgecnn.devices import machine as of_machine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.measuring import EVIDENCE_ELSEWHERE
from edgecnn.values.board import HostRequest, LocalFacts
from edgecnn.values.resolved import Attachment
from tests.bench.test_evidence import Board, board

__all__ = ["board"]


def test_a_record_is_of_the_day_of_its_oldest_figure(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """A race of yesterday serves, and does not become one of today."""
    days, made = iter(["2026-11-20T09:00:00+00:00", "2026-11-20T10:00:00+02:00"]), Board.profile

    def dated(*of: Any) -> Any:
        return made(*of).model_copy(update={"observed_at": next(days, "2026-11-21T09:00:00+00:00")})

    monkeypatch.setattr(Board, "profile", staticmethod(dated))
    assert board.measured().measured_at == "2026-11-20T10:00:00+02:00"


def test_a_board_that_is_less_than_its_device_file_says_so_in_its_record(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 32 GB module of a Jetson AGX Orin has eight cores of the twelve, and the same name."""
    smaller = LocalFacts(
        architecture="aarch64", cpu_vendor="0x41", models=("NVIDIA Jetson AGX Orin Developer Kit",),
        isa=("asimddp", "asimdhp"), cores=8, memory_mib=30_000,
    )  # fmt: skip
    found = of_machine.this_machine
    monkeypatch.setattr(of_machine, "this_machine", lambda: replace(found(), facts=smaller))
    monkeypatch.setattr(of_evidence, "attachment_of", lambda *_: Attachment(attached=True, why="it is here"))
    warnings = board.measured(device="jetson-agx-orin").warnings
    assert warnings == (
        "the file says 12 cores; a process may use 8 here",
        "the file says 65,536 MiB of memory; the machine has 30,000 MiB",
    )
    assert set(warnings) <= set(board.ear.notes)


def test_an_emulated_machine_has_no_times_to_send(board: Board) -> None:
    with pytest.raises(EdgecnnError, match="times of its emulator", check=EVIDENCE_ELSEWHERE.made):
        board.measured(device="arm64-emulated", host=HostRequest(address="emulated"))
