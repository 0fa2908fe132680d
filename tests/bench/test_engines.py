"""A finished build whose kits need an engine, benched over a real OpenSSH link: the engines are built at the other end.

The builder is TensorRT's for a GPU that is named, since there is none here: what it builds is fetched, and cannot be run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench.bench import Benched, BenchRequest, bench
from edgecnn.devices import machine
from edgecnn.devices.check import board as look
from edgecnn.devices.check.board import BoardUse, FitBoard, board_over
from edgecnn.devices.check.findings import package_status
from edgecnn.devices.check.reading import facts_of
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts import BOARD_LACKS_BUILDER, BOARD_NOT_READY
from edgecnn.hosts.ssh.host import SshHost
from edgecnn.hosts.ssh.link import COMMAND, Link
from edgecnn.store.store import Store
from edgecnn.values.artifact import Cached, Failed, Ran
from edgecnn.values.board import BoardFacts, HostRequest, Recording
from edgecnn.values.device import EngineBuilder
from edgecnn.values.report import CandidateFacts
from tests.building.builds import Place
from tests.hosts.sshd import Loopback, loopback, needs_sshd
from tests.runner.engine_kits import RTX
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
[runtimes.tensorrt]
versions = ">=10.3,<11"
python = ">=3.11"
onnx_opset_max = 20
onnx_ir_max = 10
precisions = {{ fp16 = "native", int8 = "none" }}
source = "reason: as jetson-orin-nano, without INT8 to save time"
"""
FP16 = "tensorrt-fp16"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with loopback(tmp_path_factory.mktemp("sshd") / "server") as running:
        yield running


@pytest.fixture
def board(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    monkeypatch.setenv(COMMAND, server.client)
    monkeypatch.setattr(machine, "FOLDER", str(tmp_path / "far"))
    monkeypatch.setattr(machine, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(look, "facts_of", as_the_board)
    return server


def as_the_board(recording: Recording, board: str | None = None) -> BoardFacts:
    return facts_of(recording, board).model_copy(update={"models": (BOARD,)})


def unlooked_at(link: Link, asked: HostRequest, wanted: BoardUse) -> FitBoard:
    reached = board_over(link, asked.python)
    return FitBoard(reached, package_status(reached.facts, wanted.needs), ())


def with_a_named_gpu(asked: Any) -> Any:
    def engine_builder(host: SshHost, package: str) -> EngineBuilder:
        return asked(host, RTX).model_copy(update={"capability": "8.9"})

    return engine_builder


def benched(place: Place) -> Benched:
    request = BenchRequest(folder=place.out, host=HostRequest(address="loopback", python=sys.executable))
    return bench(request, Store.open(place.store), Ear())


def fp16_of(found: Benched) -> CandidateFacts:
    return next(row for row in found.report.candidates if row.candidate.id == FP16)


def test_engines_are_built_on_the_board_once_and_what_cannot_run_there_is_out_alone(
    board: Loopback, built: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "board.toml"
    file.write_text(DEVICE)
    done = built.run("build", "--target", str(file), "--set", "choice.objective=latency")
    assert done.returncode == 0, done.stderr
    choice = built.report()["choice"]
    assert (choice["state"], choice["candidate"]) == ("provisional", FP16)
    assert choice["settle_command"] == f"edgecnn bench {built.out} --host USER@board-of-tests"
    with pytest.raises(EdgecnnError, match="TensorRT is missing", check=BOARD_NOT_READY.made):
        benched(built)
    monkeypatch.setattr(machine, "fit_board", unlooked_at)
    with pytest.raises(
        EdgecnnError,
        match=r"^on loopback, the builder tensorrt cannot be imported by .* — --python ",
        check=BOARD_LACKS_BUILDER.made,
    ) as lacking:
        benched(built)
    assert lacking.value.exit_code is ExitCode.MISSING
    monkeypatch.setattr(SshHost, "engine_builder", with_a_named_gpu(SshHost.engine_builder))
    found = benched(built)
    first = fp16_of(found)
    assert isinstance(first.outcomes["engine"], Ran)
    failed = first.outcomes["measure"]
    assert isinstance(failed, Failed) and failed.ref == "missing-package", failed
    assert first.residency is not None and first.residency.basis == "planned"
    assert found.report.choice.state == "settled" and found.report.choice.candidate == "onnxruntime-fp32"
    assert list((tmp_path / "far").glob("kits/*/build/engine-sm89.plan")), "it was put into its kit"
    assert isinstance(fp16_of(benched(built)).outcomes["engine"], Cached)
