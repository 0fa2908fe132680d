"""The embedded demo: 15,000 images of Fashion-MNIST (MIT, see LICENSE next to this file), so a first build needs no data.

``fashion-mnist.npz`` holds ``images`` uint8 (15000, 28, 28) and ``labels`` uint8 (15000,): the first 500 images of each class of
the training files, then the 10,000 images of the test files, both in file order. Of the former, 400 a class are for training and
100 for validation; the latter are for the report. It was made from the four IDX files, Debian's package
``dataset-fashion-mnist``, with::

    def idx(name, header):
        with gzip.open(folder / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    train, train_labels = idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), idx("train-labels-idx1-ubyte.gz", 8)
    test, test_labels = idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), idx("t10k-labels-idx1-ubyte.gz", 8)
    of_class = [np.flatnonzero(train_labels == label) for label in range(10)]
    first = np.sort(np.concatenate([indices[:400] for indices in of_class]))
    next_ = np.sort(np.concatenate([indices[400:500] for indices in of_class]))
    np.savez_compressed(
        "fashion-mnist.npz",
        images=np.concatenate([train[first], train[next_], test]),
        labels=np.concatenate([train_labels[first], train_labels[next_], test_labels]),
    )

No two of these images have the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgecnn.data.split_names import Part

DEMO: Final = "demo"
"""The data path of these images; ``./demo`` is a folder of that name."""
DEMO_FILE: Final = Path(__file__).resolve().parent / "fashion-mnist.npz"
DEMO_CLASSES: Final = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
"""Class names in label order, which is not alphabetical."""

DEMO_PARTS: Final[tuple[tuple[Part, int], ...]] = (("train", 4000), ("validation", 1000), ("test", 10000))
"""Consecutive ranges of the file, by the name of their split."""
