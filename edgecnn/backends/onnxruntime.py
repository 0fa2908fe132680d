"""ONNX Runtime on a CPU: fp32, and INT8 with unsigned asymmetric activations, the one scheme that its kernels fuse well.

fp16 is for 64-bit Arm with half-precision arithmetic. Elsewhere it is refused, as bf16 is everywhere: the CPU provider inserts
casts and computes in fp32, so that such a file would be smaller and no more.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.installed import require_packages
from edgecnn.backends.isa import arm_halves, byte_products_saturate, fewer_threads, has_full_range
from edgecnn.backends.protocol import TRUNK_IR, TRUNK_OPSET, Backend, Halves, OutputCheck
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor, RuntimeFacts
from edgecnn.values.knobs import DEFAULT, Knobs
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.model_file import (
    LOGITS_TOLERANCE,
    MODEL_FILE_NAME,
    ModelFile,
    ModelOutput,
    ModelRequirements,
    ModelSpec,
    SessionSpec,
)


class OnnxRuntimeBackend(Backend):
    """``onnxruntime`` with its CPU execution provider."""

    runtime = Runtime.ONNXRUNTIME
    extra = "onnxruntime"
    session_module = "onnxruntime_cpu"
    packages: tuple[str, ...] = ("onnx", "onnxruntime")
    runtime_packages: Mapping[str, str] = {"onnxruntime": ">=1.19,<2"}

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``."""
        facts = device.runtimes.get(self.runtime)
        if facts is None:
            return ()
        if (too_old := _too_old(facts)) is not None:
            return tuple(Unsupported(runtime=self.runtime, precision=each, why=too_old) for each in Precision if each.ships)
        return (
            Candidate(id="onnxruntime-fp32", runtime=self.runtime, precision=Precision.FP32),
            self._fp16(device.processor),
            Unsupported(runtime=self.runtime, precision=Precision.BF16, why="the CPU provider has no bf16 convolution"),
            self._int8(device.processor),
        )

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """``model.json`` of a candidate whose file is ``model.onnx``."""
        return ModelFile(
            session=SessionSpec(module=self.session_module, options=candidate.session_options),
            model=ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=classes)),
            requirements=ModelRequirements(packages=self.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. The trunk is what ONNX Runtime reads: its bytes are copied."""
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        from onnx import load

        shutil.copyfile(onnx, out / "model.onnx")
        classes = load(onnx, load_external_data=False).graph.output[0].type.tensor_type.shape.dim[1].dim_value
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. In fp32 the file is the trunk."""
        return OutputCheck("onnxconverter-common", candidate.precision)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``. The file states the type of every tensor."""
        return Halves.MIXED if candidate.precision is Precision.FP16 else Halves.NONE

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``."""
        exact = EXACT.items() <= candidate.session_options.items()
        return not exact and has_full_range(candidate) and byte_products_saturate(processor)

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``. Without a second thread there is nobody to wait or to pin, so that neither changes anything."""
        fewer = fewer_threads(device.processor)
        threaded = () if fewer is None else (Knobs(threads=fewer), Knobs(spinning=False), Knobs(pin_threads=True))
        return (DEFAULT, *threaded, Knobs(graph_optimization_level="extended"))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``profile.json`` and ``optimized.onnx``."""
        from edgecnn.backends.onnxruntime_trace import residency_of

        return residency_of(trace, macs)

    def _fp16(self, processor: Processor) -> Candidate | Unsupported:
        cast = "the CPU provider runs an fp16 model in fp32 with casts: a smaller file, not another arithmetic"
        if not arm_halves(processor):
            return Unsupported(runtime=self.runtime, precision=Precision.FP16, why=cast)
        return Candidate(id="onnxruntime-fp16", runtime=self.runtime, precision=Precision.FP16)

    def _int8(self, processor: Processor) -> Candidate:
        return Candidate(
            id="onnxruntime-int8",
            runtime=self.runtime,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=Scheme(activation_dtype="uint8", activation_symmetric=False, reduced_range=byte_products_saturate(processor)),
            session_options=exact_products(processor),
        )


EXACT: Mapping[str, str] = {"session.x64quantprecision": "1"}
"""Sums of 8-bit products in 32 bits, which tells on x86 without VNNI alone. Source: ``kOrtSessionOptionsAvx2PrecisionMode`` of
onnxruntime_session_options_config_keys.h."""


def exact_products(processor: Processor) -> Mapping[str, str]:
    """Session options of INT8 with 8-bit weights; none where such sums saturate on the device itself.

    Without VNNI such a kit is only tried for its device: u8×s8 sums would saturate, and the answers be another machine's.
    """
    return {} if byte_products_saturate(processor) else EXACT


def _too_old(facts: RuntimeFacts) -> str | None:
    """Why the trunk cannot be read on the device, or None where it can."""
    if facts.onnx_opset_max < TRUNK_OPSET:
        return f"onnxruntime {facts.versions} reads ONNX up to opset {facts.onnx_opset_max}, the model has {TRUNK_OPSET}"
    if facts.onnx_ir_max < TRUNK_IR:
        return f"onnxruntime {facts.versions} reads ONNX up to IR {facts.onnx_ir_max}, the model has {TRUNK_IR}"
    return None


BACKEND = OnnxRuntimeBackend()
