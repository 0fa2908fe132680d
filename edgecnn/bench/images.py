"""The images that a bundle alone is asked about: those of its build out of the store, by their content, else the user's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.bench.facts import ShownImages
from edgecnn.bundle.manifest import Recorded
from edgecnn.data.demo import DEMO
from edgecnn.data.imagenet import imagenet_classes, imagenet_labels
from edgecnn.data.images import FolderImages, ImageSource, open_source
from edgecnn.data.manifest import list_files, read_files, summarize
from edgecnn.data.pixels import write_pixels
from edgecnn.data.splits import assign_roles, reported_entirely
from edgecnn.errors.building import BenchClassesDiffer
from edgecnn.errors.data import TooFewImages
from edgecnn.measure.evaluate import PixelSet
from edgecnn.measure.kits import KitRef
from edgecnn.results.lineage import ancestor, kit_artifact, prepared_report, report_pixels
from edgecnn.runner.pixels import PixelRecipe
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact
from edgecnn.values.dataset import UNLABELLED, DataManifest, ImageEntry
from edgecnn.values.recipe import DataChoice
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ReportImages:
    """Pixels with what is right, where there are any."""

    facts: ShownImages
    pixels: PixelSet | None = None
    labels: NDArray[Any] | None = None
    """int64 (images,), by the kit's own order of classes."""


def stored_images(kits: Sequence[KitRef], recorded: Recorded, store: Store) -> ReportImages:
    """The build's own reported images, found by their pixels, or along the records of a kit; else none, with the reason."""
    import numpy as np

    prepared = _prepared(kits, recorded, store)
    if prepared is None:
        said = f"the store {store.root} does not hold the images that the build reported on: accuracy is the recorded one"
        return ReportImages(ShownImages(source="none", said=f"{said}; --data shows others"))
    labels = np.load(prepared.folder / "report.labels.npy", allow_pickle=False)
    if (labels == UNLABELLED).any():
        return ReportImages(ShownImages(source="none", said="the build's images have no labels: nothing is known of accuracy"))
    found = _pixel_set(prepared.folder)
    facts = ShownImages(
        source="store", role="recorded", images=found.images, pixels=found.sha256,
        said=f"the {found.images:,} images that the build reported on, out of the store",
    )  # fmt: skip
    return ReportImages(facts, found, labels)


def shown_images(data: str, kit: KitRef, recorded: Recorded, given: tuple[Store, Path, Progress]) -> ReportImages:
    """The user's images, prepared as a kit wants them.

    Args:
        data: as ``--data`` names them.
        kit: any of the bundle's.
        recorded: by which the build's own images are known again.
        given: the store, an existing folder for the pixels, and who hears.

    Raises:
        BenchClassesDiffer: they are not of the kit's classes.
        EdgecnnError: one of ``errors.data``.
    """
    store, folder, tell = given
    wanted = kit.manifest["preprocessing"]["pixels"]
    recipe = PixelRecipe(wanted["resize_px"], wanted["crop_px"], wanted["interpolation"])
    for source in shown_sources(data, store.root, tell):
        label_of = _labels_of(source, kit.manifest["labels"], data)
        write_pixels(source, recipe, folder, tell, ("report",))
        found = _pixel_set(folder)
        same = found.sha256 in recorded.pixels
        if same:
            break
    images = f"{found.images:,} images of {data}"
    said = f"{images}, pixel for pixel those that the build reported on" if same else f"{images}, which are other images"
    if not same:
        said += " than the build reported on: whether the network learned from them is not known"
    facts = ShownImages(
        source="data", role="recorded" if same else "other", images=found.images, pixels=found.sha256, data=data, said=said
    )
    return ReportImages(facts, found, _read_labels(folder, label_of))


# ---------------------------------------------------------------------------------------------------------------------


def _prepared(kits: Sequence[KitRef], recorded: Recorded, store: Store) -> Artifact | None:
    for pixels in sorted(recorded.pixels):
        if (found := prepared_report(store, pixels)) is not None:
            return found
    for kit in kits:
        made = kit_artifact(store, kit.digest)
        found = None if made is None else ancestor(store, made, "prepare")
        if found is not None and report_pixels(found) is not None:
            return found
    return None


def _pixel_set(folder: Path) -> PixelSet:
    import numpy as np

    return PixelSet.prepared(folder, "report", len(np.load(folder / "report.pixels.npy", mmap_mode="r", allow_pickle=False)))


def _labels_of(source: ImageSource, classes: Sequence[str], data: str) -> Mapping[int, int]:
    """The source's label to the kit's."""
    if set(source.classes) == set(classes):
        return {label: classes.index(name) for label, name in enumerate(source.classes)}
    if tuple(classes) == imagenet_classes():
        return dict(enumerate(imagenet_labels(source.classes, Path(source.manifest.root))))
    raise BenchClassesDiffer(data=data, found=source.classes, classes=classes)


def _read_labels(folder: Path, label_of: Mapping[int, int]) -> NDArray[Any]:
    import numpy as np

    found = np.load(folder / "report.labels.npy", allow_pickle=False)
    return np.array([label_of[int(label)] for label in found], np.int64)


def shown_sources(path: str, cache: Path, tell: Progress) -> Iterator[ImageSource]:
    """First what a build of these images would report on, then every image; each as the role ``report`` of a source.

    Where a split of its own reports, both are that one.

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
        yield source(tuple(image for image in assign_roles(listed, choice).images if image.role == "report"))
    yield source(reported_entirely(listed))
