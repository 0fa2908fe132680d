"""Where in a kit's network an answer that is no number came from, as far as its runtime lets anybody look."""

from __future__ import annotations

from pathlib import Path

from edgecnn.measure.kits import KitRef
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.kit import Kit

TRACEABLE = "onnxruntime"
"""The one runtime whose model file says what every layer gives: the kit's own ONNX."""


def blamed_layer(kit: KitRef, pixels: Path, image: int) -> str:
    """A sentence on the layer that first gave NaN or infinity, or on why none can be named.

    Args:
        kit: what answered.
        pixels: ``.npy`` of uint8 (N, crop_px, crop_px, 3), what it was shown.
        image: which of them; counted from 0.
    """
    if kit.runtime != TRACEABLE:
        return f"the layer is not known: {kit.runtime} does not show what its layers give"
    try:
        found = _first_bad(kit, pixels, image)
    except Exception as error:  # noqa: BLE001 - it is an explanation; without it the failure stands as well
        return f"the layer is not known: {type(error).__name__} when looking layer by layer"
    return found or "no layer gives one when they run one by one, unfused"


def _first_bad(kit: KitRef, pixels: Path, image: int) -> str | None:
    import numpy as np

    from edgecnn.graph.nonfinite import first_nonfinite

    opened = Kit.open(kit.folder)
    shown = np.load(pixels, mmap_mode="r", allow_pickle=False)[image : image + 1]
    model = opened.manifest.model
    feed = feed_of(opened, np.ascontiguousarray(shown))[model.input.name]
    found = first_nonfinite(opened.path(model.entry), feed, opened.manifest.session.options)
    return None if found is None else str(found)
