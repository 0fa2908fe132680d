"""LiteRT (TensorFlow Lite) on a CPU, through XNNPACK: fp32, fp16 and INT8.

What converts and quantizes goes with no others, and asks for Python 3.12: it lies in the environment that
``EDGECNN_RUNTIME_LITERT`` names. A kit needs ``ai-edge-litert`` alone; an app for Android loads the same file.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.elsewhere import run_elsewhere
from edgecnn.backends.installed import require_packages
from edgecnn.backends.isa import multiplies_halves, names_processor, thread_knobs
from edgecnn.backends.protocol import Backend, Halves, OutputCheck, halves_of
from edgecnn.errors.devices import ConverterFailed, LayerNotConverted
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
HALF = {"force_fp16": "1"}
_NO_BF16 = "it has no switch for it"
_NO_FP16 = "{} has no half-precision arithmetic: XNNPACK converts around every multiplication, slower than fp32"


class LitertBackend(Backend):
    """``ai-edge-litert`` with its XNNPACK delegate."""

    runtime = Runtime.LITERT
    extra = "litert"
    session_module = "litert_cpu"
    packages: tuple[str, ...] = ("ai-edge-litert", "litert-quantizer", "onnx2tf")
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
        """See ``Backend.convert``; fp32 alone. ``quantization/litert`` makes every candidate of a build, and holds it against the
        trunk's answers.

        Raises RuntimeEnvironmentMissing, ConverterFailed, LayerNotConverted.
        """
        if candidate.precision is not Precision.FP32:
            raise LookupError(f"{candidate.id} is made by the quantization module of its method")
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        with tempfile.TemporaryDirectory(prefix="edgecnn-litert-") as name:
            shutil.copyfile(convert_trunk(onnx, candidate, Path(name)), out / ENTRY)
        write_described(onnx, candidate, out)

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The check runs in fp32, with halved weights where the candidate has them."""
        return OutputCheck("onnx2tf", candidate.precision)

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
_CONVERTED = "model_float32.tflite"
"""What onnx2tf calls what it makes of ``model.onnx``."""
_LACKING = "lacking.txt"
"""What the program leaves in its place where LiteRT has no operator for a layer."""


def convert_trunk(onnx: Path, candidate: Candidate, place: Path) -> Path:
    """The network as a float32 ``.tflite`` below ``place``, for one image a call, written as suits what is to be made of it.

    Raises ConverterFailed: onnx2tf made none. LayerNotConverted: LiteRT has no operator for a layer.
    """
    made = place / _CONVERTED
    try:
        make_by_program("convert", (onnx, place, candidate.precision.value), made, candidate.id)
    except ConverterFailed:
        if (lacking := place / _LACKING).exists():
            _refuse_layers(onnx, lacking.read_text(encoding="utf-8").split(), candidate.id)
        raise
    return made


def _refuse_layers(onnx: Path, customs: list[str], candidate: str) -> None:
    """Raises LayerNotConverted: the first layer that became one of these operators."""
    from onnx import load

    for node in load(onnx, load_external_data=False).graph.node:
        if f"ONNX_{node.op_type}".upper() in customs:
            raise LayerNotConverted(
                converter="onnx2tf", candidate=candidate, layer=node.op_type, name=node.name or node.output[0]
            )


def make_by_program(verb: str, words: tuple[Path | str, ...], made: Path, candidate: str) -> None:
    """``convert``, ``halve`` or ``quantize``, as ``litert_program`` describes them. Raises ConverterFailed: it left nothing."""
    run_elsewhere(Runtime.LITERT, [PROGRAM, verb, *map(str, words)], made, candidate)


def write_described(onnx: Path, candidate: Candidate, out: Path) -> None:
    """``model.json`` of what was made of an ONNX file."""
    from onnx import load

    graph = load(onnx, load_external_data=False).graph
    classes = int(graph.output[0].type.tensor_type.shape.dim[1].dim_value)
    described = BACKEND.model_file(candidate, graph.input[0].name, classes)
    (out / MODEL_FILE_NAME).write_text(described.to_json(), encoding="utf-8")
