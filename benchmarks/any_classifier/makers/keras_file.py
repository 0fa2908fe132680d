"""A small network of Keras, channels last and one of them, by tf2onnx.

PYTHON keras_file.py keras WORK
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
import tf2onnx  # type: ignore[import-not-found]


def main(work: Path) -> None:
    with np.load(work / "grey.npz") as file:
        images, labels = file["images"][..., None].astype(np.float32) / 255, file["labels"]
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    network = tf.keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(32, 1, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(images, labels, epochs=12, batch_size=32, verbose=2)
    called = tf.function(lambda picture: network(picture, training=False))
    signature = [tf.TensorSpec((None, 28, 28, 1), tf.float32, name="image")]
    tf2onnx.convert.from_function(called, input_signature=signature, opset=17, output_path=str(work / "keras.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[2]))
