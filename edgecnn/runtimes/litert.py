"""LiteRT (TensorFlow Lite) on a CPU, through XNNPACK: fp32, fp16 and INT8; and the reader of its trace.

``litert_files`` makes the model files. A kit needs only ``ai-edge-litert``; an Android app loads the same file. The names of
XNNPACK's kernels in a trace state their arithmetic: ``QC8`` and ``QS8`` are INT8 with a scale for each channel or for each
tensor, ``F32`` and ``F16`` are floats.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.installed import PYTHONS, Glibc, Series
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.processor import multiplies_halves, processor_name, thread_knobs
from edgecnn.runtimes.protocol import (
    UNSIGNED,
    Backend,
    Halves,
    Line,
    Logits,
    OmittedArithmetic,
    OutputCheck,
    Size,
    Way,
    halves_of,
)
from edgecnn.runtimes.residency import OVERHEAD, UNKNOWN, MovedTensor, claim_by_macs, executed_residency, moved_bytes
from edgecnn.runtimes.separate_process import logits_separately, run_separately
from edgecnn.values.candidate import Candidate, Knobs, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.layers import LayerMacs, LayerResidency, MacTable, Residency
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    ModelFile,
    ModelInput,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)

_DELEGATED = "Delegate/"
_KERNELS = ("Convolution", "Deconvolution", "Fully Connected", "Batch Matrix Multiply")
_OPERATORS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"})
_MOVES = ("Convert", "Transpose", "Copy", "Constant Pad", "QUANTIZE", "DEQUANTIZE", "CAST", "TRANSPOSE", "PAD")
_VIEWS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_INT8 = ("QC8", "QS8", "QU8")
_HALF = "F16"
_DYNAMIC = "QD8"
"""Activations that are rounded at run time, which no candidate asks for."""
_BY_TYPE = {"float32": "fp32", "float16": "fp16", "int8": "int8"}
_INPUT_OF_WEIGHTS = 1
"""The index of the input with the weights, for each of ``_OPERATORS``."""


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """Return the residency of a traced session.

    The kernels that multiply are in the order of the file's operators that multiply, one for one. If XNNPACK runs a network in
    several parts, the profiler merges rows and their order is lost. Then, if the number of calls equals the number of operators
    and all kernels have one precision, each operator is credited with that precision; otherwise nothing is credited. Operators
    are matched with the trunk's nodes by ``claim_by_macs``. XNNPACK may fuse the operators between two that multiply: their
    bytes are counted with the next kernel.

    Raises TRACE_UNREADABLE: the file is missing, is not JSON, or names no kernel.
    """
    kernels, operators = _read_trace(trace / "layers.json")
    waiting, multiplying = deque(operators), [kernel for kernel in kernels if _multiplies(kernel["kernel"])]
    matches = len(multiplying) == sum(operator["op"] in _OPERATORS for operator in operators)
    unclaimed, layers = list(macs.layers), list[LayerResidency]()
    if not matches:
        layers += _operator_layers(multiplying, [operator for operator in operators if operator["op"] in _OPERATORS], unclaimed)
    float32 = "fp16" if any(_HALF in kernel["kernel"] for kernel in kernels) else "fp32"
    for index, kernel in enumerate(kernels):
        executed = _pop_operators(waiting, _multiplies(kernel["kernel"])) if matches else None
        layers.append(_layer(index, kernel, executed, unclaimed, float32))
    return executed_residency(layers, macs)


def _operator_layers(
    multiplying: Sequence[Mapping[str, Any]], operators: Sequence[Mapping[str, Any]], unclaimed: list[LayerMacs]
) -> list[LayerResidency]:
    """Return a layer without time for each operator; none if the kernels differ in number or precision."""
    kinds = {_precision(kernel["kernel"], None) for kernel in multiplying}
    if len(kinds) != 1 or UNKNOWN in kinds or sum(kernel.get("calls", 1.0) for kernel in multiplying) != len(operators):
        return []
    (precision,) = kinds
    joined = [(operator["op"], claim_by_macs(unclaimed, _macs(operator))) for operator in operators]
    return [
        LayerResidency(
            name=f"{op} {index}",
            op=op,
            precision=precision,
            macs=0 if node is None else node.macs,
            time_us=None,
            onnx_nodes=() if node is None else (node.name,),
        )
        for index, (op, node) in enumerate(joined)
    ]


def _pop_operators(waiting: deque[Mapping[str, Any]], multiplies: bool) -> list[Mapping[str, Any]]:
    """Remove and return a kernel's operators: all before the next that multiplies, and that one if the kernel multiplies."""
    operators = []
    while waiting and waiting[0]["op"] not in _OPERATORS:
        operators.append(waiting.popleft())
    return [*operators, waiting.popleft()] if multiplies else operators


