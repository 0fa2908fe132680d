"""Images that a finished network is shown, and no build is made of: which of a data path's are meant, likeliest first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgecnn.data.demo import DEMO
from edgecnn.data.images import FolderImages, ImageSource, open_source
from edgecnn.data.manifest import list_files, read_files, summarize
from edgecnn.data.splits import assign_roles, entirely_test
from edgecnn.errors.data import TooFewImages
from edgecnn.values.dataset import DataManifest, ImageEntry
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress


def shown_sources(path: str, cache: Path, tell: Progress) -> Iterator[ImageSource]:
    """First what a build of these images would test on, then every image; each as the role ``test`` of a source.

    Where there is a test split of its own, both are that one.

    Args:
        path: as ``DataChoice.path``.
        cache: the store's root.
        tell: shown progress.

    Raises:
        EdgecnnError: one of ``errors.data``, where the path cannot be used.
    """
    choice = DataChoice(path=path)
    if path == DEMO:
        yield open_source(Path(summarize(choice, cache, tell).manifest_path))
        return
    listed, _ = read_files(list_files(path, cache, tell), cache, tell)

    def source(images: tuple[ImageEntry, ...]) -> ImageSource:
        found = DataManifest(origin="folder", root=str(listed.root), classes=tuple(listed.classes), images=images)
        return FolderImages(found)

    with contextlib.suppress(TooFewImages):  # no build could be made of them, which nobody asked for
        yield source(tuple(image for image in assign_roles(listed, choice).images if image.role == "test"))
    yield source(entirely_test(listed))
