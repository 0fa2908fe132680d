"""Failures of latency tables, of `edgecnn fit`, and of the side questions: cost, scale, feature pictures, ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import nearest, shell_word


class NothingTimed(EdgecnnError):
    """No network of a latency table could be made and run."""


class ScaleInvalid(EdgecnnError):
    """The text of ``--scale`` is not a scale."""


class ScaleLeavesNoChannel(EdgecnnError):
    """A layer's channels would round to none."""


class ResolutionUnderStride(EdgecnnError):
    """A scale's input is smaller than the stride of the last feature map, or too large."""


NOTHING_TIMED = ErrorRow(
    "nothing-timed",
    "no network could be timed on {device}",
    "{because}",
    "`edgecnn doctor` lists what does not work here; {hint}",
    exit_code=ExitCode.MISSING,
    kind=NothingTimed,
)
TABLE_UNREADABLE = ErrorRow(
    "table-unreadable",
    "{path} is not a latency table: it has {problems:counted problem}",
    "{problems:first 3}",
    "`edgecnn devices measure NAME --out FILE` writes one; docs/schemas/latency-table.json lists every key",
)
TABLE_UNWRITABLE = ErrorRow("table-unwritable", "{path} cannot be written", "{because}", "choose another file with --out FILE")
TABLE_OF_ANOTHER = ErrorRow(
    "table-of-another", "the latency table {path} does not apply to this search", "{difference}", "{command}"
)
TABLE_NEEDS_FILE = ErrorRow(
    "table-needs-file",
    "the table of {device} must be measured on this machine",
    "{device} means the computer that runs edgecnn",
    "--out FILE keeps the table of another machine; or name another device, which `edgecnn devices add` writes",
)
TABLE_ELSEWHERE = ErrorRow(
    "table-elsewhere", "{device} is not available here to be measured", "{why}", "{command}", exit_code=ExitCode.MISSING
)
FIT_BUDGET_INVALID = ErrorRow(
    "fit-budget-invalid",
    "{text!r} is not a budget of a search",
    "{because}",
    "--within p50_ms=5 or images_per_s=200, repeated for energy_mj, peak_memory_mib or size_mib; --accuracy top1=0.85",
)
NOTHING_TO_MEET = ErrorRow(
    "nothing-to-meet",
    "the search has no budget and no accuracy to meet",
    "neither --within nor --accuracy is given, and the recipe's [fit] states none",
    "--within p50_ms=5, or --accuracy top1=0.85",
)
NOT_IN_A_SEARCH = ErrorRow("not-in-a-search", "{asked} cannot be combined with `edgecnn fit`", "{because}", "{hint}")
FAMILY_MISSING = ErrorRow(
    "family-missing",
    "no family to search is named",
    "neither --family nor the recipe's fit.family names one",
    "--family with one of {families:commas}",
)
NOTHING_PREDICTED_INSIDE = ErrorRow(
    "nothing-predicted-inside",
    "no network of {family} is {known} inside {budgets}",
    "the nearest network is {nearest}{pace}",
    "{hint}",
    exit_code=ExitCode.GATE_FAILED,
)
UNLIKE_TABLE = ErrorRow(
    "unlike-table",
    "the latency table {table} has no networks similar to {family}",
    "every network that was tried differs from those of the table in {features:listed}",
    "`edgecnn devices measure {device:word}` continues with the rest of its plan; or search another family",
    exit_code=ExitCode.MISSING,
)
NO_TABLE = ErrorRow(
    "no-table",
    "there is no latency table of {device}",
    "the device is not available, no table of it was measured before, and no public table supports a forecast",
    "{command}; or --table FILE, of a similar board or of an emulated machine",
    exit_code=ExitCode.MISSING,
)
NO_TABLE_BESIDE = ErrorRow(
    "no-table-beside",
    "there is no latency table of {device}",
    "predictions for a further device need its latency table",
    "{command}",
    exit_code=ExitCode.MISSING,
)
TABLE_TOO_SHORT = ErrorRow(
    "table-too-short",
    "the latency table {path} has too few networks",
    "it has at most {most} of one runtime and precision, but {needed} are needed",
    "{command} --out {path:word} continues the table",
    exit_code=ExitCode.MISSING,
)
UNKNOWN_LAYER = ErrorRow("unknown-layer", "{network} has no layer {layer!r}", fix="{hint}")
COST_UNKNOWN = ErrorRow("cost-unknown", "the cost of {path} cannot be counted", "{because}")
BUDGET_INVALID = ErrorRow(
    "budget-invalid",
    "--within {text!r} is not a budget",
    "{because}",
    "--within macs=200M,params=4M,memory=64MiB with any of the three",
)
BUDGET_TOO_SMALL = ErrorRow(
    "budget-too-small",
    "no scale of {arch} on the compound rule is inside {budgets}",
    "the smallest scale has {used}",
    "use larger budgets, a smaller network with --arch, or another scale: edgecnn study cost {arch} --scale depth=0.5,width=0.25",
)
MEMORY_UNKNOWN = ErrorRow(
    "memory-unknown", "no device file states the memory of {device}", fix="state it: --within {within:word}"
)
SCALE_INVALID = ErrorRow(
    "scale-invalid",
    "--scale {text!r} is not a scale",
    "{because}",
    "--scale phi=1.5, or --scale depth=1.2,width=0.75,resolution=192 with any of the three",
    kind=ScaleInvalid,
)
NOTHING_TO_SCALE = ErrorRow(
    "nothing-to-scale",
    "{arch} cannot be scaled in depth and width",
    "only these families can: {families:commas}",
    "name a network of one of these families",
)
SCALE_LEAVES_NO_CHANNEL = ErrorRow(
    "scale-leaves-no-channel",
    "--scale {scale} leaves {arch} a layer without channels",
    "{narrowest:g} channels times {width:g} are {left:.1f}, and the nearest multiple of 8 is 0",
    "--scale with a width of at least {least:g}",
    kind=ScaleLeavesNoChannel,
)
RESOLUTION_UNDER_STRIDE = ErrorRow(
    "resolution-under-stride",
    "--scale {scale} gives {arch} an input of {resolution_px} px",
    "{because}",
    "--scale with {bound}",
    kind=ResolutionUnderStride,
)
SCALE_CONTRADICTS_RESOLUTION = ErrorRow(
    "scale-contradicts-resolution",
    "--scale {scale} and model.resolution_px = {resolution_px} both state the resolution",
    fix="leave one of them out, or pass depth and width alone",
)
SCALE_OF_A_FILE = ErrorRow(
    "scale-of-a-file", "{onnx} cannot be scaled", "the sizes of a trained file are fixed", "leave --scale out"
)
NETWORK_GONE = ErrorRow(
    "network-gone",
    "the {missing} of {folder} is not in the store {store}",
    "it was removed or changed, or the build used another store",
    "{hint}",
    exit_code=ExitCode.MISSING,
)
NO_MAPS = ErrorRow(
    "no-maps",
    "{network} has no feature maps to show",
    "no tensor after a multiplying layer has channels, rows and columns of more than one position",
    "choose a convolutional network, such as --arch resnet-18; a build without feature maps is not faulty",
)
NO_FEATURES = ErrorRow(
    "no-features",
    "{model} has no features to probe",
    "it has fewer than two layers that multiply by weights",
    "name a build of a convolutional network, such as --arch resnet-18",
)
NO_LABELS_TO_DOUBT = ErrorRow(
    "no-labels-to-doubt",
    "{folder} has too few labelled images to judge labels",
    "two classes need at least {least} images each",
    "build with --data FOLDER, with a sub-folder for each class",
)
ONE_MEMBER = ErrorRow(
    "one-member",
    "an ensemble needs several builds, not {folders:commas}",
    "the average of one network's logits equals its logits",
    "name two or more builds: edgecnn study ensemble builds/a builds/b",
)
MEMBERS_DIFFER = ErrorRow(
    "members-differ",
    "{folders[0]} and {folders[1]} differ in their {what}",
    "one has {values[0]}, the other {values[1]}",
    "{hint}",
)
MEMBER_QUANTIZED = ErrorRow(
    "member-quantized",
    "{folder} cannot be part of an ensemble",
    "its custom model is already quantized, and an ensemble is quantized as a whole",
    "build its float network",
)
NOTHING_IS_RIGHT = ErrorRow(
    "nothing-is-right",
    "{folder} has no accuracy",
    "it has no labelled images of the role test",
    "build it with --data FOLDER, with a sub-folder for each class",
)


