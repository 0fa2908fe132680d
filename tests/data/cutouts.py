"""Small drawn cut-outs, backgrounds and photographs, for the tests of composed images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from edgecnn.data.cutouts import find_synthesis
from edgecnn.data.manifest import summarize
from edgecnn.stages.images import SynthesizeStage
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice
from edgecnn.values.synthesis import Synthesis, SynthesisChoice
from tests.data.folders import Heard, aged, fill

CLASSES = ("disc", "square")
HIDDEN = (255, 0, 255)
"""What lies under the transparent part, as some programs leave it."""


def cut(path: Path, colour: tuple[int, int, int], seed: int = 0, size_px: int = 90) -> Path:
    """A shape after its folder's name, opaque, with 8 transparent pixels or more all round."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGBA", (size_px + seed, size_px), (*HIDDEN, 0))
    drawing = ImageDraw.Draw(image)
    box = (8, 8, image.width - 9, image.height - 9)
    (drawing.ellipse if path.parent.name == "disc" else drawing.rectangle)(box, (*colour, 255))
    image.save(path, lossless=True) if path.suffix == ".webp" else image.save(path)
    return aged(path)


def backgrounds(folder: Path, count: int = 4) -> Path:
    """Soft grey pictures of all sorts of sides."""
    folder.mkdir()
    for number in range(count):
        levels = np.random.default_rng(900 + number).integers(60, 120, (5, 7), dtype=np.uint8)
        grey = Image.fromarray(levels).resize((120 + 30 * number, 150), Image.Resampling.BICUBIC)
        path = folder / f"{number}.jpg"
        grey.convert("RGB").save(path)
        aged(path)
    return folder


def cutouts(folder: Path, count: int = 3) -> Path:
    """Red discs and green squares, PNG and WebP."""
    for number in range(count):
        cut(folder / "disc" / f"{number}.png", (220, 20 + number, 10), number)
        cut(folder / "square" / f"{number}.webp", (10, 200 + number, 30), number)
    return folder


def shapes(folder: Path, per_class: int = 8) -> Path:
    """Photographs of what the cut-outs show, drawn otherwise: smaller and larger, anywhere, on light noise, as JPEG."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            numbers = np.random.default_rng(1000 * label + number)
            image = Image.fromarray(numbers.integers(120, 200, (80, 96, 3), dtype=np.uint8))
            left, top, side = numbers.integers(4, 30, 3) + (0, 0, 24)
            drawing = ImageDraw.Draw(image)
            draw_it, colour = (drawing.rectangle, (30, 190, 40)) if label else (drawing.ellipse, (200, 40, 30))
            draw_it((int(left), int(top), int(left + side), int(top + side)), colour)
            path = folder / name / f"{number:03d}.jpg"
            image.save(path)
            aged(path)
    return folder


def photographs(folder: Path, cache: Path, classes: tuple[str, ...] = CLASSES, count: int = 8) -> DataSummary:
    """Noise in a folder a class: nothing here looks at it."""
    fill(folder, dict.fromkeys(classes, count))
    return summarize(DataChoice(path=str(folder)), cache, Heard())


def synthesis_in(folder: Path, **changes: object) -> Synthesis:
    """Of ``folder/cut`` and ``folder/under``, beside ``folder/photos``."""
    where = {"cutouts": str(folder / "cut"), "backgrounds": str(folder / "under")}
    choice = SynthesisChoice.model_validate({**where, "images_per_class": 6, **changes})
    data = summarize(DataChoice(path=str(folder / "photos")), folder / "cache", Heard())
    return find_synthesis(choice, data, imagenet=False, cache=folder / "cache", tell=Heard())


def scene(folder: Path) -> Path:
    """All three folders."""
    cutouts(folder / "cut")
    backgrounds(folder / "under")
    photographs(folder / "photos", folder / "cache")
    return folder


def roles(synthesis: Synthesis) -> dict[str, Path]:
    """What a synthesize stage is given."""
    return {name: Path(getattr(synthesis, name).manifest_path) for name in ("cutouts", "backgrounds")}


def stage_of(synthesis: Synthesis, **changes: object) -> SynthesizeStage:
    """Six pictures of 64 pixels a class, unless told otherwise."""
    inputs = {"cutouts": synthesis.cutouts.content, "backgrounds": synthesis.backgrounds.content}
    return SynthesizeStage.model_validate({"size_px": 64, "images_per_class": 6, "inputs": inputs, **changes})


def copied(source: Path, target: Path) -> Path:
    """The same bytes under another name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    return aged(target)
