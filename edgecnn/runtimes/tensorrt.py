"""TensorRT: kits whose engine is built on the device, the twin that gives their accuracy here, and the reader of its listing.

The kit ships ONNX typed fp16, from which the device's builder makes the engine. The listing has one line for each layer, in a
builder's verbose log as well as from an engine's inspector. Several layers of an engine may name the same node of the network.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from packaging.specifiers import SpecifierSet

from edgecnn.errors.graph import BUILD_LOG_UNREADABLE
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.installed import Glibc, Series, require_packages
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.onnxruntime import BACKEND as CARRIER
from edgecnn.runtimes.protocol import (
    AFTERWARDS,
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
from edgecnn.runtimes.residency import UNKNOWN, MacJoin, MovedTensor, executed_residency, moved_bytes
from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor, RuntimeFacts
from edgecnn.values.layers import LayerResidency, MacTable, Residency
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    EngineSpec,
    ModelFile,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)

LAYERS_FILE = "layers.txt"
TIMES_FILE = "times.json"
_PRECISIONS = {
    "int8": "int8",
    "half": "fp16",
    "fp16": "fp16",
    "float": "fp32",
    "fp32": "fp32",
    "bfloat16": "bf16",
    "bf16": "bf16",
}
_MULTIPLIES = re.compile(r"corr|conv|gemm|matmul|matrixmultiply|mmul|dot|_fc", re.IGNORECASE)
_FUSES = re.compile(r"fusion|kgen|myelin|foreign", re.IGNORECASE)
"""Types of layers whose name states their work, such as ``__myl_CorrMulAdd_myl0_2`` of type runtime_fusion."""
_STAYS = re.compile(r"noop|signal|wait", re.IGNORECASE)
"""Types that move no numbers."""
_COPIES = re.compile(r"reformat|noop|shuffle|copy", re.IGNORECASE)
_ONNX_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_FORMAT = re.compile(r"Datatype: ([^},]*)")
_TENSOR = re.compile(r"\{[^{}]*\}")
_DIMENSIONS = re.compile(r"Dimensions: \[([-0-9, ]*)\]")
_ELEMENTS = {**_PRECISIONS, "int32": "int32", "int64": "int64", "bool": "bool", "fp8": "fp8"}


@dataclass(frozen=True)
class EngineLayer:
    """A layer of an engine. ``inputs`` and ``constants`` are precisions; ``nodes`` are the nodes that the layer computes."""

    name: str
    type: str
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    nodes: tuple[str, ...]
    moved: Mapping[str, int] | None
    """Bytes read and written for one image, by element type; None if the listing gives a tensor no shape or type."""

    @property
    def precision(self) -> str:
        """Precision of the layer's arithmetic. int8 needs 8-bit activations and, if weights are listed, 8-bit weights."""
        if "int8" in self.inputs and (not self.constants or "int8" in self.constants):
            return "int8"
        return next((precision for precision in self.inputs if precision != "int8"), UNKNOWN)

    @property
    def multiplies(self) -> bool:
        """Whether the layer is a convolution or a matrix product, fused or not."""
        if _COPIES.search(self.type):
            return False
        return bool(_MULTIPLIES.search(self.name if _FUSES.search(self.type) else self.type))


