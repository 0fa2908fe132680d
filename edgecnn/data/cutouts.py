"""Find cut-outs and backgrounds by content before any is decoded, and read composed images for training.

Composed images are used for training only. A background or cut-out with the same bytes as a validation or test image is skipped
and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from edgecnn.data.class_names import imagenet_labels
from edgecnn.data.composing import FACTS, FOLDER, Composer, Planned
from edgecnn.data.files import ListingProgress, stamps_in
from edgecnn.data.images import FolderImages, ImageSource, open_source, read_list
from edgecnn.data.layout import ClassFolder, Layout, folders_in, root_of, unlabelled_layout
from edgecnn.data.manifest import Files, read_files, store_manifest
from edgecnn.data.roles import Listed, drop_copies
from edgecnn.errors.data import (
    DataFolderMissing,
    DataNotAFolder,
    NoClassFolders,
    NothingReadable,
    classes_without_cutouts,
    cutout_class_unknown,
    synthesis_folder_unusable,
)
from edgecnn.runner.pixel_recipe import ALL_LEVELS
from edgecnn.values.dataset import UNLABELLED, DataManifest, DataSummary, ImageEntry
from edgecnn.values.stage import Progress
from edgecnn.values.synthesis import Provenance, Synthesis, SynthesisChoice

_CUTOUTS, _BACKGROUNDS = "cutouts", "backgrounds"
_JUDGING = ("calibration", "validation", "test")
_Within = tuple[Path, Progress]
"""The store's root, and what receives progress."""


def find_synthesis(choice: SynthesisChoice, data: DataSummary, *, imagenet: bool, cache: Path, tell: Progress) -> Synthesis:
    """List the cut-outs and the backgrounds, and compare them with the photographs.

    ``choice``: has ``cutouts`` and ``backgrounds``. ``data``: the photographs. ``imagenet``: whether folders may have names or
    WordNet IDs of ImageNet's classes. ``cache``: the store's root.

    Raises:
        SYNTHESIS_FOLDER_UNUSABLE: a folder does not exist, is empty, or contains nothing usable.
        CUTOUT_CLASS_UNKNOWN, CLASSES_WITHOUT_CUTOUTS: the classes differ from those of the photographs.
        NO_IMAGENET_CLASS: a folder's name is not an ImageNet class.
        DATA_FOLDER_UNREADABLE, DATA_PATH_UNUSABLE, NAME_NOT_UNICODE: a folder cannot be read.
    """
    manifest = DataManifest.model_validate_json(Path(data.manifest_path).read_bytes())
    roles = {image.sha256: image for image in manifest.images}
    cutouts = _cutouts(choice, data, roles, imagenet=imagenet, within=(cache, tell))
    backgrounds = _backgrounds(choice, roles, (cache, tell))
    kept = DataManifest.model_validate_json(Path(cutouts.manifest_path).read_bytes()).images
    names = tuple(data.classes[label] for label in sorted({image.label for image in kept}))
    return Synthesis(cutouts=cutouts, backgrounds=backgrounds, class_names=names, images=len(names) * choice.images_per_class)


def _cutouts(
    choice: SynthesisChoice, data: DataSummary, photographs: Mapping[str, ImageEntry], *, imagenet: bool, within: _Within
) -> DataSummary:
    root = root_of(choice.cutouts or "")
    listed = _list_folder(_CUTOUTS, root, _class_layout, within)
    images, clashing = drop_copies(listed.images, listed.classes)
    labels = imagenet_labels(listed.classes, root) if imagenet else _labels_by_name(root, listed.classes, data.classes)
    excluded = [copy.sentence for copy in clashing]
    kept = []
    for image in sorted(images, key=lambda image: (labels[image.label], image.path)):
        twin = photographs.get(image.sha256)
        if twin is not None and twin.role in _JUDGING:
            excluded.append(f"{image.path}: the same bytes as {twin.path}, which is in the role {twin.role}")
        else:
            kept.append(ImageEntry(path=image.path, label=labels[image.label], role="train", sha256=image.sha256))
    if not kept:
        raise synthesis_folder_unusable(key=_CUTOUTS, folder=root, because="; ".join(excluded[:3]) or "it holds no image")
    with_cutouts = {image.label for image in kept}
    without = [name for label, name in enumerate(data.classes) if label not in with_cutouts]
    if choice.classes == "all" and without:
        raise classes_without_cutouts(folder=root, names=without)
    return _summary_of(listed, data.classes, kept, excluded, within[0])


