"""What is offered for a device with TensorRT, and how a builder's listing of layers is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import BuildLogUnreadable
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.planning.candidates import aware_candidates
from edgecnn.runtimes.registry import backend_for
from edgecnn.runtimes.tensorrt import BACKEND
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
from edgecnn.values.device import Device, Match, Processor, RuntimeFacts
from edgecnn.values.layers import LayerMacs, MacTable


def board(**changed: object) -> Device:
    facts = {
        "source": "vendor's page",
        "versions": ">=10.3,<10.4",
        "python": ">=3.10,<3.11",
        "onnx_opset_max": 20,
        "onnx_ir_max": 10,
        "precisions": {"fp32": "native", "fp16": "native", "int8": "native"},
    } | changed
    return Device(
        name="board",
        title="A board",
        usually_attached=False,
        match=Match(architecture="aarch64"),
        processor=Processor(architecture="aarch64", model="Arm", source="vendor's page"),
        runtimes={Runtime.TENSORRT: RuntimeFacts.model_validate(facts)},
    )


def offered(device: Device) -> dict[str, Candidate]:
    return {offer.id: offer for offer in BACKEND.supports(device) if isinstance(offer, Candidate)}


def refused(device: Device) -> dict[Precision, str]:
    return {offer.precision: offer.why for offer in BACKEND.supports(device) if isinstance(offer, Unsupported)}


def test_a_jetson_has_fp16_and_symmetric_int8_with_float_bias_each_by_its_own_engine() -> None:
    offers = offered(board())
    assert list(offers) == ["tensorrt-fp16", "tensorrt-int8"]
    assert all(candidate.needs_engine for candidate in offers.values())
    scheme = offers["tensorrt-int8"].scheme
    assert scheme is not None
    assert (scheme.activation_dtype, scheme.activation_symmetric, scheme.weight_granularity, scheme.bias) == (
        "int8",
        True,
        "per-channel",
        "float",
    )
    assert refused(board()) == {
        Precision.FP32: "fp16 replaces it on the GPU; ONNX Runtime runs the fp32 network",
        Precision.BF16: "fp16 is as fast and has three more bits of precision",
    }


def test_a_board_whose_gpu_has_no_int8_is_told_so() -> None:
    """The first Jetson Nano."""
    nano = board(precisions={"fp16": "native", "int8": "none"})
    assert list(offered(nano)) == ["tensorrt-fp16"]
    assert refused(nano)[Precision.INT8] == "the device's file does not list int8"
    assert refused(board(precisions={"int8": "native"}))[Precision.FP16] == "the device's file does not name fp16"


@pytest.mark.parametrize("versions", ["==8.6.2", ">=8.5,<8.7", ">=10.0,<10.3"])
def test_a_tensorrt_without_strongly_typed_networks_gets_no_candidate(versions: str) -> None:
    old = board(versions=versions)
    assert offered(old) == {}
    assert refused(old)[Precision.INT8] == f"TensorRT {versions} lacks strongly typed networks, which need 10.3 or later"


def test_tensorrt_8_5_has_weakly_typed_candidates_that_are_named_unverified() -> None:
    offers = offered(board(versions=">=8.5,<8.6", onnx_opset_max=17, onnx_ir_max=8))
    assert {name: offer.builder_flags for name, offer in offers.items()} == {
        "tensorrt8-fp16-unverified": ("FP16",),
        "tensorrt8-int8-unverified": ("FP16", "INT8"),
    }
    made = BACKEND.model_file(offers["tensorrt8-int8-unverified"], 10)
    assert made.requirements.packages == {"tensorrt": ">=8.5,<8.6"}
    assert made.engine is not None and (made.engine.min_version, made.engine.flags) == ("8.5", ("FP16", "INT8"))
    assert aware_candidates(offers.values()) == ()


@pytest.mark.parametrize("versions", [">=10.3", "==10.3.0.30", ">=10.3,<11", "~=10.7", "==10.13.*"])
def test_each_way_to_write_a_newer_version_is_understood(versions: str) -> None:
    assert list(offered(board(versions=versions))) == ["tensorrt-fp16", "tensorrt-int8"]


def test_a_parser_that_cannot_read_the_trunk_gets_no_candidate() -> None:
    reads = "TensorRT >=10.3,<10.4 reads ONNX up to"
    assert refused(board(onnx_opset_max=17))[Precision.FP16] == f"{reads} opset 17, but the model has opset 20"
    assert refused(board(onnx_ir_max=9))[Precision.FP16] == f"{reads} IR 9, but the model has IR 10"


def test_a_device_without_tensorrt_gets_no_candidate_and_is_told_nothing() -> None:
    assert BACKEND.supports(board().model_copy(update={"runtimes": {}})) == ()


def test_the_registry_knows_it() -> None:
    assert backend_for(Runtime.TENSORRT) is BACKEND


MACS = MacTable(
    resolution_px=64,
    layers=tuple(
        LayerMacs(name=name, op=op, macs=macs, outputs=(name,))  # type: ignore[arg-type]
        for name, op, macs in (("conv_a", "Conv", 600), ("conv_b", "Conv", 300), ("fc", "Gemm", 90), ("lost", "Gemm", 10))
    ),
)
FLOAT = "[ { Name: x, Dimensions: [-1,4,64,64], Strides: [1,2,3,4], Datatype: Float, Format: (NHWC) Channel major format }]"
HALF, INT8 = FLOAT.replace("Float", "Half"), FLOAT.replace("Float", "Int8")
NONE = "[]"


def layer(name: str, kind: str, tensors: tuple[str, str, str], *nodes: str) -> str:
    """A line as the builder writes it; tensors: inputs, constants, outputs."""
    inputs, constants, outputs = tensors
    metadata = "".join(f"[ONNX Layer: {node}]" for node in nodes)
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: {inputs}, Constants: {constants}, Outputs: {outputs}, TacticName: t,"
        f" StreamId: 0, Metadata: {metadata}"
    )


LAYERS = [
    layer("__myl_CastRoun_0", "kgen", (FLOAT, NONE, INT8), "image_QuantizeLinear", "conv_a"),
    layer("conv_a_1", "correlation", (INT8, INT8, FLOAT), "conv_a", "a.weight_DequantizeLinear"),
    layer("__myl_CorrMul_2", "runtime_fusion", (HALF, HALF, HALF), "conv_b", "relu"),
    layer("__myl_FcCast_3", "runtime_fusion", (HALF, HALF, FLOAT), "fc"),
    layer("Reformatting CopyNode for conv_b", "Reformat", (FLOAT, NONE, FLOAT), "lost"),
]


def test_multiply_adds_go_to_the_layer_that_multiplies_and_to_unknown_where_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("\n".join(["[INFO] hello", "[VERBOSE] Layers:", *LAYERS, "", "I/O Tensors:", "[VERBOSE] Layers:", LAYERS[2]]))
    plan = BACKEND.read_planned(log, MACS)
    assert plan.basis == "planned"
    assert plan.mac_share == {"fp16": 0.39, "int8": 0.6, "unknown": 0.01}
    assert [row.macs for row in plan.layers] == [0, 600, 300, 90, 0]
    assert plan.layers[1].onnx_nodes == ("conv_a", "a.weight_DequantizeLinear")


def test_int8_activations_with_float_weights_are_not_int8(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("[VERBOSE] Layers:\n" + layer("conv_a", "correlation", (f"{INT8}{HALF}", HALF, HALF), "conv_a"))
    assert BACKEND.read_planned(log, MACS).layers[0].precision == "fp16"


@pytest.mark.parametrize(
    ("text", "missing"),
    [("[INFO] quiet builder\n", "it has no Layers: message"), ("[VERBOSE] Layers:\nnothing", "its Layers: message names none")],
)
def test_a_log_without_layers_is_an_error_and_not_zero_int8(tmp_path: Path, text: str, missing: str) -> None:
    log = tmp_path / "build.log"
    log.write_text(text)
    with pytest.raises(BuildLogUnreadable) as unreadable:
        BACKEND.read_planned(log, MACS)
    assert unreadable.value.line() == (
        f"{log} shows no planned precision, because {missing} — build again with build-engine, which makes the builder write"
        " a verbose log with detailed layers [build-log-unreadable]"
    )


def test_an_executed_engine_adds_times_to_the_same_listing(tmp_path: Path) -> None:
    (tmp_path / "layers.txt").write_text("\n".join(["Layers:", *LAYERS]))
    (tmp_path / "times.json").write_text(json.dumps({"conv_a_1": 30.0, "__myl_CorrMul_2": 10.0}))
    residency = BACKEND.read_residency(tmp_path, MACS)
    assert residency.basis == "executed"
    assert residency.time_share == {"fp16": 0.25, "int8": 0.75}
    assert residency.layers[1].time_us == 30.0


def test_bytes_are_counted_from_the_listed_shapes_for_one_image(tmp_path: Path) -> None:
    (tmp_path / "layers.txt").write_text("\n".join(LAYERS[:3]))
    (tmp_path / "times.json").write_text("{}")
    residency = BACKEND.read_residency(tmp_path, MACS)
    numbers = 4 * 64 * 64
    assert [dict(layer.moved_bytes or {}) for layer in residency.layers] == [
        {"fp32": 4 * numbers, "int8": numbers},
        {"fp32": 4 * numbers, "int8": 2 * numbers},
        {"fp16": 3 * 2 * numbers},
    ]
    assert residency.byte_share == pytest.approx({"fp32": 8 / 17, "int8": 3 / 17, "fp16": 6 / 17})


def test_a_listing_without_shapes_gives_no_bytes_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "layers.txt").write_text(LAYERS[1].replace("Dimensions: [-1,4,64,64], ", ""))
    (tmp_path / "times.json").write_text("{}")
    residency = BACKEND.read_residency(tmp_path, MACS)
    assert residency.byte_share is None
    assert residency.bytes_absent == "the trace does not give the shapes and types of all that conv_a_1 reads and writes"


def test_an_untimed_trace_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "layers.txt").write_text("\n".join(LAYERS))
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made):
        BACKEND.read_residency(tmp_path, MACS)


def test_the_backend_alone_makes_no_fp16_file(tmp_path: Path) -> None:
    """Its twin would be missing."""
    with pytest.raises(LookupError):
        BACKEND.convert(tmp_path / "model.onnx", offered(board())["tensorrt-fp16"], tmp_path)
