"""LiteRT (TensorFlow Lite) on a CPU, through XNNPACK: fp32, fp16 and INT8.

``quantization/litert`` makes the model files. A kit needs ``ai-edge-litert`` alone; an app for Android loads the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.isa import multiplies_halves, names_processor, thread_knobs
from edgecnn.backends.protocol import Backend, Halves, OutputCheck, halves_of
from edgecnn.backends.separate_process import run_separately
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor
from edgecnn.values.knobs import Knobs
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

ENTRY = "model.tflite"
WRITER = "edgecnn's LiteRT writer"
"""What errors call ``quantization/litert_writer``."""
HALF = {"force_fp16": "1"}
_NO_BF16 = "it has no switch for it"
_NO_FP16 = "{} has no half-precision arithmetic: XNNPACK converts around every multiplication, slower than fp32"


class LitertBackend(Backend):
    """``ai-edge-litert`` with its XNNPACK delegate."""

    runtime = Runtime.LITERT
    extra = "litert"
    session_module = "litert_cpu"
    packages: tuple[str, ...] = ("ai-edge-litert", "litert-quantizer")
    runtime_packages: Mapping[str, str] = {"ai-edge-litert": ">=2.3,<3"}

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``. The model is a FlatBuffer: the device's limits on ONNX do not bear on it."""
        if self.runtime not in device.runtimes:
            return ()
        return (
            Candidate(id="litert-fp32", runtime=self.runtime, precision=Precision.FP32),
            self._half(device),
            Unsupported(runtime=self.runtime, precision=Precision.BF16, why=_NO_BF16),
            Candidate(
                id="litert-int8",
                runtime=self.runtime,
                precision=Precision.INT8,
                method=Method.POST_TRAINING,
                scheme=Scheme(activation_dtype="int8", activation_symmetric=False),
            ),
        )

    def _half(self, device: Device) -> Candidate | Unsupported:
        if multiplies_halves(device.processor):
            return Candidate(id="litert-fp16", runtime=self.runtime, precision=Precision.FP16, session_options=HALF)
        return Unsupported(runtime=self.runtime, precision=Precision.FP16, why=_NO_FP16.format(names_processor(device)))

    def model_file(self, candidate: Candidate, name: str, classes: int) -> ModelFile:
        """``model.json`` of a candidate whose file is ``model.tflite``; ``name``: of its input."""
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

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. Raises LookupError: ``quantization/litert`` makes every candidate."""
        raise LookupError(f"{candidate.id} is made by the quantization module of its method")

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The check runs in fp32, with halved weights where the candidate has them."""
        return OutputCheck(WRITER, candidate.precision)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``."""
        return halves_of(candidate)

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. XNNPACK multiplies signed bytes, widened to 16 bits, and adds in 32."""
        return False

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``."""
        return thread_knobs(device.processor)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.json``."""
        from edgecnn.backends.litert_trace import residency_of

        return residency_of(trace, macs)


BACKEND = LitertBackend()


PROGRAM = str(Path(__file__).with_name("litert_program.py"))


def make_by_program(verb: str, words: tuple[Path | str, ...], made: Path, candidate: str) -> None:
    """Run ``halve`` or ``quantize``, as ``litert_program`` describes them. Raises ConverterFailed: it left nothing."""
    run_separately(Runtime.LITERT, [PROGRAM, verb, *map(str, words)], made, candidate)


def write_described(onnx: Path, candidate: Candidate, out: Path) -> None:
    """``model.json`` of what was made of an ONNX file."""
    from onnx import load

    graph = load(onnx, load_external_data=False).graph
    classes = int(graph.output[0].type.tensor_type.shape.dim[1].dim_value)
    described = BACKEND.model_file(candidate, graph.input[0].name, classes)
    (out / MODEL_FILE_NAME).write_text(described.to_json(), encoding="utf-8")