def _read_trace(path: Path) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    try:
        trace = json.loads(path.read_text(encoding="utf-8"))
        kernels, operators = trace["kernels"], trace["operators"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TRACE_UNREADABLE(path=path, why=str(error)) from error
    if not kernels:
        raise TRACE_UNREADABLE(path=path, why="it names no kernel")
    return kernels, operators


def _layer(
    index: int,
    kernel: Mapping[str, Any],
    operators: list[Mapping[str, Any]] | None,
    unclaimed: list[LayerMacs],
    float32: str,
) -> LayerResidency:
    """Return the layer of a kernel. ``operators``: those that it computes; None if they are not known."""
    name = str(kernel["kernel"]).removeprefix(_DELEGATED)
    product = operators[-1] if operators and _multiplies(kernel["kernel"]) else None
    joined = None if product is None else claim_by_macs(unclaimed, _macs(product))
    return LayerResidency(
        name=f"{name} {index}",
        op=name if product is None else product["op"],
        precision=_precision(kernel["kernel"], product),
        macs=0 if joined is None else joined.macs,
        time_us=kernel["time_us"],
        onnx_nodes=() if joined is None else (joined.name,),
        moved_bytes=None if operators is None else _bytes_moved(operators, float32),
    )


def _multiplies(named: str) -> bool:
    kernel = named.removeprefix(_DELEGATED)
    return kernel.startswith(_KERNELS) if named.startswith(_DELEGATED) else kernel in _OPERATORS


def _precision(named: str, operator: Mapping[str, Any] | None) -> str:
    kernel = named.removeprefix(_DELEGATED)
    if kernel.startswith(_MOVES) and kernel not in _OPERATORS:  # TRANSPOSE moves numbers, TRANSPOSE_CONV multiplies them
        return OVERHEAD
    if not named.startswith(_DELEGATED):
        return UNKNOWN if operator is None else _BY_TYPE.get(_activation_input(operator)["type"], UNKNOWN)
    if _DYNAMIC in kernel:
        return UNKNOWN
    if any(tag in kernel for tag in _INT8):
        return "int8"
    return "fp16" if _HALF in kernel else "fp32" if "F32" in kernel else UNKNOWN


def _macs(operator: Mapping[str, Any]) -> int:
    """Return the multiply-adds of an operator for one image."""
    weights: Sequence[int] = operator["inputs"][_INPUT_OF_WEIGHTS]["shape"]
    image = _activation_input(operator) if operator["op"] == "TRANSPOSE_CONV" else operator["outputs"][0]
    return prod(weights) * (1 if operator["op"] == "FULLY_CONNECTED" else prod(image["shape"][1:3]))


def _activation_input(operator: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the input with the activations. The first input of a transposed convolution is the size of its output."""
    tensor: Mapping[str, Any] = operator["inputs"][2 if operator["op"] == "TRANSPOSE_CONV" else 0]
    return tensor


def _bytes_moved(operators: list[Mapping[str, Any]], float32: str) -> Mapping[str, int] | None:
    """Return the bytes that these operators move. ``float32``: XNNPACK's type for float32, since it may compute in fp16."""
    types = {**_BY_TYPE, "float32": float32}
    tensors = []
    for operator in operators:
        # XNNPACK converts fp16 weights once, when it opens the file.
        converts_weights = operator["op"] == "DEQUANTIZE" and operator["inputs"][0]["type"] == "float16"
        if operator["op"] not in _VIEWS and not converts_weights:
            tensors += [*operator["inputs"], *operator["outputs"]]
    return moved_bytes(MovedTensor(types.get(tensor["type"], tensor["type"]), tuple(tensor["shape"])) for tensor in tensors)


ENTRY = "model.tflite"
WRITER = "edgecnn's LiteRT writer"
"""The name of ``litert_writer`` in errors."""
HALF = {"force_fp16": "1"}
_NO_FP16 = "{} has no half-precision arithmetic: XNNPACK converts around every multiplication, slower than fp32"


class LitertBackend(Backend):
    """``ai-edge-litert`` with its XNNPACK delegate."""

    runtime = Runtime.LITERT
    title = "LiteRT"
    adds = "fp32, fp16 and INT8 candidates for LiteRT (TensorFlow Lite), on boards and in Android apps"
    size: Size | str = Size(31, 104)
    line = Line((4, 2, 1, 2), "dash-dot-dotted")
    licences: Mapping[str, str] = {"ai-edge-litert": "Apache-2.0"}
    """https://github.com/google-ai-edge/LiteRT/blob/main/LICENSE"""
    extra = "litert"
    packages: tuple[str, ...] = ("ai-edge-litert", "litert-quantizer")
    runtime_packages: Mapping[str, str] = {"ai-edge-litert": ">=2.3,<3"}
    pip_installs = True
    wheels: tuple[Series, ...] = (Series(*PYTHONS["ai-edge-litert"], None),)
    glibc: Mapping[str, Glibc] = {"x86_64": (2, 27), "aarch64": (2, 27)}
    session_module = "litert_cpu"
    reads_onnx = False
    fp32_options: Mapping[str, str] = {}
    exact_options: Mapping[str, str] = {}
    builder: str | None = None
    learned: Scheme | None = UNSIGNED

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. The model is a FlatBuffer, so the device's limits on ONNX do not apply."""
        if self.runtime not in device.runtimes:
            return ()
        why = _NO_FP16.format(processor_name(device))
        half = (
            Candidate(id="litert-fp16", runtime=self.runtime, precision=Precision.FP16, session_options=HALF)
            if multiplies_halves(device.processor)
            else Unsupported(runtime=self.runtime, precision=Precision.FP16, why=why)
        )
        return (
            Candidate(id="litert-fp32", runtime=self.runtime, precision=Precision.FP32),
            half,
            Unsupported(runtime=self.runtime, precision=Precision.BF16, why="it has no switch for it"),
            Candidate(
                id="litert-int8",
                runtime=self.runtime,
                precision=Precision.INT8,
                method=Method.POST_TRAINING,
                scheme=Scheme(activation_dtype="int8", activation_symmetric=False),
            ),
        )

    def model_file(self, candidate: Candidate, name: str, classes: int) -> ModelFile:
        """Return ``model.json`` of a candidate whose file is ``model.tflite``. ``name``: the name of its input."""
        return ModelFile(
            session=SessionSpec(module=self.session_module, options=candidate.session_options),
            model=ModelSpec(
                entry=ENTRY,
                files=(ENTRY,),
                input=ModelInput(name=name, layout="NHWC"),
                output=ModelOutput(classes=classes),
            ),
            requirements=ModelRequirements(packages=self.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``. A network that learned its rounding calibrates too, for the tensors without a learned range."""
        return None if candidate.method is Method.ORIGINAL else Way(calibrates=not candidate.precision.is_float)

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. The file is fp32. Raises LAYER_NOT_CONVERTED, CONVERTER_FAILED."""
        from edgecnn.runtimes.litert_writer.writer import convert

        convert(onnx, candidate, out)

    def write(self, job: Job) -> dict[str, Any]:
        """See ``Backend.write``."""
        from edgecnn.runtimes.litert_files import quantize

        return quantize(job)

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """See ``Backend.logits``. Raises CONVERTER_FAILED: LiteRT does not open the file."""
        return logits_of(folder / model.model.entry, feed, folder.name)

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The check runs in fp32, with fp16 weights if the candidate has them.

        The quantizer rounds more tensors than a network that learned its rounding expects.
        """
        rounds = not candidate.precision.is_float
        return OutputCheck("LiteRT's quantizer" if rounds else WRITER, candidate.precision, rounds=rounds)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``."""
        return halves_of(candidate)

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. XNNPACK multiplies signed bytes, widened to 16 bits, and adds in 32."""
        return False

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """See ``Backend.left_out``."""
        return OmittedArithmetic("half-precision kernels" if candidate.precision is Precision.FP16 else None)

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``."""
        return thread_knobs(device.processor)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.json``."""
        return residency_of(trace, macs)


BACKEND = LitertBackend()


PROGRAM = str(Path(__file__).with_name("litert_program.py"))


def run_litert_program(verb: str, words: tuple[Path | str, ...], made: Path, candidate: str) -> None:
    """Run ``halve`` or ``quantize`` of ``litert_program``. Raises CONVERTER_FAILED: the program made no file."""
    run_separately(Runtime.LITERT, [PROGRAM, verb, *map(str, words)], made, candidate)


def write_model_file(onnx: Path, candidate: Candidate, out: Path) -> None:
    """Write ``model.json`` of a LiteRT model that was made from an ONNX file."""
    from onnx import load

    from edgecnn.graph.onnx_file import class_count

    model = load(onnx, load_external_data=False)
    model_file = BACKEND.model_file(candidate, model.graph.input[0].name, class_count(model))
    (out / MODEL_FILE_NAME).write_text(model_file.to_json(), encoding="utf-8")


def logits_of(path: Path, feed: npt.NDArray[Any], candidate: str) -> npt.NDArray[np.float32]:
    """Return the logits (N, classes) of a ``.tflite`` file for a feed (N, H, W, 3). Raises CONVERTER_FAILED."""
    return logits_separately(Runtime.LITERT, [PROGRAM, "answer", str(path)], feed, candidate)
