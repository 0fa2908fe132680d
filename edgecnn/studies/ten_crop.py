"""Compare ten crops of every test image with one: the gain if ten times the work is acceptable. No kit uses ten crops.

The probabilities of four corners, the centre, and their mirror images are averaged, as by A. Krizhevsky, I. Sutskever and
G. Hinton ("ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.data.images import open_source
from edgecnn.errors.fit import NOTHING_IS_RIGHT
from edgecnn.installed import require_packages
from edgecnn.judging.accuracy import difference_pp, share_right
from edgecnn.measure.evaluate import prepared_groups
from edgecnn.results.finished import BuiltNetwork, built_network, require_one_label
from edgecnn.runner.pixels import PixelRecipe, centre_corner, resized
from edgecnn.store.store import Store
from edgecnn.studies.facts import TenCrop
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


VIEWS = 10
CENTRE = 4
"""Index of the centre among the views: the corners come before it, and the mirror images after it."""


def ten_crop(build: Path, store: Store, tell: Progress) -> TenCrop:
    """Classify the ``test`` images of a finished build with its float network, in one view and in ten.

    Raises:
        MissingPackage: onnxruntime is not installed.
        NoReport, ReportUnreadable, BundleUnreadable, PLAN_OF_ANOTHER_BUILD, NETWORK_GONE: the build cannot be read.
        NOTHING_IS_RIGHT: it has no labelled test images.
        MANIFEST_UNREADABLE, IMAGE_GONE, IMAGE_CHANGED, CorruptImages: its images cannot be read.
    """
    require_packages(("onnxruntime",), extra="onnxruntime", needed_for="ten crops")
    from edgecnn.graph.ensemble import probabilities

    with store.in_use.held():
        network = built_network(build, store)
        require_one_label(network, "the comparison with ten crops")
        pixels, labels = network.array("test.pixels"), network.array("test.labels")
        if not network.resolved.data.labelled or not len(labels):
            raise NOTHING_IS_RIGHT(folder=build)
        single = probabilities(network.model, network.feeds(pixels)).argmax(axis=1) == labels
        views = _Views(network, tell)
        shares = probabilities(network.model, map(network.feed, views))
        ten = shares.reshape(len(labels), VIEWS, -1).mean(axis=1).argmax(axis=1) == labels
        return _comparison(network, (single, ten), views.without_room, prepared_groups(network.prepared.folder, "test"))


def ten_views(picture: Image.Image, recipe: PixelRecipe) -> NDArray[np.uint8]:
    """Return the ten views of an RGB image, resized as in a kit: uint8 (10, *crop_px, 3).

    The corners, the centre crop (the result of ``to_pixels``), and the mirror image of each.

    Raises UnreadableImage: as ``to_pixels``.
    """
    import numpy as np

    whole, (high, wide) = resized(picture, recipe), recipe.crop_px
    levels, right, bottom = np.asarray(whole), whole.width - wide, whole.height - high
    corners = (0, 0), (right, 0), (0, bottom), (right, bottom), centre_corner(whole, recipe.crop_px)
    views = np.stack([levels[top : top + high, left : left + wide] for left, top in corners])
    return np.concatenate([views, views[:, :, ::-1]])


class _Views:
    """The views of one image after another, one batch each."""

    def __init__(self, network: BuiltNetwork, tell: Progress) -> None:
        self._source = open_source(Path(network.resolved.data.manifest_path))
        self._recipe, self._tell = network.resolved.preprocessing.pixels.runner_recipe(), tell
        self.without_room = 0

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        entries = self._source.entries("test")
        for done, entry in enumerate(entries, 1):
            views = ten_views(self._source.read(entry, self._recipe.grey_window), self._recipe)
            self.without_room += int((views[:CENTRE] == views[CENTRE]).all())
            yield views
            self._tell.step("evaluate ten crops", done, len(entries), "images")


def _comparison(
    network: BuiltNetwork, right: tuple[NDArray[np.bool_], NDArray[np.bool_]], without_room: int, groups: NDArray[np.int64] | None
) -> TenCrop:
    single, ten = right
    gained, lost = int((ten & ~single).sum()), int((single & ~ten).sum())
    single_top1, ten_top1 = share_right(single, groups), share_right(ten, groups)
    difference = difference_pp(ten, single, groups)
    if difference is None or single_top1 is None or ten_top1 is None:
        raise NOTHING_IS_RIGHT(folder=network.folder)
    return TenCrop(
        build=str(network.folder),
        network=network.report.build.arch,
        images=len(ten),
        single_top1=single_top1,
        ten_top1=ten_top1,
        difference_pp=difference,
        gained=gained,
        lost=lost,
        macs=network.macs,
        ten_macs=VIEWS * network.macs,
        without_room=without_room,
    )
