"""``--track``: send finished builds to an experiment tracker. If the tracker does not answer, no build is lost."""

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
    from edgecnn.render.tracking import Sent, TrackedRun, Tracker
    from edgecnn.sweeps.sweep import OpenSweep


def tracker_of(call: Call) -> Tracker | None:
    """Return the tracker that a call names. Warn if the tracker does not answer.

    Raises TRACKER_MISREAD, TRACKER_REFUSED, MissingPackage: before any work.
    """
    if call.options.track is None:
        return None
    from edgecnn.render.tracking import open_tracker

    tracker = open_tracker(call.options.track)
    try:
        tracker.ask()
    except TrackerUnreachable as error:
        call.warn([f"edgecnn: {error.what} now: {error.because}; edgecnn tries again after the build"])
    return tracker


def send_build(call: Call, tracker: Tracker | None, folder: Path, command: str) -> None:
    """Send a build's folder, and print its address. ``command``: the command that repeats the build."""
    if tracker is not None:
        _send(call, tracker, "", map(_tracked_build, (folder,)), command)


def send_sweep(call: Call, tracker: Tracker | None, sweep: OpenSweep) -> None:
    """Send every finished or failed build of a sweep. Stop at the first build that cannot be sent."""
    if tracker is not None:
        _send(call, tracker, sweep.sweep.path.stem, _tracked_sweep(sweep), sweep.report.command)


def _send(call: Call, tracker: Tracker, experiment: str, runs: Iterable[tuple[TrackedRun, list[Path]]], command: str) -> None:
    sent: list[Sent] = []
    try:
        for run, files in runs:
            sent.append(tracker.send(run, files, experiment))
    except EdgecnnError as error:
        again = f"{command} {shlex.join(['--track', tracker.shown])}"
        call.warn([f"edgecnn: not sent: {error.what}: {error.because}; to send it, repeat the command: {again}"])
    if len(sent) == 1 and not experiment:
        call.warn([f"edgecnn: {'sent to' if sent[0].anew else 'there already:'} {sent[0].where}"])
    elif sent:
        stored = sum(not record.anew for record in sent)
        known = f"; {stored} of them were there already" if stored else ""
        call.warn([f"edgecnn: {counted(len(sent), 'build')} in {tracker.shown} now, experiment {sent[0].experiment}{known}"])


def _tracked_build(folder: Path, identity: str | None = None) -> tuple[TrackedRun, list[Path]]:
    from edgecnn.planning.recipe_settings import settings_of_build
    from edgecnn.render.tracking import files_of, run_of_build
    from edgecnn.results.folder import read_report

    return run_of_build(read_report(folder), settings_of_build(folder), identity), files_of(folder)


def _tracked_sweep(sweep: OpenSweep) -> Iterator[tuple[TrackedRun, list[Path]]]:
    from edgecnn.devices.this_machine import local_facts
    from edgecnn.render.tracking import run_of_failure
    from edgecnn.values.stage import digest_of

    machine = local_facts().describe()
    for cell in sweep.report.cells:
        identity = digest_of([cell.name, sweep.fingerprints[cell.name], machine])
        if cell.state == "finished":
            yield _tracked_build(Path(cell.folder), identity)
        elif cell.state == "failed":
            yield run_of_failure(cell, identity), []
