"""Failures of calibration and of what quantization makes."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class CalibrationSetTooSmall(EdgecnnError):
    """Raised before a model is quantized, so that no time is spent on ranges that cannot be trusted."""

    def __init__(self, *, asked: int, found: int) -> None:
        super().__init__(
            what=f"quantize asks for {asked} calibration images, found {found}",
            hint=f"lower [quantize] images (--set quantize.images={found}), or raise [data] calibration_images",
        )


class CalibrationNotFinite(EdgecnnError):
    """Raised when the network answers a calibration image with NaN or infinity: ranges taken from it would mean nothing."""

    def __init__(self, *, image: int, images: int) -> None:
        super().__init__(
            what=f"the network's output for calibration image {image} of {images} is NaN or infinity",
            because="its weights are broken, or training diverged",
            hint="train again with a lower learning rate (--set train.learning_rate=...), or check the weights file",
        )


class CalibrationRangeNotFinite(EdgecnnError):
    """Raised when a tensor inside the network reaches NaN or infinity on calibration images, though the answers are numbers."""

    def __init__(self, *, tensor: str) -> None:
        super().__init__(
            what=f"the range of tensor {tensor} over the calibration images ends at NaN or infinity",
            because="a layer overflows there, which a later one hides from the answers",
            hint="train again with a lower learning rate (--set train.learning_rate=...), or check the weights file",
        )


class AlreadyQuantized(EdgecnnError):
    """Raised when the model to quantize holds quantization nodes: a second pass would quantize the rounding of the first."""

    def __init__(self, *, path: Path, node: str, op: str) -> None:
        super().__init__(what=f"{path} is quantized already", because=f"it holds {op} {node}", hint="start from the float model")


class HalfRefused(EdgecnnError):
    """Raised when a network cannot be typed fp16, or a runtime does not open it so: the other candidates go on."""

    def __init__(self, *, candidate: str, because: str) -> None:
        super().__init__(what=f"{candidate}: the network is not taken in fp16", because=because)


class HalfOverflow(EdgecnnError):
    """Raised when a number of the network is finite in fp32 and infinite in fp16: that candidate alone is refused."""

    def __init__(
        self, *, tensor: str, largest: float, candidate: str | None = None, images: int = 0, weight: bool = False
    ) -> None:
        named = f"{'' if candidate is None else f'{candidate}: '}{'weight' if weight else 'tensor'}"
        super().__init__(
            what=f"{named} {tensor} reaches {largest:,.6g}, and fp16 ends at 65,504",
            because=f"it is the largest magnitude over {images:,} calibration images" if images else None,
            hint="choose a candidate that does not compute in fp16, or train with weight decay",
        )


class OutputsDiffer(EdgecnnError):
    """Raised when a converted network answers otherwise than the ONNX file that it was made from: that candidate is refused."""

    def __init__(self, *, candidate: str, converter: str, away: float, allowed: float, images: int) -> None:
        shares = f"differences are shares of the output range over {images:,} calibration images"
        super().__init__(
            what=f"{candidate}: outputs are {away:.2g} from the ONNX file's; {allowed:g} is allowed",
            because=f"{converter} changed the network; {shares}",
            hint="choose another runtime, or replace the layer that is converted wrongly",
        )


class NothingLeftToQuantize(EdgecnnError):
    """Raised when a rung keeps as many layers in float as the network has: it would be the float network under another name."""

    def __init__(self, *, candidate: str, kept: int, layers: int) -> None:
        super().__init__(
            what=f"{candidate} keeps {kept} layers in float and nothing would be left in INT8",
            because=f"the network has {layers}",
        )


class LayerNotFound(EdgecnnError):
    """Raised when a layer that is to stay in float is not in the model that a runtime's converter made."""

    def __init__(self, *, candidate: str, layer: str) -> None:
        super().__init__(
            what=f"{candidate} is to keep {layer} in float",
            because="the converted model names no layer so, nor by a tensor that it makes",
        )


class GoldenNotTelling(EdgecnnError):
    """Raised when a candidate answers every golden image alike: a self-test by such answers would pass anything."""

    def __init__(self, *, candidate: str, images: int) -> None:
        super().__init__(
            what=f"{candidate} gives the same answer to all {images} golden images, or one that is no number",
            because="the network was hardly trained, or quantization destroyed it",
            hint="train longer, or calibrate with more images",
        )
