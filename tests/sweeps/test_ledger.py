"""What a sweep knows is written when it is known, whatever else goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import CLUSTER_UNUSABLE
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.run import SweepRun, run_builds
from edgecnn.sweeps.state import SweepState
from tests.store.toys import wait_until
from tests.sweeps.written import cells

SWEEP = """
[set]
data.path = "absent"
[grid]
model.arch = ["lenet-5"]
target.device = ["raspberry-pi-5:onnxruntime", "cpu:onnxruntime"]
[hosts]
raspberry-pi-5 = "ssh://pi@127.0.0.1:1"
"""


def test_what_a_board_measured_while_others_are_made_stands_in_the_state_though_the_making_then_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build fails, since nobody answers there: an end as any other."""
    monkeypatch.chdir(tmp_path)
    every, out = cells(tmp_path, SWEEP), tmp_path / "out"
    board = next(cell for cell in every if cell.host is not None)

    def state() -> Any:
        return json.loads((out / "sweep.json").read_text())

    def make(todo: Sequence[Cell], ready: Callable[[str], None]) -> None:
        ready(board.name)
        wait_until(lambda: (out / "sweep.json").exists() and bool(state()["outcomes"]), 60)
        assert list(state()["outcomes"]) == [board.name] and state()["begun"] == []
        raise CLUSTER_UNUSABLE(address="ray", because="it went away")

    run = SweepRun(out, every, {cell.name: "asked" for cell in every}, Store.open(tmp_path / "store"), total=2, cells=every)
    with pytest.raises(EdgecnnError, check=CLUSTER_UNUSABLE.made):
        run_builds(run, SweepState(sweep="sweep.toml"), Quiet(), make)
    outcomes = state()["outcomes"]
    assert list(outcomes) == [board.name] and outcomes[board.name]["exit_code"] == 3
