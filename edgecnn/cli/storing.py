"""`edgecnn store`: look at the store, check it, make room."""

from __future__ import annotations

from typing import Annotated

import typer

from edgecnn.cli.verbs import STORE, Call, family, verb
from edgecnn.errors.base import ExitCode

DAY_S = 86400.0
MIB = 1024 * 1024
RepairOpt = Annotated[bool, typer.Option("--repair", help="Take damaged entries out; the next build makes them again.")]
DaysOpt = Annotated[float, typer.Option("--days", min=0, help="Artifacts and unpacked zips not used for this many days go.")]
MaxMibOpt = Annotated[int | None, typer.Option("--max-mib", min=0, help="The least recently used go until the rest fits.")]
DryRunOpt = Annotated[bool, typer.Option("--dry-run", help="Say what would go.")]


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    of_the_store = family(app, "store", short="Look at the store of finished work, check it, make room.", panel=STORE)
    verb(of_the_store, "list", short="List what is stored.")(list_)
    verb(of_the_store, "verify", short="Read every stored byte again and compare.")(verify)
    verb(of_the_store, "gc", short="Make room.")(gc)


def list_(call: Call) -> None:
    """List what is stored: kind, key, network, size, when it was made and last used, how long it took, settings."""
    from edgecnn.render.screens.stored import show_listing
    from edgecnn.store.listing import archives, listing

    root, rows, unpacked = str(call.store.root), listing(call.store), archives(call.store)
    entries, found = ([row.model_dump(mode="json") for row in each] for each in (rows, unpacked))
    call.show({"root": root, "entries": entries, "archives": found}, lambda: show_listing(root, rows, unpacked))


def verify(call: Call, repair: RepairOpt = False) -> ExitCode:
    """Read every stored byte again and compare it with its record. Exit 3 when something is damaged."""
    from edgecnn.render.screens.stored import show_verified
    from edgecnn.store.verify import verify as verify_store

    report = verify_store(call.store, call.tell, repair=repair)
    call.show(report, lambda: show_verified(report, repaired=repair))
    return ExitCode.OK if report.ok or repair else ExitCode.MISSING


def gc(call: Call, days: DaysOpt = 30.0, max_mib: MaxMibOpt = None, dry_run: DryRunOpt = False) -> None:
    """Make room: what was not used lately goes, what is in use stays."""
    from edgecnn.render.screens.stored import show_collected
    from edgecnn.store.gc import GcPolicy, collect

    policy = GcPolicy(unused_for_s=days * DAY_S, max_bytes=None if max_mib is None else max_mib * MIB)
    report = collect(call.store, policy, dry_run=dry_run)
    call.show(report, lambda: show_collected(report))
