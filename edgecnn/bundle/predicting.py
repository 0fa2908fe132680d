"""Classify images with a bundle's kit, once the bundle is verified.

The code that runs is edgecnn's own runner, never the bundle's. A zip is unpacked for the time of its use.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgecnn.bundle.manifest import BundleManifest
from edgecnn.bundle.predictions import Predictions
from edgecnn.bundle.verify import Verified, unpack_bundle
from edgecnn.data.files import ListingProgress, parse_stamp, skipped_phrases, stamps_in
from edgecnn.data.formats.registry import is_address
from edgecnn.errors.bundle import NO_PHOTOS, PHOTO_ABSENT, PHOTO_NOT_A_FILE, no_photo_readable
from edgecnn.errors.comparing import kit_not_carried
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.results.shipped import kits_that_run_here, remedy_here
from edgecnn.runner.causes import split_left_behind
from edgecnn.runner.messages import RunnerError
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    from edgecnn.runner.classifier import Classifier


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
        RunnerFailed: the kit does not run here.
    """
    from edgecnn.runner.classifier import predict_files

    files, skipped = image_files(photos, tell)
    with opened_classifier(bundle, candidate) as kit:
        answers = predict_files(kit.classifier, files, top, lambda done: tell.step("predicting", done, len(files), "images"))
        knobs = kit.classifier.knobs
    if not answers["predictions"]:
        first = answers["unreadable"][0]
        raise no_photo_readable(count=len(files), file=first["file"], because=first["because"])
    return Predictions(
        bundle=bundle.facts.path, name=kit.manifest.name, version=kit.manifest.version, candidate=kit.candidate,
        kit=kit.manifest.files[f"kits/{kit.candidate}/kit.json"].sha256, knobs=knobs, skipped=skipped,
        unlearned=bundle.contents.unlearned.get(kit.candidate), **answers,
    )  # fmt: skip


class OpenKit(NamedTuple):
    """An open kit of a verified bundle."""

    classifier: Classifier
    manifest: BundleManifest
    candidate: str


@contextmanager
def opened_classifier(bundle: Verified, candidate: str | None) -> Iterator[OpenKit]:
    """Open one of a verified bundle's kits for the block.

    ``candidate``: the candidate whose kit is used; None: the chosen candidate.

    Raises KitNotCarried: the bundle has no such kit, or no chosen candidate. RunnerFailed: the kit does not run here.
    """
    from edgecnn.runner.classifier import Classifier

    name = candidate or bundle.contents.chosen
    if name is None or name not in bundle.contents.kits:
        here = kits_that_run_here(bundle.contents.manifests, bundle.opened.path)
        raise kit_not_carried(folder=Path(bundle.facts.path), candidate=name, carried=bundle.contents.kits, here=here)
    try:
        with _unpacked_folder(bundle) as folder:
            classifier = Classifier(folder / "kits" / name)
            try:
                yield OpenKit(classifier, bundle.manifest, name)
            finally:
                classifier.close()
    except RunnerError as error:
        hint = remedy_here(error.hint, bundle.contents.manifests, bundle.opened.path, name)
        raise RunnerFailed(**{**error.facts(), "hint": hint}) from error


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


@contextmanager
def _unpacked_folder(bundle: Verified) -> Iterator[Path]:
    """Yield the folder of a bundle, unpacking a zip for the time of its use."""
    if bundle.opened.form == "folder":
        yield bundle.opened.path
        return
    with tempfile.TemporaryDirectory(prefix="edgecnn-bundle-") as name:
        yield unpack_bundle(bundle, Path(name))
