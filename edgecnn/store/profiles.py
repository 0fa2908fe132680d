"""Profiles: dated observations, filed under the digest of what ran. Many per subject, never overwritten."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from edgecnn.errors.base import system_reason
from edgecnn.errors.wording import first_problem
from edgecnn.runner.files import JSON_BYTES_MAX, UnfitFile, bounded_content
from edgecnn.store.disk import (
    DOCUMENT_BYTES_MAX,
    discard,
    fsync_folder,
    publish,
    remove,
    sha256_of,
    stamp_of,
    sync_and_digest,
    write_synced,
)
from edgecnn.store.entry import Damage, Layout, file_damage
from edgecnn.store.failures import named_failures
from edgecnn.store.locks import Locks
from edgecnn.values.artifact import FileFact
from edgecnn.values.base import Value
from edgecnn.values.profile import Profile
from edgecnn.values.stage import digest_of

PROFILE = "profile.json"
FACTS = "files.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class ProfileFiles(Value):
    """``files.json``: the other files of a profile's folder, so that damage is noticed."""

    files: Mapping[str, FileFact]


class StoredProfile(Value):
    """A profile and its folder."""

    id: str
    """Date and digest, so that names sort by time of observation."""
    folder: Path
    profile: Profile
    files: Mapping[str, FileFact]

    def file(self, name: str) -> Path:
        """Return the path of one of its files, such as ``profile.logits_file``."""
        return self.folder / name


class Profiles:
    """Profiles of a store."""

    def __init__(self, layout: Layout, locks: Locks) -> None:
        self._layout = layout
        self._locks = locks

    def add(self, profile: Profile, files: Mapping[str, Path] | None = None) -> StoredProfile:
        """File a profile with copies of its files. The same profile is stored once.

        Args:
            profile: the observation.
            files: name in the profile's folder, and the file to copy there.

        Raises:
            StoreFull, StoreUnusable: the store cannot take it.
            UnstableValue: the profile holds a NaN or an infinity.
            ValueError: a name is not a plain file name.
        """
        named = dict(files or {})
        for name in (profile.subject, *named):
            if not _NAME.fullmatch(name) or name in (PROFILE, FACTS):
                raise ValueError(f"{name!r} cannot name a profile's subject or file")
        digest = digest_of([profile.model_dump(mode="json"), {name: sha256_of(path) for name, path in named.items()}])
        entry = self._layout.subject(profile.subject) / profile.what / f"{profile.moment:%Y%m%dT%H%M%SZ}-{digest[:12]}"
        with named_failures(self._layout.root, f"filing a profile of {profile.subject[:12]}"):
            existing = read_profile(entry)
            if isinstance(existing, StoredProfile):
                return existing
            work = self._layout.work("profile", f"{entry.name}-{datetime.now(UTC).timestamp():.6f}")
            try:
                stored = _write_profile(work, profile, named)
                if not publish(work, entry) and not isinstance(read_profile(entry), StoredProfile):
                    discard(entry, self._layout.trash)
                    publish(work, entry)
                remove(work)
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
        return StoredProfile(id=entry.name, folder=entry, profile=profile, files=stored.files)

    def of(self, subject: str, what: str) -> tuple[StoredProfile, ...]:
        """Return the profiles of a subject, newest first. Damaged ones are skipped; ``verify`` reports them."""
        folder = self._layout.subject(subject) / what
        with named_failures(self._layout.root, f"reading profiles of {subject[:12]}"):
            entries = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
            profiles = [profile for entry in entries if isinstance(profile := read_profile(entry), StoredProfile)]
        return tuple(sorted(profiles, key=lambda stored: stored.profile.moment, reverse=True))

    def entries(self) -> Iterator[StoredProfile]:
        """Yield every readable profile, by subject and kind, oldest first."""
        for folder in self.folders():
            stored = read_profile(folder)
            if isinstance(stored, StoredProfile):
                yield stored

    def folders(self) -> Iterator[Path]:
        """Yield the folder of every profile, including damaged ones, sorted."""
        with named_failures(self._layout.root, "listing profiles"):
            folders = sorted(self._layout.profiles.glob("*/*/*"))
        yield from folders


def read_profile(folder: Path) -> StoredProfile | Damage | None:
    """Read a profile and check the sizes of its files. Return its damage if it is damaged, and None if there is no folder."""
    try:
        facts = ProfileFiles.model_validate_json(bounded_content(folder / FACTS, DOCUMENT_BYTES_MAX))
        text = bounded_content(folder / PROFILE, JSON_BYTES_MAX)
        profile = Profile.model_validate_json(text)
    except (FileNotFoundError, NotADirectoryError) as error:
        return Damage(f"{Path(str(error.filename)).name} is missing") if folder.exists() else None
    except (UnfitFile, IsADirectoryError) as error:
        return Damage(f"{Path(str(error.filename)).name}: {system_reason(error)}")
    except ValidationError as error:
        file = FACTS if error.title == ProfileFiles.__name__ else PROFILE
        if error.errors()[0]["type"] == "value_error":  # such as an invalid date
            return Damage(f"{file}: {first_problem(error)}")
        return Damage(f"{file} is truncated or not a record")
    if fault := _name_fault(facts.files, profile):
        return Damage(fault)
    for name, fact in facts.files.items():
        stamp = stamp_of(folder / name)
        if stamp is None or stamp[0] != fact.bytes:
            return file_damage(folder, name, fact)
    if PROFILE not in facts.files or hashlib.sha256(text).hexdigest() != facts.files[PROFILE].sha256:
        return Damage(f"{PROFILE} was edited after it was filed")
    return StoredProfile(id=folder.name, folder=folder, profile=profile, files=facts.files)


def _name_fault(files: Mapping[str, FileFact], profile: Profile) -> str | None:
    """Return the fault of a profile's file names, or None. A pulled profile may name any path."""
    unfit = next((name for name in files if name == FACTS or not _NAME.fullmatch(name)), None)
    if unfit is not None:
        return f"{FACTS} lists {ascii(unfit)[:100]}, which is not a file of a profile"
    if profile.logits_file is not None and profile.logits_file not in files:
        return f"{PROFILE} names the logits {ascii(profile.logits_file)[:100]}, which {FACTS} does not list"
    return None


def _write_profile(work: Path, profile: Profile, files: Mapping[str, Path]) -> ProfileFiles:
    work.mkdir(parents=True)
    write_synced(work / PROFILE, profile.model_dump_json(by_alias=True) + "\n")
    for name, source in files.items():
        shutil.copyfile(source, work / name)
    facts = ProfileFiles(files={name: sync_and_digest(work / name) for name in (PROFILE, *files)})
    write_synced(work / FACTS, json.dumps(facts.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
    fsync_folder(work)
    return facts
