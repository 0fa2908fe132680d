"""A pipeline of scikit-learn, StandardScaler and a perceptron, by skl2onnx.

PYTHON sklearn_file.py sklearn WORK
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx  # type: ignore[import-not-found]
from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-not-found]
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(work: Path) -> None:
    with np.load(work / "grey.npz") as file:
        levels, labels = file["images"].reshape(-1, 784).astype(np.float32), file["labels"]
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((128,), alpha=1.0, max_iter=15, random_state=0)).fit(levels, labels)
    made = to_onnx(
        pipeline,
        initial_types=[("pixels", FloatTensorType([1, 784]))],
        options={"zipmap": False},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    importlib.import_module("joined").write([made], work / "sklearn.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[2]))
