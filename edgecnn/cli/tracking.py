"""``--track``: finished builds are sent to an experiment tracker, and none is lost over one that does not answer."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import TrackerUnreachable
from edgecnn.errors.wording import counted

if TYPE_CHECKING:
    from edgecnn.cli.verbs import Call
    from edgecnn.sweeps.sweep import OpenSweep
    from edgecnn.tracking.run import TrackedRun
    from edgecnn.tracking.tracker import Sent, Tracker


def tracker_of(call: Call) -> Tracker | None:
    """The tracker that a call names, asked whether it answers; where it does not, that is said and the call goes on.

    Raises TRACKER_MISREAD, TRACKER_REFUSED, MissingPackage: before any work.
    """
    if call.asked.track is None:
        return None
    from edgecnn.tracking.tracker import open_tracker

    tracker = open_tracker(call.asked.track)
    try:
        tracker.ask()
    except TrackerUnreachable as error:
        call.warn([f"edgecnn: {error.what} now: {error.because}; the build goes on, and sending is tried again at its end"])
    return tracker


def send_build(call: Call, tracker: Tracker | None, folder: Path, command: str) -> None:
    """Send what lies in a build's folder, and say where it is now. ``command``: that builds it again."""
    if tracker is not None:
        _send(call, tracker, "", (_of_build(each) for each in (folder,)), command)


def send_sweep(call: Call, tracker: Tracker | None, found: OpenSweep) -> None:
    """Send every build of a sweep that ended, those that failed too; the first that does not arrive ends it."""
    if tracker is not None:
        _send(call, tracker, found.sweep.path.stem, _of_sweep(found), found.report.command)


def _send(call: Call, tracker: Tracker, experiment: str, runs: Iterable[tuple[TrackedRun, list[Path]]], command: str) -> None:
    sent: list[Sent] = []
    try:
        for run, files in runs:
            sent.append(tracker.send(run, files, experiment))
    except EdgecnnError as error:
        again = f"{command} {shlex.join(['--track', tracker.shown])}"
        call.warn([f"edgecnn: not sent: {error.what}: {error.because}; the same command sends it: {again}"])
    if len(sent) == 1 and not experiment:
        call.warn([f"edgecnn: {'sent to' if sent[0].anew else 'there already:'} {sent[0].where}"])
    elif sent:
        there = sum(not each.anew for each in sent)
        known = f"; {there} of them were there already" if there else ""
        call.warn([f"edgecnn: {counted(len(sent), 'build')} in {tracker.shown} now, experiment {sent[0].experiment}{known}"])


def _of_build(folder: Path, identity: str | None = None) -> tuple[TrackedRun, list[Path]]:
    from edgecnn.planning.recipe_settings import settings_of_build
    from edgecnn.results.folder import read_report
    from edgecnn.tracking.run import files_of, run_of_build

    return run_of_build(read_report(folder), settings_of_build(folder), identity), files_of(folder)


def _of_sweep(found: OpenSweep) -> Iterator[tuple[TrackedRun, list[Path]]]:
    from edgecnn.devices.this_machine import local_facts
    from edgecnn.tracking.run import run_of_failure
    from edgecnn.values.stage import digest_of

    machine = local_facts().describe()
    for cell in found.report.cells:
        identity = digest_of([cell.name, found.asked[cell.name], machine])
        if cell.state == "finished":
            yield _of_build(Path(cell.folder), identity)
        elif cell.state == "failed":
            yield run_of_failure(cell, identity), []
