"""The ahead-of-time proof, by the real builder, from real kits, through the real host."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from edgecnn.errors.host import RunnerFailed
from edgecnn.graph.macs import mac_table
from edgecnn.stages.compile import CompileStage
from edgecnn.values.residency import Residency
from tests.graph.trunks import trunk
from tests.quantization.misread import with_uint8_activations
from tests.runner.engine_kits import FP16, INT8, RTX, Silent, engine_kit, made

CAPABILITIES = ("8.6", "8.9")


def compiled(folder: Path, kit: Path, *capabilities: str) -> Path:
    out = folder / "compiled"
    out.mkdir()
    CompileStage(capabilities=capabilities).make({"kit": kit}, out, Silent())
    return out


@pytest.mark.parametrize("network", ["mobilenet_v3_small", "resnet18"])
def test_an_int8_kit_is_planned_in_int8_for_all_of_its_multiply_adds(tmp_path: Path, network: str) -> None:
    out = compiled(tmp_path, engine_kit(tmp_path / "kit", network, INT8), "8.9")
    planned = Residency.model_validate_json((out / "planned.json").read_text())
    assert planned.basis == "planned"
    assert planned.mac_share["int8"] > 0.9
    assert planned.time_share is None
    assert sum(layer.macs for layer in planned.layers) == mac_table(trunk(network)).total


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


def test_a_network_with_uint8_at_zero_point_0_never_becomes_an_engine(tmp_path: Path) -> None:
    misread = with_uint8_activations(onnx.load(made("mobilenet_v3_small", INT8) / "model.onnx"))
    onnx.save(misread, tmp_path / "misread.onnx")
    kit = engine_kit(tmp_path / "kit", "mobilenet_v3_small", INT8, onnx=tmp_path / "misread.onnx")
    with pytest.raises(RunnerFailed) as failed:
        compiled(tmp_path, kit, "8.9")
    assert failed.value.ref == "uint8-read-as-int8"
    assert not list(tmp_path.rglob("*.plan"))
    assert not list(tmp_path.rglob("build.json"))


def test_a_jetson_s_gpu_cannot_be_built_for_ahead_of_time(tmp_path: Path) -> None:
    kit = engine_kit(tmp_path / "kit", "mobilenet_v3_small", FP16)
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
