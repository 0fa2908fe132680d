"""The float network of a finished build from the store, with the pixels of its validation images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors.fit import network_gone
from edgecnn.errors.labels import multi_label_not_fitting
from edgecnn.results.finished import again_of, planned
from edgecnn.results.folder import read_report
from edgecnn.results.lineage import TRUNK_KINDS, whole_entry
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.layers import MacTable
from edgecnn.values.report import BuildReport
from edgecnn.values.resolved import Resolved

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


BATCH = 16


@dataclass(frozen=True)
class BuiltNetwork:
    """The source of a build's candidates."""

    folder: Path
    report: BuildReport
    resolved: Resolved
    trunk: Artifact
    prepared: Artifact

    @property
    def model(self) -> Path:
        """The trunk: ``image`` float32 (batch, 3, H, W) to ``logits``."""
        return self.trunk.folder / "model.onnx"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the logits; empty if the images have no labels."""
        return tuple(json.loads((self.prepared.folder / "labels.json").read_text(encoding="utf-8")))

    @property
    def macs(self) -> int:
        """Multiply-adds of the trunk for one image."""
        return MacTable.model_validate_json((self.trunk.folder / "macs.json").read_bytes()).total

    def array(self, name: str) -> NDArray[Any]:
        """Return ``validation.pixels`` or another array of ``prepare``, memory-mapped."""
        import numpy as np

        array: NDArray[Any] = np.load(self.prepared.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return array

    def feed(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return pixels uint8 (n, H, W, 3) in the trunk's input format: float32 (n, 3, H, W)."""
        return self.resolved.preprocessing.normalization.feed(pixels)

    def feeds(self, pixels: NDArray[np.uint8]) -> Iterator[NDArray[Any]]:
        """Yield the same in batches."""
        for start in range(0, len(pixels), BATCH):
            yield self.feed(pixels[start : start + BATCH])


def require_one_label(network: BuiltNetwork, request: str) -> None:
    """Refuse multi-label images. Raises MultiLabelNotFitting: an image has several labels."""
    if network.resolved.data.multi_label:
        because = f"{network.folder} is a build of a multi-label network"
        raise multi_label_not_fitting(setting=request, because=because, hint="choose a build whose images have one class each")


def built_network(folder: Path, store: Store) -> BuiltNetwork:
    """Return the network of the build in ``folder``.

    Raises:
        NoReport, ReportUnreadable, BundleUnreadable, PLAN_OF_ANOTHER_BUILD: the folder's files cannot be used.
        NETWORK_GONE: the store no longer has its sources.
    """
    report = read_report(folder)
    resolved, keys, _ = planned(folder, report.keys, again_of(report))
    trunk = next((artifact for kind in TRUNK_KINDS if (artifact := _stored(store, kind, keys.get("export"))) is not None), None)
    prepared = _stored(store, "prepare", keys.get("prepare"))
    if trunk is None or prepared is None:
        missing = "pixels" if trunk is not None else "network"
        raise network_gone(folder=folder, missing=missing, store=store.root, command=again_of(report))
    return BuiltNetwork(folder=folder, report=report, resolved=resolved, trunk=trunk, prepared=prepared)


def _stored(store: Store, kind: str, key: str | None) -> Artifact | None:
    return None if key is None else whole_entry(store, kind, key)
