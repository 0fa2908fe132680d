"""Every float candidate answers as the ONNX file, and every candidate that computes in fp16 is checked for its range."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.devices.files import device_named, known_devices
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import CALIBRATION_RANGE_NOT_FINITE, HALF_OVERFLOW, OUTPUTS_DIFFER
from edgecnn.graph.checks import first_nonfinite
from edgecnn.graph.half_precision import LARGEST_HALF, round_activations, round_to_half, type_half
from edgecnn.graph.ranges import Magnitudes, largest_magnitudes
from edgecnn.runtimes import checks, onnxruntime_web, openvino, tensorrt_files
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.checks import FROM_TRUNK, distance_from_trunk, tensors_beyond_half
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.litert_writer import writer
from edgecnn.runtimes.litert_writer.conversion import RULES
from edgecnn.runtimes.onnxruntime_files import logits_of
from edgecnn.runtimes.protocol import Backend, Halves
from edgecnn.runtimes.registry import all_backends, backend_for, every_backend, offers
from edgecnn.runtimes.tensorrt import UNFUSED
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime
from tests.graph.trunks import CLASSES, NORMALIZATION, RESOLUTION_PX, feed_of, pictures, prepared, trunk
from tests.runtimes.made import CANDIDATES, Quiet

LARGEST_FLOAT = float(np.finfo(np.float32).max)
LEARNED = Candidate(
    id="openvino-int8-aware",
    runtime=Runtime.OPENVINO,
    precision=Precision.INT8,
    method=Method.AWARE_TRAINING,
    scheme=CANDIDATES["openvino-int8"].scheme,
    session_options={"INFERENCE_PRECISION_HINT": "f32"},
)
BF16 = Candidate(
    id="openvino-bf16",
    runtime=Runtime.OPENVINO,
    precision=Precision.BF16,
    session_options={"INFERENCE_PRECISION_HINT": "bf16"},
)


def small(folder: Path, *, ceil: int = 0, factor: float = 1.0) -> Path:
    """A classifier with two poolings, one of which counts its border.

    ``ceil``: 1 for windows that leave the image. ``factor``: makes one channel so many times as large, and what reads it as much
    smaller, so that every answer stays the same.
    """
    draw = np.random.default_rng(0)
    held = {
        "w1": draw.normal(0, 0.2, (8, 3, 3, 3)),
        "w2": draw.normal(0, 0.2, (16, 8, 3, 3)),
        "fc": draw.normal(0, 0.25, (16, CLASSES)),
    }
    held["w1"][0] *= factor
    held["w2"][:, 0] /= factor
    windows = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": ceil}
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], name="first", strides=[4, 4]),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("AveragePool", ["r1"], ["mean"], name="mean", count_include_pad=1, **windows),
        helper.make_node("MaxPool", ["r1"], ["most"], name="most", **windows),
        helper.make_node("Add", ["mean", "most"], ["sum"], name="sum"),
        helper.make_node("Conv", ["sum", "w2"], ["c2"], name="second"),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"),
        helper.make_node("MatMul", ["flat", "fc"], ["logits"], name="head"),
    ]
    ends = (("image", ["batch", 3, RESOLUTION_PX, RESOLUTION_PX]), ("logits", ["batch", CLASSES]))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends]
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in held.items()]
    graph = helper.make_graph(nodes, "small", infos[:1], infos[1:], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "small.onnx")
    return folder / "small.onnx"


def changed(folder: Path, after: str, nodes: list[onnx.NodeProto], stored: Mapping[str, object], factor: float = 1.0) -> Path:
    """The same classifier with nodes after tensor ``after``; the last one makes ``changed``, which is read in its place."""
    model = onnx.load(small(folder, factor=factor))
    place = next(index for index, node in enumerate(model.graph.node) if after in node.output) + 1
    for node in model.graph.node[place:]:
        node.input[:] = ["changed" if name == after else name for name in node.input]
    before, rest = list(model.graph.node[:place]), list(model.graph.node[place:])
    del model.graph.node[:]
    model.graph.node.extend([*before, *nodes, *rest])
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items())
    onnx.save(model, folder / "changed.onnx")
    return folder / "changed.onnx"


def masked(folder: Path, kind: str) -> Path:
    """The classifier with -infinity in a constant: at every second column, or around the image. A pooling removes it."""
    size = 6
    columns, infinity = np.tile(np.arange(size) % 2 == 0, (size, 1)), np.float32(-np.inf)
    node, stored = {
        "Where": (helper.make_node("Where", ["mask", "r2", "ninf"], ["holed"], name="mask"), {"mask": columns, "ninf": infinity}),
        "Add": (
            helper.make_node("Add", ["r2", "mask"], ["holed"], name="mask"),
            {"mask": np.where(columns, np.float32(0), infinity)},
        ),
        "Pad": (
            helper.make_node("Pad", ["r2", "border", "ninf"], ["holed"], name="mask"),
            {"border": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "ninf": infinity},
        ),
    }[kind]
    pool = helper.make_node("MaxPool", ["holed"], ["changed"], name="holes", kernel_shape=[2, 2], strides=[1, 1])
    return changed(folder, "r2", [node, pool], stored)


def clipped(folder: Path, after: str = "r2", factor: float = 1.0) -> Path:
    """The classifier with bounds at the ends of fp32's range."""
    nodes = [
        helper.make_node("Clip", [after, "lo", "hi"], ["bounded"], name="clip"),
        helper.make_node("Max", ["bounded", "least"], ["raised"], name="max"),
        helper.make_node("Min", ["raised", "most_of_all"], ["changed"], name="min"),
    ]
    ends = {"lo": 0.0, "hi": LARGEST_FLOAT, "least": -LARGEST_FLOAT, "most_of_all": LARGEST_FLOAT}
    return changed(folder, after, nodes, {name: np.float32(value) for name, value in ends.items()}, factor)


