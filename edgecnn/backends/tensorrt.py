"""TensorRT: kits whose engine is built on the device, and the twin in ONNX Runtime that gives their accuracy elsewhere.

The kit ships ONNX typed fp16, and the device's own builder makes the engine from it. Layers around a tensor that fp16 cannot hold
stay in fp32. No fp32 candidate is supported: the
network in fp32 is ONNX Runtime's, and half precision takes its place on the GPU.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from packaging.specifiers import SpecifierSet

from edgecnn.backends.installed import require_packages
from edgecnn.backends.onnxruntime import BACKEND as CARRIER
from edgecnn.backends.protocol import TRUNK_IR, TRUNK_OPSET, Backend, Halves, OutputCheck
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme, Unsupported
from edgecnn.values.device import Device, Processor, RuntimeFacts
from edgecnn.values.knobs import DEFAULT, Knobs
from edgecnn.values.layers import MacTable, Residency
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

LEAST_VERSION = "10.3"
"""JetPack 6.1's. Strongly typed networks came with TensorRT 10.0; nothing below 10.3 has been written against."""
_PROBED_RELEASES = ("10.3.0.30", *(f"10.{minor}" for minor in range(3, 40)))
WEAK_VERSION = "8.5"
"""JetPack 5.1's, the one series whose weakly typed networks are made. Unverified, as the candidates' names say."""
_WEAK_RELEASES = ("8.5.0.12", "8.5.1.7", "8.5.2.2", "8.5.3.1")
_WEAK_PACKAGES: Mapping[str, str] = {"tensorrt": ">=8.5,<8.6"}
_WEAK_OPSET, _WEAK_IR = 17, 8
UNFUSED = {"session.disable_quant_qdq": "1"}
"""ONNX Runtime then runs Q and DQ as written, in fp32, and folds weights: TensorRT's arithmetic but for half outputs."""
_UNSUPPORTED = {
    Precision.FP32: "fp16 takes its place on the GPU, and the network in fp32 is ONNX Runtime's",
    Precision.BF16: "fp16 is as fast and keeps three bits more of every number",
}


