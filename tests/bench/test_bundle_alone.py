"""What runs of a bundle that is benched alone: the files that it lists, and the engines that the machine builds of them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import py_compile
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import bundle as bundle_bench
from edgecnn.bench.bench import BenchRequest
from edgecnn.bench.bundle import BundleBenchRequest, bench_bundle, trusted_bundle
from edgecnn.bench.facts import BundleBench
from edgecnn.bundle.manifest import recorded_in
from edgecnn.bundle.verify import Trust
from edgecnn.devices.machine import Machine
from edgecnn.devices.this_machine import local_facts
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NO_KIT_RUNS
from edgecnn.errors.bundle import BUNDLE_FILE_EXTRA
from edgecnn.errors.hosts import BOARD_LACKS_BUILDER, RunnerFailed
from edgecnn.hosts.protocol import Task
from edgecnn.judging.gates import parse_bounds
from edgecnn.measure.lab import ENGINE
from edgecnn.store.store import Store
from edgecnn.values.artifact import Failed
from edgecnn.values.device import EngineBuilder
from edgecnn.values.recipe import RaceChoice
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Verdict
from tests.building.resolutions import TRT_FP16
from tests.building.test_engines import ORIN
from tests.bundle.sealed import KIT, KIT_FOLDER, published, reseal
from tests.measure.labs import FakeHost
from tests.runner.kits import rewrite_manifest
from tests.store.toys import Ear

DIED = RunnerFailed(ref="builder-died", what="tensorrt ended by signal 11", because=None, hint=None)


def benched(bundle: Path, folder: Path, ear: Ear | None = None, **asked: Any) -> BundleBench:
    request = BundleBenchRequest(BenchRequest(folder=bundle, **asked), out=folder / "found", race=RaceChoice(samples=50))
    return bench_bundle(request, Store.open(folder / "store"), ear or Ear())


def with_byte_code(bundle: Path, mark: Path) -> None:
    """What nobody vouches for: byte code that Python takes for the runner's without looking at its source."""
    runner = bundle / KIT_FOLDER / "runner"
    source = mark.with_suffix(".py")
    source.write_text(f"{(runner / '__init__.py').read_text()}\nopen({str(mark)!r}, 'w').close()\n")
    taken = importlib.util.cache_from_source(str(runner / "__init__.py"))
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), cfile=taken, invalidation_mode=unchecked, doraise=True)


def test_byte_code_that_lies_in_the_folder_is_not_run(tmp_path: Path) -> None:
    bundle, mark = published(tmp_path), tmp_path / "it-ran"
    with_byte_code(bundle, mark)
    found = benched(bundle, tmp_path)
    assert found.candidates[0].latency is not None and found.candidates[0].latency.runs == 8
    assert not mark.exists()


def test_gates_of_the_build_stay_without_images_and_keep_their_unit(tmp_path: Path) -> None:
    bundle = published(tmp_path)
    choice = json.loads((bundle / "choice.json").read_text())
    choice["gates"] = [
        {"metric": "drop_pp", "side": "max", "bound": 1.0, "runs": 0},
        {"metric": "p50_ms", "side": "max", "bound": 5000.0, "images_per_s": 0.2, "runs": 0},
        {"metric": "of_a_later_version", "side": "max", "bound": 1.0, "runs": 0},
    ]
    (bundle / "choice.json").write_text(json.dumps(choice))
    reseal(bundle)
    recorded = recorded_in(bundle)
    assert (recorded.gates.max, recorded.gates.min) == ({"drop_pp": 1.0}, {"images_per_s": 0.2})
    assert recorded.unknown_gates == ("of_a_later_version",)
    bench = benched(bundle, tmp_path)
    assert any("of_a_later_version" in notice for notice in bench.notices)
    drop, p50 = sorted(bench.gates, key=lambda result: result.gate.metric)
    assert (drop.verdict, drop.gate.required) == (Verdict.MISSING, "when-measured")
    assert (p50.verdict, p50.gate.required, p50.gate.images_per_s) == (Verdict.PASS, "always", 0.2)