WIDE = 30_000.0
"""The factor at which the first layers leave fp16's range."""


def offered() -> dict[str, Candidate]:
    """Every candidate that a runtime offers on a shipped device, by its name."""
    devices = [device_named(device.name) for device in known_devices().devices if device.facts_only is None]
    every_offer = (offer for device in devices for backend in all_backends() for offer in offers(backend.runtime, device))
    return {offer.id: offer for offer in (*every_offer, BF16) if isinstance(offer, Candidate)}


HALVES = sorted(
    name for name, candidate in offered().items() if backend_for(candidate.runtime).halves(candidate) is not Halves.NONE
)
MIXED = [name for name in HALVES if backend_for(offered()[name].runtime).halves(offered()[name]) is Halves.MIXED]


def test_every_fp16_candidate_and_every_engine_is_checked_for_range() -> None:
    fp16 = [name for name, candidate in offered().items() if candidate.precision is Precision.FP16]
    engines = [name for name, candidate in offered().items() if candidate.needs_engine]
    assert {Runtime(offered()[name].runtime) for name in fp16} == {
        Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.TENSORRT, Runtime.NCNN, Runtime.LITERT,
    }  # fmt: skip
    assert set(HALVES) == {*fp16, *engines}
    assert set(MIXED) == {"onnxruntime-fp16", "tensorrt-fp16"}


@pytest.mark.parametrize("backend", every_backend(), ids=lambda backend: backend.runtime.value)
def test_every_runtime_answers_every_question_itself(backend: Backend) -> None:
    """mypy refuses a backend without one, since the protocol's own has no body."""
    assert Backend in type(backend).__mro__
    members = [name for name in vars(Backend) if not name.startswith("_")]
    assert len(members) == 29
    assert not [name for name in members if getattr(type(backend), name) is getattr(Backend, name)]


def test_a_converter_is_judged_by_what_it_makes_in_fp32_where_halved_weights_would_hide_its_faults() -> None:
    """An average pooling that pnnx changed by 0.008 of the outputs' spread passed as ncnn-fp16: halves alone make up to 0.02."""
    checks = {
        name: backend_for(candidate.runtime).output_check(candidate)
        for name, candidate in offered().items()
        if candidate.precision.is_float
    }
    assert checks["openvino-fp16"].precision is checks["openvino-bf16"].precision is Precision.FP32
    assert checks["ncnn-fp16"].unhalved == offered()["ncnn-fp32"].model_copy(update={"id": "ncnn-fp16"})
    assert {name for name, check in checks.items() if check.unhalved is not None} == {"ncnn-fp16"}


