"""One row of the catalogue: where a network comes from and the facts that tests hold it to."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Normalization


class PretrainedWeights(Value):
    """Weights that somebody published, with what is needed to find, check and feed them."""

    origin: Literal["torchvision", "package"]
    name: str
    """torchvision: the weights enum's entry (``EfficientNet_B0_Weights.IMAGENET1K_V1``). package: the distribution."""
    file: str
    """torchvision: the name under which the file is published and cached. package: its path inside the distribution's module."""
    sha256_prefix: str
    """First hexadecimal digits of the file's SHA-256, as its publisher put them into its name; checked after every fetch."""
    url: str | None = None
    """torchvision: where it can be downloaded. None for a package, which pip brings."""
    licence: str
    trained_on: str = "ImageNet-1k"
    source: str
    """Page or paper that publishes them."""


class ArchSpec(Value):
    """A network as one row. ``parameters`` counts those of the published 1,000-class network."""

    name: str
    family: str
    origin: Literal["torchvision", "table", "onnx"]
    builder: str
    """torchvision: its function. table: a name in ``models/families``. onnx: the file that was brought."""
    parameters: PositiveInt
    resolution_px: PositiveInt
    resize_px: PositiveInt
    """Short side before the centre crop, at the native resolution."""
    interpolation: Literal["bilinear", "bicubic"]
    normalization: Normalization
    head: str
    """Dotted name of the last Linear layer, which a new set of classes replaces; empty of a file."""
    year: int | None
    """None, as ``paper`` is, of a file that somebody brought."""
    paper: str | None
    weights: PretrainedWeights | None = None
