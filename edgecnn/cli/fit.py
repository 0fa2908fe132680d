"""`edgecnn fit`: the most accurate network of a family inside a measured budget."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli.asking import command_line, request_from
from edgecnn.cli.verbs import BUILD, Call, verb
from edgecnn.errors.base import ExitCode

FamilyOpt = Annotated[str, typer.Option("--family", metavar="FAMILY", help="Such as efficientnet, mobilenet-v2 or resnet.")]
WithinOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--within",
        metavar="METRIC=NUMBER",
        help="Budget: p50_ms, energy_mj, peak_memory_mib or size_mib, at most. May be repeated.",
    ),
]
AccuracyOpt = Annotated[
    str | None,
    typer.Option("--accuracy", metavar="top1=SHARE", help="The other way round: the fastest that is shown to be so accurate."),
]
TableOpt = Annotated[
    Path | None, typer.Option("--table", metavar="FILE", help="Latency table; default the device's own, measured if need be.")
]
TrainingsOpt = Annotated[int, typer.Option("--trainings", min=3, max=50, help="Whole trainings, of which two are references.")]
TrialsOpt = Annotated[int, typer.Option("--trials", min=20, max=20_000, help="Networks of which cost is predicted.")]
LabelsOpt = Annotated[bool, typer.Option("--no-teacher", help="Learn from labels alone, not from the family's first network.")]
TAKES = ("recipe", "target", "data", "weights", "transfer", "overrides", "host", "python", "carry_wheels", "out")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    short = "Search the most accurate network inside a measured budget."
    verb(app, "fit", short=short, panel=BUILD, takes=TAKES)(fit)


def fit(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    family: FamilyOpt,
    within: WithinOpt = None,
    accuracy: AccuracyOpt = None,
    table: TableOpt = None,
    trainings: TrainingsOpt = 5,
    trials: TrialsOpt = 200,
    no_teacher: LabelsOpt = False,
) -> ExitCode:
    """Search depth, width and resolution of a family, train a few, race them, and ship the most accurate inside the budget.

    Cost is predicted from the device's latency table, and only prunes: what ships was measured.
    An interrupted call goes on where it was.
    """
    from edgecnn.api import fit_and_write
    from edgecnn.fit.request import FitRequest, least_top1_of, within_of
    from edgecnn.render.screens.fit import fit_exit_code, show_fit

    like = request_from(call.asked, "judge")
    words = command_line(call.asked).split(" ", 2)[2:]
    own = ["--family", family, *(word for each in within or () for word in ("--within", each))]
    own += [] if accuracy is None else ["--accuracy", accuracy]
    asked = FitRequest(
        family=family,
        within=within_of(within or ()),
        least_top1=None if accuracy is None else least_top1_of(accuracy),
        recipe=like.recipe,
        device=like.device,
        device_file=like.device_file,
        host=like.host,
        out=like.out if call.asked.out is not None else Path(f"builds/fit-{family}-{like.device.name}"),
        table=table,
        trainings=trainings,
        trials=trials,
        teach=not no_teacher,
        words=tuple(shlex.split(words[0])) if words else (),
        command=" ".join(["edgecnn fit", shlex.join(own), *words]),
    )
    report = fit_and_write(asked, call.tell)
    call.show(report, lambda: show_fit(report, asked.out))
    return fit_exit_code(report)
