"""ncnn on a CPU: fp32, and fp16 if the processor has it; and the reader of its trace.

An Android app loads the same files. pnnx makes the model from the trunk. The kit sets every number format that ncnn would
otherwise choose by the processor. ncnn names no kernels: the formats of the tensors between layers show the arithmetic.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from math import prod
from pathlib import Path
from typing import Any

import numpy.typing as npt

from edgecnn.errors.devices import CONVERTER_FAILED, layer_not_converted
from edgecnn.installed import Glibc, Series, require_packages
from edgecnn.runner.runs.processes import clean_environment, exit_text, kill_group
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.processor import multiplies_halves, processor_name, thread_knobs
from edgecnn.runtimes.protocol import Backend, Halves, Line, Logits, OmittedArithmetic, OutputCheck, Size, Way, halves_of
from edgecnn.runtimes.residency import (
    OVERHEAD,
    UNKNOWN,
    MovedTensor,
    claim_by_macs,
    executed_residency,
    moved_bytes,
    read_layers,
)
from edgecnn.runtimes.separate_process import logits_separately
from edgecnn.store.failures import require_room
from edgecnn.values.candidate import Candidate, Knobs, Precision, Runtime, Scheme, Unsupported
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

_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise")
_WEIGHTS = {**dict.fromkeys(_CONVOLUTIONS, "6"), "InnerProduct": "2"}
_BIAS = {**dict.fromkeys(_CONVOLUTIONS, "5"), "InnerProduct": "1"}
_INT8 = dict.fromkeys((*_CONVOLUTIONS, "InnerProduct"), "8")
"""The numbers of the settings that hold a layer's count of weights, whether it has a bias, and its INT8 scales:
https://github.com/Tencent/ncnn/wiki/operators"""
_TRANSPOSED = frozenset({"Deconvolution", "DeconvolutionDepthWise"})
_MOVES = frozenset({"Packing", "Cast", "Quantize", "Dequantize", "Requantize", "Permute"})
_VIEWS = frozenset({"Reshape", "Flatten", "Split", "Squeeze", "ExpandDims", "Noop", "Dropout"})
"""Layers that change only shapes or names, and move no number."""


def residency_of(trace: Path, macs: MacTable) -> Residency:
    """Return the residency of a traced session. Its layers are matched with the trunk's nodes by ``claim_by_macs``.

    Raises TRACE_UNREADABLE: the file is missing, or has no layer.
    """
    unclaimed = list(macs.layers)
    ran = [entry for entry in read_layers(trace / "layers.json") if entry["type"] != "Input"]
    return executed_residency([_layer(entry, unclaimed) for entry in ran], macs)


def _layer(entry: Mapping[str, Any], unclaimed: list[LayerMacs]) -> LayerResidency:
    kind = str(entry["type"])
    joined = _matching_node(entry, unclaimed) if kind in _WEIGHTS else None
    return LayerResidency(
        name=str(entry["name"]),
        op=kind,
        precision=OVERHEAD if kind in _MOVES else _precision(entry),
        macs=0 if joined is None else joined.macs,
        time_us=entry["time_us"],
        onnx_nodes=() if joined is None else (joined.name,),
        moved_bytes={} if kind in _VIEWS else _bytes_moved(entry),
    )


def _matching_node(entry: Mapping[str, Any], unclaimed: list[LayerMacs]) -> LayerMacs | None:
    ports = entry["inputs"] if entry["type"] in _TRANSPOSED else entry["outputs"]
    if any(port is None for port in ports):
        return None
    positions = 1 if entry["type"] == "InnerProduct" else prod(ports[0]["shape"][1:])
    return claim_by_macs(unclaimed, _weight_count(entry) * positions)


def _precision(entry: Mapping[str, Any]) -> str:
    ports = [*entry["inputs"], *entry["outputs"]]
    if _setting(entry, _INT8.get(entry["type"])) != 0 or any(port is None for port in ports):
        return UNKNOWN
    if entry["outputs"] and all(port["bits"] == 16 for port in entry["outputs"]):
        return entry.get("sixteen_bits") or UNKNOWN
    return "fp32" if all(port["bits"] == 32 for port in ports) else UNKNOWN


