"""`edgecnn store`: look at the store, check it, make room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.store.store import Store

DAY_S = 86400.0
MIB = 1024 * 1024
store_app = typer.Typer(no_args_is_help=True, help="Look at the store of finished work, check it, make room.")


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    app.add_typer(store_app, name="store")


@store_app.command("list")
def list_(as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    """List what is stored: kind, key, size, age, seconds it took, settings."""
    raise typer.Exit(guarded(lambda: _list(_open(), as_json), as_json=as_json, debug=debug))


@store_app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Take damaged entries out; the next build makes them again.")] = False,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Read every stored byte again and compare it with its record. Exit 3 when something is damaged."""
    raise typer.Exit(guarded(lambda: _verify(_open(), repair, quiet, as_json), as_json=as_json, debug=debug))


@store_app.command()
def gc(
    days: Annotated[float, typer.Option("--days", min=0, help="Artifacts not used for this many days go.")] = 30.0,
    max_mib: Annotated[
        int | None, typer.Option("--max-mib", min=0, help="The least recently used go until the rest fits.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    as_json: opt.JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Make room: what was not used lately goes, what is in use stays."""
    raise typer.Exit(guarded(lambda: _gc(_open(), (days, max_mib), dry_run, as_json), as_json=as_json, debug=debug))


def _open() -> Store:
    from edgecnn.store.store import Store

    return Store.open()


def _list(store: Store, as_json: bool) -> ExitCode:
    from edgecnn.render.terminal import show_json, show_lines, show_rows
    from edgecnn.store.listing import listing

    found = [row.model_dump(mode="json") for row in listing(store)]
    if as_json:
        show_json({"root": str(store.root), "entries": found})
    else:
        show_lines([f"{store.root}: {len(found)} entries"])
        columns = tuple(found[0]) if found else ()
        if found:
            show_rows(columns, [tuple(_cell(row[column]) for column in columns) for row in found])
    return ExitCode.OK


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _verify(store: Store, repair: bool, quiet: bool, as_json: bool) -> ExitCode:
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json, show_lines
    from edgecnn.store.verify import verify as verify_store

    tell = progress_for(quiet=quiet or as_json)
    try:
        report = verify_store(store, tell, repair=repair)
    finally:
        tell.close()
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        counted = f"{report.artifacts} artifacts and {report.profiles} profiles"
        whole = f"{counted}, {report.bytes / MIB:,.1f} MiB: {len(report.damaged)} damaged"
        damaged = [
            f"damaged: {entry.name}: {entry.why}{', moved to the trash' if entry.moved_to_trash else ''}"
            for entry in report.damaged
        ]
        show_lines([whole, *damaged, *([] if report.ok or repair else ["take them out with: edgecnn store verify --repair"])])
    return ExitCode.OK if report.ok or repair else ExitCode.MISSING


def _gc(store: Store, rule: tuple[float, int | None], dry_run: bool, as_json: bool) -> ExitCode:
    from edgecnn.render.terminal import show_json, show_lines
    from edgecnn.store.gc import GcPolicy, collect

    days, max_mib = rule
    policy = GcPolicy(unused_for_s=days * DAY_S, max_bytes=None if max_mib is None else max_mib * MIB)
    report = collect(store, policy, dry_run=dry_run)
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        verb = "would free" if dry_run else "freed"
        gone = [f"{'would remove' if dry_run else 'removed'} {removal.name}: {removal.why}" for removal in report.removed]
        busy = [f"in use, kept: {name}" for name in report.busy]
        show_lines(
            [
                *gone,
                *busy,
                f"{verb} {report.freed_bytes / MIB:,.1f} MiB, kept {report.kept_bytes / MIB:,.1f} MiB",
            ]
        )
    return ExitCode.OK
