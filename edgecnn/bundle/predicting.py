"""Classify images with a bundle's kit, once the bundle is verified."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgecnn.bundle.classifying import Classified, opened_kit
from edgecnn.bundle.predictions import Predicted, Predictions, Unreadable
from edgecnn.bundle.verify import Verified
from edgecnn.data.files import ListingProgress, parse_stamp, skipped_phrases, stamps_in
from edgecnn.data.formats.registry import is_address
from edgecnn.data.images import LARGEST_BYTES
from edgecnn.errors.base import system_reason
from edgecnn.errors.bundle import NO_PHOTOS, PHOTO_ABSENT, PHOTO_NOT_A_FILE, no_photo_readable
from edgecnn.runner.causes import split_left_behind
from edgecnn.runner.files import bounded_content
from edgecnn.values.stage import Progress

_PROGRESS_AFTER_S: Final = 2.0


def require_paths(photos: Sequence[Path]) -> None:
    """Raise PHOTO_NOT_A_FILE for an address or standard input, and PHOTO_ABSENT if none of the paths exists."""
    for path in photos:
        if is_address(text := str(path)) or (text == "-" and not path.exists()):
            raise PHOTO_NOT_A_FILE(text=text.replace(":/", "://", 1))
    if not any(map(os.path.lexists, photos)):
        raise PHOTO_ABSENT(path=photos[0])


def predict_photos(bundle: Verified, photos: Sequence[Path], candidate: str | None, top: int, tell: Progress) -> Predictions:
    """Classify images with one of a bundle's kits.

    ``photos``: image files, and folders whose files are read in the order of their names; hidden files are skipped.
    ``candidate``: the candidate whose kit is used; None: the chosen candidate. ``top``: number of labels for each image.

    Raises:
        KitNotCarried: the bundle has no such kit, or no chosen one.
        NO_PHOTOS, NO_PHOTO_READABLE: there is no readable image.
        RunnerFailed: the kit does not run here. MODEL_CRASHED, MODEL_TIMED_OUT: its runtime crashed, or hangs.
    """
    files, skipped = image_files(photos, tell)
    predictions, unreadable = list[Predicted](), list[Unreadable]()
    with opened_kit(bundle, candidate) as kit:
        began = time.monotonic()
        for done, file in enumerate(files, start=1):
            try:
                answer = kit.process.classify(bounded_content(file, LARGEST_BYTES), top)
            except OSError as error:
                answer = Classified(unreadable=system_reason(error))
            if answer.unreadable is None:
                predictions.append(Predicted(file=str(file), labels=answer.labels))
            else:
                unreadable.append(Unreadable(file=str(file), because=answer.unreadable))
            if time.monotonic() - began >= _PROGRESS_AFTER_S:
                tell.step("predicting", done, len(files), "images")
        knobs = dict(kit.process.knobs)
    if not predictions:
        raise no_photo_readable(count=len(files), file=unreadable[0].file, because=unreadable[0].because)
    return Predictions(
        bundle=bundle.facts.path, sha256=bundle.facts.sha256, name=kit.manifest.name, version=kit.manifest.version,
        candidate=kit.candidate, kit=kit.process.sha256, knobs=knobs, confinement=kit.confinement, skipped=skipped,
        unlearned=bundle.contents.unlearned.get(kit.candidate), predictions=tuple(predictions), unreadable=tuple(unreadable),
    )  # fmt: skip


def image_files(photos: Sequence[Path], tell: Progress) -> tuple[list[Path], tuple[str, ...]]:
    """Return the image files and a phrase for each skipped entry, by the same rule as a build.

    The files of a folder are in the order of their names.

    Raises NO_PHOTOS: a folder holds no images, or all named files are left-overs of tools. DATA_FOLDER_UNREADABLE: a folder
    cannot be listed.
    """
    named, leftovers = split_left_behind(photos)
    listing, files = ListingProgress(tell), list[Path]()
    for path in leftovers:
        listing.skip(path)
    for path in named:
        inside = [path / parse_stamp("", stamp).path for stamp in stamps_in(path, listing)] if path.is_dir() else [path]
        if not inside:
            raise NO_PHOTOS(folder=path)
        files += sorted(inside)
    if not files:
        raise NO_PHOTOS(folder=photos[0])
    listing.finish()
    return files, tuple(skipped_phrases(listing.skipped_under(Path.cwd())))
