"""`edgecnn bench`: a finished build, measured on the board that it is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.asking import Asked
from edgecnn.cli.bundle import IdentityOpt, RememberOpt, RequireSignatureOpt, SignersOpt
from edgecnn.cli.exits import guarded
from edgecnn.cli.job import Job
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.bench.bench import BenchRequest
    from edgecnn.bench.bundle import BundleBenchRequest

BuildOrBundleArg = Annotated[
    str, typer.Argument(metavar="BUILD|BUNDLE", help="The folder of a finished build, or a bundle alone: its folder or its zip.")
]
ShownOpt = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Images of the same classes that a bundle alone is asked about; default those of its build, out of the store.",
    ),
]
BenchOutOpt = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Where bundle-bench.json of a bundle alone goes; default benches/NAME."),
]
BenchTargetOpt = Annotated[
    str | None, typer.Option("--target", metavar="DEVICE", help="What the board is; must be what was built for.")
]
AnewOpt = Annotated[bool, typer.Option("--anew", help="Race again where a stored race is fresh enough.")]

BenchMadeHereOpt = Annotated[
    bool,
    typer.Option(
        "--made-here",
        help="With --allowed-signers and a build's folder: let pass what using its bundle here left in it. Of a bundle alone "
        "nothing but what it lists is run.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        "bench",
        help="Measure a finished build on a board over SSH: self-test, accuracy, race, memory and energy there; the profiles "
        "come back, a provisional choice is settled, and the report is written again. Without --host, on this machine. A bundle "
        "alone is verified first, asked about the images that its build reported on where the store has them, else about --data, "
        "and stays as it is.",
    )(_bench)


def _bench(  # noqa: PLR0913 - a command line's options are its parameters
    build: BuildOrBundleArg,
    host: opt.HostOpt = None,
    target: BenchTargetOpt = None,
    data: ShownOpt = None,
    out: BenchOutOpt = None,
    python: opt.PythonOpt = None,
    clean: opt.CleanOpt = False,
    carry_wheels: opt.CarryWheelsOpt = False,
    anew: AnewOpt = False,
    at_most: opt.MaxOpt = None,
    at_least: opt.MinOpt = None,
    require_measured: opt.RequireMeasuredOpt = False,
    unsure_passes: opt.UnsurePassesOpt = False,
    meter: opt.MeterOpt = None,
    until: opt.UntilOpt = None,
    batches: opt.BatchesOpt = None,
    end_to_end: opt.EndToEndOpt = False,
    soak: opt.SoakOpt = None,
    signers: SignersOpt = None,
    identity: IdentityOpt = None,
    require_signature: RequireSignatureOpt = False,
    remember: RememberOpt = None,
    made_here: BenchMadeHereOpt = False,
    junit: opt.JunitOpt = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    asked = Asked(
        at_most=tuple(at_most or ()), at_least=tuple(at_least or ()), require_measured=require_measured, meter=meter, until=until,
        batches=batches, end_to_end=end_to_end, soak=soak, target=target, data=data, host=host, python=python, clean=clean,
        carry_wheels=carry_wheels, verb="bench",
    )  # fmt: skip
    job = Job(junit, unsure_passes=unsure_passes)

    def body() -> ExitCode:
        from edgecnn.bench.bundle import BundleBenchRequest, is_alone, require_trusted
        from edgecnn.bundle.verify import Trust
        from edgecnn.render.progress import Quiet

        request = _request(build, asked, anew=anew)
        trust = Trust(made_here, signers, identity, require_signature, remember)
        if data is not None or out is not None or is_alone(request.folder):
            alone = BundleBenchRequest(request, data, out, trust)
            return _shown_alone(alone, job, as_json=as_json, quiet=quiet)
        require_trusted(request.folder, trust, Quiet())
        return _shown(request, job, as_json=as_json, quiet=quiet)

    raise typer.Exit(guarded(lambda: job.watched(body), as_json=as_json, debug=debug))


def _request(build: str, asked: Asked, *, anew: bool) -> BenchRequest:
    from edgecnn.bench.bench import BenchRequest
    from edgecnn.cli.asking import host_asked, refuse_unusable_texts
    from edgecnn.judging.bounds import parse_bounds
    from edgecnn.planning.request import extra_runs_of, share_of

    refuse_unusable_texts(asked)
    return BenchRequest(
        folder=Path(build),
        host=host_asked(asked.host, asked.python, clean=asked.clean, carry_wheels=asked.carry_wheels),
        target=asked.target,
        gates=parse_bounds(asked.at_most, asked.at_least, require_measured=asked.require_measured),
        anew=anew,
        meter=None if asked.meter is None else Path(asked.meter),
        until=None if asked.until is None else share_of(asked.until),
        extent=extra_runs_of(asked.batches, end_to_end=asked.end_to_end, soak=asked.soak),
    )


def _shown(request: BenchRequest, job: Job, *, as_json: bool, quiet: bool) -> ExitCode:
    from edgecnn.api import bench_and_write
    from edgecnn.judging.gates import exit_code_of
    from edgecnn.render.gate_sheet import sheet_of_report
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json, show_report

    tell = progress_for(quiet=quiet or as_json)
    try:
        found = bench_and_write(request, tell)
    finally:
        tell.close()
    job.tell(sheet_of_report(found.report, require_measured=found.require_measured))
    if as_json:
        show_json(found.report.model_dump(mode="json", by_alias=True))
    else:
        show_report(found.report)
    return exit_code_of(found.report.gates, require_measured=found.require_measured)


def _shown_alone(request: BundleBenchRequest, job: Job, *, as_json: bool, quiet: bool) -> ExitCode:
    from edgecnn.bench.bundle import bench_bundle
    from edgecnn.judging.gates import exit_code_of
    from edgecnn.render.bundle_bench import sheet_of_bundle_bench, show_bundle_bench
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json
    from edgecnn.store.store import Store

    tell = progress_for(quiet=quiet or as_json)
    try:
        found = bench_bundle(request, Store.open(), tell)
    finally:
        tell.close()
    required = request.bench.gates.require_measured
    job.tell(sheet_of_bundle_bench(found, require_measured=required))
    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    else:
        show_bundle_bench(found)
    return exit_code_of(found.gates, require_measured=required)
