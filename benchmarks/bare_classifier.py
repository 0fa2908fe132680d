"""One photograph classified as somebody would write it by hand with Pillow, NumPy and a runtime: no check, same pixels and model.

It reads from ``kit.json`` what such a person knows: sizes, mean, standard deviation, names of classes.
Only NumPy and Pillow are imported here; each script imports its runtime when it is made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class PillowPixels:
    """Decode, turn, resize and crop with Pillow."""

    def __init__(self, kit: str) -> None:
        self.about = json.loads(Path(kit, "kit.json").read_text())
        recipe = self.about["preprocessing"]["pixels"]
        self.resize_px, self.crop_px = recipe["resize_px"], recipe["crop_px"]
        self.filter = _FILTERS[recipe["interpolation"]]

    def decoded(self, photo: str | Path) -> Image.Image:
        """Upright RGB."""
        return ImageOps.exif_transpose(Image.open(photo)).convert("RGB")

    def pixels(self, photo: str | Path) -> Any:
        """uint8 (crop_px, crop_px, 3)."""
        return self.cropped(self.decoded(photo))

    def cropped(self, image: Image.Image) -> Any:
        """uint8 (crop_px, crop_px, 3) of a picture of any size."""
        width, height = image.size
        short = min(width, height)
        size = (int(self.resize_px * width / short), int(self.resize_px * height / short))
        left, top = round((size[0] - self.crop_px) / 2), round((size[1] - self.crop_px) / 2)
        resized = image if size == image.size else image.resize(size, self.filter)
        return np.asarray(resized.crop((left, top, left + self.crop_px, top + self.crop_px)))


class Script(PillowPixels):
    """Pixels to the five most probable labels; a subclass has the runtime."""

    def __init__(self, kit: str) -> None:
        super().__init__(kit)
        normalization = self.about["preprocessing"]["normalization"]
        self.mean = np.float32(255) * np.array(normalization["mean"], np.float32)
        self.std = np.float32(255) * np.array(normalization["std"], np.float32)
        self.model = str(Path(kit, self.about["model"]["entry"]))
        self.takes_bytes = self.about["model"]["input"]["dtype"] == "uint8"

    def logits(self, feed: Any) -> Any:
        """float32 (1, classes)."""
        raise NotImplementedError

    def predict(self, photo: str | Path) -> list[tuple[str, float]]:
        """The five most probable labels."""
        return self.classify(self.pixels(photo))

    def classify(self, pixels: Any) -> list[tuple[str, float]]:
        """The five most probable labels of pixels."""
        if self.takes_bytes:
            feed = np.ascontiguousarray(pixels[None])
        else:
            feed = np.ascontiguousarray(((pixels - self.mean) / self.std).transpose(2, 0, 1)[None])
        logits = self.logits(feed)[0]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        return [(self.about["labels"][index], float(shares[index])) for index in np.argsort(-shares)[:5]]


class OnnxRuntimeScript(Script):
    """With ONNX Runtime as it comes, on as many threads as the kit names."""

    def __init__(self, kit: str) -> None:
        super().__init__(kit)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(self.about["session"]["options"].get("threads", "0"))
        self.session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def logits(self, feed: Any) -> Any:
        return self.session.run(None, {self.name: feed})[0]


class OpenVinoScript(Script):
    """With OpenVINO on as many threads, and in the precision, as the kit names."""

    def __init__(self, kit: str) -> None:
        super().__init__(kit)
        import openvino

        settings = self.about["session"]["options"]
        options = {"INFERENCE_PRECISION_HINT": settings.get("INFERENCE_PRECISION_HINT", "f32"), "PERFORMANCE_HINT": "LATENCY"}
        if "threads" in settings:
            options["INFERENCE_NUM_THREADS"] = int(settings["threads"])
        core = openvino.Core()
        network = core.read_model(self.model)
        sizes = [size.get_length() for size in list(network.input(0).partial_shape)[1:]]
        network.reshape({network.input(0).any_name: [1, *sizes]})
        self.compiled = core.compile_model(network, "CPU", options)

    def logits(self, feed: Any) -> Any:
        return self.compiled(feed)[0]


SCRIPTS: dict[str, type[Script]] = {"onnxruntime_cpu": OnnxRuntimeScript, "openvino_cpu": OpenVinoScript}
"""Module of a kit's session to the script."""
