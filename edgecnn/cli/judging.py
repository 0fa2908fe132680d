"""`edgecnn judge` and `edgecnn bench`: judge a finished build, measure it again on its device, or race two finished builds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import (
    TrustOptions,
    host_request,
    measuring_fields,
    recipe_of,
    refuse_unusable_texts,
    request_from,
    stored_race_of,
    trust_of,
)
from edgecnn.cli.build import build_and_show, show_judged
from edgecnn.cli.options import (
    AGAINST,
    BOARD,
    DETAILS,
    GATES,
    JOB,
    MEASURING,
    OF_LISTS,
    OUT,
    STORED,
    TRUST,
    WHAT,
    BuildOptions,
    options_settling,
)
from edgecnn.cli.verbs import Call, Takes, verb
from edgecnn.errors.base import ExitCode
from edgecnn.errors.comparing import ROUNDS_WITHOUT_AGAINST

if TYPE_CHECKING:
    from edgecnn.values.report import Comparison

if TYPE_CHECKING:
    from edgecnn.bench.bundle import BundleBenchRequest


JudgedArg = Annotated[
    str | None,
    typer.Argument(metavar="[BUILD]", help="The folder of a finished build, a recipe file (TOML), or the name of a pipeline."),
]
BuildOrBundleArg = Annotated[
    str, typer.Argument(metavar="BUILD|BUNDLE", help="The folder of a finished build, or the folder or zip of a bundle.")
]
ImagesOpt = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Images with the same classes, for a bundle whose build is not in the store.",
    ),
]
BenchOutOpt = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FOLDER", help="Results folder if you pass a bundle instead of a build (default: benches/NAME)."
    ),
]
BenchTargetOpt = Annotated[
    str | None,
    typer.Option("--target", metavar="DEVICE", help="Device that the board is; must match the device of the build."),
]
FreshOpt = Annotated[bool, typer.Option("--fresh", help="Measure again, even if a recent measurement is stored.")]
AnewOpt = Annotated[bool, typer.Option("--anew", hidden=True, help="The earlier name of --fresh.")]
BenchMadeHereOpt = Annotated[
    bool,
    typer.Option(
        "--made-here",
        help="With --allowed-signers: ignore files that this machine added to the bundle by using it.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    takes: Takes = (WHAT, GATES, MEASURING, OUT, STORED, AGAINST, JOB, DETAILS)
    verb(app, "judge", short="Judge a finished build, or race two of them.", takes=takes)(judge)
    takes = (BOARD, GATES, MEASURING, TRUST, JOB, DETAILS, TrustOptions, *OF_LISTS)
    verb(app, "bench", short="Measure a finished build on its device: here or on a board.", takes=takes)(bench)


def judge(call: Call, recipe: JudgedArg = None) -> ExitCode:
    """Judge a finished build, given by its folder or by the recipe of a stored build.

    Accuracy, size and executed precision come from the store. Latency is measured again if the device is available.
    With --against, two finished builds are raced.
    """
    if call.options.against is not None:
        return _judge_against(call, recipe, call.options.against)
    if call.options.rounds is not None:
        raise ROUNDS_WITHOUT_AGAINST(rounds=call.options.rounds)
    from edgecnn.results.finished import build_folder

    folder = build_folder(recipe) if recipe and recipe.strip() and "\0" not in recipe else None
    if folder is not None:
        return _judge_finished(call, folder)
    request = request_from(replace(call.options, recipe=recipe), "judge")
    return build_and_show(call, request.model_copy(update={"stored_race": stored_race_of(call.options), "only_judge": True}))


def _judge_finished(call: Call, folder: Path) -> ExitCode:
    from edgecnn.bench.bench import JudgeRequest, judge_finished
    from edgecnn.devices.machine import local_lab
    from edgecnn.errors.comparing import OPTIONS_NOT_WITH_BUILD

    refuse_unusable_texts(call.options)
    if refused := options_settling(call.options, "how to build"):
        raise OPTIONS_NOT_WITH_BUILD(folder=folder, options=refused)
    request = JudgeRequest(folder=folder, stored_race=stored_race_of(call.options), **measuring_fields(call.options))
    return show_judged(call, judge_finished(request, local_lab(call.store, call.tell)))


def _judge_against(call: Call, head: str | None, base: str) -> ExitCode:
    from edgecnn.comparing.comparison import AgainstRequest, judge_against
    from edgecnn.devices.machine import local_lab
    from edgecnn.judging.gates import parse_bounds

    options = call.options
    folder = _checked_head(options, head, base)
    gates = parse_bounds(options.at_most, options.at_least, compared=True)
    request = AgainstRequest(head=folder, base=base, gates=gates, rounds=options.rounds)
    return show_comparison(call, judge_against(request, local_lab(call.store, call.tell)))


def show_comparison(call: Call, comparison: Comparison) -> ExitCode:
    """Show a comparison, pass it to the CI job, and return the exit code."""
    from edgecnn.render.ci import sheet_of_comparison
    from edgecnn.render.screens.comparing import comparison_lines

    return call.judge(sheet_of_comparison(comparison), comparison, comparison_lines(comparison, verbose=call.options.verbose))


def _checked_head(options: BuildOptions, head: str | None, base: str) -> Path:
    from edgecnn.errors.comparing import OPTIONS_NOT_WITH_AGAINST
    from edgecnn.errors.recipes import EMPTY_OPTION
    from edgecnn.errors.usage import MISSING_ARGUMENT

    if head is None:
        meaning = "the folder of the finished build to judge"
        raise MISSING_ARGUMENT(command="edgecnn judge --against", name="HEAD", meaning=meaning)
    for option, text in (("HEAD", head), ("--against", base)):
        if not text.strip():
            raise EMPTY_OPTION(option=option)
    if refused := options_settling(options, "how to build", "how to measure"):
        raise OPTIONS_NOT_WITH_AGAINST(options=refused)
    return Path(head)


def bench(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    build: BuildOrBundleArg,
    target: BenchTargetOpt = None,
    data: ImagesOpt = None,
    out: BenchOutOpt = None,
    fresh: FreshOpt = False,
    anew: AnewOpt = False,
    made_here: BenchMadeHereOpt = False,
) -> ExitCode:
    """Measure a finished build on a board over SSH: self-test, accuracy, latency, memory and energy.

    The measurements are copied back, a provisional choice becomes final, and the report is rewritten. Without --host, this
    machine is measured. A bundle without its build is verified first and stays unchanged. It uses the build's test images if
    the store has them, or else the images of --data.
    """
    from edgecnn.api import bench_and_write
    from edgecnn.bench.bench import BenchRequest
    from edgecnn.bench.bundle import BundleBenchRequest, is_alone, trusted_bundle
    from edgecnn.render.progress import Quiet

    images = recipe_of(replace(call.options, target=target, data=data)).data
    measured = measuring_fields(call.options)
    request = BenchRequest(folder=Path(build), host=host_request(call.options), target=target, anew=fresh or anew, **measured)
    trust = replace(trust_of(call.options), made_here=made_here)
    if data is not None or out is not None or is_alone(request.folder):
        return _bench_bundle(BundleBenchRequest(request, None if data is None else images, out, trust), call)
    with trusted_bundle(request.folder, trust, Quiet()) as bundle:
        report = bench_and_write(request.model_copy(update={"bundle": bundle}), call.tell).report
    return show_judged(call, report)


def _bench_bundle(request: BundleBenchRequest, call: Call) -> ExitCode:
    from edgecnn.bench.bundle import bench_bundle
    from edgecnn.render.ci import sheet_of_bundle_bench
    from edgecnn.render.screens.bundle import show_bundle_bench

    report = bench_bundle(request, call.store, call.tell)
    return call.judge(sheet_of_bundle_bench(report), report, lambda: show_bundle_bench(report, verbose=call.options.verbose))