def _bytes_moved(entry: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Return the bytes read and written, weights included; None if the precision is not known."""
    ports = [*entry["inputs"], *entry["outputs"]]
    precision = _precision(entry)
    if precision == UNKNOWN:
        return None
    tensors = [MovedTensor("fp32" if port["bits"] == 32 else precision, tuple(port["shape"])) for port in ports]
    output_channels = _setting(entry, "0")
    biases = output_channels if _setting(entry, _BIAS.get(entry["type"])) else 0
    return moved_bytes([*tensors, MovedTensor(precision, (_weight_count(entry) + biases,))])


def _weight_count(entry: Mapping[str, Any]) -> int:
    return _setting(entry, _WEIGHTS.get(entry["type"]))


def _setting(entry: Mapping[str, Any], setting: str | None) -> int:
    return 0 if setting is None else int(entry["settings"].get(setting, 0))


INPUT, OUTPUT = "in0", "out0"
"""pnnx's names of the network's input and output."""
PARAM, WEIGHTS = "model.param", "model.bin"
FP32 = dict.fromkeys(("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage"), "0")
"""By default, ncnn stores and computes in half precision if the processor can. Names:
https://github.com/Tencent/ncnn/blob/master/src/option.h"""
FP16 = {name: str(int("fp16" in name)) for name in FP32}
_NO_FP16 = "{} has no half-precision arithmetic"
_REFUSED = {
    Precision.BF16: "the arithmetic of its bf16 storage on this processor was not verified",
    Precision.INT8: "its wheels lack the calibration tools ncnn2table and ncnn2int8",
}


class NcnnBackend(Backend):
    """``ncnn`` without Vulkan."""

    runtime = Runtime.NCNN
    title = "ncnn"
    adds = "fp32 candidates for ncnn, a small runtime that also runs in Android apps"
    size: Size | str = Size(39, 115, beyond="edgecnn[train]")
    line = Line((10, 2), "long-dashed")
    licences: Mapping[str, str] = {"ncnn": "BSD-3-Clause"}
    """https://github.com/Tencent/ncnn/blob/master/LICENSE.txt"""
    extra = "ncnn"
    packages: tuple[str, ...] = ("ncnn", "pnnx")
    runtime_packages: Mapping[str, str] = {"ncnn": ">=1.0.20261020,<2"}
    pip_installs = True
    wheels: tuple[Series, ...] = (Series((3, 8), (3, 8), "1.0.20260526"), Series((3, 9), (3, 15), None))
    """https://pypi.org/project/ncnn/#files, November 2026."""
    glibc: Mapping[str, Glibc] = {"x86_64": (2, 24), "aarch64": (2, 24), "armv7l": (2, 31), "riscv64": (2, 39)}
    session_module = "ncnn_cpu"
    reads_onnx = False
    fp32_options: Mapping[str, str] = FP32
    exact_options: Mapping[str, str] = {}
    builder: str | None = None
    learned: Scheme | None = None

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. The model is in ncnn's format, so the device's limits on ONNX do not apply."""
        if self.runtime not in device.runtimes:
            return ()
        why = _NO_FP16.format(processor_name(device))
        half = (
            Candidate(id="ncnn-fp16", runtime=self.runtime, precision=Precision.FP16, session_options=FP16)
            if multiplies_halves(device.processor)
            else Unsupported(runtime=self.runtime, precision=Precision.FP16, why=why)
        )
        return (
            Candidate(id="ncnn-fp32", runtime=self.runtime, precision=Precision.FP32, session_options=FP32),
            half,
            *(Unsupported(runtime=self.runtime, precision=precision, why=why) for precision, why in _REFUSED.items()),
        )

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """Return ``model.json`` of a candidate whose files are ``model.param`` and ``model.bin``."""
        return ModelFile(
            session=SessionSpec(module=self.session_module, options=candidate.session_options),
            model=ModelSpec(
                entry=PARAM,
                files=(WEIGHTS, PARAM),
                input=ModelInput(name=INPUT),
                output=ModelOutput(name=OUTPUT, classes=classes),
            ),
            requirements=ModelRequirements(packages=self.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``.

        Raises:
            MissingPackage: ncnn or pnnx is not installed.
            CONVERTER_FAILED: pnnx crashed, timed out, or wrote no model.
            LAYER_NOT_CONVERTED: the model has a layer that ncnn lacks.
        """
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        classes = convert_trunk(onnx, candidate, out)
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def way(self, candidate: Candidate) -> Way | None:
        """See ``Backend.way``."""
        return Way() if candidate.precision.is_float else None

    def write(self, job: Job) -> dict[str, Any]:
        """See ``Backend.write``."""
        self.convert(job.onnx, job.candidate, job.out)
        return {}

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """See ``Backend.logits``. Raises CONVERTER_FAILED: ncnn does not open the files, or crashes."""
        weights = next(name for name in model.model.files if name != model.model.entry)
        files = [str(folder / model.model.entry), str(folder / weights)]
        words = [str(_PROGRAM), *files, model.model.input.name, model.model.output.name]
        return logits_separately("ncnn", words, feed, folder.name)

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The check runs in fp32, with fp16 weights if the candidate has them."""
        fp32 = candidate.model_copy(update={"precision": Precision.FP32, "session_options": FP32})
        return OutputCheck("pnnx", candidate.precision, unhalved=fp32 if candidate.precision is Precision.FP16 else None)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``."""
        return halves_of(candidate)

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. There are no INT8 candidates."""
        return False

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """See ``Backend.left_out``. A ResNet-18 in fp16 on an emulated Cortex-A76 was off by 0.047."""
        return OmittedArithmetic("half-precision kernels", 0.06) if candidate.precision is Precision.FP16 else OmittedArithmetic()

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``."""
        return thread_knobs(device.processor)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.json``."""
        return residency_of(trace, macs)


BACKEND = NcnnBackend()


PNNX_TIMEOUT_S = 600.0
"""Time-out of the conversion. The largest network of the catalogue takes seconds."""


def convert_trunk(onnx: Path, candidate: Candidate, out: Path) -> int:
    """Write ``model.param`` and ``model.bin`` for one image a call, in the candidate's precision; return the number of classes.

    Raises CONVERTER_FAILED: pnnx crashed, timed out, or wrote no model. LAYER_NOT_CONVERTED: the model has a layer that ncnn
    lacks.
    """
    from onnx import load

    from edgecnn.graph.onnx_file import class_count

    model = load(onnx, load_external_data=False)
    sizes = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    with tempfile.TemporaryDirectory(prefix="edgecnn-pnnx-") as name:
        work = Path(name)  # pnnx also writes other files next to its input
        shutil.copyfile(onnx, work / "model.onnx")
        shape = ",".join(str(size) for size in (1, *sizes))
        halved = f"fp16={int(candidate.precision is Precision.FP16)}"
        words = ("model.onnx", f"inputshape=[{shape}]f32", halved, "ncnnparam=model.param", "ncnnbin=model.bin")
        printed = _run_pnnx([str(pnnx_program()), *words], work, candidate.id)
        require_room(work)  # pnnx reports no error if the disk is full
        for file_name in ("model.param", "model.bin"):
            if not (work / file_name).is_file() or not (work / file_name).stat().st_size:
                raise CONVERTER_FAILED(
                    converter="pnnx", candidate=candidate.id, why=_last_lines(printed) or f"it wrote no {file_name}"
                )
        _check_layers(work / "model.param", candidate.id)
        for file_name in ("model.param", "model.bin"):
            shutil.copyfile(work / file_name, out / file_name)
    return class_count(model)


def pnnx_program() -> Path:
    """Return the path of pnnx's executable, because its Python module would import torch."""
    root = Path(str(metadata.distribution("pnnx").locate_file("")))
    return root / "pnnx" / ("pnnx.exe" if sys.platform == "win32" else "pnnx")


def _run_pnnx(words: list[str], work: Path, candidate: str) -> str:
    try:
        process = subprocess.Popen(
            words,
            cwd=work,
            env=clean_environment(work),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise CONVERTER_FAILED(converter="pnnx", candidate=candidate, why=str(error)) from error
    try:
        printed, _ = process.communicate(timeout=PNNX_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise CONVERTER_FAILED(
            converter="pnnx", candidate=candidate, why=f"it timed out after {PNNX_TIMEOUT_S:g} s and was killed"
        ) from error
    finally:
        kill_group(process)
    if process.returncode:
        why = f"{exit_text(process.returncode)}; its last output: {_last_lines(printed)}"
        raise CONVERTER_FAILED(converter="pnnx", candidate=candidate, why=why)
    return printed


def _check_layers(param: Path, candidate: str) -> None:
    """Check for layers that ncnn lacks, which pnnx names ``pnnx.Expression``, ``F.mish`` or ``aten::erf``."""
    layers = [line.split() for line in param.read_text(encoding="utf-8").splitlines()[2:] if line.strip()]
    for kind, name, *_ in layers:
        if "." in kind or "::" in kind:
            raise layer_not_converted(converter="pnnx", candidate=candidate, layer=kind, name=name)
    tensors = {word for line in layers for word in line[4:] if "=" not in word}
    if not {INPUT, OUTPUT} <= tensors:
        raise CONVERTER_FAILED(converter="pnnx", candidate=candidate, why=f"its network has no {INPUT} or no {OUTPUT}")


def _last_lines(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return " | ".join(lines[-3:])


_PROGRAM = Path(__file__).with_name("ncnn_reference.py")
