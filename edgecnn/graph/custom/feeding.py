"""Runs a custom file as it came: pixels in, fed in one way or another, its own answers out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from edgecnn.errors.custom_model import CustomModelUnusable
from edgecnn.values.custom_model import Feeding, GraphEntry

BATCH = 16


class CustomSession:
    """The file in ONNX Runtime with its plainest kernels: what it answers here is what is held to be right.

    Raises CustomModelUnusable: the runtime cannot open it.
    """

    def __init__(self, path: Path, entry: GraphEntry) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 4
        self._path, self._entry = path, entry
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - its exceptions share no class but Exception
            raise CustomModelUnusable(path=path, because=f"ONNX Runtime cannot open it: {_line(error)}") from error

    def answers(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        """The file's own output, float32 (N, classes), to pixels uint8 (N, H, W, 3).

        Raises CustomModelUnusable: the runtime cannot run it.
        """
        size = self._entry.batch or BATCH
        parts = []
        for start in range(0, len(pixels), size):
            some = pixels[start : start + size]
            short = size - len(some) if self._entry.batch else 0
            feed = feed_of(np.concatenate([some, np.repeat(some[-1:], short, axis=0)]) if short else some, feeding, self._entry)
            try:
                answer = self._session.run([self._entry.output], {self._entry.input: feed})[0]
            except Exception as error:  # noqa: BLE001 - as above
                raise CustomModelUnusable(path=self._path, because=f"ONNX Runtime cannot run it: {_line(error)}") from error
            parts.append(np.asarray(answer, np.float32)[: len(some)])
        return np.concatenate(parts)


def feed_of(pixels: npt.NDArray[np.uint8], feeding: Feeding, entry: GraphEntry) -> npt.NDArray[np.generic]:
    """Pixels uint8 (N, H, W, 3) in RGB as the file wants them."""
    whole = feeding.normalization.feed(pixels, "uint8" if entry.dtype == "uint8" else "float32", entry.layout)
    if feeding.channels == "bgr":
        whole = np.flip(whole, axis=1 if entry.layout == "NCHW" else 3)
    return np.ascontiguousarray(whole.astype(entry.dtype, copy=False))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
