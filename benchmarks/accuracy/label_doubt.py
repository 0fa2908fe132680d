"""How well `edgecnn data doubt` finds flipped labels, and how often its learning curve is right.

python -m benchmarks.accuracy.label_doubt BUILD

BUILD: a finished build of labelled images. Labels are flipped after the network was trained, so a network whose whole body was
trained (`--transfer all`) is judged too well here; one with a trained head alone (`--transfer head`) is judged as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.images import open_source
from edgecnn.render.progress import Quiet
from edgecnn.results.finished import built_network
from edgecnn.store.store import Store
from edgecnn.studies.doubt import image_features
from edgecnn.training.label_doubt import doubts_of, forecast, probe
from edgecnn.values.dataset import SplitRole

FLIPPED, LISTED = 0.05, 0.075
"""Shares of the images: flipped labels, and the first part of the list in which they are counted."""
SEEDS = 3
ROLES: tuple[SplitRole, ...] = ("train", "calibration", "validation")
CURVES = {1 / 8: 20, 1 / 4: 20, 1 / 2: 20}
"""Shares of the images, each with a number of random subsets."""


def main(build: Path) -> None:
    """Print the share of flipped labels that are found, and of curves that are right."""
    store = Store.open()
    network = built_network(build, store)
    source = open_source(Path(network.resolved.data.manifest_path))
    labels = source.labels([entry for role in ROLES for entry in source.entries(role)])
    features = np.load(image_features(network, ROLES, store, Quiet()).folder / "features.npy")
    print(f"{len(labels):,} images, {len(source.classes)} classes, {network.report.build.arch}")
    print("seed  flipped  in the first 7.5 %  doubted  of them flipped  right class suggested")
    for seed in range(SEEDS):
        print(flips(features, labels, seed))
    cases = [curve(features, labels, share, seed) for share, seeds in CURVES.items() for seed in range(seeds)]
    print("images  forecast at twice [90 %]  observed")
    for images, (middle, low, high), observed in cases:
        print(f"{images:6,}  {middle:.1%} [{low:.1%}, {high:.1%}]  {observed:.1%}  {'in' if low <= observed <= high else 'out'}")
    inside = sum(low <= observed <= high for _, (_, low, high), observed in cases)
    width = float(np.median([high - low for _, (_, low, high), _ in cases]))
    print(f"observed inside the interval: {inside} of {len(cases)}; median width {100 * width:.1f} pp")


def flips(features: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> str:
    """Return one row of the table: labels are flipped evenly to the other classes."""
    random, classes = np.random.default_rng(seed), int(labels.max()) + 1
    wrong = random.choice(len(labels), round(FLIPPED * len(labels)), replace=False)
    noisy = labels.copy()
    noisy[wrong] = (noisy[wrong] + random.integers(1, classes, len(wrong))) % classes
    probed = probe(features, noisy, np.arange(len(labels)), seed, lambda done, fits: None)
    doubts = doubts_of(probed.probabilities, noisy, np.ones(len(labels), bool))
    listed = np.isin(wrong, doubts.order[: round(LISTED * len(labels))]).mean()
    caught = wrong[doubts.doubted[wrong]]
    suggested = (doubts.suggested[caught] == labels[caught]).mean()
    count = int(doubts.doubted.sum())
    return f"{seed:4}  {len(wrong):7}  {listed:18.1%}  {count:7}  {len(caught) / count:15.1%}  {suggested:21.1%}"


def curve(
    features: NDArray[np.float32], labels: NDArray[np.int64], share: float, seed: int
) -> tuple[int, tuple[float, float, float], float]:
    """Return the images of a random share, the forecast for twice as many, and the accuracy of a superset of that size."""
    order = np.random.default_rng(seed).permutation(len(labels))
    images = round(share * len(labels))

    def right(count: int) -> NDArray[np.bool_]:
        chosen = order[:count]
        return probe(features[chosen], labels[chosen], np.arange(count), seed, lambda done, fits: None).smaller

    observed = float(right(2 * images)[-1].mean())
    return images, forecast(right(images), np.arange(images), 2.0, seed).accuracy, observed


if __name__ == "__main__":
    main(Path(sys.argv[1]))
