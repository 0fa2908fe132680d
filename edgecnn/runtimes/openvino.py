"""OpenVINO on a CPU: its candidates, its files, and the reader of its executed graph.

Every candidate sets the precision of its float layers, because the default depends on the processor: on a processor with bf16,
OpenVINO rounds an "fp32" model to bf16. A layer of an executed graph counts as INT8 only if both its precision and its
primitive are INT8: a convolution over 8-bit tensors may fall back to a float primitive.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.errors.wording import reason_in
from edgecnn.graph.missing_operator import name_missing_operator
from edgecnn.installed import Glibc, Series, require_packages
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.processor import (
    arm_halves,
    byte_products_saturate,
    fewer_threads,
    has_full_range,
    multiplies_bf16,
    processor_name,
)
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
    halves_of,
)
from edgecnn.runtimes.residency import (
    OVERHEAD,
    UNKNOWN,
    MacJoin,
    MovedTensor,
    executed_residency,
    moved_bytes,
    read_layers,
)
from edgecnn.store.failures import prefer_system_error
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

_MULTIPLIES = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_MOVES = frozenset({"Reorder", "Convert", "FakeQuantize", "Transpose"})
_VIEWS = frozenset({"Reshape", "ShapeOf"})
"""Layers that only change or return a shape, and move no number."""
_TYPES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}
_PRIMITIVE = re.compile(r"_(I8|f32|bf16|f16)$", re.IGNORECASE)
_APPENDED = re.compile(r"(/WithoutBiases|/DequantizationMultiply)+$")
_NOT_RUN = frozenset({"Input", "Const", "Output", "Parameter", "Result"})


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """Return the residency of a traced session. Raises TRACE_UNREADABLE: the file is missing, or has no layer."""
    join = MacJoin(macs)
    ran = [entry for entry in read_layers(trace / "layers.json") if entry["layer_type"] not in _NOT_RUN]
    return executed_residency([_layer(entry, join) for entry in ran], macs)


def _layer(entry: Mapping[str, Any], join: MacJoin) -> LayerResidency:
    kind = str(entry["layer_type"])
    claimed = join.claim(_onnx_names(entry)) if kind in _MULTIPLIES else ()
    return LayerResidency(
        name=str(entry["name"]),
        op=kind,
        precision=OVERHEAD if kind in _MOVES else _precision(entry),
        macs=sum(layer.macs for layer in claimed),
        time_us=entry["time_us"],
        onnx_nodes=tuple(layer.name for layer in claimed),
        moved_bytes={} if kind in _VIEWS else _bytes_moved(entry),
    )


def _bytes_moved(entry: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Return the bytes read and written, from the types and shapes of the graph's edges; None if a shape is not fixed."""
    ports = (*entry["inputs"], *entry["outputs"]) if "inputs" in entry else ({"shape": None},)
    if any(port["shape"] is None for port in ports):
        return None
    return moved_bytes(MovedTensor(port["type"], tuple(port["shape"])) for port in ports)


