"""The networks to forecast, with their counted work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, PositiveInt, ValidationError

from edgecnn.errors.fit import COST_UNKNOWN, PUBLIC_TABLE_DAMAGED
from edgecnn.errors.wording import first_problem
from edgecnn.graph.layer_features import Layer, fused_operations, layers_of
from edgecnn.installed import require_packages, resource_folder
from edgecnn.models.catalogue import arch_named, require_size
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.base import Value
from edgecnn.values.forecast import Work
from edgecnn.values.preprocessing import Resolution

COUNTED_FILE = "catalogue-work.json"
TILE_PX = 32


class Subject(NamedTuple):
    """A network to forecast."""

    name: str
    """Name in the catalogue, or of the file."""
    resolution_px: ImageSize
    work: Work
    arch: str | None = None
    """Its row of the catalogue; None for a file."""
    file: Path | None = None
    """Its ONNX file; None for a row."""


class CountedNetwork(Value):
    """One row of the catalogue, counted at its own resolution."""

    resolution_px: Resolution
    work: Work
    constant: Mapping[str, int] = {}
    """Part of each count that does not grow with the area of the image."""
    per_tile: Mapping[str, int] = {}
    """Growth of each count for every 32 × 32 pixels of the image; empty for a network that takes only its own resolution."""
    parameters_per_class: PositiveInt
    """Weights and bias for one output of the last layer, to compute the size for another number of classes."""

    def work_at(self, size: ImageSize) -> Work:
        """Return the work for images of a size.

        It is exact at its own resolution, and for sides that are multiples of 32 if the network halves its maps up to five times
        and pads them. For other sizes, and for the few networks without padding, it is interpolated.
        """
        if size == self.resolution_px:
            return self.work
        tiles = size.area_px / TILE_PX**2
        names = self.constant.keys() | self.per_tile.keys()
        grown = {name: max(0, round(self.constant.get(name, 0) + self.per_tile.get(name, 0) * tiles)) for name in names}
        return Work.model_validate(self.work.model_dump() | grown)


class CountedCatalogue(Value):
    """Schema edgecnn.catalogue-work/1: counted work of every network of the catalogue, so that a forecast needs no torch."""

    schema_: Literal["edgecnn.catalogue-work/1"] = Field(default="edgecnn.catalogue-work/1", alias="schema")
    networks: Mapping[str, CountedNetwork]


def subject_of_arch(name: str, resolution_px: ImageSize | None = None) -> Subject:
    """Return a network of the catalogue, by default at its own resolution.

    Raises UnknownArch, and the errors of ``require_size``. MissingPackage: its work is not in the counted catalogue, and torch,
    which counts it, is not installed.
    """
    spec = arch_named(name)
    size = resolution_px or spec.resolution_px
    require_size(spec, size)
    counted = counted_catalogue().networks.get(spec.name)
    return Subject(spec.name, size, count_arch(spec, size) if counted is None else counted.work_at(size), arch=spec.name)


def subject_of_file(path: Path) -> Subject:
    """Return a network in an ONNX file.

    Raises MissingPackage: onnx is not installed. COST_UNKNOWN: nothing in it multiplies. Also the errors of ``call_about_file``
    and ``operations_of_file``.
    """
    require_packages(("onnx",), extra="train", needed_for="forecast")
    from edgecnn.graph.custom.trial import call_about_file

    counted = call_about_file(path, "edgecnn.forecast.networks:work_as_json")
    return Subject(path.name, ImageSize.of(counted["resolution_px"]), Work.model_validate(counted["work"]), file=path)


def work_as_json(path: Path) -> dict[str, Any]:
    """Return the image size and the work of an ONNX file as JSON, in a sandbox. Raises COST_UNKNOWN: nothing in it multiplies."""
    from edgecnn.graph.onnx_cost import operations_of_file

    file = operations_of_file(path)
    layers = layers_of(file.operations, fused_operations(file.operations))
    if not layers:
        raise COST_UNKNOWN(path=path, because="it has no multiplications")
    return {"resolution_px": file.resolution_px.stated, "work": work_of(layers).model_dump(mode="json")}


@cache
def counted_catalogue() -> CountedCatalogue:
    """Return the shipped counts. Raises PUBLIC_TABLE_DAMAGED: the file cannot be read."""
    path = resource_folder("baselines") / "public" / COUNTED_FILE
    try:
        return CountedCatalogue.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        because = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise PUBLIC_TABLE_DAMAGED(path=path, because=because) from error


def count_arch(spec: ArchSpec, size: ImageSize, classes: int | None = None) -> Work:
    """Count a row of the catalogue, built from shapes alone. Raises MissingPackage: torch is not installed.

    ``classes``: None for those of its weights.
    """
    require_packages(("torch", "torchvision"), extra="train", needed_for="forecast")
    from edgecnn.graph.torch_operations import operations_of
    from edgecnn.models.networks import shipping_shapes

    operations = operations_of(shipping_shapes(spec, classes or spec.classes), size)
    return work_of(layers_of(operations, fused_operations(operations)))


def count_parameters_per_class(spec: ArchSpec) -> int:
    """Count the last layer of a row of the catalogue, built from shapes alone. Raises MissingPackage: torch is not installed."""
    require_packages(("torch", "torchvision"), extra="train", needed_for="forecast")
    from edgecnn.models.networks import shipped_parameter_count, shipping_shapes

    more, fewer = (shipped_parameter_count(shipping_shapes(spec, classes), spec) for classes in (spec.classes, spec.classes - 1))
    return more - fewer


def work_of(layers: Iterable[Layer]) -> Work:
    """Return the sums over layers, of which there is at least one."""
    total = Counter[str]()
    for layer in layers:
        total[f"{layer.kind}_macs"] += layer.macs
        weights = layer.weights or layer.made * layer.summed * layer.window  # a quantized file stores them behind other nodes
        total.update(moved=layer.moved, weights=weights, layers=1)
    return Work.model_validate(dict.fromkeys(Work.model_fields, 0) | total)
