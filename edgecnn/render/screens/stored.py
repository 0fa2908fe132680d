"""The screens of the store: its entries with their most telling settings. ``--json`` has all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgecnn.errors.wording import counted
from edgecnn.render.figures import NONE
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import ago, stored_size, took
from edgecnn.store.entry import flattened, shown
from edgecnn.store.gc import GcReport
from edgecnn.store.listing import ArchiveRow, ListingRow, VerifyReport
from edgecnn.store.transfer import Transferred

COLUMNS = ("kind", "key", "network", "size", "made", "used", "took", "settings")
KEY_SHOWN = 12
"""Characters of a key, as in every message."""
_TELLING = {
    "candidate.id": "candidate", "variant": "variant", "mode": "mode", "classes": "classes", "resolution_px": "resolution_px",
    "pixels.crop_px": "crop_px", "preprocessing.pixels.crop_px": "crop_px", "epochs": "epochs", "images": "images",
    "origin": "origin", "package": "package", "capabilities": "capabilities",
}  # fmt: skip
"""Settings that tell entries apart, and their names here; an entry without them shows its first few settings."""
_FEW = 3


def show_listing(root: str, rows: Sequence[ListingRow], unpacked: Sequence[ArchiveRow] = ()) -> None:
    """Print the entries, the newest first, their sum, and the size of unpacked archives."""
    show_lines([f"{root}: {counted(len(rows), 'artifact')}, {stored_size(sum(row.bytes for row in rows))}"])
    if unpacked:
        show_lines([f"  {counted(len(unpacked), 'unpacked archive')}, {stored_size(sum(row.bytes for row in unpacked))}"])
    by_key = {row.key: row for row in rows}
    if rows:
        show_rows(COLUMNS, [_cells(row, by_key) for row in rows])


def show_verified(report: VerifyReport, *, repaired: bool) -> None:
    """Print what was read, and what is damaged."""
    counts_text = (
        f"{counted(report.artifacts, 'artifact')} and {counted(report.profiles, 'profile')}, {stored_size(report.bytes)}"
    )
    damaged = [
        f"damaged: {entry.name}: {entry.why}{', moved to the trash' if entry.moved_to_trash else ''}" for entry in report.damaged
    ]
    advice = [] if report.ok or repaired else ["to remove them: edgecnn store verify --repair"]
    show_lines([f"{counts_text}: {len(report.damaged)} damaged", *damaged, *advice])


def show_collected(report: GcReport) -> None:
    """Print what was removed, what is in use, and how much space is free now."""
    removed = "would remove" if report.dry_run else "removed"
    gone = [f"{removed} {entry.name}: {entry.why}" for entry in report.removed if entry.what != "blob"]
    if blobs := [entry.bytes for entry in report.removed if entry.what == "blob"]:
        gone.append(f"{removed} {counted(len(blobs), 'file')} that no entry names, {stored_size(sum(blobs))}")
    busy = [f"in use, kept: {name}" for name in report.busy]
    freed = f"{'would free' if report.dry_run else 'freed'} {stored_size(report.freed_bytes)}"
    show_lines([*gone, *busy, f"{freed}, kept {stored_size(report.kept_bytes)}", *_why_nothing(report)])


def _why_nothing(report: GcReport) -> list[str]:
    """Why nothing was freed although there are entries, and how to free space now."""
    if report.freed_bytes or not report.kept_bytes:
        return []
    recent = f"; {counted(report.recent, 'entry', 'entries')} used within the last hour always stay" if report.recent else ""
    return [
        f"no entry is old enough{recent}",
        "to free more: edgecnn store gc --days 0 (everything not used within the last hour), "
        "or edgecnn store gc --max-mib N (the least recently used first)",
    ]


def transfer_lines(transfers: Mapping[str, Transferred], url: str) -> Iterator[str]:
    """Yield what each direction moved, and what it skipped."""
    words = {"push": "sent to", "pull": "fetched from"}
    for way, transfer in transfers.items():
        moved = f"{counted(transfer.entries, 'entry', 'entries')}, {stored_size(transfer.bytes)}"
        yield f"{words[way]} {url}: {moved}; both had {transfer.there:,}"
        yield from (f"  skipped: {line}" for line in transfer.left)


def _cells(row: ListingRow, by_key: Mapping[str, ListingRow]) -> tuple[str, ...]:
    return (
        row.kind,
        row.key[:KEY_SHOWN],
        _network(row, by_key) or NONE,
        stored_size(row.bytes),
        ago(row.age_s),
        ago(row.unused_s),
        took(row.seconds),
        _settings(row),
    )


def _network(row: ListingRow, by_key: Mapping[str, ListingRow]) -> str | None:
    """The network of an entry, else of its inputs; None for pixels."""
    if "arch" in row.settings:
        return str(row.settings["arch"])
    origins = (_network(by_key[key], by_key) for key in row.inputs.values() if key in by_key)
    return next((arch for arch in origins if arch is not None), None)


def _settings(row: ListingRow) -> str:
    stated = {name: value for name, value in flattened(row.settings) if name and value is not None}
    telling = {name: label for name, label in _TELLING.items() if name in stated}
    named = telling or {name: name for name in [key for key in stated if key != "arch"][:_FEW]}
    return " ".join(f"{label}={shown(stated[name])}" for name, label in named.items())