def planned_residency(log: Path, macs: MacTable) -> Residency:
    """Return residency with basis ``planned`` from a build log, of the first engine in it.

    Raises BUILD_LOG_UNREADABLE: the log lists no layers.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = [index for index, line in enumerate(lines) if line.endswith("Layers:")]
    if not starts:
        raise BUILD_LOG_UNREADABLE(log=log, missing="it has no Layers: message")
    layers = _parse_layers(lines[starts[0] + 1 :])
    if not layers:
        raise BUILD_LOG_UNREADABLE(log=log, missing="its Layers: message names none")
    return executed_residency(_residency_rows(layers, macs, {}), macs).model_copy(update={"basis": "planned"})


def traced_residency(trace: Path, macs: MacTable) -> Residency:
    """Return residency with basis ``executed`` from the inspector's listing and the profiler's times (µs for each layer).

    Raises TRACE_UNREADABLE: the listing or the times are missing, or the listing names no layer.
    """
    listing, times = trace / LAYERS_FILE, trace / TIMES_FILE
    for path in (listing, times):
        if not path.is_file():
            raise TRACE_UNREADABLE(path=path, why="the traced session did not write it")
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    layers = _parse_layers(line for line in lines if line != "Layers:")
    if not layers:
        raise TRACE_UNREADABLE(path=listing, why="no line of it begins with Name:")
    return executed_residency(_residency_rows(layers, macs, json.loads(times.read_text(encoding="utf-8"))), macs)


def _parse_layers(lines: Iterable[str]) -> tuple[EngineLayer, ...]:
    layers: list[EngineLayer] = []
    for line in lines:
        if not line.startswith("Name: "):
            break
        layers.append(_parse_layer(line))
    return tuple(layers)


def _parse_layer(line: str) -> EngineLayer:
    name, _, remainder = line.removeprefix("Name: ").partition(", LayerType: ")
    kind, _, remainder = remainder.partition(", Inputs: ")
    tensors = remainder.partition(", Metadata: ")[0]
    inputs, _, constants = tensors.partition(", Outputs: ")[0].partition(", Constants: ")
    return EngineLayer(
        name=name,
        type=kind,
        inputs=_precisions(inputs),
        constants=_precisions(constants),
        nodes=tuple(_ONNX_NODE.findall(line)),
        moved={} if _STAYS.search(kind) else _bytes_moved(tensors),
    )


def _bytes_moved(tensors: str) -> Mapping[str, int] | None:
    """Return the bytes of all tensors in a layer's line. A variable size is that of one image."""
    moved = []
    for tensor in _TENSOR.findall(tensors):
        sizes, format_ = _DIMENSIONS.search(tensor), _FORMAT.search(tensor)
        if sizes is None or format_ is None:
            return None
        words = re.findall(r"\w+", format_[1].lower())
        shape = tuple(abs(int(size)) for size in sizes[1].split(",") if size.strip())
        moved.append(MovedTensor(next((_ELEMENTS[word] for word in words if word in _ELEMENTS), UNKNOWN), shape))
    return moved_bytes(moved)


def _precisions(tensors: str) -> tuple[str, ...]:
    """Return the precisions of tensors in order. A format may be a phrase, such as "Row major linear FP16 format"."""
    precisions = []
    for text in _FORMAT.findall(tensors):
        words = re.findall(r"\w+", text.lower())
        precisions.append(next((_PRECISIONS[word] for word in words if word in _PRECISIONS), UNKNOWN))
    return tuple(precisions)


def _residency_rows(layers: Sequence[EngineLayer], macs: MacTable, times_us: Mapping[str, float]) -> tuple[LayerResidency, ...]:
    join = MacJoin(macs)
    return tuple(
        LayerResidency(
            name=layer.name,
            op=layer.type,
            precision=layer.precision,
            macs=sum(counted.macs for counted in join.claim(layer.nodes)) if layer.multiplies else 0,
            time_us=times_us.get(layer.name),
            onnx_nodes=layer.nodes,
            moved_bytes=layer.moved,
        )
        for layer in layers
    )


LEAST_VERSION = "10.3"
"""The version of JetPack 6.1. TensorRT has strongly typed networks since 10.0; versions below 10.3 were never tried."""
_PROBED_RELEASES = ("10.3.0.30", *(f"10.{minor}" for minor in range(3, 40)))
WEAK_VERSION = "8.5"
"""The version of JetPack 5.1, the only series with weakly typed networks. Its candidates are named unverified, because none of
their engines was ever built."""
_WEAK_RELEASES = ("8.5.0.12", "8.5.1.7", "8.5.2.2", "8.5.3.1")
_WEAK_PACKAGES: Mapping[str, str] = {"tensorrt": ">=8.5,<8.6"}
_WEAK_OPSET, _WEAK_IR = 17, 8
UNFUSED = {"session.disable_quant_qdq": "1"}
"""ONNX Runtime then runs Q and DQ as written, in fp32, and folds weights: TensorRT's arithmetic except for fp16 outputs."""
_UNSUPPORTED = {
    Precision.FP32: "fp16 replaces it on the GPU; ONNX Runtime runs the fp32 network",
    Precision.BF16: "fp16 is as fast and has three more bits of precision",
}