def request(onnx_file: Path, candidate: Candidate) -> CandidateRequest:
    return CandidateRequest(onnx_file, prepared(), candidate, 0 if candidate.precision.is_float else 16, NORMALIZATION)


@pytest.mark.parametrize("name", sorted({*HALVES, "openvino-bf16", "onnxruntime-int8"} - {*MIXED}))
def test_an_activation_beyond_fp16_refuses_whoever_computes_it_in_fp16(name: str, tmp_path: Path) -> None:
    candidate, path = offered()[name], small(tmp_path, factor=WIDE)
    job = Job(path, tmp_path, candidate, NORMALIZATION, pictures(40, seed=1))
    if name not in HALVES:
        assert tensors_beyond_half(candidate, job) == {}
        return
    with pytest.raises(
        EdgecnnError,
        match=rf"in {name}, tensor \S+ reaches \d+,[\d.]+; the largest fp16 number is 65,504: .* over 40 calib",
        check=HALF_OVERFLOW.made,
    ):
        make_candidate(request(path, candidate), tmp_path, Quiet())


@pytest.mark.parametrize("name", MIXED)
def test_layers_around_such_an_activation_stay_in_fp32_where_the_file_can_say_so(name: str, tmp_path: Path) -> None:
    path, progress = small(tmp_path, factor=WIDE), Quiet()
    make_candidate(request(path, offered()[name]), tmp_path, progress)
    facts, feed = json.loads((tmp_path / "quantize.json").read_text()), feed_of(pictures(8, seed=3))
    assert min(facts["beyond_half"].values()) > LARGEST_HALF
    count = len(facts["beyond_half"])
    assert progress.notes[0].startswith(f"{name}: layers that write or read {count} tensors stay in fp32, because")
    logits = logits_of(path, feed)
    for file in (tmp_path / "model.onnx", *tmp_path.glob("twin/model.onnx")):
        assert first_nonfinite(file, feed[:1]) is None
        assert np.abs(logits_of(file, feed) - logits).max() < 0.02 * np.ptp(logits)
    for file in tmp_path.glob("twin/model.onnx"):
        logits = logits_of(file, feed)
        assert np.array_equal(logits, logits.astype(np.float16).astype(np.float32)), "the twin rounds as the engine does"
    made = onnx.load(tmp_path / "model.onnx")
    kinds = {output.name: output.type for output in all_outputs(made)}
    assert all(kinds[tensor] == "tensor(float)" for tensor in facts["beyond_half"])
    halves = [name for name, kind in kinds.items() if kind == "tensor(float16)"]
    assert {"r2", "flat"} <= set(halves), "the other layers are fp16"
    assert set(facts["beyond_half"]) == {"c1", "r1", "mean", "most", "sum"}
    whole = type_half(round_to_half(onnx.load(path)))
    onnx.save(whole, tmp_path / "whole.onnx")
    assert first_nonfinite(tmp_path / "whole.onnx", feed[:1]) is not None, "else this network shows nothing"


def all_outputs(model: onnx.ModelProto) -> Iterator[onnxruntime.NodeArg]:
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    names = [name for node in model.graph.node for name in node.output if name]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    yield from onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"]).get_outputs()


@pytest.mark.parametrize(
    "candidate", [CANDIDATES["openvino-fp32"], BF16, CANDIDATES["openvino-int8"]], ids=lambda candidate: candidate.id
)
def test_an_average_pooling_that_openvino_computes_otherwise_is_refused(candidate: Candidate, tmp_path: Path) -> None:
    with pytest.raises(
        EdgecnnError,
        match=f"{candidate.id} differs from the ONNX file by 0\\.\\d+; the limit is 0.001",
        check=OUTPUTS_DIFFER.made,
    ):
        make_candidate(request(small(tmp_path, ceil=1), candidate), tmp_path, Quiet())
    assert not (tmp_path / "quantize.json").exists()


