"""ncnn on a CPU: fp32, and fp16 where the processor has it. An app for Android loads the same files.

pnnx makes the model from the trunk. The kit sets every number format that ncnn would otherwise choose by the processor.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from edgecnn.backends.installed import require_packages
from edgecnn.backends.isa import multiplies_halves, names_processor, thread_knobs
from edgecnn.backends.protocol import Backend, Halves, OutputCheck, halves_of
from edgecnn.errors.devices import ConverterFailed, LayerNotConverted
from edgecnn.runner.runs.schedule import clean_environment, ending, kill_group
from edgecnn.store.failures import require_room
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
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

INPUT, OUTPUT = "in0", "out0"
"""What pnnx calls the network's two ends."""
PARAM, WEIGHTS = "model.param", "model.bin"
FP32 = dict.fromkeys(("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage"), "0")
"""Left alone, ncnn stores and computes in half precision where the processor can. Names:
https://github.com/Tencent/ncnn/blob/master/src/option.h"""
FP16 = {name: str(int("fp16" in name)) for name in FP32}
_NO_FP16 = "{} has no half-precision arithmetic"
_REFUSED = {
    Precision.BF16: "what its bf16 storage computes on this processor has not been read",
    Precision.INT8: "its wheels hold no calibrator: ncnn2table and ncnn2int8 are not in them",
}


class NcnnBackend(Backend):
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
            self._half(device),
            *(Unsupported(runtime=self.runtime, precision=each, why=why) for each, why in _REFUSED.items()),
        )

    def _half(self, device: Device) -> Candidate | Unsupported:
        if multiplies_halves(device.processor):
            return Candidate(id="ncnn-fp16", runtime=self.runtime, precision=Precision.FP16, session_options=FP16)
        return Unsupported(runtime=self.runtime, precision=Precision.FP16, why=_NO_FP16.format(names_processor(device)))

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
            MissingPackage: there is no ncnn or no pnnx.
            ConverterFailed: pnnx crashed, hung, or left no model.
            LayerNotConverted: it left a layer that ncnn does not have.
        """
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)

        classes = convert_trunk(onnx, candidate, out)
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The check runs in fp32, with halved weights where the candidate has them."""
        fp32 = candidate.model_copy(update={"precision": Precision.FP32, "session_options": FP32})
        return OutputCheck("pnnx", candidate.precision, unhalved=fp32 if candidate.precision is Precision.FP16 else None)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``."""
        return halves_of(candidate)

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. No INT8 candidate is made."""
        return False

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``."""
        return thread_knobs(device.processor)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.json``."""
        from edgecnn.backends.ncnn_trace import residency_of

        return residency_of(trace, macs)


BACKEND = NcnnBackend()


TIMEOUT_S = 600.0
"""The largest network of the catalogue takes seconds."""
_LAST_LINES = 3


def convert_trunk(onnx: Path, candidate: Candidate, out: Path) -> int:
    """Write ``model.param`` and ``model.bin`` for one image a call, weights as the candidate has them; how many classes it has.

    Raises ConverterFailed: pnnx crashed, hung, or left no model. LayerNotConverted: it left a layer that ncnn does not have.
    """
    from onnx import load

    graph = load(onnx, load_external_data=False).graph
    sizes = [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim[1:]]
    classes = int(graph.output[0].type.tensor_type.shape.dim[1].dim_value)
    with tempfile.TemporaryDirectory(prefix="edgecnn-pnnx-") as name:
        work = Path(name)  # it leaves files of other forms beside its input
        shutil.copyfile(onnx, work / "model.onnx")
        shape = ",".join(str(size) for size in (1, *sizes))
        halved = f"fp16={int(candidate.precision is Precision.FP16)}"
        words = ("model.onnx", f"inputshape=[{shape}]f32", halved, "ncnnparam=model.param", "ncnnbin=model.bin")
        said = _run([str(_program()), *words], work, candidate.id)
        require_room(work)  # pnnx ends well where its files were cut off
        for each in ("model.param", "model.bin"):
            if not (work / each).is_file() or not (work / each).stat().st_size:
                raise ConverterFailed(converter="pnnx", candidate=candidate.id, why=_last(said) or f"it left no {each}")
        _check_layers(work / "model.param", candidate.id)
        for each in ("model.param", "model.bin"):
            shutil.copyfile(work / each, out / each)
    return classes


def _program() -> Path:
    """pnnx's own executable: its Python module would import torch."""
    root = Path(str(metadata.distribution("pnnx").locate_file("")))
    return root / "pnnx" / ("pnnx.exe" if sys.platform == "win32" else "pnnx")


def _run(words: list[str], work: Path, candidate: str) -> str:
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
        raise ConverterFailed(converter="pnnx", candidate=candidate, why=str(error)) from error
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ConverterFailed(
            converter="pnnx", candidate=candidate, why=f"it did not end in {TIMEOUT_S:g} s and was killed"
        ) from error
    finally:
        kill_group(process)
    if process.returncode:
        why = f"{ending(process.returncode)}; it said last: {_last(said)}"
        raise ConverterFailed(converter="pnnx", candidate=candidate, why=why)
    return said


def _check_layers(param: Path, candidate: str) -> None:
    """What pnnx cannot express it writes under its own or torch's name (``pnnx.Expression``, ``F.mish``, ``aten::erf``)."""
    layers = [line.split() for line in param.read_text(encoding="utf-8").splitlines()[2:] if line.strip()]
    for kind, name, *_ in layers:
        if "." in kind or "::" in kind:
            raise LayerNotConverted(converter="pnnx", candidate=candidate, layer=kind, name=name)
    tensors = {word for line in layers for word in line[4:] if "=" not in word}
    if not {INPUT, OUTPUT} <= tensors:
        raise ConverterFailed(converter="pnnx", candidate=candidate, why=f"its network has no {INPUT} or no {OUTPUT}")


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return " | ".join(lines[-_LAST_LINES:])
