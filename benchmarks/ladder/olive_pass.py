"""Olive's static INT8 pass on one ONNX file: run by the Python of the environment that Olive is installed in.

    OLIVE/bin/python olive_pass.py MODEL.onnx CALIBRATION.npy OUT.onnx

Nothing of edgecnn is imported here. The pass has its own defaults; it is given the calibration images that every tool gets.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnx
from olive.data.registry import Registry  # type: ignore[import-not-found]
from olive.workflows import run  # type: ignore[import-not-found]


class Images:
    """A data set of (input, label) pairs, each a batch of one: the pass hands them on unbatched."""

    def __init__(self, file: str, name: str) -> None:
        self.images = np.load(file, mmap_mode="r")
        self.name = name

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], int]:
        return {self.name: np.array(self.images[index : index + 1])}, 0


@Registry.register_dataset()  # type: ignore[untyped-decorator]
def ladder_images(file: str, name: str, **_: Any) -> Images:
    return Images(file, name)


def main(model: str, calibration: str, out: str) -> None:
    name = onnx.load(model, load_external_data=False).graph.input[0].name
    images = {"type": "ladder_images", "params": {"file": calibration, "name": name}}
    with tempfile.TemporaryDirectory() as folder:
        run(
            {
                "input_model": {"type": "ONNXModel", "model_path": model},
                "data_configs": [
                    {
                        "name": "calibration",
                        "type": "DummyDataContainer",
                        "load_dataset_config": images,
                    }
                ],
                "passes": {"quantize": {"type": "OnnxStaticQuantization", "data_config": "calibration"}},
                "evaluate_input_model": False,
                "output_dir": f"{folder}/out",
                "cache_dir": f"{folder}/cache",
            }
        )
        made = sorted(Path(folder, "out").rglob("*.onnx"))
        if not made:
            raise SystemExit("Olive left no ONNX file")
        shutil.copyfile(made[0], out)


if __name__ == "__main__":
    main(*sys.argv[1:])
