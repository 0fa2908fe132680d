"""Rivals in an environment of their own: their packages ask for other versions than edgecnn's."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.ladder.rival import CALIBRATION_IMAGES, THREADS, Call, Network, torch_module


def olive_int8(network: Network, out: Path) -> None:
    """``olive quantize`` in the environment that Olive is installed in."""
    images = _calibration_file(network, out)
    _by(network.olive_python, "olive_pass.py", network.onnx, images, out / "model.onnx")
    images.unlink()


def _calibration_file(network: Network, out: Path) -> Path:
    np.save(out / "calibration.npy", np.concatenate(list(network.calibration())))
    return out / "calibration.npy"


def _by(python: str, script: str, *words: Path | str) -> None:
    """Run a script of this folder by the Python of another environment. Raises RuntimeError: it failed."""
    command = [python, str(Path(__file__).with_name(script)), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1100)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise RuntimeError(f"{script.partition('_')[0]}: {last}")


def executorch_fp32(network: Network, out: Path) -> None:
    """``torch.export`` here; ``to_edge_transform_and_lower`` with the XNNPACK partitioner there."""
    _by(network.executorch_python, "executorch_way.py", _program(network, out), out / "model.pte")
    (out / "program.pt2").unlink()


def executorch_int8(network: Network, out: Path) -> None:
    """``prepare_pt2e`` and ``convert_pt2e`` with the XNNPACK quantizer before that."""
    images = _calibration_file(network, out)
    _by(network.executorch_python, "executorch_way.py", _program(network, out), out / "model.pte", images)
    for file in (images, out / "program.pt2"):
        file.unlink()


def _program(network: Network, out: Path) -> Path:
    import torch

    example = torch.zeros(1, 3, network.side_px, network.side_px)
    torch.export.save(torch.export.export(torch_module(network), (example,)), out / "program.pt2")
    return out / "program.pt2"


def executorch_on(path: Path) -> Call:
    """The file's ``forward``, by ``executorch.runtime``."""
    from benchmarks.ladder.executorch_way import opened

    call: Call = opened(path, THREADS)
    return call


def mnn_fp32(network: Network, out: Path) -> None:
    """``MNNConvert`` with its defaults, for a batch of one."""
    _by(network.mnn_python, "mnn_way.py", network.onnx, out / "model.mnn")


def mnn_int8(network: Network, out: Path) -> None:
    """``mnnquant`` of that: EMA for activations, since its default (KL) ends in a segmentation fault in MNN 3.6.1."""
    from PIL import Image

    pixels = network.feed("calibration")[:CALIBRATION_IMAGES]
    with tempfile.TemporaryDirectory() as name:
        for index, image in enumerate(pixels):
            Image.fromarray(image).save(Path(name) / f"{index:03}.png")
        settings = {
            "format": "RGB",
            "mean": [255 * mean for mean in network.mean],
            "normal": [1 / (255 * std) for std in network.std],
            "width": network.side_px,
            "height": network.side_px,
            "path": f"{name}/",
            "used_image_num": len(pixels),
            "feature_quantize_method": "EMA",
            "weight_quantize_method": "MAX_ABS",
        }
        (out / "settings.json").write_text(json.dumps(settings))
        _by(network.mnn_python, "mnn_way.py", network.onnx, out / "model.mnn", out / "settings.json")


def mnn_on(path: Path) -> Call:
    """A module with a runtime manager of two threads."""
    from benchmarks.ladder.mnn_way import opened

    call: Call = opened(path, THREADS)
    return call
