"""ONNX Runtime on a CPU: its candidates, its files, and the reader of its profile.

The candidates are fp32, INT8 with unsigned asymmetric activations (the one scheme that its kernels fuse well), and fp16 on
64-bit Arm with half-precision arithmetic. fp16 on other processors and bf16 are not supported: the CPU provider has few kernels
for them. In a profile, fused nodes are renamed: a quantized convolution keeps its node's name with ``_token_N`` appended.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.installed import Glibc, Series, require_packages
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.processor import arm_halves, byte_products_saturate, fewer_threads, has_full_range
from edgecnn.runtimes.protocol import (
    AFTERWARDS,
    UNSIGNED,
    Backend,
    Halves,
    Line,
    Logits,
    OmittedArithmetic,
    OutputCheck,
    Size,
    Way,
    cannot_read_trunk,
)
from edgecnn.runtimes.residency import OVERHEAD, UNKNOWN, MacJoin, MovedTensor, executed_residency, moved_bytes
from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.layers import LayerResidency, MacTable, Residency
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    ModelFile,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)

_KERNEL = "_kernel_time"
_MULTIPLIES = re.compile(r"Conv|Gemm|MatMul")
_INTEGER_KERNELS = re.compile(r"^(QLinear|QGemm|QAttention|ConvInteger|MatMulInteger|DynamicQuantizeMatMul|NhwcMaxPool)")
_MOVES = re.compile(r"^(QuantizeLinear|DequantizeLinear|Transpose|Reorder(In|Out)put|Cast|MemcpyToHost|MemcpyFromHost)$")
_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Shape"})
"""Layers that only change or return a shape, and move no number."""
_TYPES = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "uint8": "int8", "int8": "int8"}
_RENAMED = re.compile(r"_nchwc$|_token_[0-9]+$|/MatMulAddFusion.*$")


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """Return the residency of a traced session. Raises TRACE_UNREADABLE: a file is missing, or the profile has no kernel."""
    nodes = _read_nodes(trace / "optimized.onnx")
    join = MacJoin(macs)
    calls = _calls_by_node(trace / "profile.json")
    return executed_residency([_layer(name, calls[name], nodes.get(name, _Node((), ())), join) for name in calls], macs)


class _Node(NamedTuple):
    """A node of the optimized graph."""

    outputs: tuple[str, ...]
    weights: tuple[MovedTensor, ...]
    """Constants that the node reads."""


def _calls_by_node(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the calls of each node, in the order of the nodes' first calls."""
    try:
        events = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TRACE_UNREADABLE(path=path, why=str(error)) from error
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            calls[event["name"].removesuffix(_KERNEL)].append(event)
    if not calls:
        raise TRACE_UNREADABLE(path=path, why="it holds no event of a node's kernel")
    return calls


def _read_nodes(path: Path) -> Mapping[str, _Node]:
    from onnx import TensorProto, load

    try:
        graph = load(path, load_external_data=False).graph
    except OSError as error:
        raise TRACE_UNREADABLE(path=path, why=str(error)) from error
    constants = {
        tensor.name: MovedTensor(TensorProto.DataType.Name(tensor.data_type).lower(), tuple(tensor.dims))
        for tensor in graph.initializer
    }
    return {
        node.name: _Node(tuple(node.output), tuple(constants[name] for name in node.input if name in constants))
        for node in graph.node
    }


def _layer(name: str, calls: Sequence[Mapping[str, Any]], node: _Node, join: MacJoin) -> LayerResidency:
    args = calls[0]["args"]
    op = str(args.get("op_name", ""))
    claimed = join.claim(_trunk_names(name, node.outputs)) if _MULTIPLIES.search(op) else ()
    # The first call allocates; it counts only if there is no other.
    times = [float(call["dur"]) for call in calls[1:] or calls]
    return LayerResidency(
        name=name,
        op=op,
        precision=_precision(op, args),
        macs=sum(layer.macs for layer in claimed),
        time_us=sum(times) / len(times),
        onnx_nodes=tuple(layer.name for layer in claimed),
        moved_bytes={} if op in _VIEWS else _bytes_moved(args, node.weights),
    )


def _bytes_moved(args: Mapping[str, Any], weights: Iterable[MovedTensor]) -> Mapping[str, int] | None:
    """Return the bytes that one call moves. A profile may omit weights, so each weight of profile and graph is counted once."""
    if "output_type_shape" not in args:
        return None
    read = Counter(_listed_tensors(args.get("input_type_shape", ()))) | Counter(weights)
    return moved_bytes((*read.elements(), *_listed_tensors(args["output_type_shape"])))


def _listed_tensors(listed: Iterable[Mapping[str, Sequence[int]]]) -> Iterator[MovedTensor]:
    """Read a profile's list of tensors, each an object such as ``{"uint8": [1, 3, 64, 64]}``."""
    for entry in listed:
        for element, shape in entry.items():
            yield MovedTensor(element, tuple(shape))


def _trunk_names(name: str, outputs: Sequence[str]) -> Iterator[str]:
    """Yield the names that this node or its output may have in the trunk."""
    yield name
    original = name.removeprefix("fused ")
    yield original
    while (shorter := _RENAMED.sub("", original)) != original:
        original = shorter
        yield original
    yield from outputs


def _precision(op: str, args: Mapping[str, Any]) -> str:
    if _MOVES.match(op):
        return OVERHEAD
    if _INTEGER_KERNELS.match(op):
        return "int8"
    shapes = args.get("input_type_shape") or [{}]
    first = next(iter(shapes[0]), "")
    return _TYPES.get(first, UNKNOWN)


_FP16_IS_CAST = "the CPU provider runs an fp16 model in fp32 with casts: the file is smaller, the arithmetic is the same"


