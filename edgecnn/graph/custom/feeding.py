"""Run an unchanged custom file: feed pixels in the file's way, and return its own outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from edgecnn.errors.custom_model import custom_model_unusable
from edgecnn.errors.wording import plural, reason_in
from edgecnn.graph.checks import Level, session_of
from edgecnn.graph.custom.form import SCORES
from edgecnn.values.custom_model import Feeding, GraphEntry

_EXPORT = "export it again, and see that onnx.checker.check_model takes it"
_FLOAT = "--model with the float network that it was made from, which is quantized here"
BATCH = 16
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue: ITU-R BT.601, section 2.5.1."""


class CustomSession:
    """The file in ONNX Runtime without fusion. These outputs are the reference.

    Raises CustomModelUnusable: the runtime cannot open it.
    """

    def __init__(self, path: Path, entry: GraphEntry) -> None:
        self._path, self._entry = path, entry
        try:
            self._session = session_of(path, Level.ORT_ENABLE_BASIC)
            if entry.quantized is not None:  # it ships unchanged; ONNX Runtime's fusions support fewer types than its operators
                session_of(path)
        except Exception as error:  # noqa: BLE001 - its exceptions share no class but Exception
            because = f"ONNX Runtime cannot open it (version {onnxruntime.__version__}): {reason_in(error)}"
            raise custom_model_unusable(
                path=path, because=because, hint=_EXPORT if entry.quantized is None else _FLOAT
            ) from error

    def answers(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        """Return the file's output, float32 (N, classes), for pixels uint8 (N, H, W, 3). Integers are scaled to floats.

        Raises CustomModelUnusable: the runtime cannot run it.
        """

        def run(feed: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
            try:
                answer = np.asarray(self._session.run([self._entry.output], {self._entry.input: feed})[0], np.float32)
            except Exception as error:  # noqa: BLE001 - as above
                because = f"ONNX Runtime cannot run it: {reason_in(error)}"
                raise custom_model_unusable(path=self._path, because=because) from error
            if (steps := self._entry.output_steps) is not None:
                answer = (answer - np.float32(steps.zero)) * np.float32(steps.scale)
            return shares_by_class(answer, len(feed), self._entry, self._path)

        return run_in_batches(pixels, feeding, self._entry, run, always_full=False)


def shares_by_class(answer: npt.NDArray[np.float32], images: int, entry: GraphEntry, path: Path) -> npt.NDArray[np.float32]:
    """Return a file's output as (images, classes). A single probability becomes those of both classes.

    Raises CustomModelUnusable: the output has another number of elements.
    """
    if answer.size != images * (1 if entry.one_share else entry.classes) or not answer.ndim or len(answer) != images:
        shape = "×".join(map(str, answer.shape)) or "one number"
        raise custom_model_unusable(path=path, because=f"it answers {images} {plural(images, 'image')} with {shape}", hint=SCORES)
    rows = answer.reshape(images, -1)
    return np.concatenate([1 - rows, rows], axis=1) if entry.one_share else rows


def run_in_batches(
    pixels: npt.NDArray[np.uint8],
    feeding: Feeding,
    entry: GraphEntry,
    run: Callable[[npt.NDArray[np.generic]], npt.NDArray[np.float32]],
    *,
    always_full: bool,
) -> npt.NDArray[np.float32]:
    """Run pixels uint8 (N, H, W, 3) in batches. The last batch is filled up if the file has a fixed batch size.

    ``always_full``: fill it up in any case.
    """
    size = entry.batch or BATCH
    parts = []
    for start in range(0, len(pixels), size):
        some = pixels[start : start + size]
        short = size - len(some) if entry.batch or always_full else 0
        filled = np.concatenate([some, np.repeat(some[-1:], short, axis=0)]) if short else some
        parts.append(run(feed_of(filled, feeding, entry))[: len(some)])
    return np.concatenate(parts)


def feed_of(pixels: npt.NDArray[np.uint8], feeding: Feeding, entry: GraphEntry) -> npt.NDArray[np.generic]:
    """Convert pixels uint8 (N, H, W, 3) in RGB to the file's input."""
    axis = 1 if entry.layout == "NCHW" else 3
    whole = feeding.normalization.feed(pixels, "uint8" if entry.dtype == "uint8" else "float32", entry.layout)
    if feeding.channels == "bgr":
        whole = np.flip(whole, axis=axis)
    elif feeding.channels == "grey":
        whole = np.expand_dims(np.tensordot(LUMA, whole.astype(np.float32), axes=(0, axis)), axis)
        whole = whole.round() if entry.dtype == "uint8" else whole
    return np.ascontiguousarray(whole.astype(entry.dtype, copy=False))
