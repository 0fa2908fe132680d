"""Builds small real kits: a convolutional network with fixed weights, the runner's own source, golden inputs and a manifest.

``make_kit(tmp_path)`` is enough for most tests; ``rewrite_manifest`` and ``reseal`` edit a kit as its packager would.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import edgecnn.runner
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.golden import feed_sha256, golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe, decode, pixels_sha256, to_pixels
from edgecnn.runner.sessions import open_session

SIDE = 32
CLASSES = 4
SESSIONS = {
    "onnxruntime": ("onnxruntime_cpu", {"threads": "1"}, {"onnxruntime": ">=1.19,<2"}),
    "openvino": ("openvino_cpu", {"threads": "1", "INFERENCE_PRECISION_HINT": "f32"}, {"openvino": ">=2024"}),
}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def make_kit(
    folder: Path, runtime: str = "onnxruntime", *, name: str = "small", width: int = 8, depth: int = 1, side: int = SIDE
) -> Path:
    """A complete kit in ``folder / name`` whose golden logits come from its own runtime on this machine.

    Args:
        folder: an existing folder.
        runtime: ``onnxruntime`` or ``openvino``; both run the same ONNX file.
        name: of the kit and its folder.
        width, depth: channels and number of 3x3 convolutions; more take longer.
        side: of its pixels.
    """
    kit = folder / name
    (kit / "golden").mkdir(parents=True)
    onnx.save(network(width, depth, side), kit / "model.onnx")
    copy_runner(kit)
    module, options, packages = SESSIONS[runtime]
    manifest: dict[str, Any] = {
        "schema": "edgecnn.kit/1",
        "name": name,
        "candidate": {"id": f"{runtime}-fp32", "runtime": runtime, "precision": "fp32"},
        "session": {"module": module, "options": options},
        "model": {
            "entry": "model.onnx",
            "files": ["model.onnx"],
            "input": {"name": "image", "dtype": "float32", "layout": "NCHW"},
            "output": {"name": "logits", "classes": CLASSES},
            "batch_max": 64,
        },
        "preprocessing": {
            "pixels": {"resize_px": side + 4, "crop_px": side, "interpolation": "bicubic"},
            "normalization": {"mean": MEAN, "std": STD},
        },
        "labels": [f"class {index}" for index in range(CLASSES)],
        "golden": write_golden(kit, PixelRecipe(ImageSize.square(side + 4), ImageSize.square(side), "bicubic")),
        "requirements": {"python": ">=3.8", "packages": packages, "machines": ["x86_64", "aarch64"]},
        "stands_for": None,
        "engine": None,
    }
    np.save(kit / "golden/logits.npy", np.zeros((2, CLASSES), np.float32))
    seal(kit, manifest)
    opened = Kit.open(kit)
    manifest["golden"]["feed_sha256"] = feed_sha256(feed_of(opened, golden_pixels(opened))["image"])
    np.save(kit / "golden/logits.npy", logits_of(kit))
    seal(kit, manifest)
    return kit


def network(width: int = 8, depth: int = 1, side: int = SIDE) -> onnx.ModelProto:
    """3x3 convolutions with ReLU, global average, Gemm; weights from a fixed seed; batch free."""
    random = np.random.default_rng(0)
    nodes, weights, before, channels = [], [], "image", 3
    for index in range(depth):
        shape = (width, channels, 3, 3)
        kernel = random.normal(0, (2.0 / (channels * 9)) ** 0.5, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{index}"))
        nodes += [
            helper.make_node("Conv", [before, f"w{index}"], [f"c{index}"], name=f"conv{index}", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"], name=f"relu{index}"),
        ]
        before, channels = f"r{index}", width
    weights.append(numpy_helper.from_array(random.normal(0, 1, (CLASSES, width)).astype(np.float32), "head"))
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "head"], ["logits"], name="classifier", transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, side, side])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "small", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def colour_card() -> NDArray[np.uint8]:
    """A coloured picture without any symmetry, uint8 (40, 56, 3)."""
    card = np.zeros((40, 56, 3), np.uint8)
    card[..., 0] = np.linspace(255, 120, 56).astype(np.uint8)
    card[:20, :, 1] = 60
    card[5:12, 30:50] = (20, 20, 250)
    card[::3, ::2, 2] = 90
    return card


def write_golden(kit: Path, recipe: PixelRecipe) -> dict[str, Any]:
    """Two PNGs and a JPEG into ``golden/``; the manifest's ``golden``."""
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    pictures = []
    for name, picture in (("card", colour_card()), ("0", noise)):
        Image.fromarray(picture).save(kit / f"golden/{name}.png")
        pixels = to_pixels(decode(kit / f"golden/{name}.png"), recipe)
        pictures.append({"file": f"golden/{name}.png", "pixels_sha256": pixels_sha256(pixels)})
    Image.fromarray(colour_card()).save(kit / "golden/photo.jpg", quality=92)
    Image.fromarray(to_pixels(decode(kit / "golden/photo.jpg"), recipe)).save(kit / "golden/photo.pixels.png")
    photo = {"file": "golden/photo.jpg", "pixels": "golden/photo.pixels.png", "max_levels": 2}
    return {"png": pictures, "jpeg": photo, "feed_sha256": "0" * 64, "logits": "golden/logits.npy", "logits_tolerance": 0.01}


def logits_of(kit: Path) -> NDArray[np.float32]:
    """The kit's logits of its golden pictures, by its runtime in this process."""
    opened = Kit.open(kit)
    session = open_session(opened)
    try:
        logits: NDArray[np.float32] = session.run(feed_of(opened, golden_pixels(opened)))["logits"]
        return logits
    finally:
        session.close()


def copy_runner(kit: Path) -> None:
    """The runner's source as ``runner/``."""
    source = Path(next(iter(edgecnn.runner.__path__)))
    shutil.copytree(source, kit / "runner", ignore=shutil.ignore_patterns("__pycache__"))


def seal(kit: Path, manifest: dict[str, Any]) -> None:
    """Write ``kit.json`` with the hashes of the files that are there now."""
    files = {}
    for path in sorted(kit.rglob("*")):
        name = path.relative_to(kit).as_posix()
        if path.is_file() and name != "kit.json" and "__pycache__" not in name:
            files[name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    (kit / "kit.json").write_text(json.dumps(dict(manifest, files=files), sort_keys=True, indent=1))


def rewrite_manifest(kit: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Apply a change to ``kit.json`` and hash the kit's files anew."""
    manifest = json.loads((kit / "kit.json").read_text())
    change(manifest)
    seal(kit, manifest)


def write_pixels(path: Path, count: int, seed: int = 0, side: int = SIDE) -> Path:
    """Random pixels for such a kit, uint8 (count, side, side, 3), as ``.npy``."""
    np.save(path, np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    return path
