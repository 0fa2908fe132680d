"""`edgecnn sweep`: networks × devices × recipe values from one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.option_table import JOB
from edgecnn.cli.verbs import BUILD, Call, family, verb
from edgecnn.errors.base import EdgecnnError, ExitCode

if TYPE_CHECKING:
    from edgecnn.sweeps.sweep import OpenSweep

SweepArg = Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="Which networks, devices and recipe values.")]
OutOpt = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Of all results; default builds/ and the file's name.")
]
JobsOpt = Annotated[
    int, typer.Option("--jobs", min=1, max=256, help="Builds that are made at once; each is measured with the machine to itself.")
]
JUDGED = ("at_most", "at_least", "require_measured", "allow_stored")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = family(app, "sweep", short="Many networks on many devices from one file; one report.", panel=BUILD)
    verb(group, "plan", short="Show the builds, what is stored, and how long the rest may take.")(plan)
    verb(group, "run", short="Work off what is open, and report all.", takes=(JOB,))(run)
    verb(group, "status", short="Report what is finished so far.")(status)
    verb(group, "judge", short="Judge the finished builds again.", takes=(JOB, *JUDGED))(judge)


def plan(call: Call, sweep: SweepArg, out: OutOpt = None) -> None:
    """Show the builds of a sweep, what of each is stored or made by another, and how long the rest may take. Runs nothing."""
    from edgecnn.render.screens.sweep import show_sweep_plan
    from edgecnn.sweeps.sweep import open_sweep, planned

    found = planned(open_sweep(sweep, out, call.store, call.tell), call.store, call.tell)
    call.show(found, lambda: show_sweep_plan(found))


def run(call: Call, sweep: SweepArg, out: OutOpt = None, jobs: JobsOpt = 1) -> ExitCode:
    """Build what is open, one's failure leaving the others, and write fleet.json and fleet.html.

    An interrupted call loses nothing, and the same command goes on from there.
    """
    from edgecnn.sweeps.sweep import open_sweep, run_sweep

    given = open_sweep(sweep, out, call.store, call.tell)
    for line in given.changed:
        call.tell.note(line)
    return _judged(call, run_sweep(given, jobs, call.tell))


def status(call: Call, sweep: SweepArg, out: OutOpt = None) -> None:
    """Report what is finished so far, and what is open, failed or asked for otherwise. Runs nothing."""
    from edgecnn.render.screens.sweep import show_fleet
    from edgecnn.sweeps.sweep import open_sweep

    found = open_sweep(sweep, out, call.store, call.tell).report()
    call.show(found, lambda: show_fleet(found))


def judge(call: Call, sweep: SweepArg, out: OutOpt = None) -> ExitCode:
    """Judge every finished build again, as `edgecnn judge` with these options: accuracy from stored answers, time anew."""
    import shlex

    from edgecnn.cli.asking import command_line
    from edgecnn.sweeps.sweep import judge_sweep, open_sweep

    given = open_sweep(sweep, out, call.store, call.tell)
    return _judged(call, judge_sweep(given, shlex.split(command_line(call.asked))[2:], call.tell))


def _judged(call: Call, given: OpenSweep) -> ExitCode:
    """Write and show the report of all builds, tell the job of each, and end as the worst of them."""
    from edgecnn.api import write_fleet
    from edgecnn.render.ci import sheets_of_fleet
    from edgecnn.render.screens.sweep import show_fleet
    from edgecnn.sweeps.sweep import exit_code_of_builds

    report = given.report()
    try:
        written = write_fleet(report, given.out)
    except EdgecnnError as error:
        call.warn([f"edgecnn: no page: {error.line()}"])
        written = ()
    call.close()
    call.job.tell(*sheets_of_fleet(report))
    call.show(report, lambda: show_fleet(report))
    call.add(f"  {file}" for file in written)
    return exit_code_of_builds(given)
