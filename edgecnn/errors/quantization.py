"""Failures of calibration and of what quantization makes."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class CalibrationSetTooSmall(EdgecnnError):
    """Raised before a model is quantized, so that no time is spent on ranges that cannot be trusted."""

    ref = "calibration-set-too-small"

    def __init__(self, *, asked: int, found: int) -> None:
        super().__init__(
            what=f"quantize asks for {asked} calibration images, found {found}",
            hint=f"lower [quantize] images (--set quantize.images={found}), or raise [data] calibrate_images",
        )


class CalibrationNotFinite(EdgecnnError):
    """Raised when the network answers a calibration image with NaN or infinity: ranges taken from it would mean nothing."""

    ref = "calibration-not-finite"

    def __init__(self, *, image: int, images: int) -> None:
        super().__init__(
            what=f"the network answers calibration image {image} of {images} with NaN or infinity",
            because="its weights are broken, or training diverged",
            hint="train again with a lower learning rate (--set train.learning_rate=...), or check the weights file",
        )


class AlreadyQuantized(EdgecnnError):
    """Raised when the model to quantize holds quantization nodes: a second pass would quantize the rounding of the first."""

    ref = "already-quantized"

    def __init__(self, *, path: Path, node: str, op: str) -> None:
        super().__init__(what=f"{path} is quantized already", because=f"it holds {op} {node}", hint="start from the float model")


class GoldenNotTelling(EdgecnnError):
    """Raised when golden images whose red and blue are swapped would pass the kit's self-test."""

    ref = "golden-not-telling"

    def __init__(self, *, candidate: str, difference: float, allowed: float) -> None:
        super().__init__(
            what=f"{candidate}: swapping red and blue changes the golden logits by {difference:.3g}, {allowed:.3g} is tolerated",
            because="this network hardly looks at colour, or gives every image the same answer",
            hint="train longer, or on images in colour",
        )
