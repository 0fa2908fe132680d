"""The images that a bundle is evaluated on without its build: the build's test images from the store, or the user's images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edgecnn.bench.facts import BenchImages
from edgecnn.building.build import BuildContext
from edgecnn.bundle.manifest import Recorded
from edgecnn.data.class_names import imagenet_classes, imagenet_labels, labels_by_name
from edgecnn.data.formats.registry import has_folder
from edgecnn.data.images import FolderImages, ImageSource, open_source
from edgecnn.data.manifest import Files, list_files, read_files, summarize
from edgecnn.data.prepared import write_pixels
from edgecnn.data.roles import Listed, assign_roles, entirely_test
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import bench_classes_differ
from edgecnn.errors.data import (
    FoldsBesideSplit,
    NoClassFolders,
    NotInClassNames,
    SplitFolders,
    TooFewImages,
)
from edgecnn.errors.labels import (
    GroupOnTwoSides,
    GroupPatternInvalid,
    GroupPatternTooSlow,
    GroupsNotDivisible,
    LabelsNotDivisible,
    LabelTooRare,
    NoGroupFound,
    TooFewGroups,
    multi_label_not_fitting,
    unknown_label,
)
from edgecnn.errors.wording import counted
from edgecnn.measure.evaluate import PixelSet, prepared_groups
from edgecnn.measure.kits import KitRef
from edgecnn.results.origin import ancestor, kit_artifact, pixels_of_test, prepared_test
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.dataset import UNLABELLED, DataManifest, Fold, ImageEntry
from edgecnn.values.preprocessing import PixelRecipe
from edgecnn.values.recipe import DataChoice, FolderReading, RoleDraw
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class OpenedImages:
    """Pixels with their labels; None if they are not available."""

    facts: BenchImages
    pixels: PixelSet | None = None
    labels: NDArray[Any] | None = None
    """int64 (images,), or multi-label uint8 (images, labels), in the kit's order of classes."""
    groups: NDArray[np.int64] | None = None
    """Group of each image, (images,); None if no groups are known."""


def stored_images(kits: Sequence[KitRef], recorded: Recorded, store: Store) -> OpenedImages:
    """Return the build's test images, found through the records of a kit or by their pixels; else the reason why not."""
    import numpy as np

    prepared = _prepared(kits, recorded, store)
    if prepared is None:
        absent = f"the store {store.root} does not hold the build's test images: accuracy is the recorded one"
        return OpenedImages(BenchImages(source="none", said=f"{absent}; --data evaluates other images"))
    labels = np.load(prepared.folder / "test.labels.npy", allow_pickle=False)
    if (labels == UNLABELLED).any():
        return OpenedImages(BenchImages(source="none", said="the build's images have no labels: accuracy is not available"))
    pixels = _pixel_set(prepared.folder)
    facts = BenchImages(
        source="store", role="recorded", images=pixels.images, pixels=pixels.sha256,
        said=f"the {pixels.images:,} test images of the build, from the store",
    )  # fmt: skip
    return OpenedImages(facts, pixels, labels, prepared_groups(prepared.folder, "test"))


def prepare_images(data: DataChoice, kit: KitRef, recorded: Recorded, folder: Path, context: BuildContext) -> OpenedImages:
    """Prepare the user's images for a kit.

    ``recorded``: the bundle's record, by which the build's test images are recognised. ``folder``: an existing folder for the
    pixels.

    Raises:
        BENCH_CLASSES_DIFFER, UNKNOWN_LABEL, FOLDERS_OF_ONE_CLASS, MultiLabelNotFitting: the images do not have the kit's classes
            or labels.
        EdgecnnError: another error of ``errors.data``.
    """
    recipe = PixelRecipe.model_validate(kit.manifest["preprocessing"]["pixels"]).runner_recipe()
    for source in sources_with_test_images(data, recorded.drawn, context.store.root, context.tell, kit.manifest["labels"]):
        label_of = _labels_of(source, kit, data.path)
        write_pixels(source, recipe, folder, context.tell, ("test",))
        pixels = _pixel_set(folder)
        same = pixels.sha256 in recorded.pixels
        if same:
            break
    names, sentence = kit.manifest["labels"], f"{counted(pixels.images, 'image')} of {data.path}"
    if same:
        sentence += ", pixel for pixel the build's test images"
    else:
        if len(label_of) < len(names):
            sentence += f", with {len(label_of):,} of the bundle's {len(names):,} "
            sentence += "labels" if source.manifest.multi_label else "classes"
        sentence += "; they are not the build's test images, and the network may have been trained on them"
    facts = BenchImages(
        source="data",
        role="recorded" if same else "other",
        images=pixels.images,
        pixels=pixels.sha256,
        data=data.path,
        said=sentence,
    )
    labels = _read_labels(folder, label_of, len(names))
    return OpenedImages(facts, pixels, labels, prepared_groups(folder, "test"))


