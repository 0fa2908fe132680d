"""`edgecnn baseline`: record the latency of a board or a CI runner in a file, and compare later builds with the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.judging import show_comparison
from edgecnn.cli.options import DETAILS, JOB
from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.base import ExitCode
from edgecnn.errors.comparing import ROUNDS_WITH_RUNS

if TYPE_CHECKING:
    from edgecnn.values.report import LatencyBaseline

BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, or a bundle.")]
RunsArg = Annotated[
    Path, typer.Argument(metavar="RUNS", help="The folder `measured` of the bundle, copied back from the device.")
]
FileArg = Annotated[Path, typer.Argument(metavar="FILE", help="A file from `baseline record` or `baseline import`.")]
FilesArg = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Baseline files, one per day; a verdict needs at least 3 days.")
]
FileOpt = Annotated[Path, typer.Option("--out", metavar="FILE", help="The baseline file to write.")]
PinnedArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build.")]
PinOpt = Annotated[Path, typer.Option("--out", metavar="FILE", help="The record to write, such as gates/base.json.")]
CandidateOpt = Annotated[
    str | None, typer.Option("--candidate", metavar="ID", help="A candidate in the bundle (default: the chosen one).")
]
RunsOpt = Annotated[
    Path | None,
    typer.Option("--runs", metavar="RUNS", help="Folder of runs measured on the device (default: race on this machine)."),
]
AllowOpt = Annotated[
    list[str] | None,
    typer.Option("--allow-different", metavar="CONDITION", help="Accept a difference in this condition, such as kernel."),
]
RoundsOpt = Annotated[
    int | None, typer.Option("--rounds", min=8, max=1000, help="Number of processes to time here (default: 17).")
]


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    about = "Record latency in a file and compare later builds with it."
    group = family(app, "baseline", short=about)
    verb(group, "record", short="Write the runs of a build's last race to one file.")(record)
    verb(group, "import", short="Make a baseline from runs that a device measured by itself.")(import_)
    verb(group, "pin", short="Write a small record of the shipped kit, to commit.")(pin)
    verb(group, "show", short="Show what a baseline file records.")(show)
    takes = ("at_most", "at_least", JOB, DETAILS)
    verb(group, "compare", short="Compare a build's current latency with a baseline.", takes=takes)(compare)


def record(call: Call, build: BuildArg, out: FileOpt, candidate: CandidateOpt = None) -> None:
    """Write every run of a build's last race, with the machine it ran on, to one file."""
    from edgecnn.comparing.baseline_file import recorded

    _write(call, recorded(build, call.store, candidate), out)


def import_(call: Call, build: BuildArg, runs: RunsArg, out: FileOpt, candidate: CandidateOpt = None) -> None:
    """Make a baseline from runs that a device measured on its own (python3 -m runner measure)."""
    from edgecnn.comparing.baseline_file import imported

    _write(call, imported(build, runs, candidate), out)


def pin(call: Call, build: PinnedArg, out: PinOpt) -> None:
    """Write a small record of the shipped kit to commit. `judge HEAD --against FILE` then races HEAD against that kit."""
    from edgecnn.comparing.baseline_file import write_record
    from edgecnn.comparing.pin import pinned
    from edgecnn.render.screens.comparing import pin_lines

    record_of_kit = pinned(build, out)
    write_record(record_of_kit, out)
    call.show(record_of_kit, pin_lines(record_of_kit, str(out)))


def show(call: Call, file: FileArg) -> None:
    """Show what a baseline file records: kit, machine, conditions and latency."""
    from edgecnn.comparing.baseline_file import read_baseline

    _show(call, read_baseline(file))


def compare(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    build: BuildArg,
    files: FilesArg,
    runs: RunsOpt = None,
    allow_different: AllowOpt = None,
    rounds: RoundsOpt = None,
    candidate: CandidateOpt = None,
) -> ExitCode:
    """Compare a build's current latency with baselines of the same machine. Baselines of another machine are refused."""
    from edgecnn.comparing.comparison import ROUNDS, CompareRequest
    from edgecnn.comparing.comparison import compare as compare_with
    from edgecnn.devices.machine import local_lab
    from edgecnn.judging.gates import parse_bounds

    if rounds is not None and runs is not None:
        raise ROUNDS_WITH_RUNS(rounds=rounds)
    gates = parse_bounds(call.options.at_most, call.options.at_least, compared=True)
    request = CompareRequest(
        head=build, baselines=tuple(files), runs=runs, gates=gates, allow_different=tuple(allow_different or ()),
        rounds=rounds or ROUNDS, candidate=candidate,
    )  # fmt: skip
    return show_comparison(call, compare_with(request, local_lab(call.store, call.tell)))


def _write(call: Call, baseline: LatencyBaseline, out: Path) -> None:
    from edgecnn.comparing.baseline_file import write_record

    write_record(baseline, out)
    _show(call, baseline)


def _show(call: Call, baseline: LatencyBaseline) -> None:
    from edgecnn.comparing.baseline_file import energy_figures_of, figures_of
    from edgecnn.render.screens.comparing import baseline_lines

    figures, energy = figures_of(baseline), energy_figures_of(baseline)
    facts = baseline.model_dump(mode="json", by_alias=True, exclude={"runs", "energy_runs"})
    facts |= {"runs": len(baseline.runs), "energy_runs": len(baseline.energy_runs)}
    facts |= {"latency": figures.model_dump(mode="json"), "energy": energy.model_dump(mode="json")}
    call.show(facts, baseline_lines(baseline, figures, energy))