class TensorRtBackend(Backend):
    """``tensorrt`` on NVIDIA GPUs."""

    runtime = Runtime.TENSORRT
    extra = "tensorrt-rtx"
    session_module = "tensorrt_gpu"
    packages: tuple[str, ...] = ("onnx",)
    runtime_packages: Mapping[str, str] = {"tensorrt": f">={LEAST_VERSION},<11"}

    def supports(self, device: Device) -> tuple[Candidate | Unsupported, ...]:
        """See ``Backend.supports``."""
        facts = device.runtimes.get(self.runtime)
        if facts is None:
            return ()
        if _is_8_5(facts):
            return _weakly_typed(facts)
        if (too_old := _too_old(facts)) is not None:
            return tuple(Unsupported(runtime=self.runtime, precision=each, why=too_old) for each in Precision if each.ships)
        half = Candidate(id="tensorrt-fp16", runtime=self.runtime, precision=Precision.FP16, needs_engine=True)
        int8 = Candidate(
            id="tensorrt-int8",
            runtime=self.runtime,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=Scheme(activation_dtype="int8", activation_symmetric=True, bias="float"),
            needs_engine=True,
        )
        refused = tuple(Unsupported(runtime=self.runtime, precision=each, why=why) for each, why in _UNSUPPORTED.items())
        return (_if_native(half, facts), *refused, _if_native(int8, facts))

    def model_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """``model.json`` of what ships: ONNX that the device makes an engine from."""
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
        """Distribution to PEP 440 range: what builds and runs a candidate's engine."""
        return _WEAK_PACKAGES if candidate.builder_flags else self.runtime_packages

    def twin_file(self, candidate: Candidate, classes: int) -> ModelFile:
        """``model.json`` of the twin, which ONNX Runtime runs."""
        return ModelFile(
            session=SessionSpec(module=CARRIER.session_module, options={} if candidate.precision.is_float else UNFUSED),
            model=_model_spec(classes),
            requirements=ModelRequirements(packages=CARRIER.runtime_packages),
            logits_tolerance=LOGITS_TOLERANCE[candidate.precision],
        )

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """Copy the trunk for an fp32 candidate; fp16 is made by ``quantization/float16``, which makes its twin with it."""
        if candidate.precision is not Precision.FP32:
            raise LookupError(f"{candidate.id} is made by the quantization module of its method, which makes its twin too")
        require_packages(self.packages, extra=self.extra, needed_for=candidate.id)
        from onnx import load

        shutil.copyfile(onnx, out / "model.onnx")
        classes = load(onnx, load_external_data=False).graph.output[0].type.tensor_type.shape.dim[1].dim_value
        (out / MODEL_FILE_NAME).write_text(self.model_file(candidate, classes).to_json(), encoding="utf-8")

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. The twin is run: it has the weights that ship, and rounds activations."""
        return OutputCheck("onnxconverter-common", candidate.precision)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``. INT8 layers write fp16 too. Only a strongly typed fp16 file can state where fp32 stays."""
        mixes = candidate.precision.is_float and not candidate.builder_flags
        return Halves.MIXED if mixes else Halves.ALL

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. An engine adds in 32 bits, and its twin computes in fp32."""
        return False

    def knobs(self, device: Device, candidate: Candidate) -> tuple[Knobs, ...]:
        """See ``Backend.knobs``. What an engine could be run with was settled when it was built."""
        return (DEFAULT,)

    def read_residency(self, trace: Path, macs: MacTable) -> Residency:
        """See ``Backend.read_residency``; the trace is ``layers.txt`` and ``times.json`` of a session that ran an engine."""
        from edgecnn.backends.tensorrt_layers import traced_residency

        return traced_residency(trace, macs)

    def read_planned(self, log: Path, macs: MacTable) -> Residency:
        """What the builder planned, from ``build.log``; of the first engine in it where it holds several.

        Raises BuildLogUnreadable: the log does not name the planned layers.
        """
        from edgecnn.backends.tensorrt_layers import planned_residency

        return planned_residency(log, macs)


def _model_spec(classes: int) -> ModelSpec:
    return ModelSpec(entry="model.onnx", files=("model.onnx",), output=ModelOutput(classes=classes))


def _is_8_5(facts: RuntimeFacts) -> bool:
    """TensorRT 8.5 and nothing newer, with the limits on ONNX that its files are made for."""
    allowed = SpecifierSet(facts.versions)
    newer = any(release in allowed for release in ("8.6.1", *_PROBED_RELEASES))
    reads = facts.onnx_opset_max >= _WEAK_OPSET and facts.onnx_ir_max >= _WEAK_IR
    return reads and not newer and any(release in allowed for release in _WEAK_RELEASES)


def _weakly_typed(facts: RuntimeFacts) -> tuple[Candidate | Unsupported, ...]:
    """Named unverified: no engine of theirs was ever built."""
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
    """The candidate where the device computes in its precision; else why not."""
    support = facts.precisions.get(candidate.precision)
    if support == "native":
        return candidate
    says = f"does not name {candidate.precision.value}" if support is None else f"says {support} of {candidate.precision.value}"
    why = f"the device's file {says}"
    return Unsupported(runtime=candidate.runtime, precision=candidate.precision, why=why)


def _too_old(facts: RuntimeFacts) -> str | None:
    """Why the device's TensorRT cannot take these kits, or None where it can."""
    allowed = SpecifierSet(facts.versions)
    if not any(release in allowed for release in _PROBED_RELEASES):
        return f"TensorRT {facts.versions} has no strongly typed networks as they are since {LEAST_VERSION}"
    if facts.onnx_opset_max < TRUNK_OPSET:
        return f"TensorRT {facts.versions} reads ONNX up to opset {facts.onnx_opset_max}, the model has {TRUNK_OPSET}"
    if facts.onnx_ir_max < TRUNK_IR:
        return f"TensorRT {facts.versions} reads ONNX up to IR {facts.onnx_ir_max}, the model has {TRUNK_IR}"
    return None


BACKEND = TensorRtBackend()
