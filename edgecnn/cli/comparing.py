"""`edgecnn compare` and `edgecnn history`: several builds side by side, and one build's candidates over time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import EdgecnnError, ExitCode

if TYPE_CHECKING:
    from edgecnn.comparing.history import HistoryRequest

COMPARE_PAGE, HISTORY_PAGE = Path("compare.html"), Path("history.html")
BuildsArg = Annotated[
    list[Path], typer.Argument(metavar="A B …", help="Folders of finished builds; the first is what the others are held against.")
]
BuildArg = Annotated[Path | None, typer.Argument(metavar="[BUILD]", help="A finished build; unset, all that the store has.")]
CompareOut = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The page; default compare.html here, with --json none.")
]
HistoryOut = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The page; default history.html here, with --json none.")
]
ArchOpt = Annotated[str | None, typer.Option("--arch", help="Of this network alone.")]
TargetOpt = Annotated[str | None, typer.Option("--target", metavar="DEVICE", help="Measured on this device alone.")]
CandidateOpt = Annotated[str | None, typer.Option("--candidate", metavar="ID", help="Of this candidate alone.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("compare", help="Show finished builds side by side: figures, paired accuracy, what changed; and write a page.")(
        _compare
    )
    app.command("history", help="Show what was measured of a build's candidates over time; and write a page.")(_history)


def _compare(builds: BuildsArg, out: CompareOut = None, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    raise typer.Exit(guarded(lambda: _compared(builds, out, as_json), as_json=as_json, debug=debug))


def _history(  # noqa: PLR0913 - a command line's options are its parameters
    build: BuildArg = None,
    arch: ArchOpt = None,
    target: TargetOpt = None,
    candidate: CandidateOpt = None,
    out: HistoryOut = None,
    as_json: opt.JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.comparing.history import HistoryRequest

        return _told_history(HistoryRequest(build=build, arch=arch, target=target, candidate=candidate), out, as_json)

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


def _compared(builds: list[Path], out: Path | None, as_json: bool) -> ExitCode:
    from edgecnn.api import write_comparison_page
    from edgecnn.comparing.side_by_side import side_by_side
    from edgecnn.render.screens.comparing import show_side_by_side
    from edgecnn.render.terminal import show_json
    from edgecnn.store.store import Store

    found = side_by_side(builds, Store.open())
    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    else:
        show_side_by_side(found)
    return _paged(lambda file: write_comparison_page(found, file), out, COMPARE_PAGE, as_json)


def _told_history(asked: HistoryRequest, out: Path | None, as_json: bool) -> ExitCode:
    from edgecnn.api import write_history_page
    from edgecnn.comparing.history import measured_history
    from edgecnn.render.screens.history import show_history
    from edgecnn.render.terminal import show_json
    from edgecnn.store.store import Store

    found = measured_history(asked, Store.open())
    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    else:
        show_history(found)
    return _paged(lambda file: write_history_page(found, file), out, HISTORY_PAGE, as_json)


def _paged(write: Callable[[Path], int], out: Path | None, default: Path, as_json: bool) -> ExitCode:
    """The page that was asked for, or the one beside: where that cannot be made, it is a note, and the table stands."""
    from edgecnn.render.terminal import show_lines, show_talk

    if as_json and out is None:
        return ExitCode.OK
    try:
        written = write(out or default)
    except EdgecnnError as error:
        if out is not None:
            raise
        show_talk([f"edgecnn: no {default}: {error.line()}"])
        return ExitCode.OK
    if not as_json:
        show_lines([f"{out or default}: {written:,} bytes"])
    return ExitCode.OK