def test_another_processor_decides_no_gate_of_the_bundle_s_device(tmp_path: Path) -> None:
    bundle = published(tmp_path)
    choice = json.loads((bundle / "choice.json").read_text())
    (bundle / "choice.json").write_text(json.dumps({**choice, "device": "raspberry-pi-5"}))
    reseal(bundle)
    found = benched(bundle, tmp_path, gates=parse_bounds(["p50_ms=100000", "size_mib=100"], ()))
    assert {result.gate.metric: result.verdict for result in found.gates} == {"p50_ms": Verdict.MISSING, "size_mib": Verdict.PASS}
    assert found.verdict is Verdict.MISSING and "raspberry-pi-5" in found.gates[0].reason
    assert found.candidates[0].latency is not None and found.candidates[0].latency.runs > 0, "its time here is still shown"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="apt-get install openssh-client")
def test_where_signers_are_named_a_build_with_byte_code_beside_what_was_signed_is_refused(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from edgecnn.cli.main import app

    bundle = published(tmp_path)
    (tmp_path / "report.json").write_text("{}")  # so it is a build, and no bundle alone
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    (tmp_path / "signers").write_text(f"ann@example.com {(tmp_path / 'key.pub').read_text()}")
    assert CliRunner().invoke(app, ["bundle", "sign", str(bundle), "--key", str(tmp_path / "key")]).exit_code == 0
    with_byte_code(bundle, tmp_path / "it-ran")
    strict = ("bench", str(tmp_path), "--allowed-signers", str(tmp_path / "signers"))
    refused = CliRunner().invoke(app, strict)
    assert refused.exit_code == 2 and "[bundle-file-extra]" in refused.stderr.strip()
    with pytest.raises(EdgecnnError, check=BUNDLE_FILE_EXTRA.made):
        trusted_bundle(tmp_path, Trust(signers=tmp_path / "signers"), Ear()).__enter__()
    passed = CliRunner().invoke(app, [*strict, "--made-here"])
    assert "bundle-file-extra" not in passed.stderr, "its report is none, which is another matter"


# ---------------------------------------------------------------------------------------------------------------------


class Jetson(FakeHost):
    """A machine with a builder, whose kits run only with the engine that it built."""

    def __init__(self, ends: RunnerFailed | None = None, lacks: RunnerFailed | None = None) -> None:
        super().__init__()
        self.ends, self.lacks = ends, lacks
        self.versions["tensorrt"] = ORIN.version
        self.commands: list[str] = []

    def engine_builder(self, package: str) -> EngineBuilder:
        if self.lacks is not None:
            raise self.lacks
        return ORIN

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        self.commands.append(task.command)
        if task.command != "build-engine":
            assert task.kit.joinpath(*ENGINE).is_file() or task.schedule is not None
            return {} if task.command == "selftest" else super().run(task, lease_s=lease_s, tell=tell)
        if self.ends is not None:
            raise self.ends
        assert task.out is not None
        task.out.mkdir(parents=True, exist_ok=True)
        for name, text in {ENGINE[-1]: "of this GPU alone", "build.json": "{}", "build.log": "said nothing"}.items():
            (task.out / name).write_text(text)
        return {}


def at(host: Jetson, monkeypatch: pytest.MonkeyPatch, board: str | None = "nano") -> None:
    @contextmanager
    def machine_for(*_: object) -> Iterator[Machine]:
        yield Machine(host, local_facts(), host.identify(), board)

    monkeypatch.setattr(bundle_bench, "machine_for", machine_for)


@pytest.fixture
def of_tensorrt(tmp_path: Path) -> Path:
    """A bundle alone whose one kit needs an engine."""

    def change(manifest: dict[str, Any]) -> None:
        engine = {"builder": "tensorrt", "onnx": "model.onnx", "min_version": "10.3", "flags": []}
        manifest.update(candidate=TRT_FP16.model_dump(mode="json"), engine=engine)
        manifest["session"] = {"module": "tensorrt_gpu", "options": {}}

    bundle = published(tmp_path / "made")
    rewrite_manifest(bundle / KIT_FOLDER, change)
    (bundle / KIT_FOLDER).rename(bundle / "kits" / TRT_FP16.id)
    choice = (bundle / "choice.json").read_text().replace(KIT, TRT_FP16.id)
    (bundle / "choice.json").write_text(choice)
    reseal(bundle)
    return bundle


def test_the_machine_builds_the_engines_of_a_bundle_alone_once_and_the_bundle_stays_as_it_is(
    of_tensorrt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(of_tensorrt.rglob("*"))
    for commands in (["build-engine", "selftest", "bench"], ["selftest"]):
        host = Jetson()
        at(host, monkeypatch)
        (row,) = benched(of_tensorrt, tmp_path).candidates
        assert row.latency is not None and row.latency.runs == 8 and host.commands == commands
    assert sorted(of_tensorrt.rglob("*")) == before


@pytest.mark.parametrize(
    ("bound", "latency", "energy"), [("p50_ms=1", 16, 8), ("p90_ms=1", 17, 8), ("energy_mj=1", 8, 16), ("size_mib=1", 8, 8)]
)
def test_a_bundle_alone_is_raced_as_often_as_its_gates_need(
    of_tensorrt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, latency: int, energy: int
) -> None:
    host = Jetson()
    host.meters = "ina3221"
    at(host, monkeypatch)
    (row,) = benched(of_tensorrt, tmp_path, gates=parse_bounds([bound], ())).candidates
    assert row.latency is not None and row.energy is not None
    assert (row.latency.runs, row.energy.runs) == (latency, energy)


def test_a_kit_that_fails_in_the_race_passes_no_gate(of_tensorrt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256((of_tensorrt / "kits" / TRT_FP16.id / "kit.json").read_bytes()).hexdigest()
    host = Jetson()
    at(host, monkeypatch)
    host.broken = {digest: "out of memory"}
    found = benched(of_tensorrt, tmp_path, gates=parse_bounds(["size_mib=100"], ()))
    (row,) = found.candidates
    assert isinstance(row.outcomes["measure"], Failed) and row.outcomes["measure"].ref == "run-failed"
    assert found.verdict is not Verdict.PASS and not row.works


def test_a_builder_that_fails_says_so_itself(of_tensorrt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Jetson(ends=DIED)
    at(host, monkeypatch)
    with pytest.raises(
        EdgecnnError, match=r"tensorrt-fp16: tensorrt ended by signal 11 \[builder-died\]", check=NO_KIT_RUNS.made
    ):
        benched(of_tensorrt, tmp_path)
    assert host.commands == ["build-engine"]


def test_without_a_builder_the_board_is_refused_and_this_machine_names_no_folder_of_its_own(
    of_tensorrt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = RunnerFailed(ref="builder-missing", what="the builder tensorrt cannot be imported", because=None, hint=None)
    at(Jetson(lacks=lacking), monkeypatch)
    with pytest.raises(EdgecnnError, match=r"^on nano, the builder tensorrt cannot be imported", check=BOARD_LACKS_BUILDER.made):
        benched(of_tensorrt, tmp_path)
    at(Jetson(lacks=lacking), monkeypatch, board=None)
    with pytest.raises(EdgecnnError, check=NO_KIT_RUNS.made) as caught:
        benched(of_tensorrt, tmp_path)
    (reason,) = caught.value.fields["reasons"]
    assert reason.startswith("tensorrt-fp16: ") and "--host" in reason
    assert json.loads((of_tensorrt / "choice.json").read_text())["kits"].keys() == {TRT_FP16.id}
