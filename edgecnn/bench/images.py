"""The images that a bundle alone is asked about: those of its build out of the store, by their content, else the user's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edgecnn.bench.facts import BenchImages
from edgecnn.building.build import BuildContext
from edgecnn.bundle.manifest import Recorded
from edgecnn.data.class_names import labels_by_name
from edgecnn.data.formats.registry import has_folder
from edgecnn.data.imagenet import imagenet_classes, imagenet_labels
from edgecnn.data.images import FolderImages, ImageSource, open_source
from edgecnn.data.label_roles import roles_of
from edgecnn.data.manifest import Files, list_files, read_files, summarize
from edgecnn.data.pixels import write_pixels
from edgecnn.data.splits import Listed, entirely_test
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import bench_classes_differ
from edgecnn.errors.data.folder import (
    FoldsBesideSplit,
    NoClassFolders,
    SplitFolders,
    TooFewImages,
)
from edgecnn.errors.data.formats import NotInClassNames
from edgecnn.errors.data.groups import (
    GroupOnTwoSides,
    GroupPatternInvalid,
    GroupPatternTooSlow,
    GroupsNotDivisible,
    NoGroupFound,
    TooFewGroups,
)
from edgecnn.errors.data.multi_label import (
    LabelsNotDivisible,
    LabelTooRare,
    multi_label_not_fitting,
    unknown_label,
)
from edgecnn.measure.evaluate import PixelSet, prepared_groups
from edgecnn.measure.kits import KitRef
from edgecnn.results.lineage import ancestor, kit_artifact, pixels_of_test, prepared_test
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
    """Pixels with what is right, where there are any."""

    facts: BenchImages
    pixels: PixelSet | None = None
    labels: NDArray[Any] | None = None
    """int64 (images,), or of several labels an image uint8 (images, labels), by the kit's own order of classes."""
    groups: NDArray[np.int64] | None = None
    """Which images came together, (images,); None where they are independent of each other, as far as is known."""


def stored_images(kits: Sequence[KitRef], recorded: Recorded, store: Store) -> OpenedImages:
    """The build's own test images, found by their pixels, or along the records of a kit; else none, with the reason."""
    import numpy as np

    prepared = _prepared(kits, recorded, store)
    if prepared is None:
        said = f"the store {store.root} does not hold the build's test images: accuracy is the recorded one"
        return OpenedImages(BenchImages(source="none", said=f"{said}; --data shows others"))
    labels = np.load(prepared.folder / "test.labels.npy", allow_pickle=False)
    if (labels == UNLABELLED).any():
        return OpenedImages(BenchImages(source="none", said="the build's images have no labels: nothing is known of accuracy"))
    found = _pixel_set(prepared.folder)
    facts = BenchImages(
        source="store", role="recorded", images=found.images, pixels=found.sha256,
        said=f"the {found.images:,} test images of the build, out of the store",
    )  # fmt: skip
    return OpenedImages(facts, found, labels, prepared_groups(prepared.folder, "test"))


def shown_images(data: DataChoice, kit: KitRef, recorded: Recorded, folder: Path, context: BuildContext) -> OpenedImages:
    """The user's images, prepared as a kit wants them.

    ``recorded``: by which the build's own images are known again. ``folder``: an existing one, for the pixels.

    Raises:
        BENCH_CLASSES_DIFFER, UNKNOWN_LABEL, FOLDERS_OF_ONE_CLASS, MultiLabelNotFitting: they are not of the kit's classes or
        labels.
        EdgecnnError: one of ``errors.data``.
    """
    recipe = PixelRecipe.model_validate(kit.manifest["preprocessing"]["pixels"]).runner_recipe()
    for source in shown_sources(data, recorded.drawn, context.store.root, context.tell, kit.manifest["labels"]):
        label_of = _labels_of(source, kit, data.path)
        write_pixels(source, recipe, folder, context.tell, ("test",))
        found = _pixel_set(folder)
        same = found.sha256 in recorded.pixels
        if same:
            break
    images = f"{found.images:,} images of {data.path}"
    if not same and len(label_of) < (known := len(kit.manifest["labels"])):
        images += f", of {len(label_of):,} of the bundle's {known:,} {'labels' if source.manifest.multi_label else 'classes'}"
    said = f"{images}, pixel for pixel the build's test images" if same else f"{images}, which are other images"
    if not same:
        said += " than the build's test images: whether the network was trained on them is not known"
    facts = BenchImages(
        source="data", role="recorded" if same else "other", images=found.images, pixels=found.sha256, data=data.path, said=said
    )
    labels = _read_labels(folder, label_of, len(kit.manifest["labels"]))
    return OpenedImages(facts, found, labels, prepared_groups(folder, "test"))