@pytest.mark.parametrize("name", ["litert-fp32", "litert-int8"])
def test_a_float_network_that_litert_computes_otherwise_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INT8 too, before it is quantized."""
    monkeypatch.setitem(RULES, "Relu", RULES["Identity"])
    monkeypatch.setattr(writer, "_FUSED_INTO", frozenset())
    with pytest.raises(
        EdgecnnError,
        match=f"{name} differs from the ONNX file by 0\\.\\d+; .* LiteRT writer changed the net",
        check=OUTPUTS_DIFFER.made,
    ):
        make_candidate(request(small(tmp_path), offered()[name]), tmp_path, Quiet())
    assert not list(tmp_path.glob("*.tflite")) or name == "litert-fp32"
    assert not (tmp_path / "quantize.json").exists()


@pytest.mark.parametrize(
    "candidate", [CANDIDATES["openvino-fp32"], BF16, CANDIDATES["onnxruntime-fp32"]], ids=lambda candidate: candidate.id
)
def test_what_answers_as_the_file_is_made_with_its_distance(candidate: Candidate, tmp_path: Path) -> None:
    make_candidate(request(small(tmp_path), candidate), tmp_path, Quiet())
    away = json.loads((tmp_path / "quantize.json").read_text())["distance_from_trunk"]
    assert away == 0 if candidate.runtime is Runtime.ONNXRUNTIME else 0 < away < 1e-5


def test_each_precision_has_one_tolerance_and_a_nan_is_beyond_it(tmp_path: Path) -> None:
    assert set(FROM_TRUNK) == {precision for precision in Precision if precision.ships}
    job = Job(small(tmp_path), tmp_path, CANDIDATES["openvino-fp32"], NORMALIZATION, pictures(4))
    check, logits = backend_for(Runtime.OPENVINO).output_check(job.candidate), logits_of(job.onnx, feed_of(pictures(4)))
    for name, other, refused in (("near", logits + 1e-5, False), ("far", logits + 0.1, True), ("none", logits * np.nan, True)):
        answers = other.astype(np.float32)
        if refused:
            with pytest.raises(EdgecnnError, check=OUTPUTS_DIFFER.made):
                distance_from_trunk(job, check, lambda _, answers=answers: answers)  # type: ignore[misc]
        else:
            assert distance_from_trunk(job, check, lambda _, answers=answers: answers) < 1e-3, name  # type: ignore[misc]


def test_a_tensor_that_is_infinite_in_fp32_is_refused_as_such(tmp_path: Path) -> None:
    model = onnx.load(small(tmp_path))
    second = next(tensor for tensor in model.graph.initializer if tensor.name == "w2")
    second.CopyFrom(numpy_helper.from_array(np.full((16, 8, 3, 3), -3e38, np.float32), "w2"))
    onnx.save(model, tmp_path / "infinite.onnx")
    job = Job(tmp_path / "infinite.onnx", tmp_path, offered()["tensorrt-fp16"], NORMALIZATION, pictures(4))
    with pytest.raises(EdgecnnError, match="tensor c2", check=CALIBRATION_RANGE_NOT_FINITE.made):
        tensors_beyond_half(job.candidate, job)


def test_magnitudes_are_those_of_each_tensor_over_all_batches(tmp_path: Path) -> None:
    path, feed = small(tmp_path), feed_of(pictures(5))
    magnitudes = largest_magnitudes(path, (feed[:3], feed[3:]))
    assert set(magnitudes.weights) == {"w1", "w2", "fc"}
    assert set(magnitudes.activations) == {"c1", "r1", "mean", "most", "sum", "c2", "r2", "pooled", "flat", "logits"}
    assert magnitudes.activations["logits"] == pytest.approx(np.abs(logits_of(path, feed)).max(), rel=1e-5)
    assert magnitudes.activations["r1"] <= magnitudes.activations["c1"]


def test_onnx_runtime_keeps_the_roundings_of_a_twin_at_the_level_that_the_runner_asks_for(tmp_path: Path) -> None:
    carried = round_to_half(onnx.load(trunk("resnet18")))
    onnx.save(round_activations(carried), tmp_path / "twin.onnx")
    options, kept = onnxruntime.SessionOptions(), tmp_path / "optimized.onnx"
    options.optimized_model_filepath = str(kept)
    onnxruntime.InferenceSession(tmp_path / "twin.onnx", options, providers=["CPUExecutionProvider"])
    casts = [[node.op_type for node in onnx.load(path).graph.node].count("Cast") for path in (tmp_path / "twin.onnx", kept)]
    layers = sum(node.op_type in ("Conv", "Add", "Gemm") for node in carried.graph.node)
    assert casts[0] == casts[1] >= 2 * layers
    onnx.save(carried, tmp_path / "carried.onnx")
    feed = feed_of(pictures(8, seed=3))
    twin, exact = logits_of(tmp_path / "twin.onnx", feed), logits_of(tmp_path / "carried.onnx", feed)
    assert np.array_equal(twin, twin.astype(np.float16).astype(np.float32))
    assert 1e-4 < np.abs(twin - exact).max() / np.ptp(exact) < 0.02


def test_quantized_layers_of_a_twin_keep_their_integers(tmp_path: Path) -> None:
    int8 = offered()["tensorrt-int8"]
    assert int8.method is Method.POST_TRAINING
    make_candidate(request(trunk("resnet18"), int8), tmp_path, Quiet())
    graph = onnx.load(tmp_path / "twin" / "model.onnx").graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    assert {makers[node.input[0]] for node in graph.node if node.op_type == "Cast" and node.input[0] in makers} >= {
        "Conv",
        "Cast",
    }
    assert not any(makers.get(node.input[0]) == "DequantizeLinear" for node in graph.node if node.op_type == "Cast")


@pytest.mark.parametrize("kind", ["Where", "Add", "Pad"])
def test_an_infinity_of_a_constant_refuses_no_candidate(kind: str, tmp_path: Path) -> None:
    path = masked(tmp_path, kind)
    for name in HALVES:
        job = Job(path, tmp_path, offered()[name], NORMALIZATION, pictures(4))
        assert tensors_beyond_half(job.candidate, job) == {}, name
    assert not np.isinf([*largest_magnitudes(path, [feed_of(pictures(4))]).activations.values()]).any()


@pytest.mark.parametrize(
    ("build", "name"),
    [
        *((kind, name) for kind in ("Where", "Clip") for name in ("onnxruntime-fp16", "tensorrt-fp16", "tensorrt-int8")),
        ("Add", "openvino-fp16"),
        *((kind, "onnxruntime-int8") for kind in ("Add", "Pad")),
    ],
)
def test_masks_and_large_bounds_are_made_and_answer_as_the_trunk(build: str, name: str, tmp_path: Path) -> None:
    path, feed = clipped(tmp_path) if build == "Clip" else masked(tmp_path, build), feed_of(pictures(8, seed=3))
    (out := tmp_path / "out").mkdir()
    make_candidate(request(path, offered()[name]), out, Quiet())
    logits, allowed = logits_of(path, feed), 0.02 if offered()[name].precision is Precision.FP16 else 0.15
    for file in (*out.glob("model.onnx"), *out.glob("twin/model.onnx")):
        assert np.abs(logits_of(file, feed, UNFUSED) - logits).max() < allowed * np.ptp(logits), file
    assert "beyond_half" not in json.loads((out / "quantize.json").read_text())


@pytest.mark.filterwarnings("error")
def test_the_typed_file_keeps_an_infinity_and_moves_a_bound_to_the_end_of_fp16(tmp_path: Path) -> None:
    for build, ends in (
        (lambda: masked(tmp_path, "Where"), {"ninf": -np.inf}),
        (lambda: clipped(tmp_path), {"lo": 0, "hi": 65504}),
    ):
        typed = type_half(round_to_half(onnx.load(build())))
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in typed.graph.initializer}
        for name, end in ends.items():
            assert held[name].dtype == np.float16 and float(held[name]) == end


@pytest.mark.parametrize("name", HALVES)
def test_a_bound_is_no_magnitude(name: str, tmp_path: Path) -> None:
    job = Job(clipped(tmp_path), tmp_path, offered()[name], NORMALIZATION, pictures(4))
    assert tensors_beyond_half(job.candidate, job) == {}


def test_a_bound_keeps_its_number_in_a_layer_that_stays_in_fp32(tmp_path: Path) -> None:
    path, feed = clipped(tmp_path, "r1", WIDE), feed_of(pictures(8, seed=3))
    (out := tmp_path / "out").mkdir()
    make_candidate(request(path, offered()["tensorrt-fp16"]), out, Quiet())
    assert not {"hi", "least"} & set(json.loads((out / "quantize.json").read_text())["beyond_half"])
    logits = logits_of(path, feed)
    for file in (out / "model.onnx", out / "twin" / "model.onnx"):
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer}
        assert held["hi"] == np.float32(LARGEST_FLOAT), file
        assert np.abs(logits_of(file, feed) - logits).max() < 0.02 * np.ptp(logits), file


def test_a_weight_beyond_fp16_is_reported_as_a_weight_without_images(tmp_path: Path) -> None:
    scale = {"scale": np.float32(1e5), "less": np.float32(1e-5)}
    nodes = [
        helper.make_node("Mul", ["r2", "less"], ["small"], name="down"),
        helper.make_node("Mul", ["small", "scale"], ["changed"], name="up"),
    ]
    job = Job(changed(tmp_path, "r2", nodes, scale), tmp_path, offered()["ncnn-fp16"], NORMALIZATION, pictures(4))
    with pytest.raises(EdgecnnError, check=HALF_OVERFLOW.made) as refused:
        tensors_beyond_half(job.candidate, job)
    assert refused.value.line().startswith("in ncnn-fp16, weight scale reaches 100,000; the largest fp16 number is 65,504 — ")


def test_a_nan_anywhere_in_a_tensor_is_refused(tmp_path: Path) -> None:
    """ONNX Runtime's largest and smallest value of a tensor pass over a NaN that is not the first number."""
    nodes = [helper.make_node("Sqrt", ["r2_less"], ["root"], name="root"), helper.make_node("Max", ["root", "r2"], ["changed"])]
    nodes.insert(0, helper.make_node("Sub", ["r2", "far"], ["r2_less"], name="less"))
    far = np.full((16, 1, 1), -1, np.float32)
    far[5] = 1e4
    job = Job(changed(tmp_path, "r2", nodes, {"far": far}), tmp_path, offered()["tensorrt-fp16"], NORMALIZATION, pictures(4))
    with pytest.raises(EdgecnnError, match="tensor root", check=CALIBRATION_RANGE_NOT_FINITE.made):
        tensors_beyond_half(job.candidate, job)