def _prepared(kits: Sequence[KitRef], recorded: Recorded, store: Store) -> Artifact | None:
    for kit in kits:  # another build may have prepared the same pixels without groups
        made = kit_artifact(store, kit.digest)
        prepared = None if made is None else ancestor(store, made, "prepare")
        if prepared is not None and pixels_of_test(prepared) is not None:
            return prepared
    return next(filter(None, (prepared_test(store, pixels) for pixels in sorted(recorded.pixels))), None)


def _pixel_set(folder: Path) -> PixelSet:
    import numpy as np

    return PixelSet.prepared(folder, "test", len(np.load(folder / "test.pixels.npy", mmap_mode="r", allow_pickle=False)))


def _labels_of(source: ImageSource, kit: KitRef, data: str) -> Mapping[int, int]:
    """Return the label of the kit for each label of the source. The images may lack some of the kit's labels."""
    classes: Sequence[str] = kit.manifest["labels"]
    if (kit.manifest.get("thresholds") is not None) != source.manifest.multi_label:
        because = (
            "the bundle's network names one class an image, and these images have any number of labels"
            if source.manifest.multi_label
            else "the bundle's network gives an image any number of labels, and these images have one class each"
        )
        hint = "pass --data images that are labelled like those of the build"
        raise multi_label_not_fitting(setting=f"--data {data}", because=because, hint=hint)
    try:
        if tuple(classes) == imagenet_classes() and not source.manifest.multi_label:
            return dict(enumerate(imagenet_labels(source.classes, Path(source.manifest.root))))
        return dict(enumerate(labels_by_name(source.classes, classes, Path(data), "the bundle's network")))
    except NotInClassNames as error:
        if source.manifest.multi_label:
            raise unknown_label(
                file=Path(data), name=error.fields["folder"], known=classes, known_by="the bundle's network"
            ) from error
        raise bench_classes_differ(data=data, name=error.fields["folder"], classes=classes) from error


def _read_labels(folder: Path, label_of: Mapping[int, int], classes: int) -> NDArray[Any]:
    import numpy as np

    stored = np.load(folder / "test.labels.npy", allow_pickle=False)
    if stored.ndim == 2:
        labels = np.zeros((len(stored), classes), np.uint8)
        labels[:, [label_of[label] for label in range(stored.shape[1])]] = stored
        return labels
    return np.array([label_of[int(label)] for label in stored], np.int64)


_NO_BUILD = (
    TooFewImages,
    FoldsBesideSplit,
    LabelTooRare,
    LabelsNotDivisible,
    GroupPatternInvalid,
    GroupPatternTooSlow,
    NoGroupFound,
    GroupOnTwoSides,
    TooFewGroups,
    GroupsNotDivisible,
)
"""Errors that only say that the images cannot be split for a build, which the user did not request."""


def _list_by_classes(images: DataChoice, classes: Sequence[str], cache: Path, tell: Progress) -> Files:
    """List images. If folders can be read in several ways, use the reading that gives the bundle's classes."""
    try:
        return list_files(images, cache, tell)
    except (SplitFolders, NoClassFolders):
        for reading in (None, *get_args(FolderReading)):
            with contextlib.suppress(EdgecnnError):
                files = list_files(images.model_copy(update={"folders": reading}), cache, tell)
                if set(files.layout.classes) <= set(classes):
                    return files
        raise


def sources_with_test_images(
    images: DataChoice, drawn: RoleDraw | None, cache: Path, tell: Progress, classes: Sequence[str] = ()
) -> Iterator[ImageSource]:
    """Yield the test split that the build would draw from these images, then all images; both with the role ``test``.

    If the data has a test split, both sources are this split.

    ``drawn``: how the build drew roles; None: the default. ``cache``: the store's root. ``classes``: the bundle's classes.

    Raises EdgecnnError: an error of ``errors.data``, if the path cannot be used.
    """
    drawn_as_built = images if drawn is None else drawn.applied_to(images)
    if not has_folder(images.path):
        plain = DataChoice(path=images.path, seed=drawn_as_built.seed)
        yield open_source(Path(summarize(plain, cache, tell).manifest_path))
        return

    def listed(group_by: str | None) -> Listed:
        tested = drawn_as_built.model_copy(update={"group_by": group_by, "train": False})  # excludes images that only train
        files = _list_by_classes(tested, classes, cache, tell)
        if files.layout.unused:
            tell.note(f"{images.path}: not used: {files.layout.unused}")
        return read_files(files, cache, tell)[0]

    def source(listing: Listed, images: tuple[ImageEntry, ...]) -> ImageSource:
        root, classes = str(listing.root), tuple(listing.classes)
        return FolderImages(DataManifest(origin="folder", root=root, classes=classes, images=images))

    fold = None if drawn is None or drawn.folds is None else Fold(number=1, of=drawn.folds)
    try:
        listing = listed(drawn_as_built.group_by)
    except _NO_BUILD:
        listing = listed(None)
    with contextlib.suppress(*_NO_BUILD):
        yield source(
            listing, tuple(image for image in assign_roles(listing, drawn_as_built, fold).images if image.role == "test")
        )
    yield source(listing, entirely_test(listing, drawn_as_built.seed))
