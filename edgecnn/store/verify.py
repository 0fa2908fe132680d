"""Every stored byte, read again. Lookups trust a file's stat; this trusts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgecnn.store.disk import bytes_of, discard, files_under
from edgecnn.store.entry import Damage, file_damage, read_entry
from edgecnn.store.failures import named_failures
from edgecnn.store.profiles import FACTS, PROFILE, read_profile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, FileFact
from edgecnn.values.base import Value
from edgecnn.values.stage import Progress


class DamagedEntry(Value):
    """One artifact or profile that is not what was stored."""

    name: str
    """Below the store's root, such as ``artifacts/train/<key>``."""
    why: str
    moved_to_trash: bool


class VerifyReport(Value):
    """What ``verify`` read."""

    artifacts: int
    profiles: int
    bytes: int
    """Of the entries that are whole."""
    damaged: tuple[DamagedEntry, ...]
    strays: tuple[str, ...]
    """Files inside entries that no record knows. Harmless, and never handed out as part of an artifact's content."""

    @property
    def ok(self) -> bool:
        """True where nothing is damaged."""
        return not self.damaged


def verify(store: Store, tell: Progress, *, repair: bool = False) -> VerifyReport:
    """Hash every file of every artifact and profile, and compare it with its record.

    Args:
        store: what is verified.
        tell: hears one step per entry.
        repair: move damaged entries to the trash; the next build makes them again. Entries being made are left alone.

    Raises:
        StoreUnusable: something cannot be read, or with ``repair`` not moved.
    """
    artifacts = [store.layout.entry(kind, key) for kind, key in store.artifacts.names()]
    profiles = list(store.profiles.folders())
    damaged: list[DamagedEntry] = []
    strays: list[str] = []
    size = 0
    for done, folder in enumerate([*artifacts, *profiles], start=1):
        with named_failures(store.root, f"verifying {folder.name[:12]}"):
            found = _read_again(store, folder)
            if isinstance(found, Damage):
                moved = repair and _moved(store, folder)
                damaged.append(DamagedEntry(name=_name(store, folder), why=found.why, moved_to_trash=moved))
            elif found is not None:
                size += bytes_of(found)
                strays.extend(_strays(store, folder, found))
        tell.step("verify the store", done, len(artifacts) + len(profiles), "entries")
    return VerifyReport(
        artifacts=len(artifacts), profiles=len(profiles), bytes=size, damaged=tuple(damaged), strays=tuple(strays)
    )


def _read_again(store: Store, folder: Path) -> dict[str, FileFact] | Damage | None:
    """Recorded facts of all that lies in the folder, by path below it, where every byte agrees; None where it is gone by now."""
    if folder.is_relative_to(store.layout.artifacts):
        found = read_entry(store.layout, folder.parent.name, folder.name)
        if not isinstance(found, Artifact):
            return found
        place, files = found.folder, found.record.files
    else:
        profile = read_profile(folder)
        if profile is None or isinstance(profile, Damage):
            return profile
        place, files = profile.folder, profile.files
    for name, fact in files.items():
        damage = file_damage(place, name, fact)
        if damage is not None:
            return damage if folder.exists() else None
    return {(place / name).relative_to(folder).as_posix(): fact for name, fact in files.items()}


def _strays(store: Store, folder: Path, files: dict[str, FileFact]) -> Iterator[str]:
    known = {*files, "record.json", PROFILE, FACTS}
    return (f"{_name(store, folder)}/{name}" for name, _ in files_under(folder) if name not in known)


def _moved(store: Store, folder: Path) -> bool:
    with store.locks.held_if_free(folder.parent.name, folder.name) as free:
        if free and isinstance(_read_again(store, folder), Damage):
            discard(folder, store.layout.trash)
            return True
    return False


def _name(store: Store, folder: Path) -> str:
    return folder.relative_to(store.root).as_posix()