def learned_file(folder: Path) -> Path:
    """A Q/DQ file as training with INT8 rounding leaves one."""
    path = small(folder)
    feeds = (feed_of(pictures(8))[index : index + 1] for index in range(8))
    onnx.save(tensorrt_files.symmetric_qdq(path, feeds), folder / "learned.onnx")
    return folder / "learned.onnx"


def test_a_learned_range_beyond_fp16_is_refused(tmp_path: Path) -> None:
    model = onnx.load(learned_file(tmp_path))
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    held["image_scale"].CopyFrom(numpy_helper.from_array(np.array(600, np.float32), "image_scale"))
    onnx.save(model, tmp_path / "learned.onnx")
    candidate = offered()["tensorrt-int8"].model_copy(update={"method": Method.AWARE_TRAINING})
    with pytest.raises(EdgecnnError, match="tensor image reaches 76,200", check=HALF_OVERFLOW.made):
        tensorrt_files.quantize(Job(tmp_path / "learned.onnx", tmp_path, candidate, NORMALIZATION, pictures(4)))


def test_int8_that_was_learned_is_compared_with_its_file(tmp_path: Path) -> None:
    path = learned_file(tmp_path)
    make_candidate(CandidateRequest(path, prepared(), LEARNED, 0, NORMALIZATION), tmp_path, Quiet())
    assert 0 < json.loads((tmp_path / "quantize.json").read_text())["distance_from_trunk"] < FROM_TRUNK[Precision.INT8]


