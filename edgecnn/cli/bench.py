"""`edgecnn bench`: measure a finished build on its device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import TrustOptions, host_request, measuring_fields, recipe_of, trust_of
from edgecnn.cli.build import show_judged
from edgecnn.cli.options import BOARD, DETAILS, GATES, JOB, MEASURING, OF_LISTS, TRUST
from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.bench.bundle import BundleBenchRequest

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
    """Add the verb."""
    takes = (BOARD, GATES, MEASURING, TRUST, JOB, DETAILS, TrustOptions, *OF_LISTS)
    verb(app, "bench", short="Measure a finished build on its device: here or on a board.", takes=takes)(bench)


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
    from edgecnn.bench.bundle import BundleBenchRequest, is_alone, require_trusted
    from edgecnn.render.progress import Quiet

    images = recipe_of(replace(call.options, target=target, data=data)).data
    measured = measuring_fields(call.options)
    request = BenchRequest(folder=Path(build), host=host_request(call.options), target=target, anew=fresh or anew, **measured)
    trust = replace(trust_of(call.options), made_here=made_here)
    if data is not None or out is not None or is_alone(request.folder):
        return _bench_bundle(BundleBenchRequest(request, None if data is None else images, out, trust), call)
    require_trusted(request.folder, trust, Quiet())
    return show_judged(call, bench_and_write(request, call.tell).report)


def _bench_bundle(request: BundleBenchRequest, call: Call) -> ExitCode:
    from edgecnn.bench.bundle import bench_bundle
    from edgecnn.render.ci import sheet_of_bundle_bench
    from edgecnn.render.screens.bundle import show_bundle_bench

    report = bench_bundle(request, call.store, call.tell)
    return call.judge(sheet_of_bundle_bench(report), report, lambda: show_bundle_bench(report, verbose=call.options.verbose))
