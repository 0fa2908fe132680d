"""The screens of the store: its entries with their most distinctive settings, verification, cleaning and transfers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgecnn.errors.wording import counted
from edgecnn.render.figures import NONE
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.render.wording import age_text, duration_text, stored_size
from edgecnn.store.entry import flattened, shown
from edgecnn.store.gc import GcReport
from edgecnn.store.listing import ArchiveRow, ListingRow, VerifyReport
from edgecnn.store.transfer import Transferred

COLUMNS = ("kind", "key", "network", "size", "made", "used", "took", "settings")
KEY_SHOWN = 12
"""Characters of a key, as in every message."""
_DISTINCTIVE = {
    "candidate.id": "candidate", "variant": "variant", "mode": "mode", "classes": "classes", "resolution_px": "resolution_px",
    "pixels.crop_px": "crop_px", "preprocessing.pixels.crop_px": "crop_px", "epochs": "epochs", "images": "images",
    "origin": "origin", "package": "package", "capabilities": "capabilities",
}  # fmt: skip
"""Settings that distinguish entries, and their names in the table. An entry without them shows its first few settings."""
_FIRST_SETTINGS = 3


def show_listing(root: str, rows: Sequence[ListingRow], unpacked: Sequence[ArchiveRow] = ()) -> None:
    """Print the entries, the newest first, their sum, and the size of unpacked archives."""
    show_lines([f"{root}: {counted(len(rows), 'artifact')}, {stored_size(sum(row.bytes for row in rows))}"])
    if unpacked:
        show_lines([f"  {counted(len(unpacked), 'unpacked archive')}, {stored_size(sum(row.bytes for row in unpacked))}"])
    by_key = {row.key: row for row in rows}
    if rows:
        show_rows(COLUMNS, [_entry_cells(row, by_key) for row in rows])


def show_verified(report: VerifyReport, *, repaired: bool) -> None:
    """Print the number of verified entries, and the damaged ones."""
    read = f"{counted(report.artifacts, 'artifact')} and {counted(report.profiles, 'profile')}, {stored_size(report.bytes)}"
    damaged = [
        f"damaged: {entry.name}: {entry.why}{', moved to the trash' if entry.moved_to_trash else ''}" for entry in report.damaged
    ]
    advice = [] if report.ok or repaired else ["to remove them: edgecnn store verify --repair"]
    show_lines([f"{read}: {len(report.damaged)} damaged", *damaged, *advice])


def show_collected(report: GcReport) -> None:
    """Print the removed entries, the entries in use, and the freed space."""
    removed = "would remove" if report.dry_run else "removed"
    gone = [f"{removed} {entry.name}: {entry.why}" for entry in report.removed if entry.what != "blob"]
    if blobs := [entry.bytes for entry in report.removed if entry.what == "blob"]:
        gone.append(f"{removed} {counted(len(blobs), 'file')} that no entry names, {stored_size(sum(blobs))}")
    busy = [f"in use, kept: {name}" for name in report.busy]
    freed = f"{'would free' if report.dry_run else 'freed'} {stored_size(report.freed_bytes)}"
    show_lines([*gone, *busy, f"{freed}, kept {stored_size(report.kept_bytes)}", *_nothing_freed_lines(report)])


def _nothing_freed_lines(report: GcReport) -> list[str]:
    """Return why nothing was freed although there are entries, and how to free space."""
    if report.freed_bytes or not report.kept_bytes:
        return []
    recent = f"; {counted(report.recent, 'entry', 'entries')} used within the last hour always stay" if report.recent else ""
    return [
        f"no entry is old enough{recent}",
        "to free more: edgecnn store gc --days 0 (everything not used within the last hour), "
        "or edgecnn store gc --max-mib N (the least recently used first)",
    ]


def transfer_lines(transfers: Mapping[str, Transferred], url: str) -> Iterator[str]:
    """Yield the moved and the skipped entries of each direction."""
    words = {"push": "sent to", "pull": "fetched from"}
    for way, transfer in transfers.items():
        moved = f"{counted(transfer.entries, 'entry', 'entries')}, {stored_size(transfer.bytes)}"
        yield f"{words[way]} {url}: {moved}; both had {transfer.there:,}"
        yield from (f"  skipped: {line}" for line in transfer.left)


def _entry_cells(row: ListingRow, by_key: Mapping[str, ListingRow]) -> tuple[str, ...]:
    return (
        row.kind,
        row.key[:KEY_SHOWN],
        _network_of(row, by_key) or NONE,
        stored_size(row.bytes),
        age_text(row.age_s),
        age_text(row.unused_s),
        duration_text(row.seconds),
        _settings_text(row),
    )


def _network_of(row: ListingRow, by_key: Mapping[str, ListingRow]) -> str | None:
    """Return the network of an entry, else of its inputs; None for pixels."""
    if "arch" in row.settings:
        return str(row.settings["arch"])
    origins = (_network_of(by_key[key], by_key) for key in row.inputs.values() if key in by_key)
    return next((arch for arch in origins if arch is not None), None)


def _settings_text(row: ListingRow) -> str:
    stated = {name: value for name, value in flattened(row.settings) if name and value is not None}
    telling = {name: label for name, label in _DISTINCTIVE.items() if name in stated}
    named = telling or {name: name for name in [key for key in stated if key != "arch"][:_FIRST_SETTINGS]}
    return " ".join(f"{label}={shown(stated[name])}" for name, label in named.items())