def _prepared(kits: Sequence[KitRef], recorded: Recorded, store: Store) -> Artifact | None:
    for kit in kits:  # another build may have prepared the same pixels, and not said which came together
        made = kit_artifact(store, kit.digest)
        found = None if made is None else ancestor(store, made, "prepare")
        if found is not None and pixels_of_test(found) is not None:
            return found
    return next(filter(None, (prepared_test(store, pixels) for pixels in sorted(recorded.pixels))), None)


def _pixel_set(folder: Path) -> PixelSet:
    import numpy as np

    return PixelSet.prepared(folder, "test", len(np.load(folder / "test.pixels.npy", mmap_mode="r", allow_pickle=False)))


def _labels_of(source: ImageSource, kit: KitRef, data: str) -> Mapping[int, int]:
    """The source's label to the kit's; some of the kit's are enough."""
    classes: Sequence[str] = kit.manifest["labels"]
    if (kit.manifest.get("thresholds") is not None) != source.manifest.multi_label:
        raise multi_label_not_fitting(setting=f"--data {data}", because=_OTHER_KIND[source.manifest.multi_label], hint=_OWN_KIND)
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


_OTHER_KIND = (
    "the bundle's network gives an image any number of labels, and these have one class each",
    "the bundle's network names one class an image",
)
_OWN_KIND = "show it images of its own kind"


def _read_labels(folder: Path, label_of: Mapping[int, int], classes: int) -> NDArray[Any]:
    import numpy as np

    found = np.load(folder / "test.labels.npy", allow_pickle=False)
    if found.ndim == 2:
        labels = np.zeros((len(found), classes), np.uint8)
        labels[:, [label_of[label] for label in range(found.shape[1])]] = found
        return labels
    return np.array([label_of[int(label)] for label in found], np.int64)


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
"""That of these images none could be made as the bundle's was, which nobody asked for."""


def _list_known(every: DataChoice, classes: Sequence[str], cache: Path, tell: Progress) -> Files:
    """List images. Folders that can be read in two ways are read as the bundle's classes are called."""
    try:
        return list_files(every, cache, tell)
    except (SplitFolders, NoClassFolders):
        for reading in (None, *get_args(FolderReading)):
            with contextlib.suppress(EdgecnnError):
                files = list_files(every.model_copy(update={"folders": reading}), cache, tell)
                if set(files.layout.classes) <= set(classes):
                    return files
        raise


def shown_sources(
    images: DataChoice, drawn: RoleDraw | None, cache: Path, tell: Progress, classes: Sequence[str] = ()
) -> Iterator[ImageSource]:
    """First what the build would have tested on, had it had these images, then every image; each as the role ``test``.

    Where there is a test split of its own, both are that one.

    ``images``: which. ``drawn``: how the build drew roles; None: as builds do by themselves. ``cache``: the store's root.
    ``classes``: the bundle's.

    Raises EdgecnnError: one of ``errors.data``, where the path cannot be used.
    """
    asked = images if drawn is None else drawn.applied_to(images)
    if not has_folder(images.path):
        plain = DataChoice(path=images.path, seed=asked.seed)
        yield open_source(Path(summarize(plain, cache, tell).manifest_path))
        return

    def listed(group_by: str | None) -> Listed:
        every = asked.model_copy(update={"group_by": group_by, "train": False})  # no image is asked for that only trains
        files = _list_known(every, classes, cache, tell)
        if files.layout.unused:
            tell.note(f"{images.path}: not used: {files.layout.unused}")
        return read_files(files, cache, tell)[0]

    def source(found: Listed, images: tuple[ImageEntry, ...]) -> ImageSource:
        of = DataManifest(origin="folder", root=str(found.root), classes=tuple(found.classes), images=images)
        return FolderImages(of)

    fold = None if drawn is None or drawn.folds is None else Fold(number=1, of=drawn.folds)
    try:
        found = listed(asked.group_by)
    except _NO_BUILD:
        found = listed(None)
    with contextlib.suppress(*_NO_BUILD):
        yield source(found, tuple(image for image in roles_of(found, asked, fold).images if image.role == "test"))
    yield source(found, entirely_test(found, asked.seed))
