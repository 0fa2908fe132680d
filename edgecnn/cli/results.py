"""`edgecnn report`, `explain`, `compare` and `study history`: read finished builds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli.verbs import Call, verb
from edgecnn.errors.base import EdgecnnError

COMPARE_PAGE, HISTORY_PAGE = Path("compare.html"), Path("history.html")
BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, such as builds/ARCH-DEVICE.")]
ReportOut = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Page to write (default: BUILD/report.html).")]
ExplainedOpt = Annotated[
    str | None,
    typer.Option(
        "--candidate", metavar="ID", help="Explain only this candidate, which may be unsupported, such as openvino-fp16."
    ),
]
BuildsArg = Annotated[
    list[Path], typer.Argument(metavar="A B …", help="Folders of finished builds; the others are compared with the first.")
]
PastArg = Annotated[
    Path | None, typer.Argument(metavar="[BUILD]", help="A finished build (default: all measurements in the store).")
]
CompareOut = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Page to write (default: compare.html here; none with --json).")
]
HistoryOut = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Page to write (default: history.html here; none with --json).")
]
ArchOpt = Annotated[str | None, typer.Option("--arch", help="Show this network only.")]
TargetOpt = Annotated[str | None, typer.Option("--target", metavar="DEVICE", help="Show measurements on this device only.")]
CandidateOpt = Annotated[str | None, typer.Option("--candidate", metavar="ID", help="Show this candidate only.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    verb(app, "report", short="Write the HTML page of a finished build.")(report)
    verb(app, "explain", short="Explain why each candidate was or was not chosen.")(explain)
    verb(app, "compare", short="Compare finished builds in a table and a page.")(compare)


def report(call: Call, build: BuildArg, out: ReportOut = None) -> None:
    """Write the HTML page of a finished build: verdict, figures, charts, mistakes and environment."""
    from edgecnn.api import write_page
    from edgecnn.render.screens.report import show_plot
    from edgecnn.render.terminal import show_lines
    from edgecnn.results.folder import PAGE, read_report

    build_report = read_report(build)
    written = write_page(build_report, call.store, out or build / PAGE)

    def text() -> None:
        missing = [f"  missing: {part}: {why}" for part, why in written.missing.items()]
        show_lines([f"{written.file}: {written.bytes:,} bytes", *missing])
        show_plot(build_report)

    call.show(written, text)


def explain(call: Call, build: BuildArg, candidate: ExplainedOpt = None) -> None:
    """Explain why each candidate was or was not chosen, what was not measured, and which commands would settle open questions."""
    from edgecnn.render.screens.report import explanation_lines
    from edgecnn.results.explain import explain as explained
    from edgecnn.results.explain import explain_candidate
    from edgecnn.results.folder import read_report

    explanation = explained(read_report(build))
    shown = explanation if candidate is None else explain_candidate(explanation, candidate, build)
    call.show(shown, explanation_lines(shown, alone=candidate is not None))


def compare(call: Call, builds: BuildsArg, out: CompareOut = None) -> None:
    """Compare figures, paired accuracy and changes of finished builds, in a table and a page."""
    from edgecnn.api import write_comparison_page
    from edgecnn.comparing.side_by_side import side_by_side
    from edgecnn.render.screens.comparing import show_side_by_side

    comparison = side_by_side(builds, call.store)
    call.show(comparison, lambda: show_side_by_side(comparison))
    _write_page(call, lambda file: write_comparison_page(comparison, file), out, COMPARE_PAGE)


def history(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    build: PastArg = None,
    arch: ArchOpt = None,
    target: TargetOpt = None,
    candidate: CandidateOpt = None,
    out: HistoryOut = None,
) -> None:
    """Show the measurements of a build's candidates over time, in a table and a page."""
    from edgecnn.api import write_history_page
    from edgecnn.comparing.history import HistoryRequest, measured_history
    from edgecnn.render.screens.comparing import show_history

    measurements = measured_history(HistoryRequest(build=build, arch=arch, target=target, candidate=candidate), call.store)
    call.show(measurements, lambda: show_history(measurements))
    _write_page(call, lambda file: write_history_page(measurements, file), out, HISTORY_PAGE)


def _write_page(call: Call, write: Callable[[Path], int], out: Path | None, default: Path) -> None:
    """Write a page. If the default page cannot be written, warn, because the table was already shown."""
    if call.options.as_json and out is None:
        return
    try:
        written = write(out or default)
    except EdgecnnError as error:
        if out is not None:
            raise
        call.warn([f"edgecnn: no {default}: {error.line()}"])
    else:
        call.add([f"{out or default}: {written:,} bytes"])
