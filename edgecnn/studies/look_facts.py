"""What a network looks for: its first filters, and the images that excite its channels most (``BUILD/look/look.json``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgecnn.values.base import Value


class Excitement(Value):
    """One image, and the place in it where one channel answered most."""

    image: NonNegativeInt
    """Index among the images of the role ``choose``."""
    file: str | None
    """Its path in the data; None where the data's list is not there any more."""
    class_name: str | None
    """None of images without labels."""
    activation: float
    row: NonNegativeInt
    column: NonNegativeInt
    """Of the map's position."""
    left_px: NonNegativeInt
    top_px: NonNegativeInt
    side_px: PositiveInt
    """The square that is drawn: what the position sees, moved to where it lies inside the image."""


class ChannelPictures(Value):
    """One channel; the strongest image first."""

    channel: NonNegativeInt
    strongest: tuple[Excitement, ...]


class MapPictures(Value):
    """One map of the network."""

    tensor: str
    after: str
    """The last multiplying layer at or before it, by its node in the ONNX trunk."""
    channels: PositiveInt
    rows: PositiveInt
    columns: PositiveInt
    jump_px: PositiveInt
    """From one position to the next, in pixels of the image."""
    receptive_field_px: PositiveInt
    """Side of the square that one position can see, padding included."""
    constant_channels: NonNegativeInt
    """Channels whose strongest activation is the same in every image: they are not drawn."""
    drawn: tuple[ChannelPictures, ...]
    """Evenly spaced among the others."""
    picture: str


class FilterPictures(Value):
    """The filters of the first convolution."""

    layer: str
    filters: PositiveInt
    colours: PositiveInt
    rows: PositiveInt
    columns: PositiveInt
    weights: str
    """File with float32 (filters, colours, rows, columns), as the trunk has them: norms may be folded in."""
    picture: str
    """Each filter by its own range, zero in the middle: grey is 0."""


class FeaturePictures(Value):
    """Schema edgecnn.look/1. File names are relative to the folder that it lies in."""

    schema_: Literal["edgecnn.look/1"] = Field(default="edgecnn.look/1", alias="schema")
    build: str
    network: str
    trunk: str
    """Key of the ONNX trunk in the store: of the float network, before any quantization."""
    resolution_px: PositiveInt
    images: PositiveInt
    """Of the role ``choose``: all were shown."""
    filters: FilterPictures | None
    """None where the first convolution keeps no floating-point weights."""
    maps: tuple[MapPictures, ...]
