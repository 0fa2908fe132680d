"""A finished build measured over a real OpenSSH server on this machine."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.bench.bench import Benched, BenchRequest, bench
from edgecnn.devices import machine
from edgecnn.devices.check import board as look
from edgecnn.devices.check.reading import facts_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARD_IS_ANOTHER_DEVICE, LINK_LOST
from edgecnn.hosts.ssh.link import COMMAND
from edgecnn.measure.evaluate import logits_of
from edgecnn.store.store import Store
from edgecnn.values.board import BoardFacts, HostRequest, Recording
from tests.building.builds import Place
from tests.hosts.sshd import Loopback, loopback, needs_sshd
from tests.runner.processes import wait_until
from tests.store.toys import Ear

pytestmark = [pytest.mark.full, needs_sshd]
BOARD = "Board of Tests"
DEVICE = f"""
name = "board-of-tests"
title = "the board of tests"
role = "target"
usually_attached = false
[match]
model_is = "{BOARD}"
[processor]
architecture = "any"
model = "whatever this machine has"
source = "reason: it is this machine under another name"
[runtimes.onnxruntime]
versions = ">=1.19,<2"
python = ">=3.11"
onnx_opset_max = 21
onnx_ir_max = 10
precisions = {{ fp32 = "native", int8 = "native" }}
source = "reason: as cpu"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with loopback(tmp_path_factory.mktemp("sshd") / "server") as running:
        yield running


@pytest.fixture
def board(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    monkeypatch.setenv(COMMAND, server.client)
    monkeypatch.setattr(machine, "FOLDER", str(tmp_path / "far"))
    monkeypatch.setattr(machine, "LOCK", str(tmp_path / "lock"))
    return server


def benched(place: Place, store: Path, tell: Ear | None = None) -> Benched:
    request = BenchRequest(folder=place.out, host=HostRequest(address="loopback", python=sys.executable))
    return bench(request, Store.open(store), tell or Ear())


def unmeasured(place: Place, folder: Path) -> Path:
    """The build's store as it was before anything was measured."""
    store = folder / "unmeasured"
    shutil.copytree(place.store, store, copy_function=shutil.copy2)
    shutil.rmtree(store / "profiles")
    return store


def test_the_board_s_figures_take_the_place_of_this_machine_s_and_agree(board: Loopback, built: Place, tmp_path: Path) -> None:
    here, store, ear = built.report(), unmeasured(built, tmp_path), Ear()
    found = benched(built, store, ear)
    rows = {row.candidate.id: row for row in found.report.candidates}
    assert found.written and built.report()["made_at"] == found.report.made_at
    for row in here["candidates"]:
        there = rows[row["candidate"]["id"]]
        local = Store.open(built.store).profiles.of(row["kit"], "evaluation")
        assert there.kit == row["kit"]
        assert {each.profile.pixels: logits_of(each).tobytes() for each in local} == {
            each.profile.pixels: logits_of(each).tobytes() for each in Store.open(store).profiles.of(row["kit"], "evaluation")
        }
    calls = len(ear.notes)
    again = benched(built, store, ear)
    assert [note for note in ear.notes[calls:] if note.startswith("evaluate ")] == []
    assert again.report.model_dump(include={"candidates": {"__all__": {"latency"}}}) == found.report.model_dump(
        include={"candidates": {"__all__": {"latency"}}}
    ), "a fresh race serves"


def test_a_bench_whose_link_was_cut_goes_on_with_the_same_call(board: Loopback, built: Place, tmp_path: Path) -> None:
    store, far = unmeasured(built, tmp_path), tmp_path / "far"
    cutting = threading.Thread(target=lambda: wait_until(lambda: len(runs_in(far)) > 4, 300) and board.cut())
    cutting.start()
    with pytest.raises(EdgecnnError, check=LINK_LOST.made):
        benched(built, store)
    cutting.join()
    before = runs_in(far)
    benched(built, store)
    assert before.items() <= runs_in(far).items(), "what was measured once stayed as it was"


def test_a_provisional_choice_is_settled_on_the_board(
    board: Loopback, built: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "board.toml"
    file.write_text(DEVICE)
    done = built.run("build", "--target", f"{file}:onnxruntime", "--set", "choice.objective=latency")
    assert done.returncode == 0, done.stderr
    assert built.report()["choice"]["state"] == "provisional"
    with pytest.raises(
        EdgecnnError,
        match=r"^loopback is .* which is not the board of tests — pass --target cpu",
        check=BOARD_IS_ANOTHER_DEVICE.made,
    ):
        benched(built, built.store)
    monkeypatch.setattr(look, "facts_of", as_the_board)
    found = benched(built, built.store)
    assert found.report.choice.state == "settled" and found.report.build.device_attached
    bundle = json.loads((built.out / "bundle/choice.json").read_text())
    assert bundle["choice"]["state"] == "settled"
    chosen = next(row for row in found.report.candidates if row.chosen)
    assert chosen.latency is not None and chosen.latency.runs


def as_the_board(recording: Recording, board: str | None = None) -> BoardFacts:
    return facts_of(recording, board).model_copy(update={"models": (BOARD,)})


def runs_in(far: Path) -> dict[str, str]:
    """Finished runs on the far side: file to when it began."""
    found = {str(path): json.loads(path.read_text()) for path in far.glob("results/*/run-*.json")}
    return {name: run["started_at"] for name, run in found.items() if "error" not in run}
