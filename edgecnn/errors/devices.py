"""Failures of ``--target``, of device files and of what they say of a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted, did_you_mean, nearest, shell_word


class UnknownDevice(EdgecnnError):
    """Raised when a target names no shipped device and is no path of a device file."""

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        remedy = did_you_mean(name, known, cutoff=0.5)
        super().__init__(
            what=f"there is no device {name!r}",
            because=f"known are {', '.join(known)}",
            hint=f"{remedy}`edgecnn list devices` describes them; a board of your own is one TOML file: --target ./my-board.toml",
        )


class UnknownRuntime(EdgecnnError):
    """Raised when the part of a target after the colon is no runtime that edgecnn has."""

    def __init__(self, *, name: str, device: str, known: Sequence[str], on_device: Sequence[str]) -> None:
        near = _OTHER_NAMES.get(name.lower()) or nearest(name, known, cutoff=0.4)
        choice = near if near in on_device else on_device[0]
        hint = f"--target {shell_word(f'{device}:{choice}')}"
        if "," in name:
            hint = f"name one runtime, or build all of them with --target {shell_word(f'{device}:all')}"
        super().__init__(what=f"there is no runtime {name!r}", because=f"known are {', '.join(known)}", hint=hint)


_OTHER_NAMES = {"tensorflow": "litert", "tensorflow-lite": "litert", "tf": "litert", "tflite": "litert", "ort": "onnxruntime"}


class RuntimeNotOnDevice(EdgecnnError):
    """Raised when a target asks for a runtime that its device file does not list."""

    def __init__(self, *, device: str, runtime: str, has: Sequence[str], target: str) -> None:
        super().__init__(
            what=f"{device} has no {runtime}",
            because=f"its device file lists {', '.join(has)}",
            hint=f"--target {shell_word(f'{target}:{has[0]}')}, or --target {shell_word(f'{target}:all')} for all of them",
        )


class DeviceFactsOnly(EdgecnnError):
    """Raised when a target names a device of which the file states facts, and for which nothing is ever built."""

    def __init__(self, *, device: str, why: str, instead: str) -> None:
        super().__init__(what=f"nothing can be built for {device}", because=why, hint=instead)


class PrecisionNotOnDevice(EdgecnnError):
    """Raised before any work when a recipe asks for a precision in which nothing can be built for the device."""

    def __init__(self, *, device: str, precision: str, asked_by: str, has: Sequence[str], reasons: Sequence[str]) -> None:
        super().__init__(
            what=f"{device} has no {precision}, which {asked_by} asks for",
            because=f"{'; '.join(reasons)}; it has {', '.join(has)}",
            hint=f"leave {asked_by} out, or name another device: `edgecnn list devices`",
        )


class DeviceFileInvalid(EdgecnnError):
    """Raised when a device file is TOML but no device; names every problem at once."""

    def __init__(self, *, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            what=f"device file {path} has {counted(len(problems), 'problem')}",
            because="; ".join(problems),
            hint="docs/schemas/device.json lists every key",
        )


class DeviceNameTaken(EdgecnnError):
    """Raised when two shipped device files answer to one name or alias."""

    def __init__(self, *, name: str, first: str, second: str) -> None:
        super().__init__(what=f"the devices {first} and {second} both answer to {name!r}")


class DeviceNameShipped(EdgecnnError):
    """Raised when a device file given by its path takes a shipped device's name or alias for other facts."""

    def __init__(self, *, path: Path, name: str, suggestion: str) -> None:
        super().__init__(
            what=f'device file {path} says name = "{name}", which is a shipped device with other facts',
            because="its reports and its results folder could not be told from the shipped one's",
            hint=f'give it a name of its own, such as name = "{suggestion}"; the shipped one is --target {name}',
        )


class NoCandidate(EdgecnnError):
    """Raised before any work when no runtime of the target could run the network in any precision; says why of each."""

    def __init__(self, *, device: str, reasons: Sequence[str], hint: str) -> None:
        super().__init__(what=f"nothing can be built for {device}", because="; ".join(reasons), hint=hint)


class RuntimesContradict(EdgecnnError):
    """Raised when a recipe names two runtimes: one in its device and another beside it."""

    def __init__(self, *, target: str, runtime: str) -> None:
        super().__init__(
            what=f"the target {target!r} and the runtime {runtime!r} contradict each other",
            because="a build takes one runtime, or all that the device has",
            hint="leave one of target.device's runtime and target.runtime out",
        )


class ConverterFailed(EdgecnnError):
    """Raised when a runtime's converter crashed, hung, or left no model; its last words are the cause."""

    def __init__(self, *, converter: str, candidate: str, why: str) -> None:
        super().__init__(
            what=f"{converter} made no model of {candidate}",
            because=why,
            hint="the other candidates are built without this runtime",
        )


class LayerNotConverted(EdgecnnError):
    """Raised when a converter left a layer that its runtime does not have, which would only be refused on the device."""

    def __init__(self, *, converter: str, candidate: str, layer: str, name: str, why: str | None = None) -> None:
        super().__init__(
            what=f"{converter} has no form of {layer} for {candidate} (layer {name})",
            because=why,
            hint="the other candidates are built without this runtime; or write the network without that operator",
        )


class UnknownNeed(EdgecnnError):
    """Raised when something is said to be needed that doctor does not look at."""

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        near = nearest(name.lower(), known, cutoff=0.5)
        super().__init__(
            what=f"doctor does not know what {name!r} is",
            because=f"what can be needed is {', '.join(known)}",
            hint=f"did you mean --need {near}?" if near else "leave --need out to see all that there is",
        )


class NeedsUnmet(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised after the findings were shown, when something that the call needs does not work here; ``unmet`` has why of each."""

    def __init__(self, *, unmet: Mapping[str, str], hints: Sequence[str]) -> None:
        super().__init__(
            what=f"what is needed does not work here: {', '.join(unmet)}",
            because="; ".join(f"{name}: {why}" if len(unmet) > 1 else why for name, why in unmet.items()),
            hint="; ".join(dict.fromkeys(hints)) or None,
        )


class DeviceFileDisagrees(EdgecnnError):
    """Raised after both were shown, when a machine is not what a device file says of it."""

    def __init__(self, *, device: str, board: str, differences: Sequence[str]) -> None:
        super().__init__(
            what=f"{board} is not the {device} of its device file",
            because="; ".join(differences),
            hint="correct the file, or write another: `edgecnn devices add NAME`",
        )


class DeviceFileThere(EdgecnnError):
    """Raised when a device of that name exists already; nothing is overwritten. ``file`` is the user's; None: it is shipped."""

    def __init__(self, *, name: str, title: str, file: object | None) -> None:
        super().__init__(
            what=f"there is a device {name!r} already",
            because=title if file is None else str(file),
            hint="give it another name" if file is None else "give it another name, or write over it with --force",
        )


class DeviceNameBad(EdgecnnError):
    """Raised when a name cannot be a device's."""

    def __init__(self, *, name: str, suggestion: str) -> None:
        super().__init__(
            what=f"{name!r} is no name of a device",
            because="a name is lower-case letters, digits and single dashes between them",
            hint=f"such as {suggestion}",
        )
