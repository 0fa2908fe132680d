"""`edgecnn loadgen`: the kit of a build under MLPerf's load generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode
from edgecnn.errors.measuring import UnknownScenario

if TYPE_CHECKING:
    from edgecnn.measure.loadgen.settings import LoadAsked
    from edgecnn.studies.loadgen import Subject

SCENARIOS = ("SingleStream", "MultiStream", "Offline", "Server")


def _named(name: str) -> str:
    """LoadGen's name, however it was spelt: single-stream is SingleStream."""
    found = next((each for each in SCENARIOS if each.lower() == name.lower().replace("-", "").replace("_", "")), None)
    if found is None:
        raise UnknownScenario(name=name, known=SCENARIOS)
    return found


SubjectArg = Annotated[
    Path, typer.Argument(metavar="BUILD|KIT", help="The folder of a finished build, such as builds/ARCH-DEVICE, or of one kit.")
]
ScenarioOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario", metavar="NAME", parser=_named, help=f"One of {', '.join(SCENARIOS)}; may be repeated. Default all."
    ),
]
DurationOpt = Annotated[
    float, typer.Option("--duration", min=0.1, max=3600, metavar="SECONDS", help="At least so long a run (MLPerf's rules: 600).")
]
ServerOpt = Annotated[
    float, typer.Option("--server-latency-ms", min=0.01, metavar="MS", help="Server: the most its 99th percentile may be.")
]
CandidateOpt = Annotated[
    str | None, typer.Option("--candidate", metavar="ID", help="Another kit of the bundle than the one that it uses.")
]
FolderOpt = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Of logs and report; default BUILD/loadgen/TIME, or ./loadgen/TIME."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("loadgen", help="Measure a kit with MLPerf's LoadGen: its scenarios, its rules, its verdict. No MLPerf result.")(
        _loadgen
    )


def _loadgen(  # noqa: PLR0913 - a command line's options are its parameters
    subject: SubjectArg,
    scenario: ScenarioOpt = None,
    duration: DurationOpt = 10.0,
    server_latency_ms: ServerOpt = 15.0,
    candidate: CandidateOpt = None,
    out: FolderOpt = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.measure.loadgen.facts import Scenario
        from edgecnn.measure.loadgen.settings import LoadAsked
        from edgecnn.studies.loadgen import Subject

        wanted = tuple(Scenario(name) for name in SCENARIOS if name in (scenario or SCENARIOS))
        asked = LoadAsked(scenarios=wanted, duration_s=duration, server_latency_ms=server_latency_ms)
        return _measured(Subject(folder=subject, candidate=candidate, out=out), asked, quiet=quiet, as_json=as_json)

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


def _measured(subject: Subject, asked: LoadAsked, *, quiet: bool, as_json: bool) -> ExitCode:
    """What is INVALID was not measured: exit 3."""
    from edgecnn.render.loadgen import show_loadgen
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json
    from edgecnn.studies.loadgen import measure_and_write

    tell = progress_for(quiet=quiet or as_json)
    try:
        written = measure_and_write(subject, asked, tell)
    finally:
        tell.close()
    if as_json:
        show_json({**written.report.model_dump(mode="json", by_alias=True), "folder": str(written.folder)})
    else:
        show_loadgen(written.report, written.folder)
    return ExitCode.OK if all(result.valid for result in written.report.results) else ExitCode.MISSING
