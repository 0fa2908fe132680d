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
from edgecnn.errors.usage import JOBS_WITH_CLUSTER, bad_value

SweepArg = Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="File that lists networks, devices and recipe values.")]
OutOpt = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Folder for all results (default: builds/NAME, after the sweep file)."),
]
JobsOpt = Annotated[
    int, typer.Option("--jobs", min=1, max=256, help="Number of builds to make at once; measurements always run one at a time.")
]
OnOpt = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray|ray://HOST:PORT",
        help="Ray cluster that runs the build steps; measurements run as they do without a cluster.",
    ),
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

    Pass the same bounds as to `sweep run`.
    """
    from edgecnn.render.screens.sweep import show_sweep_plan
    from edgecnn.render.sentences import stated_gates_lines
    from edgecnn.sweeps.plan import plan_sweep
    from edgecnn.sweeps.sweep import open_sweep

    opened = open_sweep(sweep, out, call.store, call.tell, bounds_of(call.options))
    for line in stated_gates_lines((), opened.dropped):
        call.tell.note(line)
    planned = plan_sweep(opened, call.store, call.tell)
    call.show(planned, lambda: show_sweep_plan(planned))


def run(call: Call, sweep: SweepArg, out: OutOpt = None, jobs: JobsOpt = 1, on: OnOpt = None) -> ExitCode:
    """Run the pending builds and write fleet.json and fleet.html. A failed build does not stop the others.

    Each bound given here replaces the bound of the same metric in every recipe. A build that was judged by different bounds
    becomes pending again. If a run is interrupted, nothing is lost: the same command resumes it.
    """
    from edgecnn.api import write_fleet, write_fleet_page
    from edgecnn.render.ci import sheets_of_fleet
    from edgecnn.render.screens.sweep import show_fleet
    from edgecnn.render.sentences import stated_gates_lines
    from edgecnn.store.transfer import report_if_unusable
    from edgecnn.sweeps.state import changed_since
    from edgecnn.sweeps.sweep import open_sweep, run_sweep, worst_exit_code

    _refuse_unusable(on, jobs)
    opened = open_sweep(sweep, out, call.store, call.tell, bounds_of(call.options))
    for line in (*changed_since(opened.state, opened.fingerprints), *stated_gates_lines((), opened.dropped)):
        call.tell.note(line)
    report_if_unusable(call.store, call.tell)
    make = None
    if on is not None:
        from edgecnn.sweeps.apart import ClusterProcess

        make = ClusterProcess(on, opened.out, call.store, call.tell).make
    tracker = tracker_of(call)
    finished = run_sweep(opened, jobs, call.tell, make)
    report = finished.report
    written = [write_fleet(report, opened.out)]
    try:
        written.append(write_fleet_page(report, opened.out))
    except EdgecnnError as error:
        call.warn([f"edgecnn: no fleet.html: {error.line()}"])
    call.close()
    call.job.tell(*sheets_of_fleet(report))
    call.show(report, lambda: show_fleet(report))
    call.add(f"  {file}" for file in written)
    send_sweep(call, tracker, finished)
    return worst_exit_code(cell.exit_code for cell in report.cells)


def _refuse_unusable(on: str | None, jobs: int) -> None:
    """Raises BAD_VALUE: ``--on`` is not a cluster. JOBS_WITH_CLUSTER: ``--on`` and ``--jobs`` are both given."""
    if on is not None and not re.fullmatch(r"ray(://[^/@\s]+:\d+)?", on):
        raise bad_value(command="edgecnn sweep run", name="--on", value=on, reason="a cluster is `ray` or ray://HOST:PORT")
    if on is not None and jobs > 1:
        raise JOBS_WITH_CLUSTER(command="edgecnn sweep run")


def status(call: Call, sweep: SweepArg, out: OutOpt = None) -> None:
    """Report which builds are finished, pending, failed or changed. Nothing runs."""
    from edgecnn.render.screens.sweep import show_fleet
    from edgecnn.sweeps.state import is_running
    from edgecnn.sweeps.sweep import open_sweep

    opened = open_sweep(sweep, out, call.store, call.tell)
    report = opened.report
    call.show(report, lambda: show_fleet(report))
    if is_running(opened.out):
        call.add(["  a run is already in progress; its log is the newest file in logs/"])


def judge(call: Call, sweep: SweepArg, out: OutOpt = None) -> ExitCode:
    """Judge every finished build again, as `edgecnn judge` does, with stored accuracy and new latency.

    The builds do not change. Latency on another device is MISSING; `edgecnn bench` measures it on that device.
    """
    from edgecnn.bench.bench import JudgeRequest
    from edgecnn.cli.asking import measuring_fields, refuse_unusable_texts
    from edgecnn.devices.machine import local_lab
    from edgecnn.render.ci import sheets_of_judgement
    from edgecnn.render.screens.sweep import judgement_lines
    from edgecnn.sweeps.sweep import judge_sweep, open_sweep, worst_exit_code

    refuse_unusable_texts(call.options)
    opened = open_sweep(sweep, out, call.store, call.tell)
    request = JudgeRequest(folder=opened.out, stored_race=stored_race_of(call.options), **measuring_fields(call.options))
    judgement = judge_sweep(opened, request, local_lab(call.store, call.tell), call.tell)
    call.close()
    call.job.tell(*sheets_of_judgement(judgement))
    call.show(judgement, judgement_lines(judgement))
    return worst_exit_code(build.exit_code for build in judgement.builds)
