"""Whether a photograph gets the same class here as in the library that its network comes from, from the file to the answer.

    python -m benchmarks.preprocessing_parity PHOTOGRAPHS [--images 200] [--weights ARCH=FILE ...] [--lines FOLDER]

Theirs: the library opens the file, prepares it by its own preset and asks its own network in PyTorch. Ours: the runner's pixels
by the row of the catalogue, and the same network's ONNX in ONNX Runtime, fp32. PHOTOGRAPHS and FOLDER have a sub-folder a class.
A state dict that is given has as many classes as PHOTOGRAPHS; without one weights start at random, and only the pixels tell much.
``--lines`` holds lines of text the right way up and upside down, for the text orientation of the package rapidocr-onnxruntime.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import NOT_A_CLASSIFIER
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.custom.feeding import CustomSession
from edgecnn.graph.custom.onnx_entry import read_entry, read_model
from edgecnn.graph.export import export_onnx
from edgecnn.models.catalogue import all_archs, arch_named, pixel_recipe
from edgecnn.models.preprocessings import usual_named
from edgecnn.models.timm_zoo import recorded_arch, timm_names
from edgecnn.runner.pixel_recipe import RESIZE_MODES, ImageSize
from edgecnn.runner.pixels import decode, to_pixels
from edgecnn.values.arch import ArchSpec
from edgecnn.values.custom_model import Feeding
from edgecnn.values.preprocessing import PreprocessingChoice

BATCH = 20
EXACT = 0.01
"""Levels, 0 to 255: what float32 leaves of a whole one."""
FEW = 8
LEARNED = ("mobilenet-v3-small", "timm:tf_efficientnet_lite0")
OF_RAPIDOCR = "ch_ppocr_mobile_v2.0_cls_infer.onnx"
Floats = NDArray[np.float32]
Photographs = Sequence[tuple[Path, int]]


class Parity(NamedTuple):
    """Of one network, or of one way to its pixels."""

    what: str
    images: int
    same_pixels: int
    levels: float
    """The largest difference of a level, 0 to 255."""
    same: int | None = None
    right: tuple[int, int] | None = None
    """Theirs, and ours."""

    def row(self) -> str:
        answers = ["–", "–"]
        if self.same is not None and self.right is not None:
            theirs, ours = (f"{100 * right / self.images:.1f} %" for right in self.right)
            answers = [f"{self.same} of {self.images} ({100 * self.same / self.images:.1f} %)", f"{theirs}, {ours}"]
        cells = [self.what, f"{self.same_pixels} of {self.images}", f"{self.levels:.1f}", *answers]
        return f"| {' | '.join(cells)} |"


class Preset(NamedTuple):
    """A library's own, for the weights that a row names."""

    prepare: Callable[[Image.Image], torch.Tensor]
    mean: Sequence[float]
    std: Sequence[float]


def preset_of(spec: ArchSpec) -> Preset:
    if spec.origin == "timm":
        recorded = timm.models.get_pretrained_cfg(spec.builder)
        config = timm.data.resolve_data_config({}, pretrained_cfg=recorded.to_dict(), use_test_size=True)
        return Preset(timm.data.create_transform(**config), config["mean"], config["std"])
    assert spec.weights is not None
    made = torchvision.models.get_weight(spec.weights.name).transforms()
    return Preset(made, made.mean, made.std)


def network_of(spec: ArchSpec, classes: int, weights: Path | None) -> torch.nn.Module:
    torch.manual_seed(0)
    if spec.origin == "timm":
        network: torch.nn.Module = timm.create_model(spec.builder, pretrained=False, num_classes=classes)
    else:
        network = torchvision.models.get_model(spec.builder, weights=None, num_classes=classes)
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


class Prepared(NamedTuple):
    """What a network is fed by the library, and by us: float32 (N, 3, H, W) both."""

    theirs: Floats
    ours: Floats
    apart: NDArray[np.float64]
    """The largest difference of each photograph, in levels."""


def prepared(spec: ArchSpec, photographs: Photographs) -> Prepared:
    """torchvision's GoogLeNet and Inception normalize a second time inside: levels are compared and not what they become."""
    preset, recipe = preset_of(spec), pixel_recipe(spec).runner_recipe()
    theirs = np.stack([preset.prepare(Image.open(path).convert("RGB")).numpy() for path, _ in photographs])
    pixels = np.stack([to_pixels(decode(path), recipe) for path, _ in photographs])
    return Prepared(theirs, spec.normalization.feed(pixels), difference(theirs, pixels, preset.mean, preset.std))


def difference(fed: Floats, pixels: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float64]:
    """The largest of each photograph, in levels; what is fed is normalized, float32 (N, 3, H, W)."""
    levels = 255 * (fed.astype(np.float64) * np.reshape(std, (1, 3, 1, 1)) + np.reshape(mean, (1, 3, 1, 1)))
    return np.asarray(np.abs(levels - pixels.transpose(0, 3, 1, 2)).max(axis=(1, 2, 3)))


