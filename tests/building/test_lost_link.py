"""What is amiss with a board says nothing of a candidate: it ends the call, and no candidate is out for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import LINK_LOST, link_lost, runner_crashed
from edgecnn.hosts.protocol import Task
from edgecnn.measure.lab import why_not_runnable
from edgecnn.measure.subject import Subject
from edgecnn.store.store import Store
from edgecnn.values.stage import Progress
from tests.building.resolutions import resolved
from tests.measure.labs import FakeHost, a_kit, lab_at


class Failing(FakeHost):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        raise self.error


def test_a_kit_whose_board_went_away_is_not_called_unable(tmp_path: Path) -> None:
    kit, store = a_kit(tmp_path, "kit"), Store.open(tmp_path / "store")
    crashed = Failing(runner_crashed(argv=["selftest"], ending="signal SIGSEGV", last_lines=[]))
    failed = why_not_runnable(kit, lab_at(crashed, store))
    assert failed is not None and "signal SIGSEGV" in failed.what
    with pytest.raises(EdgecnnError, check=LINK_LOST.made):
        why_not_runnable(kit, lab_at(Failing(link_lost(board="pi", doing="selftest")), store))


@pytest.mark.parametrize("what", ["evaluate_all", "read_residency"])
def test_a_candidate_whose_board_went_away_is_not_out(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecnn.building import measuring
    from edgecnn.measure import subject
    from edgecnn.measure.evaluate import PixelSet
    from edgecnn.values.layers import MacTable

    def gone(*_: object) -> None:
        raise link_lost(board="pi", doing="evaluate")

    kit = a_kit(tmp_path, "kit")
    observer = measuring.Observer(Subject.from_build(resolved(), lab_at(FakeHost(), Store.open(tmp_path / "store"))))
    observer.subject.kits["kit"] = observer.subject.answering["kit"] = kit
    monkeypatch.setattr(subject, "evaluate", gone)
    monkeypatch.setattr(measuring, "residency", gone)
    monkeypatch.setattr(observer.subject, "macs", lambda _: MacTable(resolution_px=64, layers=()))
    pixels = PixelSet(split="validation", file=tmp_path, sha256="0" * 64, images=1)
    with pytest.raises(EdgecnnError, check=LINK_LOST.made):
        observer.evaluate_all({"validation": pixels}) if what == "evaluate_all" else observer.read_residency()
    assert (observer.subject.failures, observer.subject.notes) == ({}, [])
