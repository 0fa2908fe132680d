"""How fast prepare turns images into pixels, beside a plain Pillow loop over the same files in the same run.

    python benchmarks/decode_rate.py [FOLDER] [--resize 256] [--crop 224] [--rounds 5]

Without FOLDER it draws 400 JPEGs of 500 x 375 px. The plain loop opens, resizes, crops and keeps each image in memory, on one
core and on all of them; ours also checks each file's digest and writes the pixels to a mapped file. Rounds alternate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from edgecnn.data.images import ImageSource, open_source
from edgecnn.data.manifest import summarize
from edgecnn.data.prepared import PREPARED_ROLES, write_pixels
from edgecnn.runner.machine.environment import available_cores
from edgecnn.runner.pixel_recipe import ImageSize, PixelRecipe
from edgecnn.values.recipe import DataChoice


class Quiet:
    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None: ...

    def note(self, text: str) -> None: ...


def drawn(root: Path, images: int = 400) -> Path:
    """Smooth noise: compresses about as photographs do (some 40 KB each)."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = root / "photos" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (94, 125, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
    return root / "photos"


def plain(path: Path, resize: int, crop: int) -> np.ndarray:
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    scale = resize / min(rgb.size)
    sized = rgb.resize((round(rgb.width * scale), round(rgb.height * scale)), Image.Resampling.BICUBIC)
    left, top = (sized.width - crop) // 2, (sized.height - crop) // 2
    return np.array(sized.crop((left, top, left + crop, top + crop)))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--resize", type=int, default=256)
    parser.add_argument("--crop", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or drawn(Path(scratch))
        measure(folder, Path(scratch), options)


def measure(folder: Path, scratch: Path, options: argparse.Namespace) -> None:
    summary = summarize(DataChoice(path=str(folder)), scratch / "store", Quiet())
    source: ImageSource = open_source(Path(summary.manifest_path))
    paths = [Path(summary.root, entry.path) for role in PREPARED_ROLES for entry in source.entries(role)]
    recipe = PixelRecipe(ImageSize.square(options.resize), ImageSize.square(options.crop), "bicubic")

    def one_core() -> None:
        np.stack([plain(path, options.resize, options.crop) for path in paths])

    def all_cores() -> None:
        with ThreadPoolExecutor(available_cores()) as pool:
            np.stack(list(pool.map(lambda path: plain(path, options.resize, options.crop), paths)))

    def ours() -> None:
        with tempfile.TemporaryDirectory(dir=scratch) as out:
            write_pixels(source, recipe, Path(out), Quiet())

    ways = {"plain loop, one core": one_core, f"plain loop, {available_cores()} threads": all_cores, "prepare": ours}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            taken[name].append(seconds(way))
    base = statistics.median(taken["plain loop, one core"])
    print(f"{len(paths):,} images to {options.crop} px, median of {options.rounds} rounds, {available_cores()} cores")
    for name, rounds in taken.items():
        middle = statistics.median(rounds)
        print(f"{name:24} {len(paths) / middle:8.0f} images/s   {base / middle:5.2f}x   (best {len(paths) / min(rounds):.0f})")


if __name__ == "__main__":
    main()
