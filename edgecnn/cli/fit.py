"""`edgecnn fit`: find the most accurate network of a family inside a measured budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import request_from
from edgecnn.cli.options import OF_LISTS
from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.values.recipe import FitChoice

FamilyOpt = Annotated[
    str | None,
    typer.Option("--family", metavar="FAMILY", help="A network family, such as efficientnet or resnet, or one of its networks."),
]
WithinOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--within",
        metavar="METRIC=NUMBER",
        help="Budget: maximum p50_ms, energy_mj, peak_memory_mib or size_mib, or minimum images_per_s.",
    ),
]
AccuracyOpt = Annotated[
    list[str] | None,
    typer.Option("--accuracy", metavar="top1=SHARE", help="Find the fastest network that demonstrably reaches this accuracy."),
]
TargetsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="DEVICE[:RUNTIME|:all]",
        help="Device or device file (default: cpu). Repeat the option to predict for more devices.",
    ),
]
TableOpt = Annotated[
    Path | None,
    typer.Option(
        "--table",
        metavar="FILE",
        help="Latency table (default: the device's table, measured if necessary, or else public forecasts).",
    ),
]
TrainingsOpt = Annotated[
    int | None,
    typer.Option("--trainings", min=3, max=50, help="Number of complete trainings, including the first network's (default: 5)."),
]
TrialsOpt = Annotated[
    int | None, typer.Option("--trials", min=20, max=20_000, help="Number of networks whose cost is predicted (default: 200).")
]
MinutesOpt = Annotated[
    float | None,
    typer.Option(
        "--minutes", min=1, help="Start no new training after this time (default: no limit), not counting the latency table."
    ),
]
LabelsOpt = Annotated[
    bool, typer.Option("--no-teacher", help="Train on labels only, without distilling from the family's first network.")
]
TAKES = ("recipe", "data", *OF_LISTS, "weights", "transfer", "overrides", "host", "python", "carry_wheels", "meter", "out")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    short = "Train a few networks within a measured budget; ship the best."
    verb(app, "fit", short=short, takes=TAKES)(fit)


def fit(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    family: FamilyOpt = None,
    target: TargetsOpt = None,
    within: WithinOpt = None,
    accuracy: AccuracyOpt = None,
    table: TableOpt = None,
    trainings: TrainingsOpt = None,
    trials: TrialsOpt = None,
    minutes: MinutesOpt = None,
    no_teacher: LabelsOpt = False,
) -> ExitCode:
    """Search scaled, changed and pruned networks of a family, train a few, race them, and ship the most accurate within budget.

    The device's latency table only rules networks out. The shipped network is measured, or marked as provisional. An interrupted
    call resumes.
    """
    from edgecnn.api import fit_and_write
    from edgecnn.devices.files import parse_target
    from edgecnn.fit.choose import exit_code
    from edgecnn.fit.request import FitRequest, OtherTarget, fit_choice, parse_required_top1, parse_within
    from edgecnn.render.screens.fit import show_fit

    others = (target or [])[1:]
    build = request_from(replace(call.options, target=target[0] if target else None), "judge")
    stated = {
        "family": family,
        "within": parse_within(within) if within else None,
        "accuracy_top1": parse_required_top1(accuracy) if accuracy else None,
        "trainings": trainings,
        "trials": trials,
        "minutes": minutes,
        "teacher": False if no_teacher else None,
    }
    choice = fit_choice(build.recipe.fit, {name: value for name, value in stated.items() if value is not None})
    request = FitRequest(
        choice=choice,
        recipe=build.recipe,
        device=build.device,
        device_file=build.device_file,
        host=build.host,
        meter=build.meter,
        out=build.out if call.options.out is not None else Path(f"builds/fit-{choice.family}-{build.device.name}"),
        table=table,
        others=tuple(OtherTarget(other.device.name, other.runtime) for name in others if (other := parse_target(name))),
        build=build.command,
        command=build.command.adding(*(("--target", other) for other in others), *_own_parts(choice, table)),
    )
    report = fit_and_write(request, call.tell)
    call.show(report, lambda: show_fit(report, request.out))
    return exit_code(report, require_measured=request.recipe.gates.require_measured)


def _own_parts(choice: FitChoice, table: Path | None) -> Iterator[tuple[str, ...]]:
    """Yield the options of `fit` alone, for the command that repeats this call."""
    yield "--family", str(choice.family)
    yield "--trainings", str(choice.trainings)
    yield "--trials", str(choice.trials)
    yield from (("--within", f"{name}={bound:g}") for name, bound in choice.within.items())
    if choice.accuracy_top1 is not None:
        yield "--accuracy", f"top1={choice.accuracy_top1:g}"
    if choice.minutes is not None:
        yield "--minutes", f"{choice.minutes:g}"
    if table is not None:
        yield "--table", str(table)
    if not choice.teacher:
        yield ("--no-teacher",)
