"""End to end on one photograph, from file to labels: ``Classifier.predict`` beside a plain script of Pillow and the runtime.

Both see the same pixels, which is checked first. In each round every photograph goes through both, in an order drawn anew; the
ratio is that of a round's sums, its interval the signed-rank one that reports use, the bound 1.1. Beside it stand faster ways of
decoding the same files, with how far their pixels are from those that the network was judged on. Run from the checkout:

    python -m benchmarks.one_photograph KIT PHOTOGRAPHS [ROUNDS] [LONG-SIDE-PX]

KIT is a kit's folder, PHOTOGRAPHS a folder of JPEG files. With LONG-SIDE-PX they are enlarged first, to what a camera makes.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.bare_classifier import SCRIPTS, PillowPixels
from edgecnn.judging.intervals import ratio_interval
from edgecnn.runner.classifier import Classifier
from edgecnn.runner.kit import Kit

PHOTOGRAPHS = 20


def drafted(plain: PillowPixels, photo: Path) -> Any:
    """libjpeg's own scaling while decoding, which Pillow offers as ``draft``: never below the size to be resized to."""
    image = Image.open(photo)
    image.draft("RGB", (plain.resize_px, plain.resize_px))
    return plain.cropped(image.convert("RGB"))


def turbo(plain: PillowPixels, photo: Path) -> Any:
    """libjpeg-turbo as torchvision binds it, resized by Pillow."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    planes = decode_jpeg(read_file(str(photo)), mode=ImageReadMode.RGB)
    return plain.cropped(Image.fromarray(planes.permute(1, 2, 0).numpy()))


def tensors(plain: PillowPixels, photo: Path) -> Any:
    """torchvision alone: decoded, resized and cropped as tensors."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2 import functional

    planes = decode_jpeg(read_file(str(photo)), mode=ImageReadMode.RGB)
    resized = functional.resize(planes, [plain.resize_px], antialias=True)
    return functional.center_crop(resized, [plain.crop_px, plain.crop_px]).permute(1, 2, 0).contiguous().numpy()


FASTER = {"Pillow with draft": drafted, "torchvision's decoder, Pillow's resize": turbo, "torchvision on tensors": tensors}


def seconds_of(call: Callable[[Path], Any], photos: Sequence[Path]) -> float:
    """Of all photographs, one after the other."""
    began = time.perf_counter()
    for photo in photos:
        call(photo)
    return time.perf_counter() - began


def race(calls: dict[str, Callable[[Path], Any]], photos: Sequence[Path], rounds: int) -> dict[str, list[float]]:
    """Name to milliseconds a photograph, one figure a round."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name in random.sample(list(calls), len(calls)):
            seconds = seconds_of(calls[name], photos)
            if number:  # the first round warms files, allocators and kernels
                took[name].append(1000 * seconds / len(photos))
    return took


def enlarged(photos: Sequence[Path], long_side_px: int, into: Path) -> list[Path]:
    """The same pictures with so long a side, as JPEG files of quality 90."""
    made = []
    for number, photo in enumerate(photos):
        image = Image.open(photo).convert("RGB")
        scale = long_side_px / max(image.size)
        image.resize((round(image.width * scale), round(image.height * scale))).save(into / f"{number}.jpg", quality=90)
        made.append(into / f"{number}.jpg")
    return made


def main(kit: str, folder: str, rounds: str = "20", long_side_px: str = "0") -> None:
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    photos = random.Random(0).sample(paths, min(PHOTOGRAPHS, len(paths)))
    with tempfile.TemporaryDirectory() as place:
        compare(kit, enlarged(photos, int(long_side_px), Path(place)) if int(long_side_px) else photos, int(rounds))


def compare(kit: str, photos: Sequence[Path], rounds: int) -> None:
    """Race and print."""
    ours = Classifier(kit)
    script = SCRIPTS[Kit.open(Path(kit)).manifest.session.module](kit)
    for photo in photos:
        assert np.array_equal(ours.pixels(photo), script.pixels(photo)), f"{photo}: the script's pixels are others"
    took = race({"ours": ours.predict, "script": script.predict}, photos, rounds)
    ratio = ratio_interval(took["ours"], took["script"])
    of_each = ", ".join(f"{name} {statistics.median(times):.3f}" for name, times in took.items())
    print(f"{len(photos)} photographs, ms each: {of_each}")
    print(f"ratio {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] (98 %)" if ratio else "too few rounds for a ratio")
    ways: dict[str, Callable[[Path], Any]] = {"edgecnn": ours.pixels, "Pillow by hand": script.pixels}
    ways.update({name: partial(way, script) for name, way in FASTER.items()})
    for name, times in race(ways, photos, rounds).items():
        far = [np.abs(ways[name](photo).astype(int) - ours.pixels(photo)) for photo in photos]
        worst, mean = max(int(one.max()) for one in far), statistics.fmean(float(one.mean()) for one in far)
        print(f"pixels by {name}: {statistics.median(times):.3f} ms; levels apart: {mean:.2f} on average, {worst} at most")


if __name__ == "__main__":
    main(*sys.argv[1:])
