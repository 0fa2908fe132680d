"""`edgecnn store`: look at the store, check it, make room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    """List what is stored: kind, key, network, size, when it was made and last used, how long it took, settings."""
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
    days: Annotated[
        float, typer.Option("--days", min=0, help="Artifacts and unpacked zips not used for this many days go.")
    ] = 30.0,
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
    from edgecnn.render.screens.stored import show_listing
    from edgecnn.render.terminal import show_json
    from edgecnn.store.listing import archives, listing

    rows, unpacked = listing(store), archives(store)
    if as_json:
        entries, found = ([row.model_dump(mode="json") for row in each] for each in (rows, unpacked))
        show_json({"root": str(store.root), "entries": entries, "archives": found})
    else:
        show_listing(str(store.root), rows, unpacked)
    return ExitCode.OK


def _verify(store: Store, repair: bool, quiet: bool, as_json: bool) -> ExitCode:
    from edgecnn.render.progress import progress_for
    from edgecnn.render.screens.stored import show_verified
    from edgecnn.render.terminal import show_json
    from edgecnn.store.verify import verify as verify_store

    tell = progress_for(quiet=quiet or as_json)
    try:
        report = verify_store(store, tell, repair=repair)
    finally:
        tell.close()
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        show_verified(report, repaired=repair)
    return ExitCode.OK if report.ok or repair else ExitCode.MISSING


def _gc(store: Store, rule: tuple[float, int | None], dry_run: bool, as_json: bool) -> ExitCode:
    from edgecnn.render.screens.stored import show_collected
    from edgecnn.render.terminal import show_json
    from edgecnn.store.gc import GcPolicy, collect

    days, max_mib = rule
    policy = GcPolicy(unused_for_s=days * DAY_S, max_bytes=None if max_mib is None else max_mib * MIB)
    report = collect(store, policy, dry_run=dry_run)
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        show_collected(report)
    return ExitCode.OK