def compared(spec: ArchSpec, photographs: Photographs, classes: int, weights: Path | None) -> Parity:
    """Pixels and answers."""
    network = network_of(spec, classes, weights)
    apart: list[NDArray[Any]] = []
    answers: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        file = Path(folder, "network.onnx")
        export_onnx(network, spec.resolution_px, file)
        for start in range(0, len(photographs), BATCH):
            theirs, ours, levels = prepared(spec, photographs[start : start + BATCH])
            apart.append(levels)
            answers[0].append(network(torch.from_numpy(theirs)).argmax(1).numpy())
            answers[1].append(onnx_logits(file, ours).argmax(1))
    first, second = (np.concatenate(answer) for answer in answers)
    return counted(spec.name, np.concatenate(apart), first, second, photographs)


def counted(what: str, apart: NDArray[Any], theirs: NDArray[Any], ours: NDArray[Any], photographs: Photographs) -> Parity:
    labels = np.array([label for _, label in photographs])
    right = int((theirs == labels).sum()), int((ours == labels).sum())
    return Parity(what, len(labels), int((apart < EXACT).sum()), float(apart.max()), int((theirs == ours).sum()), right)


def pixels_alone(library: str, rows: Sequence[ArchSpec], photographs: Photographs) -> Parity:
    """Of all networks of a library; those that share a way to the pixels are compared once."""
    specs = {pixel_recipe(spec): spec for spec in rows}
    apart = np.concatenate([prepared(spec, photographs).apart for spec in specs.values()])
    what = f"{library}: {len(rows):,} networks, in {len(specs)} ways, {len(photographs)} photographs each"
    return Parity(what, len(apart), int((apart < EXACT).sum()), float(apart.max()))


def rapidocr_parity(lines: Photographs) -> list[Parity]:
    """By each way that is tried of a custom file, against the package's own class around its own file."""
    package = importlib.import_module("rapidocr_onnxruntime")
    own = importlib.import_module("rapidocr_onnxruntime.ch_ppocr_cls.text_cls")
    path = Path(package.__file__ or "").parent / "models" / OF_RAPIDOCR
    names = ["0", "180"]
    settings = {"cls_image_shape": [3, 48, 192], "cls_batch_num": 6, "cls_thresh": 0.9, "label_list": names}
    theirs = own.TextClassifier({**settings, "model_path": str(path), "use_cuda": False, "use_dml": False})
    pictures = [np.ascontiguousarray(np.asarray(decode(line))[..., ::-1]) for line, _ in lines]  # blue first, as OpenCV reads
    fed = np.stack([theirs.resize_norm_img(picture) for picture in pictures])
    indices = np.array([names.index(label) for label, _ in theirs(pictures)[1]])
    entry, half = read_entry(read_model(path), path, ImageSize(48, 192)), usual_named("half").normalization
    made = []
    for mode in RESIZE_MODES:
        recipe = PreprocessingChoice(resize=mode).shaped(entry.resolution_px, entry.resolution_px, half, "bilinear")
        feeding = Feeding(name="half", pixels=recipe, normalization=half, channels="bgr")
        pixels = np.stack([to_pixels(decode(line), recipe.runner_recipe()) for line, _ in lines])
        ours = CustomSession(path, entry).answers(pixels, feeding).argmax(axis=1)
        apart = difference(np.flip(fed, axis=1), pixels, half.mean, half.std)
        made.append(counted(f"{OF_RAPIDOCR}, {recipe.describe()}", apart, indices, ours, lines))
    return made


def labelled(folder: Path, most: int) -> tuple[list[tuple[Path, int]], int]:
    """So many photographs, spread evenly over all of a folder's, each with its class; and how many classes there are."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    every = [(file, place) for place, name in enumerate(names) for file in sorted((folder / name).rglob("*")) if file.is_file()]
    chosen = np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(int)
    return [every[place] for place in chosen], len(names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--weights", action="append", default=[], metavar="ARCH=FILE")
    parser.add_argument("--lines", type=Path)
    options = parser.parse_args()
    photographs, classes = labelled(options.photographs, options.images)
    weights = {arch: Path(file) for arch, _, file in (option.partition("=") for option in options.weights)}
    print("| network | same pixels | largest difference, levels | same top-1 | right: theirs, ours |")
    print("| --- | --- | --- | --- | --- |")
    for name in dict.fromkeys([*weights, *LEARNED]):
        print(compared(arch_named(name), photographs, classes, weights.get(name)).row(), flush=True)
    if options.lines is not None:
        for parity in rapidocr_parity(labelled(options.lines, options.images)[0]):
            print(parity.row(), flush=True)
    few = photographs[:: max(1, len(photographs) // FEW)][:FEW]
    published = [spec for spec in all_archs() if spec.weights is not None and spec.weights.origin == "torchvision"]
    recorded = [spec for name in timm_names("*") if (spec := row_named(name)) is not None]
    for library, rows in (("torchvision", published), ("timm", recorded)):
        print(pixels_alone(library, rows, few).row(), flush=True)


def row_named(name: str) -> ArchSpec | None:
    """The row of a network of timm's; None of one that looks at no photographs of three colours."""
    try:
        return recorded_arch(name)
    except EdgecnnError as error:
        if not NOT_A_CLASSIFIER.made(error):
            raise
        return None


if __name__ == "__main__":
    main()
