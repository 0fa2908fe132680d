"""The catalogue as a machine reads it: what each network is, costs and was reported to reach."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, RootModel

from edgecnn.values.arch import ArchSpec, Share
from edgecnn.values.base import Value


class ListedArch(Value):
    """One network of ``edgecnn list archs``. Nothing here was measured by edgecnn."""

    name: str
    family: str
    year: PositiveInt
    parameters: PositiveInt
    """Of what ships, with the published number of classes."""
    training_parameters: NonNegativeInt
    """Of auxiliary heads, which are trained beside them and left behind."""
    macs: PositiveInt
    """Multiply-adds for one image at ``resolution_px``."""
    depth: PositiveInt
    """Convolutions and fully connected layers on the longest way."""
    weights_mib: PositiveFloat
    """Of the parameters in fp32."""
    resolution_px: PositiveInt
    least_px: PositiveInt
    """The smallest input that is taken."""
    accuracy_top1: Share | None
    """0…1, on ImageNet-1k's validation images; None where nobody published a figure."""
    accuracy_top5: Share | None
    accuracy_source: str | None
    weights: Literal["torchvision", "package"] | None
    """Where pretrained weights are fetched from; None where training starts from random ones unless a file is given."""
    needs: tuple[str, ...]
    """Packages beyond those of the extra ``train``; all are in the extra ``zoo``."""
    paper: str


class Catalogue(RootModel[tuple[ListedArch, ...]]):
    """Every network that can be asked for by name, in the order in which they are listed."""


def listed(spec: ArchSpec) -> ListedArch:
    """A row of the catalogue as it is listed.

    Raises:
        TypeError: the row is of a custom file, whose cost nobody declared.
    """
    if spec.macs is None or spec.depth is None or spec.year is None or spec.paper is None:
        raise TypeError(f"{spec.name} is no row of the catalogue")
    said = spec.accuracy
    return ListedArch(
        name=spec.name,
        family=spec.family,
        year=spec.year,
        parameters=spec.parameters,
        training_parameters=spec.left_out,
        macs=spec.macs,
        depth=spec.depth,
        weights_mib=round(spec.weights_mib, 2),
        resolution_px=spec.resolution_px,
        least_px=spec.least_px,
        accuracy_top1=said.top1 if said else None,
        accuracy_top5=said.top5 if said else None,
        accuracy_source=said.source if said else None,
        weights=spec.weights.origin if spec.weights else None,
        needs=spec.needs,
        paper=spec.paper,
    )
