"""The folder of a bundle's results: ``bundle-bench.json`` and the profiles of its kits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from edgecnn.bench.facts import BundleBench
from edgecnn.bundle.verify import Verified
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.measure.kits import KitRef
from edgecnn.measure.subject import Subject
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.profiles import StoredProfile

REPORTED = "bundle-bench.json"
PROFILES = "profiles"


def output_folder(out: Path | None, verified: Verified) -> Path:
    """Create the folder of the results before anything is measured. ``out``: None means ``benches/NAME``.

    Raises:
        NOT_OVERWRITTEN: it holds other files, or is inside the bundle.
        OUTPUT_UNWRITABLE: it cannot be created.
    """
    folder = out or Path("benches") / verified.manifest.name
    resolved, bundle = folder.resolve(), verified.opened.path.resolve()
    if bundle == resolved or bundle in resolved.parents:
        raise NOT_OVERWRITTEN(path=folder, because="it is inside the bundle, and edgecnn never changes a bundle")
    try:
        if folder.exists() and not (folder / REPORTED).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise NOT_OVERWRITTEN(path=folder, because=f"it holds other files and no {REPORTED}")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=folder, because=system_reason(error)) from error
    return folder


def write_bench(result: BundleBench, subject: Subject, out: Path) -> BundleBench:
    """Copy the profiles, write ``bundle-bench.json`` last, and return its content.

    Raises OUTPUT_UNWRITABLE: a file cannot be written.
    """
    try:
        profiles = {kit.candidate.id: tuple(_copied(kit, subject, out)) for kit in subject.kits.values()}
        written = result.model_copy(update={"profiles": profiles, "output": str(out)})
        write_text_atomically(out / REPORTED, written.model_dump_json(indent=1, by_alias=True) + "\n")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return written


def _copied(kit: KitRef, subject: Subject, out: Path) -> Iterator[str]:
    for stored in _stored(kit, subject):
        name = f"{PROFILES}/{kit.candidate.id}/{stored.profile.what}-{stored.id}"
        shutil.copytree(stored.folder, out / name, copy_function=shutil.copyfile, dirs_exist_ok=True)
        yield name


def _stored(kit: KitRef, subject: Subject) -> Iterator[StoredProfile]:
    if (answers := subject.evaluations.get((kit.candidate.id, "test"))) is not None:
        yield answers
    raced = [result.profiles[kit.entrant] for result in subject.races.values() if kit.entrant in result.profiles]
    if raced:
        yield from (stored for stored in subject.lab.store.profiles.of(kit.digest, "race") if stored.profile in raced)
