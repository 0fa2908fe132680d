"""`edgecnn sweep`: networks × devices × recipe values from one file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli.asking import bounds_of, stored_race_of
from edgecnn.cli.options import GATES, JOB, TRACKED
from edgecnn.cli.tracking import send_sweep, tracker_of
from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.usage import USAGE, bad_value

SweepArg = Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="File that lists networks, devices and recipe values.")]
OutOpt = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Folder for all results (default: builds/NAME of the file).")
]
JobsOpt = Annotated[int, typer.Option("--jobs", min=1, max=256, help="Builds to make at once; each is measured alone.")]
OnOpt = Annotated[
    str | None,
    typer.Option("--on", metavar="ray|ray://HOST:PORT", help="Ray cluster that makes the steps; measurements run as without it."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = family(app, "sweep", short="Build many networks for many devices from one file.")
    verb(group, "plan", short="Show the builds, what is stored, and the remaining time.", takes=(GATES,))(plan)
    verb(group, "run", short="Run the pending builds and report on all of them.", takes=(GATES, JOB, TRACKED))(run)
    verb(group, "status", short="Report the builds that are finished so far.")(status)
    verb(group, "judge", short="Judge the finished builds again.", takes=(GATES, JOB, "allow_stored"))(judge)


def plan(call: Call, sweep: SweepArg, out: OutOpt = None) -> None:
    """Show the builds of a sweep, what is stored or shared, and the remaining time. Nothing runs.

    Bounds are those that `sweep run` would be given.
    """
    from edgecnn.render.screens.sweep import show_sweep_plan
    from edgecnn.sweeps.plan import plan_sweep
    from edgecnn.sweeps.sweep import open_sweep

    given = open_sweep(sweep, out, call.store, call.tell, bounds_of(call.asked))
    found = plan_sweep(given, call.store, call.tell)
    call.show(found, lambda: show_sweep_plan(found))


def run(call: Call, sweep: SweepArg, out: OutOpt = None, jobs: JobsOpt = 1, on: OnOpt = None) -> ExitCode:
    """Run the pending builds and write fleet.json and fleet.html. A failed build does not stop the others.

    Bounds replace those of every build's recipe, as of `edgecnn build`; a build that was judged by others is open again. An
    interrupted call loses nothing, and the same command goes on from there.
    """
    from edgecnn.api import write_fleet, write_fleet_page
    from edgecnn.render.ci import sheets_of_fleet
    from edgecnn.render.screens.sweep import show_fleet
    from edgecnn.store.transfer import say_if_unusable
    from edgecnn.sweeps.state import changed_since
    from edgecnn.sweeps.sweep import open_sweep, run_sweep, worst

    _refuse_unusable(on, jobs)
    given = open_sweep(sweep, out, call.store, call.tell, bounds_of(call.asked))
    for line in changed_since(given.state, given.asked):
        call.tell.note(line)
    say_if_unusable(call.store, call.tell)
    make = None
    if on is not None:
        from edgecnn.sweeps.apart import Elsewhere

        make = Elsewhere(on, given.out, call.store, call.tell).make
    tracker = tracker_of(call)
    done = run_sweep(given, jobs, call.tell, make)
    report = done.report
    written = [write_fleet(report, given.out)]
    try:
        written.append(write_fleet_page(report, given.out))
    except EdgecnnError as error:
        call.warn([f"edgecnn: no fleet.html: {error.line()}"])
    call.close()
    call.job.tell(*sheets_of_fleet(report))
    call.show(report, lambda: show_fleet(report))
    call.add(f"  {file}" for file in written)
    send_sweep(call, tracker, done)
    return worst(cell.exit_code for cell in report.cells)


def _refuse_unusable(on: str | None, jobs: int) -> None:
    """Raises BAD_VALUE: no such kind of cluster. USAGE: two ways to make the same."""
    if on is not None and not re.fullmatch(r"ray(://[^/@\s]+:\d+)?", on):
        raise bad_value(command="edgecnn sweep run", name="--on", value=on, reason="a cluster is `ray` or ray://HOST:PORT")
    if on is not None and jobs > 1:
        reason = "--jobs makes stages in processes here, --on on machines of a cluster; give one of them"
        raise USAGE(command="edgecnn sweep run", reason=reason)


def status(call: Call, sweep: SweepArg, out: OutOpt = None) -> None:
    """Report which builds are finished, pending, failed or changed. Nothing runs."""
    from edgecnn.render.screens.sweep import show_fleet
    from edgecnn.sweeps.state import is_at_work
    from edgecnn.sweeps.sweep import open_sweep

    given = open_sweep(sweep, out, call.store, call.tell)
    found = given.report
    call.show(found, lambda: show_fleet(found))
    if is_at_work(given.out):
        call.add(["  a run is at work here now: what it is at stands in the newest of logs/"])


def judge(call: Call, sweep: SweepArg, out: OutOpt = None) -> ExitCode:
    """Judge every finished build again, like `edgecnn judge` with these options: stored accuracy, new latency.

    What the builds found stays as it is. Time of a build for another device is MISSING here: `edgecnn bench` measures it there.
    """
    from edgecnn.bench.judge import JudgeRequest
    from edgecnn.cli.asking import measured_as, refuse_unusable_texts
    from edgecnn.devices.machine import local_lab
    from edgecnn.render.ci import sheets_of_judgement
    from edgecnn.render.screens.sweep import judgement_lines
    from edgecnn.sweeps.sweep import judge_sweep, open_sweep, worst

    refuse_unusable_texts(call.asked)
    given = open_sweep(sweep, out, call.store, call.tell)
    how = JudgeRequest(folder=given.out, stored_race=stored_race_of(call.asked), **measured_as(call.asked))
    found = judge_sweep(given, how, local_lab(call.store, call.tell), call.tell)
    call.close()
    call.job.tell(*sheets_of_judgement(found))
    call.show(found, judgement_lines(found))
    return worst(each.exit_code for each in found.builds)
