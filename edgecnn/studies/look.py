"""Show what a finished build's network responds to, as data and pictures in a separate folder. The build does not change.

The float network runs on the images of the role ``validation``, which it neither learned from nor is tested on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgecnn.data.images import open_source
from edgecnn.data.sheet import save_sheet
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.building import NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.fit import NO_MAPS
from edgecnn.installed import require_packages
from edgecnn.results.finished import BuiltNetwork, built_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.store import Store
from edgecnn.studies.facts import ChannelPictures, Excitement, FeaturePictures, FilterPictures, MapPictures
from edgecnn.studies.look_sheets import filters_sheet, map_sheet
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from edgecnn.graph.feature_maps import Map, Strongest


LOOK = "look.json"
FILTERS = "filters"
"""Name of the picture, and of the array next to it."""


class LookRequest(NamedTuple):
    """How much to draw."""

    images: int
    """Image parts of a channel."""
    channels: int
    """Channels of a map."""


def look_into(build: Path, out: Path, request: LookRequest, store: Store, tell: Progress) -> FeaturePictures:
    """Write ``look.json``, its pictures and the weights of the first filters into ``out``.

    Raises:
        MissingPackage: onnx or onnxruntime is not installed.
        NoReport, ReportUnreadable, BundleUnreadable, PLAN_OF_ANOTHER_BUILD, NETWORK_GONE: the build cannot be read.
        NO_MAPS, MacsUnknown: the network has no feature maps, or its layers cannot be counted.
        NOT_OVERWRITTEN, OUTPUT_UNWRITABLE: ``out`` cannot be written.
    """
    _check_folder(out)
    require_packages(("onnx",), extra="train", needed_for="a look")
    require_packages(("onnxruntime",), extra="onnxruntime", needed_for="a look")
    from edgecnn.graph.feature_maps import maps_of, strongest
    from edgecnn.graph.onnx_file import load_model

    with store.in_use.held():
        network = built_network(build, store)
        model, pixels = load_model(network.model), network.array("validation.pixels")
        looked = maps_of(model)
        if not looked:
            raise NO_MAPS(network=network.report.build.arch)
        tensors = [feature_map.tensor for feature_map in looked]
        images_of = strongest(model, tensors, _feeds(network, pixels, tell), request.images)
        shown = _ImageLabels(network, pixels)
        maps = [
            _map(feature_map, (shown, images_of[feature_map.tensor]), request.channels, number)
            for number, feature_map in enumerate(looked, 1)
        ]
        return _write(network, model, maps, out)


def _check_folder(out: Path) -> None:
    """Refuse a folder with files that is not an earlier look."""
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise NOT_OVERWRITTEN(path=out, because="it is not a folder")
        if out.is_dir() and any(out.iterdir()) and not (out / LOOK).is_file():
            raise NOT_OVERWRITTEN(path=out, because=f"it has files, but no {LOOK} of an earlier look")
    except OSError as error:  # such as a name that is too long
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error


def _write(network: BuiltNetwork, model: onnx.ModelProto, maps: Sequence[MapPictures], out: Path) -> FeaturePictures:
    pixels = network.array("validation.pixels")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("map-*.png"):
            old.unlink()
        look = FeaturePictures(
            build=str(network.folder),
            network=network.report.build.arch,
            trunk=network.trunk.key,
            resolution_px=ImageSize(*pixels.shape[1:3]),
            images=len(pixels),
            filters=_filters(model, out),
            maps=tuple(maps),
        )
        for feature_map in look.maps:
            save_sheet(map_sheet(feature_map, pixels), out / feature_map.picture)
        write_text_atomically(out / LOOK, look.model_dump_json(by_alias=True, indent=1) + "\n")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return look


def _feeds(network: BuiltNetwork, pixels: NDArray[np.uint8], tell: Progress) -> Iterator[NDArray[np.float32]]:
    done = 0
    for feed in network.feeds(pixels):
        yield feed
        done += len(feed)
        tell.step("look at images", done, len(pixels), "images")


class _ImageLabels:
    """The images, with their labels and files."""

    def __init__(self, network: BuiltNetwork, pixels: NDArray[np.uint8]) -> None:
        self.size = ImageSize(*pixels.shape[1:3])
        self._labels, self._classes = network.array("validation.labels"), network.classes
        self._files = _files(network, len(pixels))

    def _named(self, image: int) -> str:
        label = self._labels[image]
        if label.ndim:
            return ", ".join(name for name, has in zip(self._classes, label, strict=True) if has) or "no label"
        return self._classes[int(label)]

    def excitement(self, looked: Map, image: int, position: int, activation: float) -> Excitement:
        """Return the image part behind a position of a feature map."""
        row, column = divmod(position, looked.columns)
        side = min(looked.field.size, self.size.short_px)
        return Excitement(
            image=image,
            file=self._files[image] if self._files else None,
            class_name=self._named(image) if self._classes else None,
            activation=activation,
            row=row,
            column=column,
            left_px=self._inside(looked, column, side, self.size.width_px),
            top_px=self._inside(looked, row, side, self.size.height_px),
            side_px=side,
        )

    @staticmethod
    def _inside(looked: Map, place: int, side: int, whole_px: int) -> int:
        """Return the start of a square around the middle of the receptive field, moved inside the image."""
        middle = looked.field.start + place * looked.field.jump + looked.field.size / 2
        return int(min(max(0, round(middle - side / 2)), whole_px - side))


def _files(network: BuiltNetwork, images: int) -> tuple[str, ...]:
    """Return the paths of the images; none if their list is gone or has changed."""
    try:
        entries = open_source(Path(network.resolved.data.manifest_path)).entries("validation")
    except EdgecnnError:
        return ()
    return tuple(entry.path for entry in entries) if len(entries) == images else ()


def _filters(model: onnx.ModelProto, out: Path) -> FilterPictures | None:
    import numpy as np

    from edgecnn.graph.custom.adopt import BLUE_FIRST
    from edgecnn.graph.feature_maps import first_filters

    if (first_layer := first_filters(model)) is None:
        return None
    np.save(out / f"{FILTERS}.npy", first_layer.weights)
    blue_first = any(tensor.name == BLUE_FIRST for tensor in model.graph.initializer)
    save_sheet(filters_sheet(first_layer.weights, blue_first), out / f"{FILTERS}.png")
    filters, colours, rows, columns = first_layer.weights.shape
    return FilterPictures(
        layer=first_layer.layer,
        filters=filters,
        colours=colours,
        rows=rows,
        columns=columns,
        weights=f"{FILTERS}.npy",
        picture=f"{FILTERS}.png",
    )


def _map(looked: Map, labelled_strongest: tuple[_ImageLabels, Strongest], channels: int, number: int) -> MapPictures:
    shown, strongest = labelled_strongest
    alive = [channel for channel, constant in enumerate(strongest.constant) if not constant]
    count = min(channels, len(alive))
    drawn = [alive[place * len(alive) // count] for place in range(count)]
    return MapPictures(
        **{name: getattr(looked, name) for name in ("tensor", "after", "channels", "rows", "columns")},
        jump_px=looked.field.jump,
        receptive_field_px=looked.field.size,
        constant_channels=looked.channels - len(alive),
        drawn=tuple(
            ChannelPictures(channel=channel, strongest=_strongest(looked, shown, strongest, channel)) for channel in drawn
        ),
        picture=f"map-{number}-{looked.columns}x{looked.rows}.png",
    )


def _strongest(looked: Map, shown: _ImageLabels, strongest: Strongest, channel: int) -> tuple[Excitement, ...]:
    of_channel = zip(strongest.images[channel], strongest.positions[channel], strongest.activations[channel], strict=True)
    return tuple(shown.excitement(looked, int(image), int(at), float(value)) for image, at, value in of_channel)
