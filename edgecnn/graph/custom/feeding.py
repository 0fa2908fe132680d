"""Run a custom file unchanged: convert pixels to its input format, and return its own outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from edgecnn.errors.custom_model import custom_model_unusable
from edgecnn.errors.wording import plural, reason_in
from edgecnn.graph.checks import Level, session_of
from edgecnn.graph.custom.form import SCORES
from edgecnn.graph.custom.onnx_entry import read_model
from edgecnn.graph.onnx_file import IR_VERSION
from edgecnn.values.custom_model import Feeding, GraphEntry

_EXPORT = "export it again, and check it with onnx.checker.check_model"
_FLOAT = "pass --model the float network that it was made from; edgecnn quantizes it"
BATCH = 16
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue: ITU-R BT.601, section 2.5.1."""


class CustomSession:
    """The file in ONNX Runtime with its reference-level kernels. Its outputs are the reference for everything made from the file.

    Raises CustomModelUnusable: the runtime cannot open it.
    """

    def __init__(self, path: Path, entry: GraphEntry) -> None:
        self._path, self._entry = path, entry
        try:
            self._session = _session_of_file(path, Level.ORT_ENABLE_BASIC)
            # its operators ship unchanged, and ONNX Runtime's fusions support fewer types than its operators
            if entry.quantized is not None:
                _session_of_file(path, Level.ORT_ENABLE_ALL)
        except Exception as error:  # noqa: BLE001 - its exceptions share no class but Exception
            because = f"ONNX Runtime cannot open it (version {onnxruntime.__version__}): {reason_in(error)}"
            raise custom_model_unusable(
                path=path, because=because, hint=_EXPORT if entry.quantized is None else _FLOAT
            ) from error

    def answers(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        """Return the file's output, float32 (N, classes), for pixels uint8 (N, H, W, 3); integers are dequantized.

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
            return rows_of_scores(answer, len(feed), self._entry, self._path)

        return run_in_batches(pixels, feeding, self._entry, run, always_full=False)


def _session_of_file(path: Path, level: Any) -> onnxruntime.InferenceSession:
    """Return a session of a file. If ONNX Runtime cannot open it, try again with the IR version of the trunk.

    ``onnx`` 1.23 writes IR 14 by default. ONNX Runtime 1.31 refuses that version, although it supports the operators.
    """
    try:
        return session_of(path, level)
    except Exception:
        model = read_model(path)
        if model.ir_version <= IR_VERSION:
            raise
        model.ir_version = IR_VERSION
        return session_of(model, level)


def rows_of_scores(answer: npt.NDArray[np.float32], images: int, entry: GraphEntry, path: Path) -> npt.NDArray[np.float32]:
    """Return a file's outputs as (images, classes), whatever their shape; one probability becomes those of both classes.

    Raises CustomModelUnusable: the number of outputs does not fit.
    """
    if answer.size != images * (1 if entry.one_share else entry.classes) or not answer.ndim or len(answer) != images:
        shape = "×".join(map(str, answer.shape)) or "one number"
        raise custom_model_unusable(
            path=path, because=f"its output for {images} {plural(images, 'image')} is {shape}", hint=SCORES
        )
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
    """Apply ``run`` to pixels uint8 (N, H, W, 3) in batches; the last is padded if the file fixes the batch size.

    ``always_full``: pad it even if the batch size is open.
    """
    size = entry.batch or BATCH
    parts = []
    for start in range(0, len(pixels), size):
        some = pixels[start : start + size]
        short = size - len(some) if entry.batch or always_full else 0
        filled = np.concatenate([some, np.repeat(some[-1:], short, axis=0)]) if short else some
        parts.append(run(to_input_format(filled, feeding, entry))[: len(some)])
    return np.concatenate(parts)


def to_input_format(pixels: npt.NDArray[np.uint8], feeding: Feeding, entry: GraphEntry) -> npt.NDArray[np.generic]:
    """Convert RGB pixels uint8 (N, H, W, 3) to the file's input format."""
    axis = 1 if entry.layout == "NCHW" else 3
    whole = feeding.normalization.feed(pixels, "uint8" if entry.dtype == "uint8" else "float32", entry.layout)
    if feeding.channels == "bgr":
        whole = np.flip(whole, axis=axis)
    elif feeding.channels == "grey":
        whole = np.expand_dims(np.tensordot(LUMA, whole.astype(np.float32), axes=(0, axis)), axis)
        whole = whole.round() if entry.dtype == "uint8" else whole
    return np.ascontiguousarray(whole.astype(entry.dtype, copy=False))
