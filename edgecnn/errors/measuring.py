"""Failures of measuring that are no runner's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import first_of, nearest, shell_word


class PixelsChanged(EdgecnnError):
    """Raised when a kit was shown other pixels than were prepared: its answers would be filed under the wrong ones."""

    def __init__(self, *, file: Path, split: str) -> None:
        super().__init__(
            what=f"{file} is not what was prepared for the {split} split",
            because="its SHA-256 is another one",
            hint="edgecnn store verify --repair, then the same command",
        )


class MeterLogUnreadable(EdgecnnError):
    """Raised before anything is measured, and again after, when an external meter's log is no CSV of times and watts."""

    def __init__(self, *, what: str, because: str | None) -> None:
        super().__init__(what=what, because=because, hint="give --meter a CSV file whose lines are a time and watts")


class NoMeterForObjective(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised before anything is trained or raced, where something is to be chosen by an energy that nothing here reads."""

    def __init__(self, *, because: str, asked: str = "--objective energy") -> None:
        super().__init__(
            what=f"{asked} needs a meter, and none can be read here",
            because=because,
            hint="make one of these readable, or give an external meter's log with --meter FILE.csv",
        )


class KnobsByLatency(EdgecnnError):
    """Raised when knobs, which are raced by latency, are asked for where the objective is something that they may harm."""

    def __init__(self, *, objective: str) -> None:
        super().__init__(
            what=f"knobs are raced by latency, and the objective is {objective}",
            because="a setting that is faster for one image may have a lower throughput, or take more energy",
            hint="leave out --knobs (race.knobs), or choose by --objective latency",
        )


class RunsUnusable(EdgecnnError):
    """Raised when run files that a device measured are not whole, not of the kit, or not of one machine in one state."""

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} holds no runs that can be used",
            because=because,
            hint="measure again on the device, in the kit's folder: python3 -m runner measure ../.. --out NEW_FOLDER",
        )


class ShareMisread(EdgecnnError):
    """Raised when an option wants a percentage with its sign: a bare 2 could be 2 % or 200 %."""

    def __init__(self, *, option: str, text: str, least: float, most: float) -> None:
        super().__init__(
            what=f"{option}: {text!r} is no percentage between {100 * least:g}% and {100 * most:g}%",
            hint=f"write it with its sign, such as {option} 2%",
        )


class BatchesMisread(EdgecnnError):
    """Raised when ``--batches`` holds anything but numbers of images that a kit takes in one call, and ``best``."""

    def __init__(self, *, text: str, largest: int) -> None:
        super().__init__(
            what=f"--batches: {text!r} is no list of numbers of images from 1 to {largest}, or best",
            hint="write it with commas, such as --batches 1,8,best",
        )


class DurationMisread(EdgecnnError):
    """Raised when an option wants a duration with its unit, within what makes sense."""

    def __init__(self, *, option: str, text: str, least_s: float, most_s: float) -> None:
        super().__init__(
            what=f"{option}: {text!r} is no duration between {least_s:g}s and {most_s / 60:g}min",
            hint=f"a number with its unit in that range, such as {option} 60s",
        )


class TraceUnreadable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a traced run left no trace, or one in another form than this runtime is known to write."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(
            what=f"{path} does not tell what ran in which precision",
            because=why,
            hint="the runtime may be newer than edgecnn's reader of it: install a version inside the ranges of edgecnn's extras",
        )


class UnknownScenario(EdgecnnError):
    """Raised when a scenario is named that MLPerf does not have."""

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        folded = {each.lower(): each for each in reversed(known)}
        meant = folded.get(nearest(name.lower(), folded) or "")
        super().__init__(
            what=f"there is no scenario {name!r}",
            because=f"there are {', '.join(known)}",
            hint=f"did you mean {meant}?" if meant else None,
        )


class NothingToLoad(EdgecnnError):
    """Raised when the folder that was named holds neither a kit nor a bundle."""

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} is neither a kit nor a finished build",
            because=because,
            hint="name a folder such as builds/ARCH-DEVICE or a kit inside its bundle",
        )


class LoadGenLogUnreadable(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when LoadGen ended and its log holds no verdict."""

    ref = "loadgen-log-unreadable"

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} is no log of a finished LoadGen run", because=because, hint="run the same command again")


_SENT_AGAIN = "ask whoever measured it to send it again"


class EvidenceUnreadable(EdgecnnError):
    """Raised when a file is no record of evidence, is truncated, or says what no measurement can have left."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(
            what=f"{path} cannot be read as evidence",
            because=because,
            hint=f"{_SENT_AGAIN}; `edgecnn evidence --target DEVICE` writes one",
        )


class EvidenceChanged(EdgecnnError):
    """Raised when a record of evidence is not as it was written."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path} was changed since it was written", because="its content is not what its sha256 says", hint=_SENT_AGAIN
        )


class EvidenceUnsigned(EdgecnnError):
    """Raised when a record of evidence is not signed and must be."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"{path} is not signed",
            because="it holds no signature",
            hint="where it was measured: the same command with --sign KEY",
        )


class EvidenceElsewhere(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when evidence of a device is asked for and the machine at hand is another one."""

    def __init__(self, *, device: str, why: str) -> None:
        super().__init__(
            what=f"{device} is not at hand to be measured",
            because=why,
            hint=f"edgecnn evidence --target {shell_word(device)} --host USER@BOARD, or --target cpu for this machine",
        )


class NothingInEvidence(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when not one reference network could be made and timed, so that there is nothing to write down."""

    def __init__(self, *, device: str, reasons: Mapping[str, str]) -> None:
        super().__init__(
            what=f"no reference network could be timed on {device}",
            because=first_of([f"{name}: {why}" for name, why in reasons.items()], 3) or "none was begun",
            hint="`edgecnn doctor` says what does not work here",
        )