def _backgrounds(choice: SynthesisChoice, photographs: Mapping[str, ImageEntry], within: _Within) -> DataSummary:
    root = root_of(choice.backgrounds or "")
    listed = _list_folder(_BACKGROUNDS, root, unlabelled_layout, within)
    excluded: list[str] = []
    kept: dict[str, ImageEntry] = {}
    for image in sorted(listed.images, key=lambda image: image.path):
        if (twin := photographs.get(image.sha256)) is not None:
            reason = f"is in the role {twin.role}" if twin.role in _JUDGING else "shows a class itself"
            excluded.append(f"{image.path}: the same bytes as {twin.path}, which {reason}")
        elif image.sha256 in kept:
            excluded.append(f"{image.path}: the same bytes as {kept[image.sha256].path}")
        else:
            kept[image.sha256] = ImageEntry(path=image.path, label=UNLABELLED, role="train", sha256=image.sha256)
    if not kept:
        because = "it holds no image" if not excluded else f"every image in it is also in the data: {excluded[0]}"
        raise synthesis_folder_unusable(key=_BACKGROUNDS, folder=root, because=because)
    return _summary_of(listed, (), tuple(kept.values()), excluded, within[0])


def _summary_of(
    listed: Listed, classes: Sequence[str], images: Sequence[ImageEntry], excluded: Sequence[str], cache: Path
) -> DataSummary:
    manifest = DataManifest(
        origin="folder",
        root=str(listed.root),
        classes=tuple(classes),
        images=tuple(images),
        skipped=tuple(skipped.sentence for skipped in listed.skipped),
        copies=tuple(excluded),
    )
    return store_manifest(manifest, "training images are composed of them", cache)


def _list_folder(key: str, root: Path, layout_of: Callable[[Path, ListingProgress], Layout], within: _Within) -> Listed:
    cache, tell = within
    progress = ListingProgress(tell)
    try:
        layout = layout_of(root, progress)
        files = Files(layout, [stamps_in(root / folder.path, progress) for folder in layout.folders], root)
        progress.finish()
        return read_files(files, cache, tell)[0]
    except DataFolderMissing as error:
        raise synthesis_folder_unusable(key=key, folder=root, because="it does not exist") from error
    except DataNotAFolder as error:
        raise synthesis_folder_unusable(key=key, folder=root, because="it is a file") from error
    except (NoClassFolders, NothingReadable) as error:
        raise synthesis_folder_unusable(key=key, folder=root, because=error.because or error.what) from error


def _class_layout(root: Path, progress: ListingProgress) -> Layout:
    """Return a layout in which every sub-folder is a class, even one called ``train``. A single class is enough."""
    names = folders_in(root, progress)
    return Layout(root, names, {}, tuple(ClassFolder("train", label, name) for label, name in enumerate(names)), ())


def _labels_by_name(root: Path, names: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise cutout_class_unknown(folder=root, names=unknown, classes=classes)
    return tuple(classes.index(name) for name in names)


def open_made(folder: Path) -> ImageSource:
    """Return the images of a synthesize artifact, all with the role ``train``.

    Raises MANIFEST_UNREADABLE: its list is absent or damaged.
    """
    provenance = read_list(Provenance, folder / FACTS)
    label_of = {name: label for label, name in enumerate(provenance.classes)}
    return FolderImages(
        DataManifest(
            origin="folder",
            root=str(folder / FOLDER),
            classes=provenance.classes,
            images=tuple(
                ImageEntry(path=image.file, label=label_of[image.class_name], role="train", sha256=image.sha256)
                for image in provenance.images
            ),
        )
    )


class JoinedImages(ImageSource):
    """Photographs, followed in the role ``train`` by composed images."""

    def __init__(self, photographs: ImageSource, made: ImageSource) -> None:
        images = (*photographs.manifest.images, *made.entries("train"))
        super().__init__(photographs.manifest.model_copy(update={"images": images}))
        self._photographs, self._made = photographs, made
        self._is_made = frozenset(made.entries("train"))

    def read(self, entry: ImageEntry, grey_window: tuple[int, int] = ALL_LEVELS) -> Image.Image:
        """See ``ImageSource.read``."""
        return (self._made if entry in self._is_made else self._photographs).read(entry, grey_window)


class ComposedImages(ImageSource):
    """Some of the images that a synthesize stage would write, composed when they are read."""

    def __init__(self, composer: Composer, planned: Iterable[Planned]) -> None:
        self._composer = composer
        self._planned = {item.file: item for item in planned}
        images = tuple(ImageEntry(path=item.file, label=item.label, role="train", sha256="") for item in self._planned.values())
        manifest = DataManifest(
            origin="folder", root=composer.cutouts.manifest.root, classes=composer.cutouts.classes, images=images
        )
        super().__init__(manifest)

    def read(self, entry: ImageEntry, grey_window: tuple[int, int] = ALL_LEVELS) -> Image.Image:
        """See ``ImageSource.read``."""
        return self._composer.compose(self._planned[entry.path])[0].picture


def training_images(photographs: Path | None, made: Path | None) -> ImageSource:
    """Open the training images.

    ``photographs``: a manifest; None if the training uses composed images only. ``made``: a synthesize artifact, if any. Raises
    MANIFEST_UNREADABLE: either list is absent or damaged. TypeError: neither is given.
    """
    if made is None:
        if photographs is None:
            raise TypeError("a training needs photographs or made images")
        return open_source(photographs)
    return open_made(made) if photographs is None else JoinedImages(open_source(photographs), open_made(made))