def test_int8_that_a_converter_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = learned_file(tmp_path)
    other = onnx.load(path)
    next(tensor for tensor in other.graph.initializer if tensor.name == "fc_scale").CopyFrom(
        numpy_helper.from_array(np.full(CLASSES, 0.5, np.float32), "fc_scale")
    )
    onnx.save(other, tmp_path / "other.onnx")
    converted = openvino.convert_trunk(tmp_path / "other.onnx")
    monkeypatch.setattr(openvino, "convert_trunk", lambda _: converted)
    with pytest.raises(EdgecnnError, match=r"openvino-int8-aware differs .* the limit is 0\.15", check=OUTPUTS_DIFFER.made):
        make_candidate(CandidateRequest(path, prepared(), LEARNED, 0, NORMALIZATION), tmp_path, Quiet())


ROUNDED = sorted(name for name, candidate in offered().items() if candidate.method is Method.POST_TRAINING)


@pytest.mark.parametrize("name", ROUNDED)
def test_int8_is_refused_where_it_answers_as_another_network_would(name: str, tmp_path: Path) -> None:
    """What rounding costs is judged by accuracy; a layout or a scale that is read otherwise is no rounding."""
    candidate = offered()[name]
    job = Job(small(tmp_path), tmp_path, candidate, NORMALIZATION, pictures(16))
    check, trunk = backend_for(candidate.runtime).output_check(candidate), logits_of(job.onnx, feed_of(pictures(16)))
    noise = np.random.default_rng(0).normal(size=trunk.shape).astype(np.float32) * trunk.std()
    for answered in (trunk, trunk + 0.5 * noise, np.full_like(trunk, trunk.mean())):
        distance_from_trunk(job, check, lambda _, answered=answered: answered)  # type: ignore[misc]
    for answered in (-trunk + 2 * trunk.mean(), 10 * trunk, trunk + 2 * noise, trunk * np.nan):
        with pytest.raises(EdgecnnError, check=OUTPUTS_DIFFER.made):
            distance_from_trunk(job, check, lambda _, answered=answered: answered)  # type: ignore[misc]