def _onnx_names(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield a layer's possible names in ONNX, with and without the suffixes of conversion."""
    for name in (entry["name"], *entry["original_names"]):
        yield name
        yield onnx_name(name)


def onnx_name(name: str) -> str:
    """Return a layer's name without the suffixes of conversion: ``node_linear/WithoutBiases`` → ``node_linear``."""
    return _APPENDED.sub("", name)


def _precision(entry: Mapping[str, Any]) -> str:
    chosen = _TYPES.get(entry["runtime_precision"], UNKNOWN)
    primitive = _PRIMITIVE.search(entry["primitive_type"])
    if chosen == "int8" and primitive is not None:
        return _TYPES.get(primitive[1].lower(), UNKNOWN)
    return chosen


PRECISION_HINT = "INFERENCE_PRECISION_HINT"
F32 = {PRECISION_HINT: "f32"}
_BF16 = {PRECISION_HINT: "bf16"}
_F16 = {PRECISION_HINT: "f16"}
_NO_BF16 = "{} has no bf16 products (avx512_bf16 or amx_bf16): bf16 would be rounded fp32"
_FP16_UNVERIFIED = (
    "it is offered only on 64-bit Arm with asimdhp; on other processors the CPU plugin's arithmetic was not verified"
)
_FLOAT_ON_ARM = "on 64-bit Arm most layers run in fp32: 17 of 20 convolutions of a ResNet-18 on an emulated Cortex-A76"


class OpenVinoBackend(Backend):
    """``openvino`` with its CPU plugin."""

    runtime = Runtime.OPENVINO
    title = "OpenVINO"
    adds = "fp32, fp16, bf16 and INT8 candidates for OpenVINO on CPUs"
    size: Size | str = Size(70, 256)
    line = Line((6, 3), "dashed")
    licences: Mapping[str, str] = {"openvino": "Apache-2.0"}
    """https://github.com/openvinotoolkit/openvino/blob/master/LICENSE"""
    extra = "openvino"
    packages: tuple[str, ...] = ("openvino",)
    runtime_packages: Mapping[str, str] = {"openvino": ">=2026.2,<2027"}
    pip_installs = True
    wheels: tuple[Series, ...] = (
        Series((3, 8), (3, 8), "2024.4.0"),
        Series((3, 9), (3, 9), "2025.3.0"),
        Series((3, 10), (3, 14), None),
    )
    """https://pypi.org/project/openvino/#files, November 2026."""
    glibc: Mapping[str, Glibc] = {"x86_64": (2, 28), "aarch64": (2, 35)}
    session_module = "openvino_cpu"
    reads_onnx = True
    fp32_options: Mapping[str, str] = F32
    exact_options: Mapping[str, str] = {"LP_TRANSFORMS_MODE": "NO"}
    """Compute quantized layers in fp32. Source: ``enable_lp_transformations`` in OpenVINO's internal_properties.hpp."""
    builder: str | None = None
    learned: Scheme | None = UNSIGNED

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. The model is in OpenVINO's format, so the device's limits on ONNX do not apply."""
        if self.runtime not in device.runtimes:
            return ()
        bf16 = (
            Candidate(id="openvino-bf16", runtime=self.runtime, precision=Precision.BF16, session_options=_BF16)
            if multiplies_bf16(device.processor.isa)
            else Unsupported(runtime=self.runtime, precision=Precision.BF16, why=_NO_BF16.format(processor_name(device)))
        )
        fp16 = (
            Candidate(id="openvino-fp16", runtime=self.runtime, precision=Precision.FP16, session_options=_F16)
            if arm_halves(device.processor)
            else Unsupported(runtime=self.runtime, precision=Precision.FP16, why=_FP16_UNVERIFIED)
        )
        return (
            Candidate(id="openvino-fp32", runtime=self.runtime, precision=Precision.FP32, session_options=F32),
            bf16,
            fp16,
            self._int8(device.processor),
        )

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """Return ``model.json`` of a candidate whose files are ``model.xml`` and ``model.bin``."""
        return ModelFile(
            session=SessionSpec(module=self.session_module, options=candidate.session_options),
            model=ModelSpec(entry="model.xml", files=("model.bin", "model.xml"), output=ModelOutput(classes=classes)),
            requirements=ModelRequirements(packages=self.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. The session selects bf16 or fp16, so their file is the fp32 file."""
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        model = convert_trunk(onnx)
        classes = save_ir(model, out / "model.xml")
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``."""
        if candidate.method in AFTERWARDS:
            return Way(("nncf",), calibrates=True)
        return None if candidate.method is Method.ORIGINAL else Way()

    def write(self, job: Job) -> dict[str, Any]:
        """See ``Backend.write``."""
        if job.candidate.method in AFTERWARDS:
            from edgecnn.runtimes.openvino_files import quantize

            return quantize(job)
        self.convert(job.onnx, job.candidate, job.out)
        return {}

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """See ``Backend.logits``."""
        from edgecnn.runtimes.openvino_files import logits_of

        return logits_of(import_openvino().Core().read_model(folder / model.model.entry), feed, model.session.options)

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The file of bf16 and fp16 is the fp32 file, so it runs in fp32."""
        precision = Precision.FP32 if candidate.precision.is_float else candidate.precision
        rounds = candidate.method in AFTERWARDS
        return OutputCheck("NNCF" if rounds else "OpenVINO's converter", precision, F32, rounds=rounds)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``."""
        return halves_of(candidate)

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``."""
        return has_full_range(candidate) and byte_products_saturate(processor)

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """See ``Backend.left_out``. A ResNet-18 in fp16 on an emulated Cortex-A76 was off by 0.026."""
        if candidate.precision not in (Precision.FP16, Precision.BF16):
            return OmittedArithmetic()
        return OmittedArithmetic(f"{candidate.precision.value} kernels", 0.06 if candidate.precision is Precision.FP16 else 0.0)

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``. The number of streams is not a knob: one image a call uses one stream."""
        fewer = fewer_threads(device.processor)
        threaded = () if fewer is None else (Knobs(threads=fewer), Knobs(hyper_threading=True))
        return (DEFAULT, *threaded, Knobs(cpu_pinning=False))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.json``."""
        return residency_of(trace, macs)

    def _int8(self, processor: Processor) -> Candidate | Unsupported:
        if processor.architecture == "aarch64":
            return Unsupported(runtime=self.runtime, precision=Precision.INT8, why=_FLOAT_ON_ARM)
        return Candidate(
            id="openvino-int8",
            runtime=self.runtime,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=Scheme(
                activation_dtype="uint8", activation_symmetric=True, bias="float", reduced_range=byte_products_saturate(processor)
            ),
            session_options=_BF16 if multiplies_bf16(processor.isa) else F32,
        )


BACKEND = OpenVinoBackend()


_GENERATED = re.compile(r"^(?!Conv_|ConvTranspose_|Gemm_|MatMul_)([A-Z][A-Za-z0-9]*)_([0-9]+)(?=$|/)")
"""A generated name: type and counter, with or without NNCF's suffix. Multiplying layers keep their names, for residency."""
_INDENTATION = re.compile(rb"\n[\t ]*(?=<|$)")
"""White space between tags, not inside a tag or a text."""
_RANGE_ENDS = ((1, 3), (2, 4))
"""Ports of a FakeQuantize: the low ends of its input and output, then the high ends."""


def convert_trunk(onnx: Path) -> Any:
    """Return an ``openvino.Model`` of the trunk in float32, with the passes that ``read_model`` omits.

    ``read_model`` would not fuse Sigmoid and Mul to Swish before quantizers are placed between them. That made INT8 of
    EfficientNet-B0 a third slower.

    Raises OPERATOR_MISSING: OpenVINO lacks one of the trunk's operators. CONVERTER_FAILED: it refuses the trunk otherwise.
    """
    refusal = re.compile(r"No conversion rule found for operations: (?:[\w.]*\.)?(?P<op>\w+)")
    with name_missing_operator(onnx, Runtime.OPENVINO, (refusal,)):
        try:
            return import_openvino().convert_model(onnx)
        except Exception as error:  # its exceptions share no class but Exception
            if refusal.search(str(error)):
                raise  # named above
            raise CONVERTER_FAILED(converter="OpenVINO", candidate=onnx.name, why=reason_in(error)) from error


def save_ir(model: Any, path: Path) -> int:
    """Write ``path`` (``.xml``) and its ``.bin``, without compressing weights to fp16; return the number of classes."""
    share_ranges(model)
    renumber_names(model)
    if model.has_rt_info(["conversion_parameters"]):
        del model.get_rt_info()["conversion_parameters"]
    weights = sum(op.get_byte_size() for op in model.get_ops() if op.get_type_name() == "Constant")
    with prefer_system_error(path, weights):
        import_openvino().save_model(model, path, compress_to_fp16=False)
    path.write_bytes(_INDENTATION.sub(b"", path.read_bytes()))
    return int(model.output(0).get_partial_shape()[1].get_length())


def share_ranges(model: Any) -> None:
    """Let each FakeQuantize with equal input and output ranges read both from the same constants. No number changes."""
    for op in model.get_ordered_ops():
        if op.get_type_name() != "FakeQuantize":
            continue
        for input_end, output_end in _RANGE_ENDS:
            first, second = (op.input_value(port).get_node() for port in (input_end, output_end))
            if first.get_friendly_name() != second.get_friendly_name() and _same_constant(first, second):
                op.input(output_end).replace_source_output(op.input_value(input_end))


def _same_constant(first: Any, second: Any) -> bool:
    if not first.get_type_name() == second.get_type_name() == "Constant":
        return False
    described = [(constant.get_element_type(), constant.get_output_shape(0)) for constant in (first, second)]
    return described[0] == described[1] and first.data.tobytes() == second.data.tobytes()


def renumber_names(model: Any) -> None:
    """Replace the process-wide counter in generated names by a counter of this model."""
    numbers: dict[str, int] = {}

    def renumber(match: re.Match[str]) -> str:
        return f"{match[1]}_{numbers.setdefault(match[0], len(numbers))}"

    for op in model.get_ordered_ops():
        op.set_friendly_name(_GENERATED.sub(renumber, op.get_friendly_name()))


def import_openvino() -> Any:
    """Import ``openvino`` without its telemetry.

    On import, openvino and nncf send usage events over the network and store a client id in the home folder. They skip this if
    ``openvino_telemetry`` cannot be imported.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def import_nncf() -> Any:
    """Import ``nncf`` without its telemetry and without log messages below errors."""
    import_openvino()
    # nncf imports torch if it is installed, whose extension builder warns of a missing GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf
