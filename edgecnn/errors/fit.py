"""Failures of latency tables, forecasts and ``edgecnn fit``, and of the studies: cost, scale, feature pictures, ensembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


NOTHING_TIMED = ErrorRow(
    "nothing-timed",
    "no network could be timed on {device}",
    "{because}",
    "run `edgecnn doctor` to see what does not work here; pass --minutes to allow more time",
    exit_code=ExitCode.MISSING,
    kind=NothingTimed,
)
NO_MEMBER_TIMED = ErrorRow(
    "no-member-timed",
    "no network could be timed on {device}",
    "{reasons:first 3}",
    "run `edgecnn doctor` to see what does not work here; its latency table was measured before",
    exit_code=ExitCode.MISSING,
    kind=NothingTimed,
)
TABLE_UNREADABLE = ErrorRow(
    "table-unreadable",
    "{path} is not a latency table; it has {problems:counted problem}",
    "{problems:first 3}",
    "write a table with `edgecnn devices measure NAME --out FILE`; docs/schemas/latency-table.json lists every key",
)
TABLE_UNWRITABLE = ErrorRow("table-unwritable", "{path} cannot be written", "{because}", "choose another file with --out FILE")
TABLE_OF_ANOTHER = ErrorRow(
    "table-of-another",
    "the latency table {path} does not apply to this search",
    "{difference}",
    "measure a new table with {command}",
)
TABLE_NEEDS_FILE = ErrorRow(
    "table-needs-file",
    "the table of {device} must be measured on this machine",
    "{device} means the computer that runs edgecnn",
    "to keep the table of another machine, pass --out FILE, or add a device for it with `edgecnn devices add`",
)
TABLE_ELSEWHERE = ErrorRow(
    "table-elsewhere", "{device} cannot be measured from here", "{why}", "{command}", exit_code=ExitCode.MISSING
)
_NO_FIT_BUDGET = "{text!r} is not a valid search budget"
_FIT_BUDGETS = "pass --within p50_ms=5 (also images_per_s, energy_mj, peak_memory_mib or size_mib) or --accuracy top1=0.85"
FIT_BUDGET_INVALID = ErrorRow("fit-budget-invalid", _NO_FIT_BUDGET, "{because}", _FIT_BUDGETS)
PERCENTILE_IN_A_SEARCH = ErrorRow(
    "percentile-in-a-search",
    _NO_FIT_BUDGET,
    "a search takes only the median, p50_ms; `edgecnn judge --max {metric}=…` judges the tail of the shipped kit",
    _FIT_BUDGETS,
)
ACCURACY_INVALID = ErrorRow("accuracy-invalid", _NO_FIT_BUDGET, "--accuracy takes top1 and a share between 0 and 1", _FIT_BUDGETS)
ACCURACY_IN_PERCENT = ErrorRow(
    "accuracy-in-percent",
    _NO_FIT_BUDGET,
    "--accuracy takes top1 and a share between 0 and 1, and {percent:g} % are top1={share:g}",
    _FIT_BUDGETS,
)
ACCURACY_TWICE = ErrorRow("accuracy-twice", _NO_FIT_BUDGET, "--accuracy is given {times} times", _FIT_BUDGETS)
LATENCY_BUDGET_TWICE = ErrorRow(
    "latency-budget-twice",
    "p50_ms and images_per_s are both given as budgets",
    "they are the same budget in two units",
    "remove one of them",
)
NOTHING_TO_MEET = ErrorRow(
    "nothing-to-meet",
    "the search has no budget and no accuracy to meet",
    "neither the options --within and --accuracy nor [fit] in the recipe set one",
    "pass --within p50_ms=5, or --accuracy top1=0.85",
)
NOT_IN_A_SEARCH = ErrorRow("not-in-a-search", "{asked} cannot be combined with `edgecnn fit`", "{because}", "{hint}")
_UNTRAINED = ("a search trains its networks", "use `edgecnn build` for a trained model")
_REFUSED_IN_A_SEARCH: Mapping[str, tuple[str, str]] = {
    "model.scale": (
        "the search chooses depth, width and resolution",
        "remove it from the recipe; start from another network with --family, or from another resolution with "
        "model.resolution_px",
    ),
    "train.teacher": (
        "the family's first network teaches the others",
        "remove it from the recipe, or learn from labels: --no-teacher",
    ),
    "train.folds": (
        "members are compared on one test split",
        "remove it from the recipe, and build the shipped network with folds",
    ),
    "train.minutes": (
        "the search chooses the epochs of each training",
        "remove it from the recipe; limit the search with --minutes",
    ),
    "model.onnx": _UNTRAINED,
    "model.keep_head": _UNTRAINED,
}
"""Setting to the reason why a search refuses it, and the fix."""
FAMILY_MISSING = ErrorRow(
    "family-missing",
    "the search has no network family",
    "neither --family nor fit.family in the recipe is set",
    "pass --family with one of {families:commas}",
)
NOTHING_PREDICTED_INSIDE = ErrorRow(
    "nothing-predicted-inside",
    "no {family} network is {known} to meet {budgets}",
    "{nearest}{pace}",
    "{hint}",
    exit_code=ExitCode.GATE_FAILED,
)
UNLIKE_TABLE = ErrorRow(
    "unlike-table",
    "the latency table {table} has no networks similar to {family}",
    "every network that was tried differs from the networks in the table in {features:listed}",
    "extend the table with `edgecnn devices measure {device:word}`, or search another family",
    exit_code=ExitCode.MISSING,
)
NO_TABLE = ErrorRow(
    "no-table",
    "there is no latency table of {device}",
    "the device is not available, its table was never measured, and no public table supports a forecast",
    "run {command}, or pass --table FILE with the table of a similar board or an emulated machine",
    exit_code=ExitCode.MISSING,
)
NO_TABLE_BESIDE = ErrorRow(
    "no-table-beside",
    "there is no latency table of {device}",
    "predictions for another device need the latency table of that device",
    "run {command}",
    exit_code=ExitCode.MISSING,
)
TABLE_TOO_SHORT = ErrorRow(
    "table-too-short",
    "the latency table {path} has too few networks",
    "it has at most {most} networks for one runtime and precision, but {needed} are needed",
    "extend the table with {command} --out {path:word}",
    exit_code=ExitCode.MISSING,
)
UNKNOWN_LAYER = ErrorRow("unknown-layer", "{network} has no layer {layer!r}", fix="{hint}")
COST_UNKNOWN = ErrorRow("cost-unknown", "the cost of {path} cannot be counted", "{because}")
_NO_BUDGET = "--within {text!r} is not a budget"
_BUDGETS = "pass any of the three in --within macs=200M,params=4M,memory=64MiB"
BUDGET_INVALID = ErrorRow(
    "budget-invalid", _NO_BUDGET, "{name} must be a positive number such as {example}, not {amount!r}", _BUDGETS
)
BUDGET_UNKNOWN = ErrorRow("budget-unknown", _NO_BUDGET, "{name!r} is not a budget{nearest}", _BUDGETS)
BUDGET_TWICE = ErrorRow("budget-twice", _NO_BUDGET, "{name} is given twice", _BUDGETS)
BUDGET_OF_LATENCY = ErrorRow(
    "budget-of-latency",
    _NO_BUDGET,
    "`study scale` measures no latency; `edgecnn list archs --target DEVICE --within {budget:word}` uses forecasts",
    _BUDGETS,
)
BUDGET_TOO_SMALL = ErrorRow(
    "budget-too-small",
    "no compound scale of {arch} fits the budgets {budgets}",
    "the smallest scale has {used}",
    "raise the budgets, choose a smaller --arch, or try another scale with edgecnn study cost {arch} "
    "--scale depth=0.5,width=0.25",
)
MEMORY_UNKNOWN = ErrorRow(
    "memory-unknown", "no device file gives the memory of {device}", fix="set the memory with --within {within:word}"
)
SCALE_INVALID = ErrorRow(
    "scale-invalid",
    "--scale {text!r} is not a scale",
    "{because}",
    "pass --scale phi=1.5, or any of the three in --scale depth=1.2,width=0.75,resolution=192",
    kind=ScaleInvalid,
)
NOTHING_TO_SCALE = ErrorRow(
    "nothing-to-scale",
    "{arch} cannot be scaled in depth and width",
    "only networks of the families {families:listed} can be scaled",
    "choose a network of one of these families",
)
SCALE_LEAVES_NO_CHANNEL = ErrorRow(
    "scale-leaves-no-channel",
    "--scale {scale} leaves {arch} a layer without channels",
    "{narrowest:g} channels times {width:g} is {left:.1f}, and the nearest multiple of 8 is 0",
    "pass --scale with a width of at least {least:g}",
    kind=ScaleLeavesNoChannel,
)
RESOLUTION_UNDER_STRIDE = ErrorRow(
    "resolution-under-stride",
    "--scale {scale} gives {arch} an input of {resolution_px} px",
    "{because}",
    "pass --scale with {bound}",
    kind=ResolutionUnderStride,
)
SCALE_CONTRADICTS_RESOLUTION = ErrorRow(
    "scale-contradicts-resolution",
    "--scale {scale} and model.resolution_px = {resolution_px} both state the resolution",
    fix="remove one of them, or pass only depth and width",
)
SCALE_OF_A_FILE = ErrorRow(
    "scale-of-a-file", "{onnx} cannot be scaled", "the sizes in a trained model file are fixed", "remove --scale"
)
NETWORK_GONE = ErrorRow(
    "network-gone",
    "the store {store} lacks the {missing} of {folder}",
    "the entry was removed or changed, or the build used another store",
    "{hint}",
    exit_code=ExitCode.MISSING,
)
NO_MAPS = ErrorRow(
    "no-maps",
    "{network} has no feature maps to show",
    "no tensor after a multiplying layer has channels, rows and columns of more than one position",
    "choose a convolutional network, such as --arch resnet-18; a build without feature maps is not an error",
)
NO_FEATURES = ErrorRow(
    "no-features",
    "{model} has no features to probe",
    "it has fewer than two layers that multiply by weights",
    "choose a build of a convolutional network, such as --arch resnet-18",
)
NO_LABELS_TO_DOUBT = ErrorRow(
    "no-labels-to-doubt",
    "{folder} has too few labelled images to find wrong labels",
    "at least two classes need {least} images each, and images of one group or near-duplicates count as one",
    "build with --data FOLDER, with a sub-folder for each class",
)
ONE_MEMBER = ErrorRow(
    "one-member",
    "an ensemble needs several builds, not {folders:commas}",
    "the average of one network's logits equals its logits",
    "pass two or more builds, as in edgecnn study ensemble builds/a builds/b",
)
MEMBERS_DIFFER = ErrorRow(
    "members-differ",
    "{folders[0]} and {folders[1]} differ in their {what}",
    "the first has {values[0]}, the second {values[1]}",
    "{hint}",
)
MEMBER_QUANTIZED = ErrorRow(
    "member-quantized",
    "{folder} cannot be part of an ensemble",
    "its custom model is already quantized, and an ensemble is quantized as a whole",
    "use a build of the float network",
)
NOTHING_IS_RIGHT = ErrorRow(
    "nothing-is-right",
    "the accuracy of {folder} is unknown",
    "it has no labelled test images",
    "build again with --data FOLDER, with a sub-folder for each class",
)
PUBLIC_TABLE_DAMAGED = ErrorRow(
    "public-table-damaged", "{path} is not a public table", "{because}", "reinstall edgecnn, or restore the file from Git"
)
NOTHING_FORECAST = ErrorRow(
    "nothing-forecast",
    "no forecast can be made",
    "{reasons:first 3}",
    "run `edgecnn forecast --arch resnet-18` to list the devices that have a table",
)
BOARD_WITHOUT_FILE = ErrorRow(
    "board-without-file",
    "edgecnn cannot build for {board}",
    "public tables have this board, but no device file describes it",
    "for predictions, run edgecnn forecast --arch mobilenet-v2 --target {board:word}",
)
NETWORK_WITHOUT_OPTION = ErrorRow(
    "network-without-option",
    "edgecnn forecast takes only options, not {names[0]!r}",
    "pass networks of the catalogue with --arch",
    "run edgecnn forecast {options}",
)


def nothing_timed(device: str, reasons: Mapping[str, str]) -> EdgecnnError:
    because = "; ".join(f"{name}: {why}" for name, why in list(reasons.items())[:3])
    return NOTHING_TIMED(device=device, because=because or "the time limit left no time for any network")


def fit_budget_unknown(text: str, name: str, near: str | None) -> EdgecnnError:
    nearest_budget = f", the nearest is {near}" if near else ""
    return FIT_BUDGET_INVALID(text=text, because=f"{name!r} is not a budget{nearest_budget}")


def budget_unknown(text: str, name: str, known: Iterable[str]) -> EdgecnnError:
    near = nearest(name, known, cutoff=0.5)
    return BUDGET_UNKNOWN(text=text, name=name, nearest=f"; the nearest is {near}" if near else "")


def not_in_a_search(setting: str) -> EdgecnnError:
    """``setting``: a key of the recipe; keys of [surgery] share one reason."""
    because, hint = _REFUSED_IN_A_SEARCH.get(setting) or (
        "the search chooses the form of each network",
        "remove activation, squeeze_excite, pruned and instead from [surgery]; epochs and learning_rate apply to all networks",
    )
    return NOT_IN_A_SEARCH(asked=setting, because=because, hint=hint)


def members_differ(folders: tuple[Path, Path], what: str, values: tuple[str, str]) -> EdgecnnError:
    hints = {
        "classes": "members are trained on the same classes, in the same order",
        "pixels": "give both the same model.resolution_px, or leave one out",
    }
    images = "build both with the same --data and [data] settings, so no member is tested on images another trained on"
    return MEMBERS_DIFFER(folders=folders, what=what, values=values, hint=hints.get(what, images))


def table_of_another(path: Path, difference: str, device: str) -> EdgecnnError:
    return TABLE_OF_ANOTHER(path=path, difference=difference, command=_measure_command(device))


def table_elsewhere(device: str, why: str) -> EdgecnnError:
    return TABLE_ELSEWHERE(device=device, why=why, command=_measure_command(device))


def nothing_predicted_inside(
    family: str, budgets: str, nearest: str | None, timed: bool = False, slower: float | None = None
) -> EdgecnnError:
    """``nearest``: the network nearest to the budgets; ``slower``: how much slower this machine is than its table."""
    pace = f"; this machine is {slower:.1f}× slower than when its latency table was measured" if slower else ""
    return NOTHING_PREDICTED_INSIDE(
        family=family,
        known="measured" if timed else "predicted",
        budgets=budgets,
        nearest="even the smallest is outside the budget" if nearest is None else f"the closest network is {nearest}",
        pace=pace,
        hint="raise the budget, or search another family" + (", or try again when the machine is less busy" if slower else ""),
    )


def no_table(device: str) -> EdgecnnError:
    return NO_TABLE(device=device, command=_measure_command(device))


def no_table_beside(device: str) -> EdgecnnError:
    return NO_TABLE_BESIDE(device=device, command=_measure_command(device))


def table_too_short(path: Path, device: str, most: int, needed: int) -> EdgecnnError:
    return TABLE_TOO_SHORT(path=path, most=most, needed=needed, command=_measure_command(device))


def _measure_command(device: str) -> str:
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
        because=f"the layers shrink an image by a factor of {stride}" if small else "a recipe's resolution is at most 2048 px",
        bound=f"{bound} instead of phi, or a {size} phi" if scale.startswith("phi") else bound,
    )


def network_gone(folder: Path, missing: str, store: Path, command: str) -> EdgecnnError:
    hint = f"rebuild with {command}" if command else "rerun the build command"
    return NETWORK_GONE(folder=folder, missing=missing, store=store, hint=hint)
