"""`edgecnn baseline`: latency of a board or a pinned runner in a file, and later builds held against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.cli.job import Job
from edgecnn.errors.base import ExitCode
from edgecnn.errors.comparing import RoundsWithRuns

if TYPE_CHECKING:
    from edgecnn.values.comparison import LatencyBaseline

BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, or a bundle.")]
RunsArg = Annotated[Path, typer.Argument(metavar="RUNS", help="`measured` of the bundle, copied back from the device.")]
FileArg = Annotated[Path, typer.Argument(metavar="FILE", help="What `baseline record` or `baseline import` wrote.")]
FileOpt = Annotated[Path, typer.Option("--out", metavar="FILE", help="The baseline.")]
PinnedArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build.")]
PinOpt = Annotated[Path, typer.Option("--out", metavar="FILE", help="The record, such as gates/base.json.")]
CandidateOpt = Annotated[
    str | None, typer.Option("--candidate", metavar="ID", help="A candidate that the bundle carries; default the chosen one.")
]
RunsOpt = Annotated[
    Path | None, typer.Option("--runs", metavar="RUNS", help="Runs that the device measured; default: race here, now.")
]
AllowOpt = Annotated[
    list[str] | None,
    typer.Option("--allow-different", metavar="CONDITION", help="A condition that may differ, such as kernel."),
]
RoundsOpt = Annotated[int | None, typer.Option("--rounds", min=8, max=1000, help="Processes that are timed here; default 16.")]
baseline_app = typer.Typer(
    no_args_is_help=True, help="Record latency on a board or a pinned runner, and hold later builds against it."
)


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    app.add_typer(baseline_app, name="baseline")


@baseline_app.command()
def record(
    build: BuildArg, out: FileOpt, candidate: CandidateOpt = None, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False
) -> None:
    """Write every run of a build's last race, with the machine it ran on, to one file."""

    def body() -> ExitCode:
        from edgecnn.comparing.baseline_file import recorded
        from edgecnn.store.store import Store

        return _written(recorded(build, Store.open(), candidate), out, as_json)

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


@baseline_app.command("import")
def import_(
    build: BuildArg,
    runs: RunsArg,
    out: FileOpt,
    candidate: CandidateOpt = None,
    as_json: opt.JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Make a baseline of runs that a device measured by itself (python3 -m runner measure)."""

    def body() -> ExitCode:
        from edgecnn.comparing.baseline_file import imported

        return _written(imported(build, runs, candidate), out, as_json)

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


@baseline_app.command()
def pin(build: PinnedArg, out: PinOpt, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    """Write which kit a build ships, small enough to commit: `judge HEAD --against FILE` then races that kit out of the store."""

    def body() -> ExitCode:
        from edgecnn.comparing.pin import pinned, write_pin
        from edgecnn.render.screens.comparing import show_pin
        from edgecnn.render.terminal import show_json

        made = pinned(build, out)
        write_pin(made, out)
        if as_json:
            show_json(made.model_dump(mode="json", by_alias=True))
        else:
            show_pin(made, str(out))
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


@baseline_app.command()
def show(file: FileArg, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    """Show what a baseline is of: kit, machine, conditions, latency."""

    def body() -> ExitCode:
        from edgecnn.comparing.baseline_file import read_baseline

        return _shown(read_baseline(file), as_json)

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


@baseline_app.command()
def compare(  # noqa: PLR0913 - a command line's options are its parameters
    build: BuildArg,
    file: FileArg,
    runs: RunsOpt = None,
    at_most: opt.MaxOpt = None,
    at_least: opt.MinOpt = None,
    allow_different: AllowOpt = None,
    rounds: RoundsOpt = None,
    candidate: CandidateOpt = None,
    unsure_passes: opt.UnsurePassesOpt = False,
    junit: opt.JunitOpt = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Judge a build's present latency by a baseline of the same machine. Refused where the machine is another one."""
    job = Job(junit, unsure_passes=unsure_passes)

    def body() -> ExitCode:
        from edgecnn.cli.against import told
        from edgecnn.comparing.unpaired import ROUNDS, CompareRequest, compare
        from edgecnn.devices.machine import local_lab
        from edgecnn.judging.bounds import parse_bounds
        from edgecnn.render.progress import progress_for
        from edgecnn.store.store import Store

        if rounds is not None and runs is not None:
            raise RoundsWithRuns(rounds=rounds)
        gates = parse_bounds(tuple(at_most or ()), tuple(at_least or ()), compared=True)
        request = CompareRequest(
            head=build, baseline=file, runs=runs, gates=gates, allow_different=tuple(allow_different or ()),
            rounds=rounds or ROUNDS, candidate=candidate,
        )  # fmt: skip
        tell = progress_for(quiet=quiet or as_json)
        try:
            found = compare(request, local_lab(Store.open(), tell))
        finally:
            tell.close()
        return told(found, job, as_json=as_json)

    raise typer.Exit(guarded(lambda: job.watched(body), as_json=as_json, debug=debug))


def _written(baseline: LatencyBaseline, out: Path, as_json: bool) -> ExitCode:
    from edgecnn.comparing.baseline_file import write_baseline

    write_baseline(baseline, out)
    return _shown(baseline, as_json)


def _shown(baseline: LatencyBaseline, as_json: bool) -> ExitCode:
    from edgecnn.comparing.baseline_file import energy_figures_of, figures_of
    from edgecnn.render.screens.comparing import show_baseline
    from edgecnn.render.terminal import show_json

    figures, energy = figures_of(baseline), energy_figures_of(baseline)
    if as_json:
        facts = baseline.model_dump(mode="json", by_alias=True, exclude={"runs", "energy_runs"})
        counts = {"runs": len(baseline.runs), "energy_runs": len(baseline.energy_runs)}
        show_json({**facts, **counts, "latency": figures.model_dump(mode="json"), "energy": energy.model_dump(mode="json")})
    else:
        show_baseline(baseline, figures, energy)
    return ExitCode.OK
