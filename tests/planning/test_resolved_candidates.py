"""Candidates of a target: all that its device offers and this machine can make, and others only where they are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn import installed as installed_module
from edgecnn.devices import desktop_gpu as gpu_module
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NOTHING_TO_BUILD
from edgecnn.errors.devices import NO_CANDIDATE, PRECISION_NOT_ON_DEVICE
from edgecnn.errors.training import NOTHING_TO_REPLACE
from edgecnn.installed import resource_folder
from edgecnn.planning import complete
from edgecnn.planning.plan import plan
from edgecnn.planning.resolve import resolve
from edgecnn.runtimes.registry import backend_for
from edgecnn.values.artifact import Unavailable
from edgecnn.values.candidate import BASELINE_ID, Runtime
from edgecnn.values.resolved import Resolved
from tests.planning.test_resolve import Bench
from tests.store.toys import Ear


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("EDGECNN_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return Bench(tmp_path)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes a distribution away from this machine."""
    real = installed_module.installed_version

    def take(name: str) -> None:
        for module in (complete, gpu_module, installed_module):
            monkeypatch.setattr(module, "installed_version", lambda each: None if each == name else real(each))

    return take


def ids(found: Resolved) -> list[str]:
    return [candidate.id for candidate in found.candidates]


def test_int8_that_is_learned_is_built_only_when_asked_for_and_comes_last(bench: Bench) -> None:
    without = ids(bench.resolve())
    assert ids(bench.resolve(quantize={"aware": True})) == [
        *without,
        "onnxruntime-int8-aware",
        "openvino-int8-aware",
        "litert-int8-aware",
    ]


def test_int8_that_is_to_be_learned_where_the_device_has_none_is_refused_before_anything_is_read(bench: Bench) -> None:
    shipped = (resource_folder("devices") / "raspberry-pi-5.toml").read_text(encoding="utf-8")
    own = bench.folder / "own.toml"
    own.write_text(shipped.replace('"raspberry-pi-5"', '"own"').replace('int8 = "native"', 'int8 = "none"'), encoding="utf-8")
    floats = ["onnxruntime-fp32", "onnxruntime-fp16", "ncnn-fp32", "ncnn-fp16", "litert-fp32", "litert-fp16"]
    assert ids(bench.resolve(str(own))) == floats
    with pytest.raises(EdgecnnError, check=PRECISION_NOT_ON_DEVICE.made) as refusal:
        resolve(bench.request(str(own), quantize={"aware": True}, data={"path": "/nowhere"}), bench.store, Ear())
    fields = refusal.value.fields
    assert (fields["device"], fields["precision"], fields["asked_by"]) == ("own", "int8", "quantize.aware")
    assert list(fields["has"]) == ["fp32", "fp16"]


def test_a_changed_network_is_built_only_when_asked_for_and_refused_before_anything_is_read(bench: Bench) -> None:
    without = ids(bench.resolve(model={"arch": "efficientnet-b0"}))
    found = bench.resolve(model={"arch": "efficientnet-b0"}, surgery={"activation": "hard-swish"})
    assert ids(found) == [*without, *(f"{name}-hard-swish" for name in without)]
    assert not any("hard-swish" in name for name in found.unavailable)
    nowhere = bench.request(surgery={"activation": "hard-swish"}, data={"path": "/nowhere"})
    with pytest.raises(EdgecnnError, check=NOTHING_TO_REPLACE.made):
        resolve(nowhere, bench.store, Ear())


def test_a_jetson_gets_tensorrt_candidates_beside_the_fp32_baseline(bench: Bench) -> None:
    found = bench.resolve("jetson")
    assert ids(found) == [BASELINE_ID, "tensorrt-fp16", "tensorrt-int8"]
    assert not found.attachment.attached
    assert found.attachment.why.endswith(f", which is not {found.device.title}")


