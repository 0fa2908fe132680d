"""Small trunks and a prepared folder, made once a test run: random weights whose batch norms have seen images."""

from __future__ import annotations

import atexit
import copy
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torchvision

from edgecnn.data.prepared import draw_card
from edgecnn.graph.export import export_onnx
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe, to_feed, to_pixels
from edgecnn.values.preprocessing import Normalization
from tests.made_once import made_once

NORMALIZATION = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
RESOLUTION_PX = 64
CLASSES = 10
FITTED = 24


@cache
def scratch() -> Path:
    """A folder for this process, gone when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="edgecnn-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def pictures(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Coloured pictures with large and small structure, uint8 (count, 64, 64, 3)."""
    generator = np.random.default_rng(seed)
    rough = np.kron(generator.integers(0, 256, (count, 4, 4, 3)), np.ones((1, 16, 16, 1)))
    fine = generator.normal(0, 25, (count, RESOLUTION_PX, RESOLUTION_PX, 3))
    return np.clip(rough + fine, 0, 255).astype(np.uint8)


def feed_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Pixels as the trunks want them."""
    return to_feed(pixels, "float32", "NCHW", NORMALIZATION.mean, NORMALIZATION.std)


@cache
def network(name: str) -> torch.nn.Module:
    """A torchvision network whose batch norms hold the statistics of some pictures, so that activations do not vanish."""
    with torch.inference_mode(mode=False):  # whoever asks first, these are parameters that others export and train
        torch.manual_seed(0)
        made = torchvision.models.get_model(name, weights=None, num_classes=CLASSES).train()
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=0.1)
        with torch.no_grad():
            made(torch.from_numpy(feed_of(pictures(32, seed=9))))
        return made.eval()


@cache
def trunk(name: str) -> Path:
    """The exported network."""
    folder = made_once(
        f"trunk-{name}", lambda folder: export_onnx(network(name), ImageSize.square(RESOLUTION_PX), folder / f"{name}.onnx")
    )
    return folder / f"{name}.onnx"


@cache
def fitted_trunk(name: str) -> Path:
    """The exported network with a head by least squares that names picture ``i`` class ``i % CLASSES``, of the first ``FITTED``.

    Random heads name one class for nearly all pictures, or hang between two: neither tells that answers stayed the same.
    """
    folder = made_once(
        f"fitted-trunk-{name}",
        lambda folder: export_onnx(_fitted(name), ImageSize.square(RESOLUTION_PX), folder / f"{name}.onnx"),
    )
    return folder / f"{name}.onnx"


def _fitted(name: str) -> torch.nn.Module:
    made = copy.deepcopy(network(name))
    head = made.get_submodule("fc")
    assert isinstance(head, torch.nn.Linear)
    features: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda _, inputs, answer: features.append(inputs[0]))
    wanted = torch.nn.functional.one_hot(torch.arange(FITTED) % CLASSES, CLASSES).float()
    with torch.no_grad():
        made(torch.from_numpy(feed_of(pictures(FITTED))))
        hook.remove()
        solution = torch.linalg.lstsq(torch.cat([features[0], torch.ones(FITTED, 1)], dim=1), wanted, driver="gelsd").solution
        head.weight.copy_(solution[:-1].T)
        head.bias.copy_(solution[-1])
    return made


@cache
def prepared() -> Path:
    """A folder as ``prepare`` leaves it, as far as export and quantize read it."""
    folder = scratch() / "prepared"
    (folder / "golden").mkdir(parents=True)
    for index, (role, count) in enumerate((("validation", 40), ("calibration", 40))):
        np.save(folder / f"{role}.pixels.npy", pictures(count, seed=index))
        np.save(folder / f"{role}.labels.npy", np.arange(count, dtype=np.int64) * CLASSES // count)
    recipe = PixelRecipe(ImageSize.square(RESOLUTION_PX), ImageSize.square(RESOLUTION_PX), "bicubic")
    np.save(folder / "golden" / "pixels.npy", np.stack([to_pixels(draw_card(recipe), recipe), *pictures(3, seed=7)]))
    (folder / "labels.json").write_text(json.dumps([f"class {index}" for index in range(CLASSES)]))
    return folder
