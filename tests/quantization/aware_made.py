"""A small network trained on the demo, and the same trained on with the rounding in place: by the real stages, once a run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edgecnn.data.manifest import summarize
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.stages.aware import AwareStage
from edgecnn.stages.prepare import PrepareStage
from edgecnn.stages.quantize import QuantizeStage
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.dataset import DataManifest, Preprocessing
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard
from tests.graph.trunks import scratch
from tests.training import made as trained

SMALL, SIZE_PX = trained.SMALL, 64
UNSIGNED = Scheme(activation_dtype="uint8", activation_symmetric=False)
COUNTS = {"train": 320, "choose": 64, "calibrate": 48, "report": 2}
PREPROCESSING = Preprocessing(pixels=pixel_recipe(arch_named(SMALL), SIZE_PX), normalization=arch_named(SMALL).normalization)
CANDIDATES = {
    f"{runtime.value}-int8-aware": Candidate(
        id=f"{runtime.value}-int8-aware",
        runtime=runtime,
        precision=Precision.INT8,
        method=Method.AWARE_TRAINING,
        scheme=UNSIGNED,
        session_options=options,
    )
    for runtime, options in ((Runtime.ONNXRUNTIME, {}), (Runtime.OPENVINO, {"INFERENCE_PRECISION_HINT": "f32"}))
}


@cache
def images() -> Path:
    """A manifest with the first images of the demo's roles."""
    folder = scratch() / "aware-images"
    summary = summarize(DataChoice(), folder / "cache", Heard())
    whole = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    kept = [image for role, count in COUNTS.items() for image in [i for i in whole.images if i.role == role][:count]]
    (folder / "manifest.json").write_text(whole.model_copy(update={"images": tuple(kept)}).model_dump_json(), "utf-8")
    return folder / "manifest.json"


@cache
def pixels() -> Path:
    """What prepare leaves."""
    folder = scratch() / "aware-pixels"
    folder.mkdir()
    PrepareStage(pixels=PREPROCESSING.pixels).make({"images": images()}, folder, Heard())
    return folder


@cache
def weights() -> Path:
    """What train leaves: enough epochs that answers differ from image to image."""
    folder = scratch() / "aware-weights"
    folder.mkdir()
    asked = trained.stage(preprocessing=PREPROCESSING, epochs=6, learning_rate=5e-3)
    asked.make({"images": images(), "pixels": pixels()}, folder, Heard())
    return folder


def roles() -> dict[str, Path]:
    """What the aware stage is given."""
    return {"images": images(), "pixels": pixels(), "weights": weights()}


def stage(**changes: object) -> AwareStage:
    """A short training; a test states what is different about its own."""
    plain = {"arch": SMALL, "classes": 10, "preprocessing": PREPROCESSING, "scheme": UNSIGNED, "images": 48, "epochs": 2}
    return AwareStage.model_validate({**plain, "batch_size": 32, "learning_rate": 3e-4, **changes})


@cache
def aware() -> Path:
    """What the aware stage leaves."""
    folder = scratch() / "aware"
    folder.mkdir()
    stage().make(roles(), folder, Heard())
    return folder


@cache
def made(candidate: str) -> Path:
    """What quantize makes of it for one runtime."""
    folder = scratch() / candidate
    folder.mkdir()
    asked = QuantizeStage(candidate=CANDIDATES[candidate], images=48, normalization=PREPROCESSING.normalization)
    asked.make({"model": aware(), "pixels": pixels()}, folder, Heard())
    return folder
