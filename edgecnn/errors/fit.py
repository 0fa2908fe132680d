"""Failures of latency tables, of `edgecnn fit`, and of the side questions: cost, scale, feature pictures, ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted, listed, nearest, shell_word


class NothingTimed(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when not one network of a latency table could be made and run."""

    def __init__(self, *, device: str, reasons: Mapping[str, str], hint: str = "--minutes gives more time") -> None:
        first = [f"{name}: {why}" for name, why in list(reasons.items())[:3]]
        super().__init__(
            what=f"no network could be timed on {device}",
            because="; ".join(first) or "there was no time for any",
            hint=f"`edgecnn doctor` says what does not work here; {hint}",
        )


class TableUnreadable(EdgecnnError):
    """Raised when a file is no latency table, or one of another schema."""

    def __init__(self, *, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            what=f"{path} is no latency table, with {counted(len(problems), 'problem')}",
            because="; ".join(problems[:3]),
            hint="`edgecnn devices measure NAME --out FILE` writes one; docs/schemas/latency-table.json lists every key",
        )


class TableUnwritable(EdgecnnError):
    """Raised before anything is measured when the table could not be written."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} cannot hold the table", because=because, hint="choose another file with --out FILE")


class TableOfAnother(EdgecnnError):
    """Raised when a table was measured on another machine, in another state of it, or with another runtime."""

    def __init__(self, *, path: Path, difference: str, device: str) -> None:
        super().__init__(
            what=f"the latency table {path} says nothing of what is searched for",
            because=difference,
            hint=_measures(device),
        )


class TableNeedsFile(EdgecnnError):
    """Raised when another machine's table would take the place of this one's, under a name that is any machine's."""

    def __init__(self, *, device: str) -> None:
        super().__init__(
            what=f"{device} is whichever machine is asked, and its table is this machine's",
            hint="--out FILE keeps that of another one; or name a device of its own, which `edgecnn devices add` writes",
        )


class TableElsewhere(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a device is to be measured and the machine at hand is another one."""

    def __init__(self, *, device: str, why: str) -> None:
        super().__init__(
            what=f"{device} is not at hand to be measured",
            because=why,
            hint=_measures(device),
        )


class FitBudgetInvalid(EdgecnnError):
    """Raised when a budget of a search names no metric, or no number that it has."""

    def __init__(self, *, text: str, because: str) -> None:
        super().__init__(
            what=f"{text!r} is no budget of a search",
            because=because,
            hint="--within p50_ms=5 or images_per_s=200, and once more each for energy_mj, peak_memory_mib and size_mib; "
            "--accuracy top1=0.85",
        )


class NothingToMeet(EdgecnnError):
    """Raised when a search is asked for neither a budget nor an accuracy."""

    def __init__(self) -> None:
        super().__init__(
            what="nothing says what the network has to meet",
            because="neither --within nor --accuracy is given, and the recipe's [fit] states none",
            hint="--within p50_ms=5, or the other way round --accuracy top1=0.85",
        )


class NotInASearch(EdgecnnError):
    """Raised when a recipe states what a search decides itself, or has no use for."""

    def __init__(self, *, asked: str, because: str, hint: str) -> None:
        super().__init__(what=f"{asked} does not go with `edgecnn fit`", because=because, hint=hint)


class FamilyMissing(EdgecnnError):
    """Raised when a search is asked of no family."""

    def __init__(self, *, families: Sequence[str]) -> None:
        super().__init__(
            what="no family says what is searched",
            because="neither --family nor the recipe's fit.family names one",
            hint=f"--family with one of {', '.join(families)}",
        )


class NothingPredictedInside(EdgecnnError, exit_code=ExitCode.GATE_FAILED):
    """Raised before anything is trained when every network that was looked at is outside the budgets."""

    def __init__(
        self, *, family: str, budgets: str, nearest: str | None, timed: bool = False, slower: float | None = None
    ) -> None:
        pace = f"; this machine takes {slower:.1f} times as long as when its latency table was measured" if slower else ""
        super().__init__(
            what=f"no network of {family} is {'timed' if timed else 'predicted'} inside {budgets}",
            because=f"the nearest of those searched is {nearest or 'none, since none is small enough'}{pace}",
            hint="allow more, or search another family" + (", or try again when it is as fast as it was" if slower else ""),
        )


class UnlikeTable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when nothing is known of any network that was looked at: the table has none like them."""

    def __init__(self, *, family: str, table: str, features: Sequence[str], device: str) -> None:
        super().__init__(
            what=f"every network of {family} that was looked at is unlike those of the latency table {table}",
            because=f"the table has nothing like them in {listed(features)}",
            hint=f"`edgecnn devices measure {shell_word(device)}` goes on with what is left of its plan; "
            "or search another family",
        )


class NoTable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when nothing says what networks cost on a device that is not at hand."""

    def __init__(self, *, device: str) -> None:
        super().__init__(
            what=f"there is no latency table of {device}",
            because="it is not at hand, no table of it was measured before, and no public table supports a forecast",
            hint=f"{_measures(device)}; or --table FILE, of another board of its kind or of an emulated machine",
        )


class NoTableBeside(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a device that is asked about beside the one that is searched for was never measured."""

    def __init__(self, *, device: str) -> None:
        super().__init__(
            what=f"there is no latency table of {device}",
            because="it is asked about beside the device that is searched for, and only a table says what networks take there",
            hint=_measures(device),
        )


class TableTooShort(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a table holds too few networks of any candidate to predict others from."""

    def __init__(self, *, path: Path, device: str, most: int, needed: int) -> None:
        super().__init__(
            what=f"the latency table {path} holds too few networks",
            because=f"{most} of any one runtime and precision, of which {needed} are needed",
            hint=f"{_measures(device)} --out {shell_word(path)}, which goes on where it was",
        )


def _measures(device: str) -> str:
    """The command that measures a device's table: of this machine, the emulated one, or a board."""
    where = {"cpu": "", "arm64-emulated": " --host emulated"}.get(device, " --host USER@BOARD")
    return f"edgecnn devices measure {shell_word(device)}{where}"


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
            hint=f"did you mean {near}? `edgecnn study cost {network}` lists all {len(known)}" if near else None,
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
            f"edgecnn study cost {arch} --scale depth=0.5,width=0.25",
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
            hint="name two or more builds: edgecnn study ensemble builds/a builds/b",
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
