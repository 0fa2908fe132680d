"""Failures of a whole build, of measuring a finished build on its device, and of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import builds_to_pass, did_you_mean, reason_in, shell_word


class NothingToJudge(EdgecnnError):
    """``judge`` needs results of a build that the store does not have. It recomputes, but does not train."""


class NoReport(EdgecnnError):
    """A folder does not contain a finished build."""


class ReportUnreadable(EdgecnnError):
    """A report.json is truncated, was edited, or is of another version of edgecnn."""


NOTHING_TO_BUILD = ErrorRow(
    "nothing-to-build", "nothing can be built for {device} here", "{reasons:joined}", "{command}", exit_code=ExitCode.MISSING
)
OUTPUT_UNUSABLE = ErrorRow(
    "output-unusable", "{folder} cannot hold the results", "{because}", "choose another folder with --out FOLDER"
)
RUNNER_SOURCE_CHANGED = ErrorRow(
    "runner-source-changed",
    "{folder} changed while the build was running",
    "a kit must contain the runner that it was planned with",
    "rerun the command",
)
OUTPUT_HOLDS_OTHER_FILES = ErrorRow(
    "output-holds-other-files",
    "{path} was not written by edgecnn and would be replaced",
    "edgecnn replaces only a bundle, which contains a choice.json",
    "choose another folder with --out FOLDER",
)
OUTPUT_AMONG_DATA = ErrorRow(
    "output-among-data",
    "--out {out} is inside the image folder {data}",
    "the next build would read the results as a class",
    "choose a folder outside it with --out FOLDER",
)
BASELINE_FAILED = ErrorRow(
    "baseline-failed",
    "no candidate can be judged, because the fp32 baseline was not measured",
    "{reason}",
    exit_code=ExitCode.MISSING,
)
EVERY_CANDIDATE_FAILED = ErrorRow(
    "every-candidate-failed", "no candidate works, so nothing was published", "{because}", "{hint}", exit_code=ExitCode.MISSING
)
UNKNOWN_FAILURE = ErrorRow(
    "unknown-failure",
    "stopped at an unexpected error ({type})",
    "{because}",
    "rerun the command with --debug for the traceback",
    exit_code=ExitCode.OWN_FAULT,
)
SELF_TEST_FAILED = ErrorRow(
    "self-test-failed", "the kit of {candidate} fails its own self-test", "{because}", "{hint}", also=("failure",)
)
NOTHING_TO_JUDGE = ErrorRow(
    "nothing-to-judge",
    "nothing can be judged yet, because the store lacks {missing:commas}",
    "judge works from the stored results of a build and does not train",
    "{command}",
    exit_code=ExitCode.MISSING,
    kind=NothingToJudge,
)
RESULTS_NOT_WRITTEN = ErrorRow(
    "results-not-written",
    "the results could not be written to stdout",
    "{because}",
    "rerun the command to print them",
    exit_code=ExitCode.MISSING,
)
OUTPUT_INSIDE_DATA = ErrorRow(
    "output-inside-data",
    "{path} is inside the image folder {root}",
    "edgecnn never writes to its inputs",
    "choose another folder",
)
FOLDER_OF_OTHER_FILES = ErrorRow(
    "folder-of-other-files",
    "{path} is not overwritten",
    "it has files, but no {needed} of an earlier call",
    "choose another name, or remove the file or folder",
)
LIST_EDITED = ErrorRow(
    "list-edited",
    "{path} is not overwritten",
    "it was edited since an earlier call wrote it",
    "move the file, or choose another folder with --out FOLDER",
)
NOT_OVERWRITTEN = ErrorRow(
    "not-overwritten", "{path} is not overwritten", "{because}", "choose another name, or remove the file or folder"
)
OUTPUT_UNWRITABLE = ErrorRow("output-unwritable", "{path} cannot be written", "{because}", "choose another folder")
BENCH_TARGET_DIFFERS = ErrorRow(
    "bench-target-differs",
    "{folder} was built for {built_for}, but --target is {target}",
    "the build chose its runtimes and schemes for that device",
    "remove --target, or build again with --target {target:word} --host …",
)
BENCH_PROCESSOR_DIFFERS = ErrorRow(
    "bench-processor-differs",
    "{folder} was built for {device} on another processor",
    "{device} was {built_for} then, and {machine} is {here}; schemes and figures apply to one processor only",
    "build for the board's device file, or write one with edgecnn devices add NAME --host BOARD",
)
BENCH_CLASSES_DIFFER = ErrorRow(
    "bench-classes-differ",
    "the classes of {data} differ from those of the bundle",
    "{name!r} is not one of the {classes:,} labels in kit.json",
    "{guess}name each sub-folder after a label in kit.json",
)
BENCH_OPTION_OF_BUILD = ErrorRow(
    "bench-option-of-build",
    "{option} applies to a finished build, but {bundle} is a bundle",
    fix="pass the build's folder, without --data and --out",
)
BENCH_DEVICE_UNKNOWN = ErrorRow(
    "bench-device-unknown",
    "{bundle} was built for {device}, which has no device file here",
    "edgecnn records figures for a device only if it recognizes the machine",
    "pass its device file with --target, or write one with edgecnn devices add NAME --host BOARD and pass --target NAME",
)
NO_KIT_RUNS = ErrorRow(
    "no-kit-runs",
    "no kit of {bundle} runs on {machine}",
    "{reasons:joined}",
    "install the missing part of one of the kits, or pass --host USER@BOARD to use a machine that has it",
    exit_code=ExitCode.MISSING,
)
NO_REPORT = ErrorRow(
    "no-report",
    "{folder} holds no report.json",
    "a build writes it when it has finished",
    "{hint}",
    kind=NoReport,
)
REPORT_UNREADABLE = ErrorRow(
    "report-unreadable", "{path} cannot be read as a report", "{because}", "{hint}", kind=ReportUnreadable
)
PAGE_UNWRITABLE = ErrorRow("page-unwritable", "{path} cannot be written", "{because}", "choose another file")
PAGE_FAILED = ErrorRow(
    "page-failed",
    "the page could not be drawn",
    "{because:reason}",
    "report.json and report.md hold the same figures; edgecnn report BUILD --debug shows the traceback",
    exit_code=ExitCode.OWN_FAULT,
)
PAGE_IS_FOREIGN = ErrorRow(
    "page-is-foreign",
    "{path} is not overwritten",
    "edgecnn did not write this file",
    "choose another file, or move this one away",
)
PLOT_FORM_UNKNOWN = ErrorRow(
    "plot-form-unknown",
    "no plot can be written to {path}",
    "the name ends in {path.suffix!r}, but the formats of this plot are {forms:commas}",
    "pass --plot {name:word}",
)
NO_HISTORY = ErrorRow(
    "no-history",
    "the store {store} holds no measurement of {wanted}",
    "{because}",
    "measure with edgecnn build, or set EDGECNN_STORE to use another store",
    exit_code=ExitCode.MISSING,
)
HISTORY_OF_WHAT = ErrorRow(
    "history-of-what",
    "BUILD already determines {options}",
    fix="pass BUILD alone, or pass only the options: edgecnn study history --arch NAME --target DEVICE",
)


def no_report(folder: Path, near: Sequence[Path]) -> EdgecnnError:
    """``near``: finished builds whose names are the nearest."""
    return NO_REPORT(folder=folder, hint=f"{builds_to_pass(near)}; to continue an interrupted build, rerun its command")


def every_candidate_failed(reasons: Mapping[str, str], device: str | None = None) -> EdgecnnError:
    """``reasons``: the reason of each candidate, or of the step that failed; the baseline's is first.

    ``device``: the device whose runtime was named.
    """
    first, *others = reasons or {"nothing was made": ""}
    because = ": ".join(filter(None, (first, reasons.get(first))))
    more = f"; {', '.join(others)} failed too" if others else ""
    hint = None if device is None else f"pass --target {shell_word(device)} to build for the other runtimes of the device"
    return EVERY_CANDIDATE_FAILED(because=f"{because}{more}", hint=hint)


def unknown_failure(error: Exception) -> EdgecnnError:
    """Describe an unexpected exception in one candidate's branch."""
    return UNKNOWN_FAILURE(type=type(error).__name__, because=reason_in(error) if str(error) else None)


