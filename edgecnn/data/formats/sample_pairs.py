"""WebDataset samples, ``0001.jpg`` next to ``0001.cls``, as a list. A sample's files share their name up to the first dot."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from edgecnn.data.split_names import split_name
from edgecnn.errors.data import ARCHIVE_UNUSABLE
from edgecnn.errors.labels import SHARDS_WITHOUT_SPLIT
from edgecnn.runner.causes.left_behind import is_image_name
from edgecnn.runner.files import bounded_content

PAIRS: Final = "edgecnn-samples.csv"
"""The list of unpacked samples. Archives may not contain a file with this name, so it is always ours."""
_CLASS: Final = ".cls"
_RECORD: Final = ".json"
_KEYS: Final = ("label", "cls", "class", "class_name")
_CLASS_BYTES_MAX: Final = 1 << 12
_RECORD_BYTES_MAX: Final = 1 << 20


def has_pairs(archive: Path, names: Sequence[str]) -> bool:
    """Whether a tar contains samples: one has a class, or images have records next to them and there is no folder."""
    if archive.suffix.lower() == ".zip":
        return False
    known = set(names)
    has_records = any(f"{_key(name)}{_RECORD}" in known for name in names if is_image_name(name) and "/" not in name)
    return has_records or any(name.lower().endswith(_CLASS) for name in names)


def write_pairs(out: Path, archives: Mapping[str, Path]) -> None:
    """Write the list of the unpacked samples. ``archives``: by the folder in ``out`` that contains their files.

    Raises ARCHIVE_UNUSABLE: an image has no class, or there is no image. SHARDS_WITHOUT_SPLIT: the names of some archives mean a
    split, and others do not.
    """
    part_of = {place: _part(place) for place in archives}
    parts = set(part_of.values())
    if None in parts and parts - {None, "train"}:
        named = [archive for place, archive in archives.items() if part_of[place] is not None]
        unnamed = [archive for place, archive in archives.items() if part_of[place] is None]
        raise SHARDS_WITHOUT_SPLIT(folder=unnamed[0].parent, names=[archive.name for archive in unnamed], example=named[0].name)
    rows = [(*row, part_of[place]) for place, archive in archives.items() for row in _samples(out, place, archive)]
    with (out / PAIRS).open("x", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        has_splits = None not in parts and len(parts) > 1
        writer.writerow(("path", "label", "split") if has_splits else ("path", "label"))
        writer.writerows(row if has_splits else row[:2] for row in rows)


def _part(place: str) -> str | None:
    """Return the split of an archive: ``train/0000.tar`` or ``train-0000.tar``."""
    splits = (split_name(word) for word in place.split("/"))
    return next((split.part for split in splits if split is not None), None)


def _samples(out: Path, place: str, archive: Path) -> Iterator[tuple[str, str]]:
    images = 0
    for path in sorted((out / place).rglob("*")):
        if is_image_name(path.name) and path.is_file():
            images += 1
            yield path.relative_to(out).as_posix(), _label(path, archive)
    if not images:
        raise ARCHIVE_UNUSABLE(file=archive, because="its samples have no image file")


def _label(image: Path, archive: Path) -> str:
    key = image.with_name(_key(image.name))
    try:
        if (file := key.with_name(f"{key.name}{_CLASS}")).is_file():
            return bounded_content(file, _CLASS_BYTES_MAX).decode("utf-8").strip()
        record = json.loads(bounded_content(key.with_name(f"{key.name}{_RECORD}"), _RECORD_BYTES_MAX))
        label = next(str(record[name]) for name in _KEYS if name in record and isinstance(record[name], str | int))
        label.encode("utf-8")  # half a character, such as "\\ud800", is not a name
        return label
    except (OSError, ValueError, RecursionError, TypeError, StopIteration) as error:
        because = f"its image {image.name!r} has no class: no {key.name}{_CLASS}, and no {key.name}{_RECORD} with a label"
        raise ARCHIVE_UNUSABLE(file=archive, because=because) from error


def _key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"
