"""What networks are trained on outside of edgecnn, and what edgecnn then builds with: written once, by class or as a list.

Photographs are divided by their place in their class: every third is built with, the others are trained on.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edgecnn.data.images import demo_digests, demo_images

TRAINED_PX = 128
LEARNED = 5_000
"""Of the demo's images the first, which are training and validation there."""
EVERY = 5
"""Of the other 10,000."""
LINES = 1_000
COMPOSED, LABELS, POOLS = 2_400, ("pants", "shoes", "t-shirt"), 20
FEW_A_CLASS = 40
WRITTEN = "written"
"""An empty file, when all of them are there."""
SYMBOLS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789 -/.,"


def grey(work: Path) -> None:
    """``grey.npz`` to learn from, and ``grey/``, a picture of 28 by 28 each."""
    images, labels = demo_images(), np.array([label for label, _ in demo_digests()])
    np.savez(work / "grey.npz", images=images[:LEARNED], labels=labels[:LEARNED])
    for place in range(LEARNED, len(images), EVERY):
        folder = work / "grey" / str(labels[place])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[place]).save(folder / f"{place}.png")


def photographs(source: Path, work: Path) -> None:
    """``photographs.npz`` to learn from, square and in red, green, blue; ``photographs/`` and ``few/``, the files themselves."""
    learned, labels = [], []
    for label, name in enumerate(_classes(source)):
        files = _class_files(source, name)
        _copied(files[::3], work / "photographs" / name)
        _copied(files[: 3 * FEW_A_CLASS : 3], work / "few" / name)
        for place, file in enumerate(files):
            if place % 3:
                learned.append(np.asarray(square(file, TRAINED_PX)))
                labels.append(label)
    np.savez(work / "photographs.npz", images=np.stack(learned), labels=np.array(labels))


def square(file: Path, side: int) -> Image.Image:
    """Scaled to an eighth more than ``side``, and its middle."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    scale = side * 9 / 8 / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def lines(work: Path) -> None:
    """``lines/0`` and ``lines/180``: printed lines the right way up, and upside down."""
    random = np.random.default_rng(0)
    for place in range(LINES):
        text = "".join(random.choice(list(SYMBOLS), int(random.integers(8, 24))))
        ink, paper = int(random.integers(0, 90)), int(random.integers(160, 256))
        font = ImageFont.load_default(size=int(random.integers(24, 42)))
        left, top, right, bottom = (round(side) for side in font.getbbox(text))
        picture = Image.new("RGB", (right - left + 16, bottom - top + 12), (paper,) * 3)
        ImageDraw.Draw(picture).text((8 - left, 6 - top), text, font=font, fill=(ink,) * 3)
        levels = np.asarray(picture) + random.normal(0, 6, (picture.height, picture.width, 1))
        folder = work / "lines" / ("180" if place % 2 else "0")
        folder.mkdir(parents=True, exist_ok=True)
        noisy = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
        (noisy.rotate(180) if place % 2 else noisy).save(folder / f"{place:04}.png")


def composed(source: Path, work: Path) -> None:
    """``composed.csv``: pictures of three places side by side, in each a photograph of its class or nothing; ``pool`` says out
    of which twentieth of all photographs a picture is made, so that none shows on two sides of a split."""
    random = np.random.default_rng(0)
    pools = {name: np.array_split(np.array(_class_files(source, name), dtype=object), POOLS) for name in LABELS}
    (work / "composed").mkdir(exist_ok=True)
    with (work / "composed.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", *LABELS, "pool"])
        for place in range(COMPOSED):
            pool, shown = place % POOLS, random.random(len(LABELS)) < 0.45
            picture = Image.new("RGB", (TRAINED_PX * len(LABELS), TRAINED_PX), tuple(random.integers(0, 256, 3).tolist()))
            for slot, label in enumerate(random.permutation(len(LABELS))):
                if shown[label]:
                    picture.paste(square(random.choice(pools[LABELS[label]][pool]), TRAINED_PX), (slot * TRAINED_PX, 0))
            picture.save(work / "composed" / f"{place:04}.jpg", quality=90)
            rows.writerow([f"composed/{place:04}.jpg", *shown.astype(int), pool])


def written(source: Path, work: Path) -> None:
    """All of them; ``source`` has ``train/`` and ``validation/`` with a sub-folder a class."""
    if not (work / WRITTEN).is_file():
        work.mkdir(parents=True, exist_ok=True)
        grey(work)
        photographs(source, work)
        lines(work)
        composed(source, work)
        (work / WRITTEN).touch()


def _classes(source: Path) -> list[str]:
    return sorted(path.name for path in (source / "train").iterdir() if path.is_dir())


def _class_files(source: Path, name: str) -> list[Path]:
    return sorted(file for part in ("train", "validation") for file in (source / part / name).iterdir())


def _copied(files: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)