def self_test_failed(candidate: str, failure: EdgecnnError) -> EdgecnnError:
    because = failure.what if failure.because is None else f"{failure.what} ({failure.because})"
    return SELF_TEST_FAILED(candidate=candidate, because=because, hint=failure.hint, failure=failure.ref)


def bench_classes_differ(data: object, name: str, classes: Sequence[str]) -> EdgecnnError:
    return BENCH_CLASSES_DIFFER(data=str(data), name=name, classes=len(classes), guess=did_you_mean(name, classes))


def report_unreadable(path: Path, because: str, command: str | None = None) -> EdgecnnError:
    """``command``: the command that writes the report again, if it is known."""
    return REPORT_UNREADABLE(path=path, because=because, hint=command or "rerun the build command to write it again")


def plot_form_unknown(path: Path, forms: Sequence[str]) -> EdgecnnError:
    return PLOT_FORM_UNKNOWN(path=path, forms=forms, name=path.with_suffix(forms[0]).name)


def no_history(wanted: str, store: Path, known: Sequence[str]) -> EdgecnnError:
    because = f"it has measurements of {', '.join(known)}" if known else "nothing was measured with this store"
    return NO_HISTORY(wanted=wanted, store=store, because=because)


def history_of_what(options: Sequence[str]) -> EdgecnnError:
    return HISTORY_OF_WHAT(options=" and ".join(options))
