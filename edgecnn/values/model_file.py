"""``model.json``: how a converted model is opened, fed and verified. ``package`` copies it into the kit's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision

MODEL_FILE_NAME = "model.json"
TRUNK_OPSET = 20
"""Opset of the ONNX trunk of every candidate."""
TRUNK_IR = 10
"""ONNX IR version of the trunk: onnxruntime 1.19, the last for Python 3.8, reads no newer one."""
BATCH_MAX = 64
"""Batch sizes that every exported network accepts."""

THRESHOLDS = "thresholds.json"
"""Thresholds next to a multi-label trunk: probability, 0…1, by label, in the order of the logits."""

LOGITS_TOLERANCE: Mapping[Precision, float] = {
    Precision.FP32: 0.01,
    Precision.TF32: 0.05,
    Precision.BF16: 0.1,
    Precision.FP16: 0.1,
    Precision.INT8: 0.15,
}
"""Allowed difference on another machine as a share of the golden logits' spread, because it adds and rounds in another order.
``quantize`` lowers it if swapped colour channels would otherwise pass."""


class SessionSpec(Value):
    """The module of ``runner/sessions`` that opens the model, with the runtime's options."""

    module: str
    options: Mapping[str, str] = {}


class ModelInput(Value):
    """The model's input; ``dtype`` uint8 means that the file normalizes itself."""

    name: str = "image"
    dtype: Literal["float32", "uint8"] = "float32"
    layout: Literal["NCHW", "NHWC"] = "NCHW"


class ModelOutput(Value):
    """The model's output: float32 (batch, classes)."""

    name: str = "logits"
    classes: PositiveInt


class ModelSpec(Value):
    """The model's files, relative to the folder of ``model.json``; the runtime opens ``entry``."""

    entry: str
    files: tuple[str, ...]
    input: ModelInput = ModelInput()
    output: ModelOutput
    batch_max: PositiveInt = BATCH_MAX


class ModelRequirements(Value):
    """Requirements of the model's machine: distribution to PEP 440 range, and its processors."""

    packages: Mapping[str, str]
    machines: tuple[Literal["x86_64", "aarch64"], ...] = ("x86_64", "aarch64")


class EngineSpec(Value):
    """An engine to build on the device: its source file, its builder and the builder's lowest version."""

    builder: str
    onnx: str
    min_version: str
    flags: tuple[str, ...] = Field(default=(), exclude_if=lambda flags: not flags)
    """For a weakly typed network: precisions that the builder may use in addition to fp32. Empty: strongly typed."""


class ModelFile(Value):
    """The part of a kit's manifest that depends on the model."""

    session: SessionSpec
    model: ModelSpec
    requirements: ModelRequirements
    logits_tolerance: PositiveFloat
    engine: EngineSpec | None = None
    beside: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """Files of the kit that do not belong to the model: a page, and a runtime that is not installed separately."""

    def to_json(self) -> str:
        """Return the bytes of ``model.json``: one space of indentation, a line feed at the end."""
        return self.model_dump_json(indent=1) + "\n"
