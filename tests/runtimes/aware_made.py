"""A small network trained on the demo, and the same trained on with the rounding in place: by the real stages, once a run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edgecnn.data.manifest import summarize
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.stages.candidate import QuantizeStage
from edgecnn.stages.images import PrepareStage
from edgecnn.stages.learning import AwareStage
from edgecnn.values.candidate import Candidate, Method, Precision, Runtime, Scheme
from edgecnn.values.dataset import DataManifest
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard
from tests.made_once import made_once
from tests.training import made as trained

SMALL, SIZE_PX = trained.SMALL, 64
UNSIGNED = Scheme(activation_dtype="uint8", activation_symmetric=False)
COUNTS = {"train": 320, "validation": 64, "calibration": 48, "test": 2}
PREPROCESSING = Preprocessing(
    pixels=pixel_recipe(arch_named(SMALL), ImageSize.square(SIZE_PX)), normalization=arch_named(SMALL).normalization
)
LENET = "lenet-5"
"""For what is the same of every network: it learns in a second or two."""
FOR_LENET = Preprocessing(
    pixels=pixel_recipe(arch_named(LENET), ImageSize.square(32)), normalization=arch_named(LENET).normalization
)
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
    return made_once("aware-images", _listed) / "manifest.json"


def _listed(folder: Path) -> None:
    summary = summarize(DataChoice(), folder / "cache", Heard())
    whole = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    kept = [image for role, count in COUNTS.items() for image in [i for i in whole.images if i.role == role][:count]]
    (folder / "manifest.json").write_text(whole.model_copy(update={"images": tuple(kept)}).model_dump_json(), "utf-8")


@cache
def pixels(arch: str = SMALL) -> Path:
    """What prepare leaves."""
    stage = PrepareStage(pixels=_preprocessing(arch).pixels)
    return made_once(f"aware-pixels-{arch}", lambda folder: stage.make({"images": images()}, folder, Heard()))


def _preprocessing(arch: str) -> Preprocessing:
    return FOR_LENET if arch == LENET else PREPROCESSING


@cache
def weights(arch: str = SMALL) -> Path:
    """What train leaves: enough epochs that answers differ from image to image."""
    training = trained.stage(arch, preprocessing=_preprocessing(arch), epochs=6, learning_rate=5e-3)
    inputs = {"images": images(), "pixels": pixels(arch)}
    return made_once(f"aware-weights-{arch}", lambda folder: training.make(inputs, folder, Heard()))


def roles(arch: str = SMALL) -> dict[str, Path]:
    """What the aware stage is given."""
    return {"images": images(), "pixels": pixels(arch), "weights": weights(arch)}


def stage(**changes: object) -> AwareStage:
    """A short training; a test states what is different about its own."""
    plain = {"arch": SMALL, "classes": 10, "preprocessing": PREPROCESSING, "scheme": UNSIGNED, "images": 48, "epochs": 2}
    return AwareStage.model_validate({**plain, "threads": 2, "batch_size": 32, "learning_rate": 3e-4, **changes})


def stage_of_lenet(**changes: object) -> AwareStage:
    """The same for a network of a few layers."""
    return stage(arch=LENET, preprocessing=FOR_LENET, **changes)


@cache
def aware(arch: str = SMALL) -> Path:
    """What the aware stage leaves."""
    training = stage_of_lenet() if arch == LENET else stage()
    return made_once(f"aware-{arch}", lambda folder: training.make(roles(arch), folder, Heard()))


@cache
def made(candidate: str, arch: str = SMALL) -> Path:
    """What quantize makes of it for one runtime."""
    quantize = QuantizeStage(candidate=CANDIDATES[candidate], images=48, normalization=_preprocessing(arch).normalization)
    inputs = {"model": aware(arch), "pixels": pixels(arch)}
    return made_once(f"{candidate}-{arch}", lambda folder: quantize.make(inputs, folder, Heard()))
