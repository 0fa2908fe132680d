"""MNN's converter and quantizer, as its documentation has them, by the Python of the environment that it is installed in.

    MNN/bin/python mnn_way.py MODEL.onnx OUT.mnn [SETTINGS.json]

converts an ONNX file; with the settings of ``mnnquant`` it is quantized too. Nothing of edgecnn is imported here. The compiled
tools are called without MNN's command lines, which install a package and send records of their use.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

INPUT, OUTPUT = "image", "logits"


def convert(model: str, out: str, settings: str | None = None) -> None:
    """Write a ``.mnn`` file."""
    import _tools  # type: ignore[import-not-found]

    whole = out if settings is None else f"{out}.float"
    _tools.mnnconvert(
        ["mnnconvert", "-f", "ONNX", "--modelFile", model, "--MNNModel", whole, "--bizCode", "ladder", "--batch", "1"]
    )
    if settings is not None:
        _tools.mnnquant(["mnnquant", whole, out, settings])
        Path(whole).unlink()
    if not Path(out).is_file():
        raise SystemExit("MNN left no file")


def opened(path: Path, threads: int) -> Any:
    """A call from float32 (N, 3, H, W) to logits, one image at a time."""
    import MNN.expr as expressions  # type: ignore[import-not-found]
    import MNN.nn as networks  # type: ignore[import-not-found]

    runtime = networks.create_runtime_manager(({"backend": "CPU", "numThread": threads},))
    network = networks.load_module_from_file(str(path), [INPUT], [OUTPUT], runtime_manager=runtime)

    def one(image: Any) -> Any:
        logits = network.forward(expressions.const(image, list(image.shape), expressions.NCHW))
        return np.array(expressions.convert(logits, expressions.NCHW).read())

    return lambda feed: np.concatenate([one(feed[index : index + 1]) for index in range(len(feed))])


if __name__ == "__main__":
    convert(*sys.argv[1:])
