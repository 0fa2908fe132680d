"""Make feeds, and check them against the model's inputs: runtimes differ in the feeds that they silently accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .messages import RunnerError
from .pixels import to_feed

if TYPE_CHECKING:
    from .kit import Kit
    from .sessions import Session


class TensorSpec(NamedTuple):
    """A tensor as the runtime reports it; a size of None is the caller's choice."""

    name: str
    dtype: str
    shape: Tuple[Optional[int], ...]


def feed_of(kit: Kit, pixels: Any) -> Dict[str, Any]:
    """Return the model's feed of pixels.

    Args:
        kit: states name, dtype, layout and normalization.
        pixels: uint8 (N, *crop_px, 3).
    """
    manifest = kit.manifest
    wanted = manifest.model.input
    return {wanted.name: to_feed(pixels, wanted.dtype, wanted.layout, manifest.mean, manifest.std)}


def check_batch(kit: Kit, batch: int) -> None:
    """Check the number of images in a call.

    Raises:
        RunnerError: bad-batch.
    """
    largest = kit.manifest.model.batch_max
    if not 1 <= batch <= largest:
        raise RunnerError(
            "bad-batch", "a batch of {} is not in 1…{}".format(batch, largest), "the kit's model takes no more at once"
        )


def run_checked(session: Session, kit: Kit, feed: Mapping[str, Any]) -> Any:
    """Run a feed after comparing it with the model's inputs.

    Returns:
        logits, float32 (N, classes).

    Raises:
        RunnerError: wrong-feed or wrong-output, naming the tensor.
    """
    check_feed(session.inputs(), feed)
    batch = len(next(iter(feed.values())))
    wanted = kit.manifest.model.output
    outputs = session.run(feed)
    if wanted.name not in outputs:
        raise RunnerError("wrong-output", "the model returns {}, not {!r}".format(", ".join(outputs) or "nothing", wanted.name))
    logits = np.asarray(outputs[wanted.name])
    if logits.shape != (batch, wanted.classes):
        actual = "shape {}, expected {}".format(list(logits.shape), [batch, wanted.classes])
        raise RunnerError("wrong-output", "output {!r} does not fit the kit".format(wanted.name), actual)
    return logits.astype(np.float32, copy=False)


def check_feed(specs: Sequence[TensorSpec], feed: Mapping[str, Any]) -> None:
    """Compare a feed with the inputs of a model.

    Raises:
        RunnerError: wrong-feed, with the tensor, its actual and its expected type and shape.
    """
    names = [spec.name for spec in specs]
    if sorted(names) != sorted(feed):
        raise RunnerError(
            "wrong-feed", "the model takes {}, but the feed has {}".format(", ".join(names), ", ".join(sorted(feed)))
        )
    for spec in specs:
        array = feed[spec.name]
        fits = len(array.shape) == len(spec.shape) and all(
            size is None or size == actual_size for size, actual_size in zip(spec.shape, array.shape)
        )
        if str(array.dtype) != spec.dtype or not fits:
            actual = "{} {}, expected {} {}".format(array.dtype, list(array.shape), spec.dtype, list(spec.shape))
            raise RunnerError("wrong-feed", "input {!r} does not fit the model".format(spec.name), actual)