@pytest.mark.parametrize("runtime", [Runtime.WASM, Runtime.WEBGPU])
def test_a_browsers_file_is_the_trunk_itself(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_web, "web_files", lambda *_: tmp_path)
    for name in onnxruntime_web.FILES[runtime]:
        (tmp_path / name).touch()
    (candidate,) = (offer for offer in offered().values() if offer.runtime is runtime and offer.precision is Precision.FP32)
    (tmp_path / "made").mkdir()
    make_candidate(request(small(tmp_path), candidate), tmp_path / "made", Quiet())
    assert json.loads((tmp_path / "made/quantize.json").read_text())["distance_from_trunk"] == 0


def test_magnitudes_are_measured_once_for_a_trunk_and_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Path] = []

    def counted(path: Path, feeds: Iterator[npt.NDArray[np.float32]]) -> Magnitudes:
        measured.append(path)
        return largest_magnitudes(path, feeds)

    monkeypatch.setattr(checks, "largest_magnitudes", counted)
    path = small(tmp_path, factor=2.0)
    for name in HALVES:
        tensors_beyond_half(offered()[name], Job(path, tmp_path, offered()[name], NORMALIZATION, pictures(3, seed=7)))
    assert len(measured) == 1
    half = offered()["ncnn-fp16"]
    tensors_beyond_half(half, Job(path, tmp_path, half, NORMALIZATION, pictures(3, seed=8)))
    tensors_beyond_half(half, Job(small(tmp_path, factor=3.0), tmp_path, half, NORMALIZATION, pictures(3, seed=7)))
    assert len(measured) == 3


@pytest.mark.parametrize("name", MIXED)
def test_the_form_counts_the_tensors_that_stay_in_fp32(name: str, tmp_path: Path) -> None:
    for factor, mixed in ((1.0, ","), (WIDE, ", with 5 tensors in fp32;")):
        make_candidate(request(small(tmp_path, factor=factor), offered()[name]), tmp_path, Quiet())
        assert json.loads((tmp_path / "quantize.json").read_text())["form"] == f"fp16{mixed} float32 at input and output"


