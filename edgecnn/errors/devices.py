"""Failures of ``--target`` and of device files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import did_you_mean, listed, nearest, shell_word

_OTHER_NAMES = {"tensorflow": "litert", "tensorflow-lite": "litert", "tf": "litert", "tflite": "litert", "ort": "onnxruntime"}


class UnknownDevice(EdgecnnError):
    """A target is neither a shipped device nor the path of a device file."""


class ConverterFailed(EdgecnnError):
    """A runtime's converter crashed, hung, or wrote no model."""


class LayerNotConverted(EdgecnnError):
    """A converter wrote a layer that its runtime lacks, so the model would fail on the device."""


UNKNOWN_DEVICE = ErrorRow(
    "unknown-device",
    "there is no device {name!r}",
    "the known devices are {known:commas}",
    "{guess}`edgecnn list devices` describes them; for your own board, write a device file and pass --target ./my-board.toml",
    kind=UnknownDevice,
)
UNKNOWN_RUNTIME = ErrorRow("unknown-runtime", "there is no runtime {name!r}", "the known runtimes are {known:commas}", "{hint}")
RUNTIME_NOT_ON_DEVICE = ErrorRow(
    "runtime-not-on-device",
    "{device} has no {runtime}",
    "its device file lists {has:commas}",
    "pass --target {one:word}, or --target {every:word} for all of them",
)
DEVICE_FACTS_ONLY = ErrorRow("device-facts-only", "nothing can be built for {device}", "{why}", "{instead}")
PRECISION_NOT_ON_DEVICE = ErrorRow(
    "precision-not-on-device",
    "{device} has no {precision}, which {asked_by} requires",
    "{reasons:joined}; its precisions are {has:commas}",
    "remove {asked_by}, or choose another device from `edgecnn list devices`",
)
DEVICE_FILE_INVALID = ErrorRow(
    "device-file-invalid",
    "device file {path} has {problems:counted problem}",
    "{problems:joined}",
    "docs/schemas/device.json lists every key",
)
DEVICE_NAME_TAKEN = ErrorRow(
    "device-name-taken",
    "the devices {first} and {second} both have the name {name!r}",
    "each name and alias belongs to one device",
    "rename one of them in its file in devices/",
)
DEVICE_NAME_SHIPPED = ErrorRow(
    "device-name-shipped",
    "device file {path} has the name of a shipped device, {name}",
    "the two devices differ, so their reports and results would be confused",
    'choose another name, such as name = "{suggestion}", or use the shipped device with --target {name}',
)
NO_CANDIDATE = ErrorRow("no-candidate", "nothing can be built for {device}", "{reasons:joined}", "{hint}")
RUNTIMES_CONTRADICT = ErrorRow(
    "runtimes-contradict",
    "the target {target!r} and the runtime {runtime!r} contradict each other",
    "a build uses either one runtime or all runtimes of the device",
    "remove target.runtime, or the runtime in target.device",
)
CONVERTER_FAILED = ErrorRow(
    "converter-failed",
    "{converter} could not convert {candidate}",
    "{why}",
    "edgecnn builds the other candidates without this runtime",
    kind=ConverterFailed,
)
LAYER_NOT_CONVERTED = ErrorRow(
    "layer-not-converted",
    "{converter} cannot convert {layer} for {candidate} (layer {name})",
    "{why}",
    "edgecnn builds the other candidates; to use this runtime, choose a network without that operator",
    kind=LayerNotConverted,
)
UNKNOWN_NEED = ErrorRow(
    "unknown-need", "{name!r} is not a valid value of --need", "the valid values are {known:commas}", "{hint}"
)
NEEDS_UNMET = ErrorRow(
    "needs-unmet", "{names} {problem}, but --need requires {each}", "{because}", "{hint}", exit_code=ExitCode.MISSING
)
DEVICE_FILE_DISAGREES = ErrorRow(
    "device-file-disagrees",
    "{board} is not the {device} of its device file",
    "{differences:joined}",
    "correct the file, or write another one with `edgecnn devices add NAME`",
)
DEVICE_FILE_THERE = ErrorRow("device-file-there", "the device {name!r} already exists", "{place}", "{hint}")
DEVICE_NAME_BAD = ErrorRow(
    "device-name-bad",
    "{name!r} is not a valid device name",
    "a name has lower-case letters and digits, with single dashes between them",
    "choose a name such as {suggestion}",
)


def unknown_device(name: str, known: Sequence[str]) -> EdgecnnError:
    return UNKNOWN_DEVICE(name=name, known=known, guess=did_you_mean(name, known, cutoff=0.5))


def unknown_runtime(name: str, device: str, known: Sequence[str], on_device: Sequence[str]) -> EdgecnnError:
    near = _OTHER_NAMES.get(name.lower()) or nearest(name, known, cutoff=0.4)
    choice = near if near in on_device or not on_device else on_device[0]
    hint = f"pass --target {shell_word(f'{device}:{choice}')}"
    if "," in name:
        hint = f"choose one runtime, or build all of them with --target {shell_word(f'{device}:all')}"
    return UNKNOWN_RUNTIME(name=name, known=known, hint=hint)


def runtime_not_on_device(device: str, runtime: str, has: Sequence[str], target: str) -> EdgecnnError:
    return RUNTIME_NOT_ON_DEVICE(device=device, runtime=runtime, has=has, one=f"{target}:{has[0]}", every=f"{target}:all")


def layer_not_converted(converter: str, candidate: str, layer: str, name: str, why: str | None = None) -> EdgecnnError:
    return LAYER_NOT_CONVERTED(converter=converter, candidate=candidate, layer=layer, name=name, why=why)


def unknown_need(name: str, known: Sequence[str]) -> EdgecnnError:
    near = nearest(name.lower(), known, cutoff=0.5)
    return UNKNOWN_NEED(
        name=name,
        known=known,
        hint=f"did you mean --need {near}?" if near else "remove --need to check everything",
    )


def needs_unmet(unmet: Mapping[str, str], hints: Sequence[str], *, away: bool = False) -> EdgecnnError:
    """``unmet``: each need that is not met, and why. ``away``: whether all of them are devices that are not attached."""
    because = "; ".join(f"{name}: {why}" if len(unmet) > 1 else why for name, why in unmet.items())
    verbs, pronoun = (("is", "does"), "it") if len(unmet) == 1 else (("are", "do"), "them")
    problem = f"{verbs[0]} not attached" if away else f"{verbs[1]} not work"
    return NEEDS_UNMET(
        names=listed(list(unmet)), problem=problem, each=pronoun, because=because, hint="; ".join(dict.fromkeys(hints)) or None
    )


def device_file_there(name: str, title: str, file: object | None) -> EdgecnnError:
    """``file``: the user's own file; None: the device is shipped."""
    hint = "choose another name" if file is None else "choose another name, or overwrite the file with --force"
    return DEVICE_FILE_THERE(
        name=name, place=f"it is the shipped device {title}" if file is None else f"its file is {file}", hint=hint
    )
