"""Failures of scaling a network in depth, width and resolution."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError


class ScaleInvalid(EdgecnnError):
    """Raised when the text of ``--scale`` says no scale."""

    ref = "scale-invalid"

    def __init__(self, *, text: str, because: str) -> None:
        hint = "--scale phi=1.5, or --scale depth=1.2,width=0.75,resolution=192 with any of the three"
        super().__init__(what=f"--scale {text!r} is no scale", because=because, hint=hint)


class NothingToScale(EdgecnnError):
    """Raised when a network's family has no rule by which it is scaled."""

    ref = "nothing-to-scale"

    def __init__(self, *, arch: str, families: Sequence[str]) -> None:
        super().__init__(
            what=f"{arch} cannot be scaled in depth and width",
            because=f"there are rules for {', '.join(families)} alone",
            hint="name a network of one of these families in its place",
        )


class ScaleLeavesNoChannel(EdgecnnError):
    """Raised when a layer's channels would be rounded to none."""

    ref = "scale-leaves-no-channel"

    def __init__(self, *, arch: str, scale: str, width: float, narrowest: float) -> None:
        least = -(-40000 // narrowest) / 10000
        super().__init__(
            what=f"--scale {scale} leaves {arch} a layer without channels",
            because=f"{narrowest:g} channels times {width:g} are {narrowest * width:.1f}, and the nearest multiple of 8 is 0",
            hint=f"--scale with width={least:g}, the least, or a larger one",
        )


class ResolutionUnderStride(EdgecnnError):
    """Raised when a scale's input is smaller than what one position of the last feature map stands for, or too large."""

    ref = "resolution-under-stride"

    def __init__(self, *, arch: str, scale: str, resolution_px: int, stride: int) -> None:
        small = resolution_px < stride
        bound, size = (f"resolution={stride} or more", "larger") if small else ("resolution=2048 or less", "smaller")
        other = f" in place of phi, or a {size} phi" if scale.startswith("phi") else ""
        super().__init__(
            what=f"--scale {scale} gives {arch} an input of {resolution_px} px",
            because=f"its layers shrink an image {stride} times" if small else "a recipe's resolution goes up to 2048 px",
            hint=f"--scale with {bound}{other}",
        )


class ScaleContradictsResolution(EdgecnnError):
    """Raised when a scale says the resolution and ``[model] resolution_px`` says another."""

    ref = "scale-contradicts-resolution"

    def __init__(self, *, scale: str, resolution_px: int | None) -> None:
        super().__init__(
            what=f"--scale {scale} says the resolution, and model.resolution_px = {resolution_px} says one too",
            hint="leave one of them out, or give depth and width alone",
        )


class ScaleOfAFile(EdgecnnError):
    """Raised when a network that comes as an ONNX file is to be scaled: its sizes are in the file."""

    ref = "scale-of-a-file"

    def __init__(self, *, onnx: str) -> None:
        super().__init__(
            what=f"{onnx} cannot be scaled", because="a trained file has the sizes that it has", hint="leave --scale out"
        )