class TensorRtBackend(Backend):
    """``tensorrt`` on NVIDIA GPUs."""

    runtime = Runtime.TENSORRT
    title = "TensorRT"
    adds = "runs TensorRT kits on an NVIDIA GPU; on a Jetson it is part of JetPack"
    size: Size | str = "not measured: its source package downloads the libraries from NVIDIA's index"
    line = Line((2, 2), "dotted")
    licences: Mapping[str, str] = {}
    extra = "tensorrt-rtx"
    packages: tuple[str, ...] = ("onnx",)
    runtime_packages: Mapping[str, str] = {"tensorrt": f">={LEAST_VERSION},<11"}
    pip_installs = False
    """On a Jetson it is part of JetPack."""
    wheels: tuple[Series, ...] = ()
    glibc: Mapping[str, Glibc] = {}
    session_module = "tensorrt_gpu"
    reads_onnx = True
    fp32_options: Mapping[str, str] = {}
    exact_options: Mapping[str, str] = {}
    builder: str | None = "tensorrt"
    learned: Scheme | None = Scheme(activation_dtype="int8", activation_symmetric=True, bias="float")

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``."""
        facts = device.runtimes.get(self.runtime)
        if facts is None:
            return ()
        if _runs_only_8_5(facts):
            return _supports_8_5(facts)
        if (too_old := _why_too_old(facts)) is not None:
            return tuple(
                Unsupported(runtime=self.runtime, precision=precision, why=too_old) for precision in Precision if precision.ships
            )
        half = Candidate(id="tensorrt-fp16", runtime=self.runtime, precision=Precision.FP16, needs_engine=True)
        int8 = Candidate(
            id="tensorrt-int8",
            runtime=self.runtime,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=Scheme(activation_dtype="int8", activation_symmetric=True, bias="float"),
            needs_engine=True,
        )
        refused = tuple(
            Unsupported(runtime=self.runtime, precision=precision, why=why) for precision, why in _UNSUPPORTED.items()
        )
        return (_if_native(half, facts), *refused, _if_native(int8, facts))

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """Return ``model.json`` of the kit, with the ONNX file from which the device builds an engine."""
        flags = candidate.builder_flags
        return ModelFile(
            session=SessionSpec(module=self.session_module, options=candidate.session_options),
            model=_model_spec(classes),
            requirements=ModelRequirements(packages=self.required(candidate)),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
            engine=EngineSpec(
                builder="tensorrt", onnx="model.onnx", min_version=WEAK_VERSION if flags else LEAST_VERSION, flags=flags
            ),
        )

    def required(self, candidate: Candidate) -> Mapping[str, str]:
        """Return the PEP 440 range of each distribution that builds and runs a candidate's engine."""
        return _WEAK_PACKAGES if candidate.builder_flags else self.runtime_packages

    def twin_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """Return ``model.json`` of the twin, which ONNX Runtime runs."""
        return ModelFile(
            session=SessionSpec(module=CARRIER.session_module, options={} if candidate.precision.is_float else UNFUSED),
            model=_model_spec(classes),
            requirements=ModelRequirements(packages=CARRIER.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``. Weakly typed files are fp32, and need no converter."""
        if candidate.method is Method.ORIGINAL:
            return None
        return Way(() if candidate.builder_flags else ("onnxconverter-common",), calibrates=candidate.method in AFTERWARDS)

    def write(self, job: Job) -> dict[str, Any]:
        """See ``Backend.write``."""
        from edgecnn.runtimes.tensorrt_files import quantize, write_half, write_weakly_typed

        if job.candidate.builder_flags:
            return write_weakly_typed(job)
        return write_half(job) if job.candidate.precision.is_float else quantize(job)

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """See ``Backend.logits``. ONNX Runtime runs the twin, since an engine is built only on its device."""
        return CARRIER.logits(folder, model, feed)

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """Copy the trunk for an fp32 candidate. ``tensorrt_files`` makes other candidates together with their twins."""
        if candidate.precision is not Precision.FP32:
            raise LookupError(f"{candidate.id} is made by tensorrt_files, together with its twin")
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        from onnx import load

        from edgecnn.graph.onnx_file import class_count

        shutil.copyfile(onnx, out / "model.onnx")
        classes = class_count(load(onnx, load_external_data=False))
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The twin runs, with the weights that ship.

        It rounds activations to fp16, which can change an integer of a network that learned its rounding.
        """
        converter = "ONNX Runtime's quantizer" if candidate.method in AFTERWARDS else "onnxconverter-common"
        return OutputCheck(converter, candidate.precision, rounds=not candidate.precision.is_float)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``. INT8 layers write fp16 too. Only a strongly typed fp16 file can keep layers in fp32."""
        mixes = candidate.precision.is_float and not candidate.builder_flags
        return Halves.MIXED if mixes else Halves.ALL

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. An engine adds in 32 bits, and its twin computes in fp32."""
        return False

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """See ``Backend.left_out``. The twin rounds activations as the device does; a weak network may round less."""
        return OmittedArithmetic("the layers that the builder computes in fp32" if candidate.builder_flags else None)

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``. An engine's settings are fixed when it is built."""
        return (DEFAULT,)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.txt`` and ``times.json``."""
        return traced_residency(trace, macs)

    def read_planned(self, log: Path, macs: MacTable) -> Residency:
        """Return the builder's planned residency from ``build.log``, of the first engine in it.

        Raises BUILD_LOG_UNREADABLE: the log does not name the planned layers.
        """
        return planned_residency(log, macs)


def _model_spec(classes: int) -> ModelSpec:
    return ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=classes))


def _runs_only_8_5(facts: RuntimeFacts) -> bool:
    """Whether a device has TensorRT 8.5 and no newer version, and reads the ONNX version of the 8.5 files."""
    allowed = SpecifierSet(facts.versions)
    newer = any(release in allowed for release in ("8.6.1", *_PROBED_RELEASES))
    reads = facts.onnx_opset_max >= _WEAK_OPSET and facts.onnx_ir_max >= _WEAK_IR
    return reads and not newer and any(release in allowed for release in _WEAK_RELEASES)


def _supports_8_5(facts: RuntimeFacts) -> tuple[Candidate | Unsupported, ...]:
    half = Candidate(
        id="tensorrt8-fp16-unverified",
        runtime=Runtime.TENSORRT,
        precision=Precision.FP16,
        needs_engine=True,
        builder_flags=("FP16",),
    )
    int8 = Candidate(
        id="tensorrt8-int8-unverified",
        runtime=Runtime.TENSORRT,
        precision=Precision.INT8,
        method=Method.POST_TRAINING,
        scheme=Scheme(activation_dtype="int8", activation_symmetric=True, bias="float"),
        needs_engine=True,
        builder_flags=("FP16", "INT8"),
    )
    refused = (
        Unsupported(runtime=Runtime.TENSORRT, precision=Precision.FP32, why=_UNSUPPORTED[Precision.FP32]),
        Unsupported(runtime=Runtime.TENSORRT, precision=Precision.BF16, why="TensorRT 8.5 has no bf16"),
    )
    return (_if_native(half, facts), *refused, _if_native(int8, facts))


def _if_native(candidate: Candidate, facts: RuntimeFacts) -> Candidate | Unsupported:
    """Return the candidate if the device computes in its precision; else the reason."""
    support = facts.precisions.get(candidate.precision)
    if support == "native":
        return candidate
    says = f"does not name {candidate.precision.value}" if support is None else f"says {support} of {candidate.precision.value}"
    return Unsupported(runtime=candidate.runtime, precision=candidate.precision, why=f"the device's file {says}")


def _why_too_old(facts: RuntimeFacts) -> str | None:
    """Return why the device's TensorRT cannot use these kits; None if it can."""
    allowed = SpecifierSet(facts.versions)
    if not any(release in allowed for release in _PROBED_RELEASES):
        return f"TensorRT {facts.versions} lacks strongly typed networks, which need {LEAST_VERSION} or later"
    return cannot_read_trunk("TensorRT", facts)


BACKEND = TensorRtBackend()
