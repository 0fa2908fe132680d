"""Parts of what training takes time for: decoding by several ways, and the first phase of fine-tuning."""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.decode_rate import Quiet
from benchmarks.training.scene import AUGMENT, NORMALIZATION, SQUARE_PX, Scene
from edgecnn.data.images import open_source
from edgecnn.models.catalogue import arch_named, pixel_recipe
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_pixels
from edgecnn.training import run
from edgecnn.training.augment import Frame, augmented, draw_epoch, normalized
from edgecnn.training.beginning import TrainingInputs
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.settings import TrainSettings, training_threads
from edgecnn.values.augmentation import Crop, Flip
from edgecnn.values.preprocessing import Preprocessing

PHASE1_IMAGES, PHASE1_ARCH = 3000, "efficientnet-lite0"


def decode(options: argparse.Namespace) -> None:
    """Squares of one core by several ways, and what an epoch makes of the kept ones."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    scene = Scene(options)
    squares = scene.squares()
    recipe = squares._recipe

    def drafted(path: Path) -> None:
        picture = Image.open(path)
        picture.draft("RGB", (SQUARE_PX, SQUARE_PX))
        to_pixels(picture.convert("RGB"), recipe)

    def turbo(path: Path) -> None:
        planes = decode_jpeg(read_file(str(path)), mode=ImageReadMode.RGB)
        to_pixels(Image.fromarray(planes.permute(1, 2, 0).numpy()), recipe)

    size = ImageSize.square(options.side)
    draw, frame = draw_epoch(len(squares), seed=0, augment=AUGMENT), Frame(size, size)
    places = dict(zip(scene.files, range(len(squares)), strict=True))

    def shown(path: Path) -> None:
        position = np.array([places[path]])
        normalized(augmented(squares.read(position), position, draw, frame), NORMALIZATION)

    ways: dict[str, Callable[[Path], object]] = {
        "edgecnn: Pillow": lambda path: squares.source.pixels(squares.entries[places[path]], squares._recipe),
        "Pillow with draft": drafted,
        "torchvision's decoder": turbo,
        "kept squares": lambda path: squares.read([places[path]]),
        "kept, cropped and normalized": shown,
    }
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name in random.sample(list(ways), len(ways)):
            began = time.perf_counter()
            for path in scene.files:
                ways[name](path)
            rates[name].append(len(scene.files) / (time.perf_counter() - began))
    for name, rate in rates.items():
        print(f"{name:30} {statistics.median(rate):8.0f} images/s of one core")


def phase1(options: argparse.Namespace) -> None:
    """Decoded, features of both mirror images, and the head, as ``--transfer head`` does it."""
    folder = Path(options.scratch, "phase1")
    (folder / "weights").mkdir(parents=True)
    (folder / "out").mkdir()
    source = open_source(Path(options.manifest))
    spec = arch_named(PHASE1_ARCH)
    write_tensors(build_network(spec, 1000, seed=0).state_dict(), folder / "weights" / "weights.safetensors")
    (folder / "weights" / "weights.json").write_text('{"sha256": null, "source": "drawn at random, which decides no time"}')
    recipe = pixel_recipe(spec, spec.resolution_px)
    chosen = source.entries("validation")[:128]
    np.save(
        folder / "validation.pixels.npy", np.stack([to_pixels(source.read(entry), recipe.runner_recipe()) for entry in chosen])
    )
    np.save(folder / "validation.labels.npy", np.array([entry.label for entry in chosen], np.int64))
    preprocessing = Preprocessing(pixels=recipe, normalization=spec.normalization)
    settings = TrainSettings(
        arch=PHASE1_ARCH, classes=len(source.classes), preprocessing=preprocessing, mode="finetune", transfer="head", epochs=0,
        learning_rate=1e-3, augment=(Crop(), Flip()), threads=training_threads(),
    )  # fmt: skip
    inputs = TrainingInputs(images=Path(options.manifest), pixels=folder, weights=folder / "weights")
    began = time.perf_counter()
    run.train(settings, inputs, folder / "out", Quiet())
    seconds, images = time.perf_counter() - began, len(source.entries("train"))
    print(f"phase 1 of {images:,} photographs, {PHASE1_ARCH}: {seconds:.1f} s = {images / seconds:.1f} images/s")
    if images >= PHASE1_IMAGES // 3:  # of few photographs the head and the start are most of it
        print(f"at that rate {PHASE1_IMAGES:,} take {PHASE1_IMAGES * seconds / images:.1f} s, of 60")