class OnnxRuntimeBackend(Backend):
    """``onnxruntime`` with its CPU execution provider."""

    runtime = Runtime.ONNXRUNTIME
    title = "ONNX Runtime"
    adds = "fp32, fp16 and INT8 candidates for ONNX Runtime; accuracy drops are relative to its fp32"
    size: Size | str = Size(32, 95)
    line = Line((1, 0), "solid")
    licences: Mapping[str, str] = {"onnxruntime": "MIT"}
    """https://github.com/microsoft/onnxruntime/blob/main/LICENSE"""
    extra = "onnxruntime"
    packages: tuple[str, ...] = ("onnx", "onnxruntime")
    runtime_packages: Mapping[str, str] = {"onnxruntime": ">=1.19,<2"}
    pip_installs = True
    wheels: tuple[Series, ...] = (
        Series((3, 8), (3, 9), "1.19.2"),
        Series((3, 10), (3, 10), "1.23.2"),
        Series((3, 11), (3, 14), None),
    )
    """https://pypi.org/project/onnxruntime/#files, November 2026."""
    glibc: Mapping[str, Glibc] = {"x86_64": (2, 27), "aarch64": (2, 27)}
    """Versions above 1.23 name 2.28."""
    session_module = "onnxruntime_cpu"
    reads_onnx = True
    fp32_options: Mapping[str, str] = {}
    exact_options: Mapping[str, str] = {}
    builder: str | None = None
    learned: Scheme | None = UNSIGNED

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``."""
        facts = device.runtimes.get(self.runtime)
        if facts is None:
            return ()
        if (too_old := cannot_read_trunk("onnxruntime", facts)) is not None:
            return tuple(
                Unsupported(runtime=self.runtime, precision=precision, why=too_old) for precision in Precision if precision.ships
            )
        processor = device.processor
        half = (
            Candidate(id="onnxruntime-fp16", runtime=self.runtime, precision=Precision.FP16)
            if arm_halves(processor)
            else Unsupported(runtime=self.runtime, precision=Precision.FP16, why=_FP16_IS_CAST)
        )
        int8 = Candidate(
            id="onnxruntime-int8",
            runtime=self.runtime,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=Scheme(activation_dtype="uint8", activation_symmetric=False, reduced_range=byte_products_saturate(processor)),
            session_options=exact_products(processor),
        )
        return (
            Candidate(id="onnxruntime-fp32", runtime=self.runtime, precision=Precision.FP32),
            half,
            Unsupported(runtime=self.runtime, precision=Precision.BF16, why="the CPU provider has no bf16 convolution"),
            int8,
        )

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """Return ``model.json`` of a candidate whose file is ``model.onnx``."""
        return ModelFile(
            session=SessionSpec(module=self.session_module, options=candidate.session_options),
            model=ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=classes)),
            requirements=ModelRequirements(packages=self.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. ONNX Runtime reads the trunk itself, which is copied."""
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        from onnx import load

        from edgecnn.graph.onnx_file import class_count

        shutil.copyfile(onnx, out / "model.onnx")
        classes = class_count(load(onnx, load_external_data=False))
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``."""
        if candidate.precision is Precision.FP16:
            return Way(("onnxconverter-common",))
        return Way(calibrates=candidate.method in AFTERWARDS)

    def write(self, job: Job) -> dict[str, Any]:
        """See ``Backend.write``. A candidate that is fp32, learned its rounding or came quantized is a copy of the job's file."""
        from edgecnn.runtimes.onnxruntime_files import quantize, write_half

        if job.candidate.precision is Precision.FP16:
            return write_half(job)
        if job.candidate.method in AFTERWARDS:
            return quantize(job)
        self.convert(job.onnx, job.candidate, job.out)
        return {}

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """See ``Backend.logits``."""
        from edgecnn.runtimes.onnxruntime_files import logits_of

        return logits_of(folder / model.model.entry, feed, model.session.options)

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The fp32 file is the trunk."""
        converter = "onnxconverter-common" if candidate.precision is Precision.FP16 else "ONNX Runtime's quantizer"
        return OutputCheck(converter, candidate.precision, rounds=candidate.method in AFTERWARDS)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``. The file states the type of every tensor."""
        return Halves.MIXED if candidate.precision is Precision.FP16 else Halves.NONE

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``."""
        exact = EXACT.items() <= candidate.session_options.items()
        return not exact and has_full_range(candidate) and byte_products_saturate(processor)

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """See ``Backend.left_out``."""
        return OmittedArithmetic("half-precision kernels" if candidate.precision is Precision.FP16 else None)

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``. Spinning and pinning have no effect on a single thread."""
        fewer = fewer_threads(device.processor)
        threaded = () if fewer is None else (Knobs(threads=fewer), Knobs(spinning=False), Knobs(pin_threads=True))
        return (DEFAULT, *threaded, Knobs(graph_optimization_level="extended"))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``profile.json`` and ``optimized.onnx``."""
        return residency_of(trace, macs)


EXACT: Mapping[str, str] = {"session.x64quantprecision": "1"}
"""Add 8-bit products in 32 bits, which only matters on x86 without VNNI. Source: ``kOrtSessionOptionsAvx2PrecisionMode`` of
onnxruntime_session_options_config_keys.h."""


def exact_products(processor: Processor) -> Mapping[str, str]:
    """Return session options for INT8 with 8-bit weights; none if such sums saturate on the device itself.

    Without VNNI on this machine, u8×s8 sums would saturate and the logits would differ from the device's.
    """
    return {} if byte_products_saturate(processor) else EXACT


BACKEND = OnnxRuntimeBackend()
