"""OpenVINO on a CPU: every candidate names the precision of its float layers, because the default follows the processor.

On a processor with bf16 OpenVINO rounds an "fp32" model to bf16 unless told otherwise (agreement 0.968 with fp32 was seen), so
that a figure without a named precision means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.cores import fewer_threads
from edgecnn.backends.installed import require_packages
from edgecnn.backends.isa import byte_products_saturate, multiplies_bf16, names_processor
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

PRECISION_HINT = "INFERENCE_PRECISION_HINT"
_F32 = {PRECISION_HINT: "f32"}
_BF16 = {PRECISION_HINT: "bf16"}


class OpenVinoBackend:
    """``openvino`` with its CPU plugin."""

    runtime = Runtime.OPENVINO
    extra = "openvino"
    session_module = "openvino_cpu"
    packages: tuple[str, ...] = ("openvino",)
    runtime_packages: Mapping[str, str] = {"openvino": ">=2026.2,<2027"}

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. The model is OpenVINO's own IR: the device's limits on ONNX do not bear on it."""
        facts = device.runtimes.get(self.runtime)
        if facts is None:
            return ()
        return (
            Candidate(id="openvino-fp32", runtime=self.runtime, precision=Precision.FP32, session_options=_F32),
            self._bf16(device, facts),
            Unsupported(runtime=self.runtime, precision=Precision.FP16, why=_why_no_fp16(device.processor)),
            self._int8(device.processor, facts),
        )

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """``model.json`` of a candidate whose files are ``model.xml`` and ``model.bin``."""
        return ModelFile(
            session=SessionSpec(module=self.session_module, options=candidate.session_options),
            model=ModelSpec(entry="model.xml", files=("model.bin", "model.xml"), output=ModelOutput(classes=classes)),
            requirements=ModelRequirements(packages=self.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. bf16 is an arithmetic of the session: its file is the fp32 one."""
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        from edgecnn.backends.openvino_ir import convert_trunk, save_ir

        model = convert_trunk(onnx)
        classes = save_ir(model, out / "model.xml")
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``. The number of streams is none: one image a call is one stream, whatever their number."""
        fewer = fewer_threads(device.processor)
        threaded = () if fewer is None else (Knobs(threads=fewer), Knobs(hyper_threading=True))
        return (DEFAULT, *threaded, Knobs(cpu_pinning=False))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.json``."""
        from edgecnn.backends.openvino_trace import residency_of

        return residency_of(trace, macs)

    def _bf16(self, device: Device, facts: RuntimeFacts) -> Candidate | Unsupported:
        if not multiplies_bf16(device.processor) or facts.precisions.get(Precision.BF16) == "none":
            why = f"{names_processor(device)} multiplies no bf16 (avx512_bf16 or amx_bf16): it would be fp32, rounded"
            return Unsupported(runtime=self.runtime, precision=Precision.BF16, why=why)
        return Candidate(id="openvino-bf16", runtime=self.runtime, precision=Precision.BF16, session_options=_BF16)

    def _int8(self, processor: Processor, facts: RuntimeFacts) -> Candidate | Unsupported:
        if facts.precisions.get(Precision.INT8) == "none":
            return Unsupported(runtime=self.runtime, precision=Precision.INT8, why=f"the device's file says none: {facts.source}")
        return Candidate(
            id="openvino-int8",
            runtime=self.runtime,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=Scheme(
                activation_dtype="uint8",
                activation_symmetric=True,
                bias="float",
                reduced_range=byte_products_saturate(processor),
            ),
            session_options=_BF16 if multiplies_bf16(processor) else _F32,
        )


def _why_no_fp16(processor: Processor) -> str:
    if processor.architecture == "aarch64" and "asimdhp" in processor.isa:
        return "no run of its half-precision kernels on this processor has been read, so what they compute is not known"
    return "the CPU plugin has no fp16 arithmetic on this processor"


BACKEND = OpenVinoBackend()
