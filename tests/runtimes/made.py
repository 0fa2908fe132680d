"""Candidates made by the real stage from a small trunk, once a test run each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edgecnn.devices.files import device_named
from edgecnn.devices.this_machine import complete_device, local_facts
from edgecnn.runtimes.processor import byte_products_saturate
from edgecnn.stages.candidate import QuantizeStage
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.stage import Key
from tests.graph.trunks import NORMALIZATION, prepared, scratch, trunk
from tests.made_once import made_once

IMAGES = 24
UNSIGNED = Scheme(activation_dtype="uint8", activation_symmetric=False)
SYMMETRIC = Scheme(activation_dtype="uint8", activation_symmetric=True, bias="float")
F32 = {"INFERENCE_PRECISION_HINT": "f32"}
SATURATES = byte_products_saturate(complete_device(device_named("cpu"), local_facts()).processor)
"""Of this machine: a build for it keeps weights to seven bits."""
CANDIDATES = {
    candidate.id: candidate
    for candidate in (
        Candidate(id="onnxruntime-fp32", runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32),
        Candidate(
            id="onnxruntime-int8",
            runtime=Runtime.ONNXRUNTIME,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=UNSIGNED,
        ),
        Candidate(id="openvino-fp32", runtime=Runtime.OPENVINO, precision=Precision.FP32, session_options=F32),
        Candidate(
            id="openvino-int8",
            runtime=Runtime.OPENVINO,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=SYMMETRIC,
            session_options=F32,
        ),
        Candidate(
            id="litert-int8",
            runtime=Runtime.LITERT,
            precision=Precision.INT8,
            method=Method.POST_TRAINING,
            scheme=Scheme(activation_dtype="int8", activation_symmetric=False),
        ),
    )
}


class Quiet:
    """Hears progress and keeps what is worth noting."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


def stage(candidate: str, images: int = IMAGES) -> QuantizeStage:
    return QuantizeStage(
        inputs={"model": Key("a"), "pixels": Key("b")},
        candidate=CANDIDATES[candidate],
        images=images,
        normalization=NORMALIZATION,
    )


@cache
def exported(name: str) -> Path:
    """A folder as ``export`` leaves it, as far as quantize reads it."""
    folder = scratch() / f"exported-{name}"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(trunk(name).read_bytes())
    return folder


def made(candidate: str, name: str = "resnet18") -> Path:
    """The stage's folder."""
    return _made(candidate, name)


@cache
def _made(candidate: str, name: str) -> Path:
    inputs = {"model": exported(name), "pixels": prepared()}
    return made_once(f"{candidate}-{name}", lambda folder: stage(candidate).make(inputs, folder, Quiet()))
