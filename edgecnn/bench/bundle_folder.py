"""The folder of a bundle's results: ``bundle-bench.json``, and the profiles of its kits beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from edgecnn.bench.facts import BundleBench
from edgecnn.building.subject import Subject
from edgecnn.bundle.verify import Verified
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.measure.kits import KitRef
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.profiles import StoredProfile

REPORTED = "bundle-bench.json"
PROFILES = "profiles"


def output_folder(asked: Path | None, verified: Verified) -> Path:
    """Where the results go, made now so that it is refused before any time is spent; None: ``benches/NAME``.

    Raises:
        NOT_OVERWRITTEN: it holds something else, or lies in the bundle.
        OUTPUT_UNWRITABLE: it cannot be made.
    """
    out = asked or Path("benches") / verified.manifest.name
    there, bundle = out.resolve(), verified.opened.path.resolve()
    if bundle == there or bundle in there.parents:
        raise NOT_OVERWRITTEN(path=out, because="it lies in the bundle, which stays as it was packed")
    try:
        if out.exists() and not (out / REPORTED).is_file() and (not out.is_dir() or any(out.iterdir())):
            raise NOT_OVERWRITTEN(path=out, because=f"it holds other files and no {REPORTED}")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return out


def write_bench(found: BundleBench, seen: Subject, out: Path) -> BundleBench:
    """Copy the profiles, and write ``bundle-bench.json`` last; what it says.

    Raises OUTPUT_UNWRITABLE: the folder does not take them.
    """
    try:
        profiles = {kit.candidate.id: tuple(_copied(kit, seen, out)) for kit in seen.kits.values()}
        whole = found.model_copy(update={"profiles": profiles, "output": str(out)})
        write_text_atomically(out / REPORTED, whole.model_dump_json(indent=1, by_alias=True) + "\n")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return whole


def _copied(kit: KitRef, seen: Subject, out: Path) -> Iterator[str]:
    for stored in _stored(kit, seen):
        name = f"{PROFILES}/{kit.candidate.id}/{stored.profile.what}-{stored.id}"
        shutil.copytree(stored.folder, out / name, copy_function=shutil.copyfile, dirs_exist_ok=True)
        yield name


def _stored(kit: KitRef, seen: Subject) -> Iterator[StoredProfile]:
    if (answers := seen.evaluations.get((kit.candidate.id, "test"))) is not None:
        yield answers
    raced = [result.profiles[kit.entrant] for result in seen.races.values() if kit.entrant in result.profiles]
    if raced:
        yield from (each for each in seen.lab.store.profiles.of(kit.digest, "race") if each.profile in raced)
