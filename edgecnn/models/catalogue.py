"""Every network that can be asked for by name. Rows only: nothing here imports torch, so listing them is instant."""

from __future__ import annotations

import difflib

from edgecnn.errors.weights import UnknownArch
from edgecnn.models.compound import RULES, base_name, scale_in, scaled
from edgecnn.models.rows.classic import CLASSICS
from edgecnn.models.rows.densenet import DENSENETS
from edgecnn.models.rows.efficientnet import EFFICIENTNETS, EFFICIENTNETS_V2
from edgecnn.models.rows.efficientnet_lite import EFFICIENTNET_LITES
from edgecnn.models.rows.inception import GOOGLENETS, INCEPTIONS, OF_TIMM
from edgecnn.models.rows.mobilenet import MOBILENET_V1, MOBILENET_V2, MOBILENET_V3
from edgecnn.models.rows.nasnet import NASNETS
from edgecnn.models.rows.resnet import PLAIN, RESNET_V2, RESNETS
from edgecnn.models.rows.resnext import RESNEXTS
from edgecnn.models.rows.shufflenet import SHUFFLENET_V1, SHUFFLENET_V2
from edgecnn.models.rows.vgg import VGGS
from edgecnn.values.arch import ArchSpec
from edgecnn.values.dataset import PixelRecipe

_ROWS: tuple[ArchSpec, ...] = (
    *CLASSICS, *VGGS, *GOOGLENETS, *INCEPTIONS, *PLAIN, *RESNETS, *RESNET_V2, *RESNEXTS, *OF_TIMM, *DENSENETS, *MOBILENET_V1,
    *SHUFFLENET_V1, *NASNETS, *MOBILENET_V2, *SHUFFLENET_V2, *MOBILENET_V3, *EFFICIENTNETS, *EFFICIENTNET_LITES,
    *EFFICIENTNETS_V2,
)  # fmt: skip


def all_archs() -> tuple[ArchSpec, ...]:
    """Every row, in the order in which they are listed: family by family, as they came to be."""
    return _ROWS


def arch_named(name: str) -> ArchSpec:
    """The row of that name; of a scaled network's name (``efficientnet-b0-d1.2-w0.75``), its row with the multipliers.

    Raises:
        UnknownArch: with the nearest names.
        ScaleInvalid, ScaleLeavesNoChannel: the name of a scaled network that there cannot be.
    """
    rows = {spec.name: spec for spec in all_archs()}
    if name in rows:
        return rows[name]
    base = rows.get(base_name(name))
    if base is not None and base.family in RULES and (scale := scale_in(name)) is not None:
        return scaled(base, scale, base.resolution_px).spec
    nearest = difflib.get_close_matches(name.lower().replace("_", "-"), rows, n=3, cutoff=0.6)
    raise UnknownArch(name=name, nearest=tuple(nearest))


def pixel_recipe(spec: ArchSpec, resolution_px: int | None = None) -> PixelRecipe:
    """How a photograph becomes this network's pixels.

    At the native resolution (or None) this is the published recipe, margin included. At any other one the centre crop takes
    the whole short side: the margin belongs to the published weights, and small images have no border to spare.
    """
    if resolution_px is None or resolution_px == spec.resolution_px:
        return PixelRecipe(resize_px=spec.resize_px, crop_px=spec.resolution_px, interpolation=spec.interpolation)
    return PixelRecipe(resize_px=resolution_px, crop_px=resolution_px, interpolation=spec.interpolation)


def libraries_of(name: str) -> tuple[str, ...]:
    """Distributions beyond torch and torchvision that define the network: they bind the bytes of what is made of it.

    Raises:
        UnknownArch: no row has the name.
    """
    return arch_named(name).needs
