"""The folder of a build: names of its files, its lock, and reading and writing its report."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.building import (
    OUTPUT_UNWRITABLE,
    NoReport,
    ReportUnreadable,
    no_report,
    report_unreadable,
)
from edgecnn.errors.limits import process_limit
from edgecnn.errors.wording import first_problem, near_names
from edgecnn.judging.reasons import why_chosen, worded
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import DOCUMENT_BYTES_MAX
from edgecnn.store.failures import NO_SPACE, is_below, refusal_of_disk, temporary_folder_full
from edgecnn.values.base import another_schema
from edgecnn.values.reason import Provisional, Taken
from edgecnn.values.report import REPORT_SCHEMA, BuildReport

REPORT = "report.json"
PAGE = "report.html"
"""The report for people."""
FIT, FIT_PAGE = "fit.json", "fit.html"
"""Result of a search, in the folder of the build that the search ships."""
PLAN = "plan.json"
PROGRESS = "progress.json"
"""Record of a call that stopped before the report."""
BASELINE = "baseline.json"
"""Figures of a GPU of this machine."""
BUNDLE = "bundle"
"""The folder that ships."""
CHOICE = "choice.json"
"""File in the bundle that lists its kits and names the chosen one."""


_BUILDS_NAMED = 3
"""Number of finished builds that an error names."""


def builds_near(folder: Path) -> list[Path]:
    """Return the finished builds next to a folder, or else in ``builds/``, whose names are the most similar."""
    for parent in (folder.parent, Path("builds")):
        try:
            names = [path.name for path in parent.iterdir() if (path / REPORT).is_file()]
        except OSError:
            continue
        if names:
            return [parent / name for name in near_names(folder.name, names, _BUILDS_NAMED, cutoff=0.0)]
    return []


@contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """Create the folder and lock it for one writer. Two builds of one name take turns, so that the later results are complete.

    Raises, also from the block:
        OUTPUT_UNWRITABLE: something in the folder, or an open file, cannot be written.
        TemporaryFolderFull: a temporary file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".edgecnn.lock"):
            yield
    except EdgecnnError:
        raise
    except Exception as raised:
        if (limited := process_limit(raised)) is not None:
            raise limited from raised
        error = raised if isinstance(raised, OSError) and raised.errno is not None else refusal_of_disk(folder)
        if error is None:
            raise
        elsewhere = temporary_folder_full(error, folder, "writing the results")
        if elsewhere is not None:
            raise elsewhere from raised
        names = (error.filename, error.filename2)
        in_an_open_file = names == (None, None) and error.errno in (*NO_SPACE, errno.EIO)
        if not in_an_open_file and not any(is_below(name, folder) for name in names):
            raise
        raise OUTPUT_UNWRITABLE(path=folder, because=system_reason(error)) from raised


def report_text(report: BuildReport) -> str:
    """Return the content of ``report.json``."""
    return report.model_dump_json(indent=1, by_alias=True) + "\n"


def read_report(folder: Path) -> BuildReport:
    """Read the report of a finished build, without confidence levels that this version knows to be invalid.

    Raises:
        NoReport: the folder has no report.
        ReportUnreadable: the report cannot be read, or has another schema.
    """
    path = folder / REPORT
    try:
        content = bounded_content(path, DOCUMENT_BYTES_MAX)
        report = BuildReport.model_validate_json(content)
        json.loads(content, parse_constant=int)  # ``int`` refuses NaN and infinity, which JSON does not allow
        return _reworded(report)
    except (FileNotFoundError, NotADirectoryError):
        raise no_report(folder=folder, near=builds_near(folder)) from None
    except OSError as error:
        raise report_unreadable(path=path, because=system_reason(error)) from error
    except ValidationError as error:
        if (reason := another_schema(content, REPORT_SCHEMA)) is not None:
            raise report_unreadable(path=path, because=reason, command=_command_in(content)) from error
        raise report_unreadable(path=path, because=first_problem(error)) from error
    except ValueError as error:
        raise report_unreadable(path=path, because="a figure in it is NaN or infinite") from error


def _reworded(report: BuildReport) -> BuildReport:
    """Word each reason again from its fact, because older versions stated an invalid confidence for the first race."""
    chosen = next((facts for facts in report.candidates if facts.candidate.id == report.choice.candidate), None)
    choice = report.choice
    if chosen is not None and isinstance(chosen.because, Taken | Provisional):
        choice = choice.model_copy(update={"why": why_chosen(chosen.because, chosen.candidate.id)})
    rows = tuple(
        facts.model_copy(
            update={
                "reason": facts.reason if facts.because is None else worded(facts.because, facts.candidate.id),
                "latency": facts.latency and facts.latency.known,
            }
        )
        for facts in report.candidates
    )
    return report.model_copy(update={"candidates": rows, "choice": choice})


def report_or_none(folder: Path) -> BuildReport | None:
    """Return the report in a folder; None if there is none that this version can read."""
    try:
        return read_report(folder)
    except (NoReport, ReportUnreadable):
        return None


def _command_in(content: bytes) -> str | None:
    """Return the command in a report of another version, or None."""
    try:
        command = json.loads(content)["build"]["command"]
    except (ValueError, KeyError, TypeError):
        return None
    return command if isinstance(command, str) and command.isprintable() else None
