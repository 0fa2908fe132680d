"""Show what a finished build's network responds to, as data and pictures in a separate folder. The build does not change.

The float network runs on the images of the role ``validation``, which it neither learned from nor is tested on. The pictures
are filters as tiles, and channels as blocks of the image parts that excite them, as M. D. Zeiler and R. Fergus drew them
("Visualizing and Understanding Convolutional Networks", arXiv:1311.2901, figure 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from edgecnn.data.images import open_source
from edgecnn.data.sheet import save_sheet
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.building import FOLDER_OF_OTHER_FILES, NOT_OVERWRITTEN, OUTPUT_UNWRITABLE
from edgecnn.errors.fit import NO_MAPS
from edgecnn.installed import require_packages
from edgecnn.results.finished import BuiltNetwork, built_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.store import Store
from edgecnn.studies.facts import ChannelPictures, Excitement, FeaturePictures, FilterPictures, MapPictures
from edgecnn.values.stage import Progress

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from edgecnn.graph.feature_maps import Map, Strongest


LOOK = "look.json"
FILTERS = "filters"
"""Name of the picture of the filters, and of the array next to it, without a suffix."""


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
        NOT_OVERWRITTEN, FOLDER_OF_OTHER_FILES, OUTPUT_UNWRITABLE: ``out`` cannot be written.
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
        images_of = strongest(model, tensors, _feeds_with_progress(network, pixels, tell), request.images)
        shown = _ImageLabels(network, pixels)
        maps = [
            _map_pictures(feature_map, (shown, images_of[feature_map.tensor]), request.channels, number)
            for number, feature_map in enumerate(looked, 1)
        ]
        return _write(network, model, maps, out)


def _check_folder(out: Path) -> None:
    """Refuse a folder with files that is not an earlier look."""
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise NOT_OVERWRITTEN(path=out, because="it is not a folder")
        if out.is_dir() and any(out.iterdir()) and not (out / LOOK).is_file():
            raise FOLDER_OF_OTHER_FILES(path=out, needed=LOOK)
    except OSError as error:  # for example a name that is too long
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
            filters=_write_filters(model, out),
            maps=tuple(maps),
        )
        for feature_map in look.maps:
            save_sheet(map_sheet(feature_map, pixels), out / feature_map.picture)
        write_text_atomically(out / LOOK, look.model_dump_json(by_alias=True, indent=1) + "\n")
    except OSError as error:
        raise OUTPUT_UNWRITABLE(path=out, because=system_reason(error)) from error
    return look


def _feeds_with_progress(network: BuiltNetwork, pixels: NDArray[np.uint8], tell: Progress) -> Iterator[NDArray[np.float32]]:
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
        self._image_paths = _image_paths(network, len(pixels))

    def _label_text(self, image: int) -> str:
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
            file=self._image_paths[image] if self._image_paths else None,
            class_name=self._label_text(image) if self._classes else None,
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


def _image_paths(network: BuiltNetwork, images: int) -> tuple[str, ...]:
    """Return the paths of the images; none if their list is gone or has changed."""
    try:
        entries = open_source(Path(network.resolved.data.manifest_path)).entries("validation")
    except EdgecnnError:
        return ()
    return tuple(entry.path for entry in entries) if len(entries) == images else ()


def _write_filters(model: onnx.ModelProto, out: Path) -> FilterPictures | None:
    import numpy as np

    from edgecnn.graph.custom.onnx_trunk import BLUE_FIRST
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


def _map_pictures(looked: Map, labelled_strongest: tuple[_ImageLabels, Strongest], channels: int, number: int) -> MapPictures:
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
            ChannelPictures(
                channel=channel,
                strongest=tuple(
                    shown.excitement(looked, int(image), int(position), float(activation))
                    for image, position, activation in zip(
                        strongest.images[channel], strongest.positions[channel], strongest.activations[channel], strict=True
                    )
                ),
            )
            for channel in drawn
        ),
        picture=f"map-{number}-{looked.columns}x{looked.rows}.png",
    )


GAP_PX = 6
TILE_PX = 48
"""Smallest side of a filter."""
CELL_PX = 64
"""Side of an image part."""
BLOCKS_ACROSS = 4
TILES_ACROSS = 16
_TEXT_PX = 18
_SMALL_PX = 32
"""Smaller parts are enlarged without smoothing, to show how few pixels the network sees."""


def filters_sheet(weights: NDArray[np.float32], blue_first: bool) -> Image.Image:
    """Draw every filter in colour, in channel order. If its inputs are not colours, draw their mean in grey.

    ``weights``: (filters, colours, rows, columns). ``blue_first``: the colours are in the order blue, green, red.
    """
    import numpy as np

    count, colours, rows, columns = weights.shape
    inputs = weights[:, ::-1] if blue_first and colours == 3 else weights
    inputs = inputs if colours == 3 else np.repeat(inputs.mean(axis=1, keepdims=True), 3, axis=1)
    reach = np.maximum(np.abs(inputs).max(axis=(1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
    pixels = np.rint(127.5 + 127.5 * inputs / reach).astype(np.uint8).transpose(0, 2, 3, 1)
    larger = -(-TILE_PX // max(rows, columns))
    size = columns * larger, rows * larger
    across = min(TILES_ACROSS, math.ceil(math.sqrt(count)))
    down = -(-count // across)
    sheet = Image.new("RGB", (across * (size[0] + GAP_PX) + GAP_PX, down * (size[1] + GAP_PX) + GAP_PX), "white")
    for number, tile in enumerate(pixels):
        place = GAP_PX + number % across * (size[0] + GAP_PX), GAP_PX + number // across * (size[1] + GAP_PX)
        sheet.paste(Image.fromarray(tile).resize(size, Image.Resampling.NEAREST), place)
    return sheet


def map_sheet(looked: MapPictures, pixels: NDArray[Any]) -> Image.Image:
    """Draw a block for each channel of a feature map, with its strongest image parts in rows.

    ``pixels``: uint8 (images, H, W, 3), of the ``validation`` split.
    """
    most = max((len(drawn.strongest) for drawn in looked.drawn), default=1)
    side = math.ceil(math.sqrt(most))
    rows = -(-most // side)
    width, height = side * CELL_PX + 2 * GAP_PX, _TEXT_PX + rows * CELL_PX + 2 * GAP_PX
    across = min(BLOCKS_ACROSS, max(1, len(looked.drawn)))
    down = -(-len(looked.drawn) // across)
    font = ImageFont.load_default(13)
    beyond = "the whole image" if pixels.shape[1] == pixels.shape[2] else "more than is drawn"
    head = _title(looked, across * width, font, beyond)
    sheet = Image.new("RGB", (across * width + 2 * GAP_PX, head.height + down * height + GAP_PX), "white")
    sheet.paste(head, (GAP_PX, 0))
    for number, channel in enumerate(looked.drawn):
        left, top = GAP_PX + number % across * width, head.height + number // across * height
        ImageDraw.Draw(sheet).text((left + GAP_PX, top), f"channel {channel.channel}", "black", font)
        _draw_block(sheet, (left + GAP_PX, top + _TEXT_PX), (channel, side), pixels)
    return sheet


def _draw_block(sheet: Image.Image, corner: tuple[int, int], drawn: tuple[ChannelPictures, int], pixels: NDArray[Any]) -> None:
    channel, side = drawn
    for number, image in enumerate(channel.strongest):
        part = Image.fromarray(
            pixels[image.image][image.top_px : image.top_px + image.side_px, image.left_px : image.left_px + image.side_px]
        )
        how = Image.Resampling.NEAREST if image.side_px < _SMALL_PX else Image.Resampling.BICUBIC
        place = corner[0] + number % side * CELL_PX, corner[1] + number // side * CELL_PX
        sheet.paste(part.resize((CELL_PX - 2, CELL_PX - 2), how), place)


def _title(looked: MapPictures, width_px: int, font: Any, beyond: str) -> Image.Image:
    constant = f", {looked.constant_channels} of them the same for every image" if looked.constant_channels else ""
    crops = [crop for channel in looked.drawn for crop in channel.strongest]
    whole = f" ({beyond})" if all(crop.side_px < looked.receptive_field_px for crop in crops) else ""
    description = (
        f"{looked.after}: {looked.channels:,} channels of {looked.columns} x {looked.rows}{constant}; "
        f"each position sees {looked.receptive_field_px} px{whole}"
    )
    lines = _wrap(description.split(), width_px - GAP_PX, font)
    head = Image.new("RGB", (width_px, len(lines) * _TEXT_PX + 3 * GAP_PX), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(head).text((GAP_PX, GAP_PX + number * _TEXT_PX), line, "black", font)
    return head


def _wrap(words: Sequence[str], width_px: int, font: Any) -> list[str]:
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width_px or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