SUMMED = {
    "ReduceL2": ("ReduceL2", {"keepdims": 1}, ["axes"]),
    "LpNormalization": ("LpNormalization", {"axis": 1}, []),
    "LRN": ("LRN", {"size": 5}, []),
    "InstanceNormalization": ("InstanceNormalization", {}, ["one", "zero"]),
    "GlobalAveragePool": ("GlobalAveragePool", {}, []),
    "Conv": ("Conv", {}, ["kernel"]),
}
ADDED_IN_HALF = {
    "tensorrt-fp16": {"ReduceL2", "LpNormalization", "LRN", "InstanceNormalization"},
    "onnxruntime-fp16": {"ReduceL2", "LpNormalization", "GlobalAveragePool", "Conv"},
}


def summed(kind: str, folder: Path, level: float = 2500.0) -> Path:
    """The classifier with numbers of about ``level`` that a layer adds, and scales back to about 1."""
    op, attributes, reads = SUMMED[kind]
    held = {"level": np.float32(level), "back": np.float32(1 / level), "axes": np.array([1], np.int64)}
    held |= {"one": np.ones(16, np.float32), "zero": np.zeros(16, np.float32), "plus": np.float32(1)}
    draw = np.random.default_rng(0).normal(size=(16, 16, 1, 1))
    held["kernel"] = np.float32(4 * (draw - draw.mean(axis=1, keepdims=True)))
    nodes = [
        helper.make_node("Sigmoid", ["r2"], ["share"], name="share"),
        helper.make_node("Add", ["share", "plus"], ["above"], name="above"),
        helper.make_node("Mul", ["above", "level"], ["large"], name="large"),
        helper.make_node(op, ["large", *reads], ["added"], name="added", **attributes),
        helper.make_node("Mul", ["added", "back"], ["small"], name="small"),
        helper.make_node("Add", ["small", "r2"], ["changed"], name="end"),
    ]
    path = changed(folder, "r2", nodes, held)
    onnx.checker.check_model(path, full_check=True)
    return path


@pytest.mark.parametrize("kind", SUMMED)
@pytest.mark.parametrize("name", ADDED_IN_HALF)
def test_a_layer_whose_sum_leaves_fp16_stays_in_fp32(name: str, kind: str, tmp_path: Path) -> None:
    candidate = offered()[name]
    job = Job(summed(kind, tmp_path), tmp_path, candidate, NORMALIZATION, pictures(4))
    assert largest_magnitudes(job.onnx, job.feeds()).activations["added"] < 65504, "only the sum is too large"
    assert ({*tensors_beyond_half(candidate, job)} == {"added"}) == (kind in ADDED_IN_HALF[name])
    small = Job(summed(kind, tmp_path, level=1.0), tmp_path, candidate, NORMALIZATION, pictures(4))
    assert tensors_beyond_half(candidate, small) == {}


def test_a_sum_of_squares_beyond_fp16_refuses_a_file_that_is_fp16_throughout(tmp_path: Path) -> None:
    job = Job(summed("ReduceL2", tmp_path), tmp_path, offered()["ncnn-fp16"], NORMALIZATION, pictures(4))
    with pytest.raises(EdgecnnError, check=HALF_OVERFLOW.made) as refused:
        tensors_beyond_half(job.candidate, job)
    assert refused.value.fields["tensor"] == "added" and refused.value.fields["largest"] > 1e7


def test_the_layer_of_such_a_sum_is_typed_fp32_in_the_file(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    make_candidate(request(summed("ReduceL2", tmp_path), offered()["tensorrt-fp16"]), out, Quiet())
    assert list(json.loads((out / "quantize.json").read_text())["beyond_half"]) == ["added"]
    model = onnx.shape_inference.infer_shapes(onnx.load(out / "model.onnx"))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    node = next(node for node in model.graph.node if node.op_type == "ReduceL2")
    assert types[node.input[0]] == TensorProto.FLOAT
