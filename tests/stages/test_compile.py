"""The ahead-of-time proof, by the real builder, from real kits, through the real host."""

from __future__ import annotations

import json
import time
from pathlib import Path

import onnx
import pytest

from edgecnn.errors.hosts import RunnerFailed, RunnerTimedOut
from edgecnn.graph.macs import mac_table
from edgecnn.stages import engine as compile_stage
from edgecnn.stages.engine import CompileStage
from edgecnn.values.layers import Residency
from tests.graph.trunks import trunk
from tests.runner.engine_kits import FP16, INT8, RTX, Silent, engine_kit, made
from tests.runner.kits import rewrite_manifest
from tests.runtimes.misread import activations_as_uint8
from tests.slow_parameters import slowly

CAPABILITIES = ("8.6", "8.9")


def compiled(folder: Path, kit: Path, *capabilities: str) -> Path:
    out = folder / "compiled"
    out.mkdir()
    CompileStage(capabilities=capabilities).make({"kit": kit}, out, Silent())
    return out


@pytest.mark.parametrize("network", ["resnet18", *slowly("mobilenet_v3_small")])
def test_an_int8_kit_is_planned_in_int8_for_all_of_its_multiply_adds(tmp_path: Path, network: str) -> None:
    out = compiled(tmp_path, engine_kit(tmp_path / "kit", network, INT8), "8.9")
    planned = Residency.model_validate_json((out / "planned.json").read_text())
    assert planned.basis == "planned"
    assert planned.mac_share["int8"] > 0.9
    assert planned.time_share is None
    assert sum(layer.macs for layer in planned.layers) == mac_table(trunk(network)).total


@pytest.mark.slow  # builds two engines
def test_an_fp16_kit_is_planned_in_fp16_and_an_engine_is_made_for_each_gpu(tmp_path: Path) -> None:
    kit = engine_kit(tmp_path / "kit", "mobilenet_v3_small", FP16)
    before = {path: path.stat().st_mtime_ns for path in kit.rglob("*")}
    out = compiled(tmp_path, kit, *CAPABILITIES)
    planned = Residency.model_validate_json((out / "planned.json").read_text())
    assert planned.mac_share == {"fp16": 1.0}
    record = json.loads((out / "build.json").read_text())
    assert record["package"] == RTX
    assert record["capabilities"] == list(CAPABILITIES)
    assert [engine["file"] for engine in record["engines"]] == ["engine-sm86.plan", "engine-sm89.plan"]
    assert sorted(path.name for path in out.iterdir()) == [
        "build.json",
        "build.log",
        "engine-sm86.plan",
        "engine-sm89.plan",
        "planned.json",
    ]
    assert {path: path.stat().st_mtime_ns for path in kit.rglob("*")} == before


@pytest.mark.slow  # parses with a real builder; the rule is tried in tests/runner/engines/test_engine.py
def test_a_network_with_uint8_at_zero_point_0_never_becomes_an_engine(tmp_path: Path) -> None:
    misread = activations_as_uint8(onnx.load(made("mobilenet_v3_small", INT8) / "model.onnx"))
    onnx.save(misread, tmp_path / "misread.onnx")
    kit = engine_kit(tmp_path / "kit", "mobilenet_v3_small", INT8, onnx=tmp_path / "misread.onnx")
    with pytest.raises(RunnerFailed) as failed:
        compiled(tmp_path, kit, "8.9")
    assert failed.value.ref == "uint8-read-as-int8"
    assert not list(tmp_path.rglob("*.plan"))
    assert not list(tmp_path.rglob("build.json"))


def gone(process: str) -> bool:
    """True once the process has ended: who was killed is reaped a moment later."""
    deadline = time.monotonic() + 30
    while Path("/proc", process).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path("/proc", process).exists()


@pytest.mark.parametrize("ends", ["dies", *slowly("hangs")])
def test_a_builder_that_dies_or_hangs_costs_that_candidate_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """The kit's folder comes first on the path of its runner, so that a module there stands for a builder that misbehaves."""
    bad = engine_kit(tmp_path / "bad", "resnet18", INT8)
    process = tmp_path / "process"
    ending = {"dies": "os.kill(os.getpid(), 11)", "hangs": "time.sleep(3600)"}[ends]
    (bad / f"{RTX}.py").write_text(f"import os, time\nopen({str(process)!r}, 'w').write(str(os.getpid()))\n{ending}\n")
    rewrite_manifest(bad, lambda manifest: None)  # a file that it does not list would be refused
    if ends == "hangs":
        monkeypatch.setattr(compile_stage, "LEASE_S", 8.0)
    with pytest.raises(RunnerTimedOut if ends == "hangs" else RunnerFailed) as failed:
        compiled(tmp_path / "bad", bad, "8.9")
    assert ends == "hangs" or getattr(failed.value, "ref", None) == "builder-died"
    assert not (tmp_path / "bad" / "compiled" / "build.json").exists()
    assert gone(process.read_text()), "it outlived the build that was given up"
    good = engine_kit(tmp_path / "good", "resnet18", INT8)
    monkeypatch.undo()
    assert (compiled(tmp_path / "good", good, "8.9") / "build.json").exists()


def test_a_jetson_s_gpu_cannot_be_built_for_ahead_of_time(tmp_path: Path) -> None:
    kit = engine_kit(tmp_path / "kit", "resnet18", INT8)
    with pytest.raises(RunnerFailed) as failed:
        compiled(tmp_path, kit, "8.7")
    assert failed.value.line() == (
        "tensorrt_rtx_bindings 1.7.1.116 knows no GPU of compute capability 8.7: it builds for 7.5, 8.0, 8.6, 8.9, 12.0, 12.1"
        " — a Jetson's engine is built on the Jetson, by the kit's build-engine [capability-unknown]"
    )


def test_the_builder_s_version_is_part_of_the_key() -> None:
    stage = CompileStage(capabilities=CAPABILITIES)
    assert stage.tools == ("tensorrt-rtx-cu13-bindings",)
    assert CompileStage(package="tensorrt").tools == ("tensorrt",)
    versions = {"tensorrt-rtx-cu13-bindings": "1.7.1.116"}
    assert stage.key(versions) != stage.key({"tensorrt-rtx-cu13-bindings": "1.8"})
    assert stage.key(versions) != CompileStage(capabilities=("8.9",)).key(versions)
