"""A few hundred images of the demo, prepared small, and stages that train on them in seconds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgecnn.data.images import open_source
from edgecnn.data.manifest import summarize
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe, to_pixels
from edgecnn.stages.learning import TrainStage
from edgecnn.stages.weights import FetchStage
from edgecnn.training.settings import default_augmentation
from edgecnn.values.dataset import DataManifest
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard

SIZE_PX = 32
SMALL = "mobilenet-v3-small"
LITE = "efficientnet-lite0"
LENET = "lenet-5"


class Given(NamedTuple):
    """What a train stage is given."""

    images: Path
    pixels: Path

    def roles(self, weights: Path | None = None) -> dict[str, Path]:
        return {"images": self.images, "pixels": self.pixels} | ({} if weights is None else {"weights": weights})


def make_given(folder: Path, *, train: int = 128, validation: int = 48, size_px: int | str = SIZE_PX) -> Given:
    """The first images of the demo's roles. ``test`` is not prepared: whoever opens it fails."""
    summary = summarize(DataChoice(), folder / "cache", Heard())
    whole = DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())
    counts = {"train": train, "validation": validation}
    kept = [image for role, count in counts.items() for image in [i for i in whole.images if i.role == role][:count]]
    manifest = folder / "manifest.json"
    manifest.write_text(whole.model_copy(update={"images": tuple(kept)}).model_dump_json(), "utf-8")
    source, pixels = open_source(manifest), folder / "pixels"
    pixels.mkdir()
    size = ImageSize.of(size_px)
    recipe = PixelRecipe(size, size, "bicubic")
    entries = source.entries("validation")
    shown = [to_pixels(source.read(entry), recipe) for entry in entries]
    np.save(pixels / "validation.pixels.npy", np.array(shown, np.uint8).reshape(-1, *size, 3))
    np.save(pixels / "validation.labels.npy", np.array([entry.label for entry in entries], np.int64))
    return Given(manifest, pixels)


def stage(arch: str = SMALL, *, size_px: int | str = SIZE_PX, **changes: object) -> TrainStage:
    """A short training; a test states what is different about its own."""
    spec = arch_named(arch)
    preprocessing = Preprocessing(pixels=pixel_recipe(spec, ImageSize.of(size_px)), normalization=spec.normalization)
    augment = default_augmentation("scratch" if changes.get("mode", "scratch") == "scratch" else "finetune")
    plain: dict[str, object] = {
        "augment": augment,
        "arch": arch,
        "classes": 10,
        "threads": 2,
        "preprocessing": preprocessing,
        "mode": "scratch",
        "epochs": 3,
        "learning_rate": 2e-3,
    }
    return TrainStage.model_validate({**plain, "head_epochs": 5, "batch_size": 32, **changes})


def fetched(folder: Path, arch: str = LITE) -> Path:
    """Published weights as the fetch stage leaves them."""
    folder.mkdir()
    FetchStage.published(arch_named(arch)).make({}, folder, Heard())
    return folder


def losses(out: Path) -> list[float]:
    """Of the last phase, epoch by epoch."""
    phases = json.loads((out / "history.json").read_text())["phases"]
    return [epoch["train_loss"] for epoch in phases[-1]["epochs"]]


def files_of(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of everything in a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