def test_a_target_with_one_runtime_still_has_the_baseline_first_and_no_other_of_its_runtime(bench: Bench) -> None:
    found = bench.resolve("cpu:openvino")
    assert ids(found)[0] == BASELINE_ID
    assert {candidate.runtime for candidate in found.candidates[1:]} == {Runtime.OPENVINO}
    assert found.attachment.attached


def test_every_runtime_that_the_device_offers_is_taken_where_none_is_named(bench: Bench) -> None:
    found = bench.resolve("cpu")
    assert {candidate.runtime for candidate in found.candidates} == {Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.LITERT}
    assert ids(found).count(BASELINE_ID) == 1


def test_a_candidate_whose_package_is_missing_is_unavailable_with_the_line_that_brings_it(
    bench: Bench, without: Callable[[str], None]
) -> None:
    without("openvino")
    found = bench.resolve("cpu")
    lacking = Unavailable(why="openvino is not installed", command='pip install "edgecnn[openvino]"')
    assert found.unavailable["openvino-int8"] == lacking
    assert {candidate.runtime for candidate in found.candidates} == {Runtime.ONNXRUNTIME, Runtime.LITERT}
    assert found.versions["openvino"] == "absent", "installing it makes other keys"


def test_without_the_baseline_s_runtime_nothing_can_be_built(bench: Bench, without: Callable[[str], None]) -> None:
    without(backend_for(Runtime.ONNXRUNTIME).packages[-1])
    with pytest.raises(EdgecnnError, check=NOTHING_TO_BUILD.made) as caught:
        bench.resolve("cpu:openvino")
    name = backend_for(Runtime.ONNXRUNTIME).packages[-1]
    assert caught.value.line() == (
        f'nothing can be built for cpu here: {name} is not installed — pip install "edgecnn[onnxruntime]" [nothing-to-build]'
    )


def test_a_device_that_is_too_old_for_a_runtime_is_refused_with_each_reason_before_any_work(bench: Bench) -> None:
    text = (resource_folder("devices") / "raspberry-pi-5.toml").read_text()
    old = bench.folder / "old-board.toml"
    old.write_text(re.sub("onnx_opset_max = [0-9]+", "onnx_opset_max = 12", text.replace('"raspberry-pi-5"', '"old-board"')))
    with pytest.raises(
        EdgecnnError, match="old-board: onnxruntime fp32, fp16, bf16, int8: .* up to opset 12", check=NO_CANDIDATE.made
    ):
        bench.resolve(f"{old}:onnxruntime")
    assert not bench.store.root.exists()


def test_where_the_only_runtime_of_the_target_is_not_installed_nothing_is_trained(
    bench: Bench, without: Callable[[str], None]
) -> None:
    without("openvino")
    with pytest.raises(EdgecnnError, check=NOTHING_TO_BUILD.made) as caught:
        bench.resolve("cpu:openvino")
    assert caught.value.line() == (
        'nothing can be built for cpu here: openvino is not installed — pip install "edgecnn[openvino]" [nothing-to-build]'
    )


def test_a_gpu_of_this_machine_plays_the_baseline_and_is_never_shipped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu_module, "gpu_models", lambda: ["NVIDIA GeForce RTX 4090"])
    found = bench.resolve()
    assert found.desktop_gpu is not None
    assert found.desktop_gpu.candidate not in found.candidates
    steps = plan(found)
    assert [step.id for step in steps.branch_of("torch-fp32")] == ["program:torch-fp32", "package:torch-fp32"]
    variant, package = steps.branch_of("torch-amp-cudagraph")
    assert variant.stage.inputs["program"] == steps.branch_of("torch-fp32")[0].key, "the very program of the reference"
    assert (variant.id, package.id) == ("variant:torch-amp-cudagraph", "package:torch-amp-cudagraph")
    assert not any("torch" in each.id for rung in steps.rungs for each in rung.candidates)


def test_without_a_gpu_nobody_plays_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_module, "gpu_models", lambda: [])
    found = bench.resolve()
    assert found.desktop_gpu is None
    assert plan(found).branch_of("torch-fp32") == ()
