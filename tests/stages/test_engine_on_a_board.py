"""Engines built at the other end of a real OpenSSH link, by TensorRT's ahead-of-time builder for a GPU that is named."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from edgecnn.building.engines import build_engine
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import LINK_LOST, RunnerFailed, RunnerTimedOut
from edgecnn.hosts.protocol import Host
from edgecnn.hosts.ssh.host import SshHost
from edgecnn.hosts.ssh.link import COMMAND, Address
from edgecnn.measure.kits import KitRef
from edgecnn.runner.files import sha256_of
from edgecnn.stages import engine as compile_stage
from edgecnn.stages.engine import EngineStage
from edgecnn.store.entry import StageInputs
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, Cached, FoundInput, Ran
from edgecnn.values.device import EngineBuilder
from edgecnn.values.layers import Residency
from edgecnn.values.stage import digest_of
from tests.building.scenes import NoHost
from tests.hosts.sshd import Loopback, loopback, needs_sshd
from tests.measure.labs import lab_at
from tests.runner.engine_kits import FP16, RTX, engine_kit
from tests.runner.kits import rewrite_manifest
from tests.runner.processes import processes_about, wait_until
from tests.store.toys import Ear

pytestmark = [pytest.mark.full, needs_sshd]
BUILDER = EngineBuilder(package=RTX, version=version("tensorrt-rtx-cu13-bindings"), capability="8.9", driver="none")
ENGINE = "engine-sm89.plan"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with loopback(tmp_path_factory.mktemp("sshd") / "server") as running:
        yield running


@pytest.fixture
def board(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    monkeypatch.setenv(COMMAND, server.client)
    return server


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engine_kit(tmp_path_factory.mktemp("engines") / "kit", "mobilenet_v3_small", FP16)


def connect(folder: Path) -> SshHost:
    lock = str(folder / "lock")
    return SshHost.open(Address.of("loopback"), what="a test", python=sys.executable, folder=str(folder / "far"), lock=lock)


def engine_stage(kit: Path, builder: EngineBuilder = BUILDER) -> EngineStage:
    key = digest_of(sha256_of(kit / "kit.json"))
    return EngineStage(inputs={"kit": key}, package=builder.package, capabilities=("8.9",), builder=builder)


def obtained(store: Store, stage: EngineStage, kit: Path, host: Host, ear: Ear | None = None) -> tuple[Artifact, Ran | Cached]:
    key = stage.inputs["kit"]
    under = StageInputs(versions={}, inputs={"kit": FoundInput(path=kit, key=key, content=key)}, environment={})
    return store.artifacts.obtain(stage, under, ear or Ear(), lambda given, out, tell: stage.make_on(host, given, out, tell))


def test_the_far_side_builds_it_once_a_key_and_it_comes_back_inside_its_kit(board: Loopback, kit: Path, tmp_path: Path) -> None:
    store, stage = Store.open(tmp_path / "store"), engine_stage(kit)
    with connect(tmp_path) as far:
        made, outcome = obtained(store, stage, kit, far)
    assert isinstance(outcome, Ran)
    record = json.loads((made.folder / "kit/build/build.json").read_text())
    (engine,) = record["engines"]
    assert (record["package"], record["version"], engine["file"]) == (RTX, BUILDER.version, ENGINE)
    assert engine["sha256"] == sha256_of(made.folder / "kit/build" / ENGINE)
    assert engine["timing_cache"]["sha256"] == sha256_of(made.folder / "timing.cache")
    assert "[VERBOSE] Layers:" in (made.folder / "build.log").read_text()
    assert Residency.model_validate_json((made.folder / "planned.json").read_text()).mac_share == {"fp16": 1.0}
    assert KitRef.at(made.folder / "kit").digest == KitRef.at(kit).digest, "its figures are the kit's"
    again, outcome = obtained(store, stage, kit, NoHost())
    assert (again.key, outcome) == (made.key, Cached())
    other = BUILDER.model_copy(update={"driver": "nvidia 540.4.0"})
    assert engine_stage(kit, other).key({}) != stage.key({})


def cut_when(board: Loopback, begun: Callable[[], bool]) -> threading.Thread:
    thread = threading.Thread(target=lambda: wait_until(begun, 60) and board.cut())
    thread.start()
    return thread


def test_a_link_that_is_lost_while_it_builds_goes_on_with_the_same_call(board: Loopback, kit: Path, tmp_path: Path) -> None:
    store, stage, far = Store.open(tmp_path / "store"), engine_stage(kit), tmp_path / "far"
    with (
        connect(tmp_path) as host,
        pytest.raises(EdgecnnError, check=LINK_LOST.made),
    ):
        cutting = cut_when(board, lambda: bool(list(far.glob("results/*/part.log"))))
        obtained(store, stage, kit, host)
    cutting.join()
    assert wait_until(lambda: not processes_about(str(far)), 10), "nothing is built for somebody who is gone"
    with connect(tmp_path) as host:
        made, _ = obtained(store, stage, kit, host)
    assert (made.folder / "kit/build" / ENGINE).is_file() and len(list(far.glob("results/*"))) == 1


def test_an_engine_that_was_finished_there_is_fetched_and_not_built_again(board: Loopback, kit: Path, tmp_path: Path) -> None:
    stage, out, far = engine_stage(kit), tmp_path / "out", tmp_path / "far"
    with connect(tmp_path) as host:
        stage.make_on(host, {"kit": kit}, out, Ear())
    (engine,) = far.glob(f"results/*/{ENGINE}")
    before = engine.stat().st_mtime_ns
    for path in (out / ".building").iterdir():  # the link went before anything was fetched
        if path.name != ".there.json":
            path.unlink()
    shutil.rmtree(out / "kit")
    with connect(tmp_path) as host:
        stage.make_on(host, {"kit": kit}, out, Ear())
    assert engine.stat().st_mtime_ns == before
    assert sha256_of(out / "kit/build" / ENGINE) == sha256_of(engine)


@pytest.mark.parametrize("ends", ["dies", "hangs"])
def test_a_builder_that_dies_or_hangs_there_leaves_no_process_and_no_artifact(
    board: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    bad = engine_kit(tmp_path / "bad", "mobilenet_v3_small", FP16)
    ending = {"dies": "os.kill(os.getpid(), 11)", "hangs": "time.sleep(3600)"}[ends]
    process = tmp_path / "process"
    (bad / f"{RTX}.py").write_text(f"import os, time\nopen({str(process)!r}, 'w').write(str(os.getpid()))\n{ending}\n")
    rewrite_manifest(bad, lambda manifest: None)
    if ends == "hangs":
        monkeypatch.setattr(compile_stage, "LEASE_S", 5.0)
    store, ear = Store.open(tmp_path / "store"), Ear()
    with connect(tmp_path) as host, pytest.raises(RunnerTimedOut if ends == "hangs" else RunnerFailed) as failed:
        obtained(store, engine_stage(bad), bad, host, ear)
    assert ends == "hangs" or failed.value.ref == "builder-died"
    assert wait_until(lambda: not Path("/proc", process.read_text()).exists(), 30), "it outlived the build that was given up"
    assert list(store.artifacts.names()) == []
    prefix = f"the log of {RTX} is in "
    logs = [Path(note.removeprefix(prefix)) for note in ear.notes if note.startswith(prefix)]
    assert ends == "hangs" or [log.read_text() for log in logs] == [f"== {ENGINE} for 8.9\n"]


def test_a_weakly_typed_kit_is_built_as_one_there(board: Loopback, kit: Path, tmp_path: Path) -> None:
    """Of JetPack 5's TensorRT there is none here: this builder has no such networks, and says which one has."""
    weak = shutil.copytree(kit, tmp_path / "weak")
    rewrite_manifest(weak, lambda manifest: manifest["engine"].update(flags=["FP16"], min_version="8.5"))
    with connect(tmp_path) as host, pytest.raises(RunnerFailed) as failed:
        engine_stage(weak).make_on(host, {"kit": weak}, tmp_path / "out", Ear())
    assert (failed.value.ref, failed.value.hint) == (
        "builder-types-strongly",
        "it is for TensorRT 8.5, on a board with JetPack 5",
    )


def test_a_kit_that_no_store_has_packaged_is_given_its_engine_too_and_once(board: Loopback, kit: Path, tmp_path: Path) -> None:
    store, packed = Store.open(tmp_path / "store"), KitRef.at(kit)
    with connect(tmp_path) as host:
        lab = lab_at(host, store)
        found = build_engine(packed, BUILDER, lab)
    assert (found.folder / "build" / ENGINE).is_file() and not (kit / "build").exists()
    assert found == packed.model_copy(update={"folder": found.folder})
    assert build_engine(packed, BUILDER, replace(lab, host=NoHost())) == found
