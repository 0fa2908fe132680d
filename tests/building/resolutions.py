"""A builder of what resolve finds out, so that each test states only the field that it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgecnn.devices.files import device_named
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.planning.candidates import BASELINE
from edgecnn.planning.complete import completed_surgery, filled_in
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.dataset import DataSummary
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import Recipe
from edgecnn.values.resolved import Attachment, Resolved
from edgecnn.values.stage import Key

DATA = Key("d" * 64)
INT8 = Candidate(
    id="onnxruntime-int8",
    runtime=Runtime.ONNXRUNTIME,
    precision=Precision.INT8,
    method=Method.POST_TRAINING,
    scheme=Scheme(activation_dtype="uint8", activation_symmetric=False),
)
TRT_FP16 = Candidate(id="tensorrt-fp16", runtime=Runtime.TENSORRT, precision=Precision.FP16, needs_engine=True)
_PACKAGES = """torch torchvision safetensors onnx onnxscript onnxruntime onnxconverter-common openvino nncf pillow numpy
tensorrt tensorrt-rtx-cu13-bindings torchao scikit-learn ncnn pnnx ai-edge-litert
litert-quantizer onnxruntime-web torch-pruning"""
VERSIONS = dict.fromkeys(_PACKAGES.split(), "1.0")


def resolved(recipe: Recipe | None = None, **changes: Any) -> Resolved:
    """MobileNetV3-Small from scratch on ten classes, for this machine, unless told otherwise."""
    asked = recipe or Recipe.model_validate(
        {
            "model": {"arch": "mobilenet-v3-small", "resolution_px": 64},
            "train": {"epochs": 2, "learning_rate": 0.01},
            "quantize": {"images": 200},
        }
    )
    arch = arch_named(asked.model.arch)
    device = changes.pop("device", device_named("cpu"))
    found: dict[str, Any] = {
        "asked": asked,
        "recipe": _filled(asked),
        "device": device,
        "attachment": Attachment(attached=True, why="this machine is this machine"),
        "arch": arch,
        "data": summary(),
        "weights": WeightsAnswer(choice="none", kind="none", why="training starts from random weights, as asked"),
        "mode": "scratch",
        "preprocessing": Preprocessing(pixels=pixel_recipe(arch, ImageSize.square(64)), normalization=arch.normalization),
        "candidates": (BASELINE, INT8),
        "unsupported": (),
        "unavailable": {},
        "builder": None,
        "versions": VERSIONS,
        "runner_sha256": "a" * 64,
        "sources": {DATA: Path("/nowhere/manifest.json")},
    }
    return Resolved(**{**found, **changes})


def _filled(asked: Recipe) -> Recipe:
    """As resolve leaves it where nothing was said of these."""
    train = filled_in(asked.train, "scratch", 3500, arch_named(asked.model.arch))
    kept = {name: getattr(asked.train, name) for name in ("epochs", "learning_rate")}
    surgery = completed_surgery(asked.surgery, train.epochs or 0)
    train = train.model_copy(update={**kept, "transfer": train.transfer or "scratch", "device": "cpu", "threads": 2})
    return asked.model_copy(update={"train": train, "surgery": surgery})


def summary() -> DataSummary:
    """Ten classes with all four roles."""
    return DataSummary(
        origin="demo",
        root="demo",
        content=DATA,
        manifest_path="/nowhere/manifest.json",
        classes=tuple("abcdefghij"),
        counts={"train": 3500, "calibration": 500, "validation": 1000, "test": 10000},
        splits_from="as published",
    )
