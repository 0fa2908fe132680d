"""How ONNX Runtime's static quantizer is fed and kept quiet, whatever scheme it is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from onnxruntime.quantization import CalibrationDataReader


class Feeds(CalibrationDataReader):  # type: ignore[misc]
    """Calibration images in batches: ranges are extremes, which do not depend on how images are grouped."""

    def __init__(self, name: str, feeds: Iterator[npt.NDArray[np.float32]]) -> None:
        self._name = name
        self._feeds = feeds

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """One batch, or None at the end."""
        feed = next(self._feeds, None)
        return None if feed is None else {self._name: feed}


@contextmanager
def quiet_about_preprocessing() -> Iterator[None]:
    """The library advises shape inference and folding for every model; the exporter has done both."""
    root = logging.getLogger()
    root.addFilter(_is_no_advice)
    try:
        yield
    finally:
        root.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
