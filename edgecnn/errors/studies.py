"""Failures of the side questions: what a network costs, scaling inside a budget, feature pictures, an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import nearest, shell_word


class Smallest(Protocol):
    """What is said of the smallest network that was looked at."""

    @property
    def parameters(self) -> int:
        """How many."""

    @property
    def macs(self) -> int:
        """Multiply-adds."""

    @property
    def memory_bytes(self) -> int:
        """Weights and activations."""


class UnknownLayer(EdgecnnError):
    """Raised when the arithmetic of a layer is asked for that a network does not have."""

    def __init__(self, *, network: str, layer: str, known: Sequence[str]) -> None:
        near = next((name for name in known if name.startswith(layer)), None) or nearest(layer, known, cutoff=0.3)
        super().__init__(
            what=f"{network} has no layer {layer!r}",
            hint=f"did you mean {near}? `edgecnn cost {network}` lists all {len(known)}" if near else None,
        )


class CostUnknown(EdgecnnError):
    """Raised when an ONNX file leaves open what would have to be known to count its cost."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"the cost of {path} cannot be counted", because=because)


class BudgetInvalid(EdgecnnError):
    """Raised when the text of ``--within`` says no budget."""

    def __init__(self, *, text: str, because: str) -> None:
        hint = "--within macs=200M,params=4M,memory=64MiB with any of the three"
        super().__init__(what=f"--within {text!r} is no budget", because=because, hint=hint)


class BudgetTooSmall(EdgecnnError):
    """Raised when no scale of a network on the compound rule is inside the budgets."""

    def __init__(self, *, arch: str, budgets: Mapping[str, int], smallest: Smallest) -> None:
        asked = ", ".join(f"{name} {_amount(name, most)}" for name, most in budgets.items())
        has = {"macs": smallest.macs, "params": smallest.parameters, "memory": smallest.memory_bytes}
        used = ", ".join(f"{name} {_amount(name, value)}" for name, value in has.items())
        super().__init__(
            what=f"no scale of {arch} on the compound rule is inside {asked}",
            because=f"the smallest of them has {used}",
            hint="larger budgets, a smaller network with --arch, or one off the rule: "
            f"edgecnn cost {arch} --scale depth=0.5,width=0.25",
        )


def _amount(name: str, value: int) -> str:
    return f"{value / 1024:,.0f} KiB" if name == "memory" else f"{value:,}"


class MemoryUnknown(EdgecnnError):
    """Raised when a device's memory was to be a budget, and its file does not state any."""

    def __init__(self, *, device: str, within: str) -> None:
        super().__init__(
            what=f"the memory of {device} is in no device file",
            hint=f"state it: --within {shell_word(f'{within},memory=512MiB')}",
        )


class ScaleInvalid(EdgecnnError):
    """Raised when the text of ``--scale`` says no scale."""

    def __init__(self, *, text: str, because: str) -> None:
        hint = "--scale phi=1.5, or --scale depth=1.2,width=0.75,resolution=192 with any of the three"
        super().__init__(what=f"--scale {text!r} is no scale", because=because, hint=hint)


class NothingToScale(EdgecnnError):
    """Raised when a network's family has no rule by which it is scaled."""

    def __init__(self, *, arch: str, families: Sequence[str]) -> None:
        super().__init__(
            what=f"{arch} cannot be scaled in depth and width",
            because=f"there are rules for {', '.join(families)} alone",
            hint="name a network of one of these families in its place",
        )


class ScaleLeavesNoChannel(EdgecnnError):
    """Raised when a layer's channels would be rounded to none."""

    def __init__(self, *, arch: str, scale: str, width: float, narrowest: float) -> None:
        least = -(-40000 // narrowest) / 10000
        super().__init__(
            what=f"--scale {scale} leaves {arch} a layer without channels",
            because=f"{narrowest:g} channels times {width:g} are {narrowest * width:.1f}, and the nearest multiple of 8 is 0",
            hint=f"--scale with width={least:g}, the least, or a larger one",
        )


class ResolutionUnderStride(EdgecnnError):
    """Raised when a scale's input is smaller than what one position of the last feature map stands for, or too large."""

    def __init__(self, *, arch: str, scale: str, resolution_px: str, small: bool, stride: int) -> None:
        bound, size = (f"resolution={stride} or more", "larger") if small else ("resolution=2048 or less", "smaller")
        other = f" in place of phi, or a {size} phi" if scale.startswith("phi") else ""
        super().__init__(
            what=f"--scale {scale} gives {arch} an input of {resolution_px} px",
            because=f"its layers shrink an image {stride} times" if small else "a recipe's resolution goes up to 2048 px",
            hint=f"--scale with {bound}{other}",
        )


class ScaleContradictsResolution(EdgecnnError):
    """Raised when a scale says the resolution and ``[model] resolution_px`` says another."""

    def __init__(self, *, scale: str, resolution_px: str) -> None:
        super().__init__(
            what=f"--scale {scale} says the resolution, and model.resolution_px = {resolution_px} says one too",
            hint="leave one of them out, or give depth and width alone",
        )


class ScaleOfAFile(EdgecnnError):
    """Raised when a network that comes as an ONNX file is to be scaled: its sizes are in the file."""

    def __init__(self, *, onnx: str) -> None:
        super().__init__(
            what=f"{onnx} cannot be scaled", because="a trained file has the sizes that it has", hint="leave --scale out"
        )


class NetworkGone(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when the store no longer has what a finished build was made of."""

    def __init__(self, *, folder: Path, missing: str, store: Path, command: str) -> None:
        super().__init__(
            what=f"the {missing} of {folder} cannot be had from the store {store}",
            because="it was removed or changed, or the build used another store",
            hint=f"make it again: {command}" if command else "the same build command makes it again",
        )


class NoMaps(EdgecnnError):
    """Raised when nothing in a network is a map of places: there is no channel whose strongest place could be shown."""

    def __init__(self, *, network: str) -> None:
        super().__init__(
            what=f"{network} has no maps to look at",
            because="no tensor behind a multiplying layer has channels, rows and columns of more than one position",
            hint="convolutional networks have them, such as --arch resnet-18; nothing is wrong with a build without them",
        )


class OneMember(EdgecnnError):
    """Raised when an ensemble is asked for of fewer than two builds, or of one build twice."""

    def __init__(self, *, folders: Sequence[Path]) -> None:
        super().__init__(
            what=f"an ensemble is of several builds, not of {', '.join(map(str, folders))}",
            because="one network's answers averaged with themselves are its own",
            hint="name two or more builds: edgecnn ensemble builds/a builds/b",
        )


class MembersDiffer(EdgecnnError):
    """Raised when two builds of an ensemble do not answer the same question about the same pixels."""

    def __init__(self, *, folders: tuple[Path, Path], what: str, values: tuple[str, str], hint: str) -> None:
        super().__init__(
            what=f"{folders[0]} and {folders[1]} differ in their {what}", because=f"{values[0]} against {values[1]}", hint=hint
        )


class MemberQuantized(EdgecnnError):
    """Raised when a member's custom model came quantized, so that there is no float network of it to put beside others."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder} cannot be part of an ensemble",
            because="its custom model came quantized, and an ensemble is quantized as a whole",
            hint="build its float network",
        )


class NothingIsRight(EdgecnnError):
    """Raised when an accuracy is asked of a build whose images have no labels, or that kept none for its report."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"no accuracy of {folder} can be had",
            because="it has no labelled images of the role test",
            hint="build it with --data of a sub-folder a class",
        )
