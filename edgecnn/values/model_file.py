"""``model.json``: how a converted model is opened, fed and judged to be itself. ``package`` copies it into the kit's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision

MODEL_FILE_NAME = "model.json"
TRUNK_OPSET = 20
"""Opset of the ONNX trunk that every candidate is made from."""
TRUNK_IR = 10
"""ONNX IR version of the trunk: onnxruntime 1.19, the last for Python 3.8, reads no newer one."""
BATCH_MAX = 64
"""Images in one call that every exported network takes, from 1 upwards."""

THRESHOLDS = "thresholds.json"
"""Of a multi-label trunk, beside it: each label's threshold of the probability, 0…1, by its name in the order of the logits."""

LOGITS_TOLERANCE: Mapping[Precision, float] = {
    Precision.FP32: 0.01,
    Precision.TF32: 0.05,
    Precision.BF16: 0.1,
    Precision.FP16: 0.1,
    Precision.INT8: 0.15,
}
"""Share of the golden logits' spread by which another machine may at most differ, since it adds in another order and rounds at
other places; ``quantize`` lowers it where exchanged colour channels would otherwise pass."""


class SessionSpec(Value):
    """Which module of ``runner/sessions`` opens the model, with which options of its runtime."""

    module: str
    options: Mapping[str, str] = {}


class ModelInput(Value):
    """The tensor that the model file wants; ``dtype`` uint8 means that the file normalizes by itself."""

    name: str = "image"
    dtype: Literal["float32", "uint8"] = "float32"
    layout: Literal["NCHW", "NHWC"] = "NCHW"


class ModelOutput(Value):
    """The tensor that comes back: float32 (batch, classes)."""

    name: str = "logits"
    classes: PositiveInt


class ModelSpec(Value):
    """The model's files, relative to the folder of ``model.json``; ``entry`` is the one that the runtime is given."""

    entry: str
    files: tuple[str, ...]
    input: ModelInput = ModelInput()
    output: ModelOutput
    batch_max: PositiveInt = BATCH_MAX


class ModelRequirements(Value):
    """What must be installed where the model runs: distribution to PEP 440 range, and the processors it may run on."""

    packages: Mapping[str, str]
    machines: tuple[Literal["x86_64", "aarch64"], ...] = ("x86_64", "aarch64")


class EngineSpec(Value):
    """An engine that is made on the device, from which file, by which builder, of which least version."""

    builder: str
    onnx: str
    min_version: str
    flags: tuple[str, ...] = Field(default=(), exclude_if=lambda flags: not flags)
    """Of a weakly typed network: precisions that the builder may choose from, beside fp32. Empty: strongly typed."""


class ModelFile(Value):
    """Everything in a kit's manifest that the model itself decides."""

    session: SessionSpec
    model: ModelSpec
    requirements: ModelRequirements
    logits_tolerance: PositiveFloat
    engine: EngineSpec | None = None
    beside: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """Files of the kit that are no part of the model: a page, and a runtime that is installed nowhere."""

    def to_json(self) -> str:
        """The bytes of ``model.json``: one space of indentation, a line feed at the end."""
        return self.model_dump_json(indent=1) + "\n"