class Smallest(Protocol):
    """The costs of the smallest network that was tried."""

    @property
    def parameters(self) -> int:
        """The number of parameters."""

    @property
    def macs(self) -> int:
        """Multiply-adds."""

    @property
    def memory_bytes(self) -> int:
        """Weights and activations."""


def nothing_timed(device: str, reasons: Mapping[str, str], hint: str = "--minutes gives more time") -> EdgecnnError:
    because = "; ".join(f"{name}: {why}" for name, why in list(reasons.items())[:3])
    return NOTHING_TIMED(device=device, because=because or "there was no time for any", hint=hint)


def table_of_another(path: Path, difference: str, device: str) -> EdgecnnError:
    return TABLE_OF_ANOTHER(path=path, difference=difference, command=_measures(device))


def table_elsewhere(device: str, why: str) -> EdgecnnError:
    return TABLE_ELSEWHERE(device=device, why=why, command=_measures(device))


def nothing_predicted_inside(
    family: str, budgets: str, nearest: str | None, timed: bool = False, slower: float | None = None
) -> EdgecnnError:
    """``nearest``: the network nearest to the budgets; ``slower``: how much slower this machine is than its table."""
    pace = f"; this machine is {slower:.1f}× slower than when its latency table was measured" if slower else ""
    return NOTHING_PREDICTED_INSIDE(
        family=family,
        known="timed" if timed else "predicted",
        budgets=budgets,
        nearest=nearest or "none, because none is small enough",
        pace=pace,
        hint="allow more, or search another family" + (", or try again when the machine is less busy" if slower else ""),
    )


def no_table(device: str) -> EdgecnnError:
    return NO_TABLE(device=device, command=_measures(device))


def no_table_beside(device: str) -> EdgecnnError:
    return NO_TABLE_BESIDE(device=device, command=_measures(device))


def table_too_short(path: Path, device: str, most: int, needed: int) -> EdgecnnError:
    return TABLE_TOO_SHORT(path=path, most=most, needed=needed, command=_measures(device))


def _measures(device: str) -> str:
    """Return the command that measures a device's table: on this machine, the emulated one, or a board."""
    where = {"cpu": "", "arm64-emulated": " --host emulated"}.get(device, " --host USER@BOARD")
    return f"edgecnn devices measure {shell_word(device)}{where}"


def unknown_layer(network: str, layer: str, known: Sequence[str]) -> EdgecnnError:
    near = next((name for name in known if name.startswith(layer)), None) or nearest(layer, known, cutoff=0.3)
    hint = f"did you mean {near}? `edgecnn study cost {network}` lists all {len(known)}" if near else None
    return UNKNOWN_LAYER(network=network, layer=layer, hint=hint)


def budget_too_small(arch: str, budgets: Mapping[str, int], smallest: Smallest) -> EdgecnnError:
    has = {"macs": smallest.macs, "params": smallest.parameters, "memory": smallest.memory_bytes}
    return BUDGET_TOO_SMALL(
        arch=arch,
        budgets=", ".join(f"{name} {_amount(name, most)}" for name, most in budgets.items()),
        used=", ".join(f"{name} {_amount(name, value)}" for name, value in has.items()),
    )


def _amount(name: str, value: int) -> str:
    return f"{value / 1024:,.0f} KiB" if name == "memory" else f"{value:,}"


def memory_unknown(device: str, within: str) -> EdgecnnError:
    return MEMORY_UNKNOWN(device=device, within=f"{within},memory=512MiB")


def scale_leaves_no_channel(arch: str, scale: str, width: float, narrowest: float) -> EdgecnnError:
    least = -(-40000 // narrowest) / 10000
    return SCALE_LEAVES_NO_CHANNEL(arch=arch, scale=scale, width=width, narrowest=narrowest, left=narrowest * width, least=least)


def resolution_under_stride(arch: str, scale: str, resolution_px: str, small: bool, stride: int) -> EdgecnnError:
    bound, size = (f"resolution={stride} or more", "larger") if small else ("resolution=2048 or less", "smaller")
    return RESOLUTION_UNDER_STRIDE(
        arch=arch,
        scale=scale,
        resolution_px=resolution_px,
        because=f"its layers shrink an image {stride} times" if small else "a recipe's resolution is at most 2048 px",
        bound=f"{bound} instead of phi, or a {size} phi" if scale.startswith("phi") else bound,
    )


def network_gone(folder: Path, missing: str, store: Path, command: str) -> EdgecnnError:
    hint = f"make it again: {command}" if command else "rerun the build command to make it again"
    return NETWORK_GONE(folder=folder, missing=missing, store=store, hint=hint)
