"""Failures of measuring that do not come from a runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import first_of, nearest


class RunsUnusable(EdgecnnError):
    """Run files of a device are incomplete, of another kit, or not from one machine in one state."""


PIXELS_CHANGED = ErrorRow(
    "pixels-changed",
    "{file} was changed after it was prepared for the {split} split",
    "its SHA-256 has changed",
    "run edgecnn store verify --repair, then rerun the command",
)
METER_LOG_UNREADABLE = ErrorRow(
    "meter-log-unreadable", "{what}", "{because}", "pass --meter a CSV file with a time and a power in watts on each line"
)
NO_METER_FOR_OBJECTIVE = ErrorRow(
    "no-meter-for-objective",
    "{asked} needs a meter, but no meter can be read here",
    "{because}",
    "make one of these meters readable, or pass an external meter's log with --meter FILE.csv",
    exit_code=ExitCode.MISSING,
)
KNOBS_BY_LATENCY = ErrorRow(
    "knobs-by-latency",
    "--knobs compares settings by latency, but the objective is {objective}",
    "a setting that is faster for one image may have a lower throughput, or use more energy",
    "remove --knobs (race.knobs), or pass --objective latency",
)
RUNS_UNUSABLE = ErrorRow(
    "runs-unusable",
    "{folder} holds no usable runs",
    "{because}",
    "on the device, in the kit's folder, run python3 -m runner measure ../.. --out NEW_FOLDER",
    kind=RunsUnusable,
)
SHARE_MISREAD = ErrorRow(
    "share-misread",
    "{text!r} for {option} is not a percentage between {least:g}% and {most:g}%",
    fix="write the value with a % sign, such as {option} 2%",
)
BATCHES_MISREAD = ErrorRow(
    "batches-misread",
    "{text!r} for --batches is not a list of batch sizes",
    "a batch size is a number from 1 to {largest}, or best",
    "write the sizes with commas, such as --batches 1,8,best",
)
DURATION_MISREAD = ErrorRow(
    "duration-misread",
    "{text!r} for {option} is not a duration between {least_s:g}s and {most_min:g}min",
    fix="write a number in that range with its unit, such as {option} 60s",
)
TRACE_UNREADABLE = ErrorRow(
    "trace-unreadable",
    "{path} does not show which layers ran in which precision",
    "{why}",
    "the runtime may be too new for edgecnn; install a version within the ranges of edgecnn's extras",
    exit_code=ExitCode.MISSING,
)
UNKNOWN_SCENARIO = ErrorRow("unknown-scenario", "there is no scenario {name!r}", "the scenarios are {known:listed}", "{hint}")
NOTHING_TO_LOAD = ErrorRow(
    "nothing-to-load",
    "{folder} is neither a kit nor a finished build",
    "it has no kit.json and no bundle with a choice.json",
    "pass a folder such as builds/ARCH-DEVICE, or a kit inside its bundle",
)
LOADGEN_LOG_UNREADABLE = ErrorRow(
    "loadgen-log-unreadable",
    "{path} is not a log of a finished LoadGen run",
    "{because}",
    "rerun the command",
    exit_code=ExitCode.OWN_FAULT,
)
EVIDENCE_UNREADABLE = ErrorRow(
    "evidence-unreadable",
    "{path} cannot be read as evidence",
    "{because}",
    "ask the person who measured it for a new copy, or write a record with `edgecnn evidence --target DEVICE`",
)
EVIDENCE_CHANGED = ErrorRow(
    "evidence-changed",
    "{path} was changed after it was written",
    "its content does not match its sha256",
    "ask the person who measured it for a new copy",
)
EVIDENCE_UNSIGNED = ErrorRow(
    "evidence-unsigned",
    "{path} is not signed",
    "it contains no signature",
    "on the machine that measured it, rerun the command with --sign KEY",
)
EVIDENCE_ELSEWHERE = ErrorRow(
    "evidence-elsewhere",
    "{device} cannot be measured from here",
    "{why}",
    "run edgecnn evidence --target {device:word} --host USER@BOARD, or use --target cpu for this machine",
    exit_code=ExitCode.MISSING,
)
NOTHING_IN_EVIDENCE = ErrorRow(
    "nothing-in-evidence",
    "no reference network could be timed on {device}",
    "{because}",
    "run `edgecnn doctor` to see what does not work here",
    exit_code=ExitCode.MISSING,
)


def no_meter_for_objective(because: str, setting: str = "--objective energy") -> EdgecnnError:
    return NO_METER_FOR_OBJECTIVE(because=because, asked=setting)


def share_misread(option: str, text: str, least: float, most: float) -> EdgecnnError:
    """``least`` and ``most`` are shares, 0…1."""
    return SHARE_MISREAD(option=option, text=text, least=100 * least, most=100 * most)


def duration_misread(option: str, text: str, least_s: float, most_s: float) -> EdgecnnError:
    return DURATION_MISREAD(option=option, text=text, least_s=least_s, most_min=most_s / 60)


def unknown_scenario(name: str, known: Sequence[str]) -> EdgecnnError:
    folded = {scenario.lower(): scenario for scenario in reversed(known)}
    meant = folded.get(nearest(name.lower(), folded) or "")
    return UNKNOWN_SCENARIO(name=name, known=known, hint=f"did you mean {meant}?" if meant else None)


def nothing_in_evidence(device: str, reasons: Mapping[str, str]) -> EdgecnnError:
    because = first_of([f"{name}: {why}" for name, why in reasons.items()], 3) or "no network was started"
    return NOTHING_IN_EVIDENCE(device=device, because=because)
