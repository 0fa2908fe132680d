"""The end-to-end path of a caller: from an image file to logits, with decoding and preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Tuple

from .failure import RunnerError
from .feeds import feed_of
from .pixels import decode, open_picture, to_pixels

if TYPE_CHECKING:
    from .kit import Kit
    from .sessions import Session


class PictureChain:
    """A function that reads, decodes, resizes, crops, normalizes and classifies an image, like ``Classifier.predict``."""

    def __init__(self, kit: Kit, session: Session) -> None:
        self._kit = kit
        self._session = session

    def __call__(self, picture: Path) -> Mapping[str, Any]:
        """Return arrays by output name."""
        recipe = self._kit.manifest.recipe
        pixels = to_pixels(decode(picture, recipe.grey_window), recipe)[None]
        return self._session.run(feed_of(self._kit, pixels))


def golden_photo(kit: Kit) -> Tuple[Path, str]:
    """Return the kit's JPEG and its description, such as ``JPEG of 640 x 480 pixels and 81,204 bytes``.

    Raises:
        RunnerError: no-golden-photo.
    """
    photo = kit.manifest.golden.jpeg
    if photo is None:
        raise RunnerError("no-golden-photo", "{}: has no JPEG to decode".format(kit.manifest.name), hint="package it again")
    path = kit.path(photo.file)
    with open_picture(path) as image:
        width, height = image.size
    return path, "JPEG of {} x {} pixels and {:,} bytes".format(width, height, path.stat().st_size)
