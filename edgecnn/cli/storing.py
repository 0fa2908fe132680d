"""`edgecnn store`: list, verify, share and shrink the store."""

from __future__ import annotations

from typing import Annotated

import typer

from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.base import ExitCode
from edgecnn.errors.store import NO_REMOTE, NOTHING_AFAR
from edgecnn.errors.usage import bad_value

DAY_S = 86400.0
MIB = 1024 * 1024
RepairOpt = Annotated[bool, typer.Option("--repair", help="Remove damaged entries; the next build recreates them.")]
DAYS = 30.0
DaysOpt = Annotated[
    float | None,
    typer.Option(
        "--days",
        min=0,
        help=f"Delete what was not used for this many days (default: {DAYS:g}); with --remote, sent that long ago.",
    ),
]
MaxMibOpt = Annotated[
    int | None, typer.Option("--max-mib", min=0, help="Delete the least recently used artifacts until this many MiB remain.")
]
UrlArg = Annotated[
    str | None,
    typer.Argument(metavar="[URL]", help="A folder, s3://BUCKET/FOLDER, gs://… or sftp://… (default: $EDGECNN_STORE_REMOTE)."),
]
RemoteOpt = Annotated[
    str | None,
    typer.Option("--remote", metavar="URL", help="Delete from this remote store instead; entries of the last day are kept."),
]
DryRunOpt = Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted.")]


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    group = family(app, "store", short="List, check, share or shrink the cache of finished work.")
    verb(group, "list", short="List the entries of the store.")(list_)
    verb(group, "verify", short="Check every stored byte against its hash.")(verify)
    verb(group, "push", short="Send missing entries to a remote store.")(push)
    verb(group, "pull", short="Fetch missing entries from a remote store.")(pull)
    verb(group, "sync", short="Push, then pull.")(sync)
    verb(group, "gc", short="Delete unused entries.")(gc)


def list_(call: Call) -> None:
    """List the entries of the store: kind, key, network, size, age, last use, duration and settings."""
    from edgecnn.render.screens.stored import show_listing
    from edgecnn.store.listing import archives, listing

    root, rows, unpacked = str(call.store.root), listing(call.store), archives(call.store)
    entries, unpacked_facts = ([row.model_dump(mode="json") for row in listed] for listed in (rows, unpacked))
    call.show({"root": root, "entries": entries, "archives": unpacked_facts}, lambda: show_listing(root, rows, unpacked))


def verify(call: Call, repair: RepairOpt = False) -> ExitCode:
    """Read every stored byte again and compare it with its record. Exits with 3 if something is damaged."""
    from edgecnn.render.screens.stored import show_verified
    from edgecnn.store.listing import verify as verify_store

    report = verify_store(call.store, call.tell, repair=repair)
    call.show(report, lambda: show_verified(report, repaired=repair))
    return ExitCode.OK if report.ok or repair else ExitCode.MISSING


def gc(call: Call, days: DaysOpt = None, max_mib: MaxMibOpt = None, dry_run: DryRunOpt = False, remote: RemoteOpt = None) -> None:
    """Delete entries that were not used recently; entries in use stay. In a remote store, delete files that no entry names."""
    from edgecnn.render.screens.stored import show_collected
    from edgecnn.store.gc import GcPolicy, collect, collect_remote
    from edgecnn.store.remote import Remote

    if remote is not None and max_mib is not None:
        reason = "--remote deletes by --days only"
        raise bad_value(command="edgecnn store gc", name="--max-mib", value=f"{max_mib}", reason=reason)
    if remote == "":  # such as an unset shell variable
        raise bad_value(command="edgecnn store gc", name="--remote", value=remote, reason="the URL is empty")
    if remote is not None:
        report = collect_remote(Remote(remote), older_than_s=None if days is None else days * DAY_S, dry_run=dry_run)
    else:
        unused_for_s = (DAYS if days is None else days) * DAY_S
        policy = GcPolicy(unused_for_s=unused_for_s, max_bytes=None if max_mib is None else max_mib * MIB)
        report = collect(call.store, policy, dry_run=dry_run)
    call.show(report, lambda: show_collected(report))


def push(call: Call, url: UrlArg = None) -> ExitCode:
    """Send every finished entry that is missing or damaged in the remote store."""
    return _transfer(call, "push", url)


def pull(call: Call, url: UrlArg = None) -> ExitCode:
    """Fetch every entry that this store lacks, and check each byte. Exits with 3 if an entry is damaged there."""
    return _transfer(call, "pull", url)


def sync(call: Call, url: UrlArg = None) -> ExitCode:
    """Send the entries that the remote store lacks, then fetch the entries that the local store lacks."""
    return _transfer(call, "sync", url)


def _transfer(call: Call, name: str, url: str | None) -> ExitCode:
    from edgecnn.render.screens.stored import transfer_lines
    from edgecnn.store.remote import Remote
    from edgecnn.store.transfer import Transferred
    from edgecnn.store.transfer import pull as fetched
    from edgecnn.store.transfer import push as sent

    address = url or call.store.remote
    if not address:
        raise NO_REMOTE(verb=name)
    remote, transfers = Remote(address), dict[str, Transferred]()
    if name != "pull":
        transfers["push"] = sent(call.store, remote, call.tell)
    if name != "push":
        transfers["pull"] = fetched(call.store, remote, call.tell)
        if not any((transfers["pull"].entries, transfers["pull"].there, transfers["pull"].left)):
            raise NOTHING_AFAR(url=remote.url)
    facts = {way: transfer.model_dump(mode="json") for way, transfer in transfers.items()}
    call.show(facts, transfer_lines(transfers, remote.url))
    return ExitCode.MISSING if any(transfer.left for transfer in transfers.values()) else ExitCode.OK
