"""How a training reads its images: photographs, made ones beside them, or made ones alone. Nothing else reads made ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from edgecnn.data.images import FolderImages, ImageSource, open_source, read_list
from edgecnn.data.synthesis.composer import FACTS, FOLDER, Composer, Planned
from edgecnn.runner.pixel_recipe import ALL_LEVELS
from edgecnn.values.data.dataset import DataManifest, ImageEntry
from edgecnn.values.data.synthesis import Provenance


def open_made(folder: Path) -> ImageSource:
    """The images of a synthesize artifact; all of them have the role ``train``.

    Raises ManifestUnreadable: its list is absent or damaged.
    """
    provenance = read_list(Provenance, folder / FACTS)
    label_of = {name: label for label, name in enumerate(provenance.classes)}
    return FolderImages(
        DataManifest(
            origin="folder",
            root=str(folder / FOLDER),
            classes=provenance.classes,
            images=tuple(
                ImageEntry(path=each.file, label=label_of[each.class_name], role="train", sha256=each.sha256)
                for each in provenance.images
            ),
        )
    )


class JoinedImages(ImageSource):
    """Photographs, and behind those that train the made ones."""

    def __init__(self, photographs: ImageSource, made: ImageSource) -> None:
        images = (*photographs.manifest.images, *made.entries("train"))
        super().__init__(photographs.manifest.model_copy(update={"images": images}))
        self._photographs, self._made = photographs, made
        self._is_made = frozenset(made.entries("train"))

    def read(self, entry: ImageEntry, grey_window: tuple[int, int] = ALL_LEVELS) -> Image.Image:
        """See ``ImageSource.read``."""
        return (self._made if entry in self._is_made else self._photographs).read(entry, grey_window)


class ComposedImages(ImageSource):
    """Some of the pictures that a synthesize stage would write, made when they are read."""

    def __init__(self, composer: Composer, planned: Iterable[Planned]) -> None:
        self._composer = composer
        self._planned = {each.file: each for each in planned}
        images = tuple(ImageEntry(path=each.file, label=each.label, role="train", sha256="") for each in self._planned.values())
        manifest = DataManifest(
            origin="folder", root=composer.cutouts.manifest.root, classes=composer.cutouts.classes, images=images
        )
        super().__init__(manifest)

    def read(self, entry: ImageEntry, grey_window: tuple[int, int] = ALL_LEVELS) -> Image.Image:
        """See ``ImageSource.read``."""
        return self._composer.compose(self._planned[entry.path])[0].picture


def training_images(photographs: Path | None, made: Path | None) -> ImageSource:
    """What a training reads its images from.

    ``photographs``: a manifest; None where made images alone train. ``made``: a synthesize artifact; None where there is none.
    Raises ManifestUnreadable: of either. TypeError: neither is given.
    """
    if made is None:
        if photographs is None:
            raise TypeError("a training needs photographs or made images")
        return open_source(photographs)
    return open_made(made) if photographs is None else JoinedImages(open_source(photographs), open_made(made))
