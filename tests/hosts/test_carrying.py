"""A board behind a real SSH server that has nothing but Python: asked what it is, given packages, asked again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.bench.bench import BenchRequest
from edgecnn.bench.bundle import BundleBenchRequest, bench_bundle
from edgecnn.bench.facts import BundleBench
from edgecnn.devices import machine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import BOARD_NOT_READY
from edgecnn.store.store import Store
from edgecnn.values.board import HostRequest
from edgecnn.values.recipe import RaceChoice
from tests.bundle.sealed import published
from tests.hosts.sshd import Loopback, needs_sshd
from tests.runner.kits import make_kit
from tests.runner.pythons import environment_with, run_kit
from tests.store.toys import Ear

pytestmark = [pytest.mark.full, needs_sshd]  # needs openssh-server, and the package index for what is carried


def check(*words: str, store: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgecnn", "devices", "check", "--host", "loopback", "--json", *words]
    environment = {**os.environ, "EDGECNN_STORE": str(store)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def home_is_left_as_it_was() -> Iterator[None]:
    """The server's home folder is the user's own."""
    places = [Path("~/.local/share/edgecnn").expanduser() / name for name in ("env", "wheels")]
    new = [place for place in places if not place.exists()]
    yield
    for place in new:
        shutil.rmtree(place, ignore_errors=True)


def test_packages_are_carried_to_a_board_that_has_none(board: Loopback, tmp_path: Path) -> None:
    bare = environment_with(tmp_path / "bare")
    before = check("--python", str(bare), store=tmp_path / "store")
    found = json.loads(before.stdout)
    assert before.returncode == 3 and "board-not-ready" in before.stderr
    assert [each["ref"] for each in found["findings"] if each["weight"] == "stops"] == ["packages-missing"]
    after = check("--python", str(bare), "--carry-wheels", store=tmp_path / "store")
    assert after.returncode == 0, after.stderr
    found = json.loads(after.stdout)
    assert {"numpy", "pillow", "onnxruntime"} <= set(found["facts"]["packages"])
    python = Path(found["facts"]["python"]["executable"])
    assert python.parts[-6:-2] == (".local", "share", "edgecnn", "env")  # bench --clean removes ~/.cache/edgecnn
    assert run_kit(python, make_kit(tmp_path), "selftest")["ok"] is True


def test_bench_brings_what_the_kits_of_a_bundle_need_and_measures_with_it(
    board: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "FOLDER", str(tmp_path / "far"))
    monkeypatch.setattr(machine, "LOCK", str(tmp_path / "lock"))
    bare = str(environment_with(tmp_path / "bare"))
    bundle, store = published(tmp_path), Store.open(tmp_path / "store")

    def benched(*, carry: bool) -> BundleBench:
        host = HostRequest(address="loopback", python=bare, carry_wheels=carry)
        asked = BundleBenchRequest(BenchRequest(folder=bundle, host=host), out=tmp_path / "found", race=RaceChoice(samples=50))
        return bench_bundle(asked, store, Ear())

    with pytest.raises(EdgecnnError, match="onnxruntime.*, numpy and pillow are missing", check=BOARD_NOT_READY.made):
        benched(carry=False)
    (row,) = benched(carry=True).candidates
    assert row.latency is not None and row.latency.runs == 8
    python = Path("~/.local/share/edgecnn/env/bin/python3").expanduser()
    assert python.exists() and list((tmp_path / "far/kits").iterdir()), "it stays for the next call"


def test_a_board_without_that_python_is_one_line(board: Loopback, tmp_path: Path) -> None:
    done = check("--python", "python9", store=tmp_path / "store")
    assert done.returncode == 3 and "recording-unusable" in done.stderr, done.stderr
    assert "python9" in done.stderr
