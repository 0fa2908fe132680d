"""A target that nothing can be built for is refused with every reason, and before any work."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.devices.check.reading import facts_of
from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.devices import NO_CANDIDATE, PRECISION_NOT_ON_DEVICE
from edgecnn.installed import Lacking
from edgecnn.planning import candidates
from edgecnn.planning.candidates import require_candidate, require_precision
from edgecnn.runtimes.registry import all_backends, offers
from edgecnn.values.artifact import Unavailable
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
from edgecnn.values.device import Device
from edgecnn.values.recipe import Recipe
from tests.devices.check.recorded import RASPBERRY_PI_5, READY, recorded


def board(*runtimes: Runtime, **limits: Any) -> Device:
    """A device whose only runtimes are these, with these limits."""
    cpu = device_named("rtx-4090")
    return cpu.model_copy(
        update={"name": "old-board", "runtimes": {each: cpu.runtimes[each].model_copy(update=limits) for each in runtimes}}
    )


def offered(device: Device) -> list[Candidate | Unsupported]:
    return [entry for backend in all_backends() for entry in offers(backend.runtime, device)]


def test_runtimes_that_are_too_old_for_the_model_are_named_each_with_its_reason_once() -> None:
    old = board(Runtime.ONNXRUNTIME, Runtime.TENSORRT, onnx_opset_max=17)
    with pytest.raises(EdgecnnError, check=NO_CANDIDATE.made) as caught:
        require_candidate(old, offered(old))
    assert caught.value.line() == (
        "nothing can be built for old-board: "
        "onnxruntime fp32, fp16, bf16, int8: onnxruntime >=1.19,<2 reads ONNX up to opset 17, but the model has opset 20; "
        "tensorrt fp32, fp16, bf16, int8: TensorRT >=10.3,<11 reads ONNX up to opset 17, but the model has opset 20 "
        "— `edgecnn list devices` names devices that a build can be made for [no-candidate]"
    )
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_where_the_target_named_one_runtime_the_hint_names_another() -> None:
    old = board(Runtime.TENSORRT, Runtime.ONNXRUNTIME, onnx_ir_max=8)
    refused = [entry for entry in offered(old) if isinstance(entry, Unsupported) and entry.runtime is Runtime.TENSORRT]
    with pytest.raises(EdgecnnError, match="the model has IR 10 — --target DEVICE:onnxruntime", check=NO_CANDIDATE.made):
        require_candidate(old, refused)


def test_a_device_that_offers_a_runtime_only_by_name_says_how_to_name_it() -> None:
    with pytest.raises(EdgecnnError, check=NO_CANDIDATE.made) as caught:
        require_candidate(board(Runtime.TENSORRT, by_default=False), [])
    assert caught.value.line() == (
        "nothing can be built for old-board: its device file builds none of its runtimes (tensorrt) unless the target names it "
        "— --target DEVICE:tensorrt [no-candidate]"
    )


def test_the_hint_names_a_runtime_that_can_be_built_here_or_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pi = device_named("raspberry-pi-5")

    def pi_of(*runtimes: Runtime) -> Device:
        return pi.model_copy(update={"runtimes": {each: pi.runtimes[each] for each in runtimes}})

    litert = Lacking("it is not installed", "make litert-env")
    monkeypatch.setattr(candidates, "lacking", lambda _, extra: litert if extra == "litert" else None)
    with pytest.raises(EdgecnnError, check=NO_CANDIDATE.made) as caught:
        require_candidate(pi_of(Runtime.LITERT, Runtime.ONNXRUNTIME), [])
    assert caught.value.hint == "--target DEVICE:onnxruntime"
    with pytest.raises(EdgecnnError, check=NO_CANDIDATE.made) as caught:
        require_candidate(pi_of(Runtime.LITERT), [])
    assert caught.value.hint == "make litert-env, then --target DEVICE:litert"


def test_where_one_runtime_is_too_old_the_hint_names_the_one_that_is_built_by_name_alone() -> None:
    device = device_named("jetson-xavier-nx")
    older = device.runtimes[Runtime.TENSORRT].model_copy(update={"versions": ">=8.4,<8.5"})
    xavier = device.model_copy(update={"runtimes": {**device.runtimes, Runtime.TENSORRT: older}})
    with pytest.raises(EdgecnnError, check=NO_CANDIDATE.made) as caught:
        require_candidate(xavier, [entry for entry in offered(xavier) if entry.runtime is Runtime.TENSORRT])
    assert caught.value.line() == (
        "nothing can be built for jetson-xavier-nx: "
        "tensorrt fp32, fp16, bf16, int8: TensorRT >=8.4,<8.5 lacks strongly typed networks, which need 10.3 or later "
        "— --target DEVICE:onnxruntime [no-candidate]"
    )


def test_a_recipe_that_asks_for_int8_where_there_is_none_is_told_what_there_is() -> None:
    half = {Precision.FP16: "native", Precision.INT8: "none"}
    without = board(Runtime.TENSORRT, precisions=half, source="its page")
    with pytest.raises(EdgecnnError, check=PRECISION_NOT_ON_DEVICE.made) as caught:
        require_precision(without, Precision.INT8, "quantize.aware", offered(without))
    fields = caught.value.fields
    assert (caught.value.ref, fields["device"], fields["precision"]) == ("precision-not-on-device", "old-board", "int8")
    assert (fields["asked_by"], fields["has"], len(fields["reasons"])) == ("quantize.aware", ["fp16"], 1)
    assert fields["reasons"][0].startswith("tensorrt: the device's file")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    jetson = device_named("jetson")
    require_precision(jetson, Precision.INT8, "quantize.aware", offered(jetson))


def test_a_board_that_lacks_a_runtime_nobody_named_is_built_for_without_it() -> None:
    pi = device_named("raspberry-pi-5")
    facts = facts_of(recorded(RASPBERRY_PI_5, READY))
    built, _, unavailable = candidates.candidates_of(pi, Recipe(), facts)
    assert {candidate.runtime for candidate in built} == {Runtime.ONNXRUNTIME}
    assert set(unavailable) == {"ncnn-fp32", "ncnn-fp16", "litert-fp32", "litert-fp16", "litert-int8"}
    assert unavailable["litert-int8"] == Unavailable(
        why="ai-edge-litert>=2.3,<3 is missing for the board's Python 3.11",
        command="python3 -m venv --system-site-packages ~/edgecnn-env && ~/edgecnn-env/bin/pip install 'ai-edge-litert>=2.3,<3', "
        "then run it with ~/edgecnn-env/bin/python",
    )
    everything = {"python": {"packages": {**READY["python"]["packages"], "ncnn": "1.0.20261020", "ai-edge-litert": "2.3.0"}}}
    built, _, unavailable = candidates.candidates_of(pi, Recipe(), facts_of(recorded(RASPBERRY_PI_5, READY, everything)))
    assert {candidate.runtime for candidate in built} == {Runtime.ONNXRUNTIME, Runtime.NCNN, Runtime.LITERT}
    assert unavailable == {}
