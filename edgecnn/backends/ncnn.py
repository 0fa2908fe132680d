"""ncnn on a CPU, in an environment of its own: fp32 alone. An app for Android loads the same two files.

pnnx makes the model from the trunk; it and ncnn are asked for in the environment that ``EDGECNN_RUNTIME_NCNN`` names. The kit
sets every number format that ncnn would choose by the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.cores import fewer_threads
from edgecnn.backends.installed import require_packages
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
from edgecnn.values.device import Device
from edgecnn.values.knobs import DEFAULT, Knobs
from edgecnn.values.layers import MacTable, Residency
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

INPUT, OUTPUT = "in0", "out0"
"""What pnnx calls the network's two ends."""
PARAM, WEIGHTS = "model.param", "model.bin"
FP32 = dict.fromkeys(("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage"), "0")
"""Left alone, ncnn stores and computes in half precision where the processor can. Names:
https://github.com/Tencent/ncnn/blob/master/src/option.h"""
_REFUSED = {
    Precision.FP16: "what its half-precision kernels compute on this processor has not been read",
    Precision.BF16: "what its bf16 storage computes on this processor has not been read",
    Precision.INT8: "its wheels hold no calibrator: ncnn2table and ncnn2int8 are not in them",
}


class NcnnBackend:
    """``ncnn`` without Vulkan."""

    runtime = Runtime.NCNN
    extra = "ncnn"
    session_module = "ncnn_cpu"
    packages: tuple[str, ...] = ("ncnn", "pnnx")
    runtime_packages: Mapping[str, str] = {"ncnn": ">=1.0.20261020,<2"}

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. The model is ncnn's own: the device's limits on ONNX do not bear on it."""
        if self.runtime not in device.runtimes:
            return ()
        return (
            Candidate(id="ncnn-fp32", runtime=self.runtime, precision=Precision.FP32, session_options=FP32),
            *(Unsupported(runtime=self.runtime, precision=each, why=why) for each, why in _REFUSED.items()),
        )

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """``model.json`` of a candidate whose files are ``model.param`` and ``model.bin``."""
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
            RuntimeEnvironmentMissing: there is no ncnn or no pnnx.
            ConverterFailed: pnnx crashed, hung, or left no model.
            LayerNotConverted: it left a layer that ncnn does not have.
        """
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        from edgecnn.backends.ncnn_convert import convert_trunk

        classes = convert_trunk(onnx, candidate.id, out)
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``."""
        fewer = fewer_threads(device.processor)
        return (DEFAULT,) if fewer is None else (DEFAULT, Knobs(threads=fewer))

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.json``."""
        from edgecnn.backends.ncnn_trace import residency_of

        return residency_of(trace, macs)


BACKEND = NcnnBackend()
