"""Every network that can be requested by name, and the layers in its blocks. Importing this module imports no torch."""

from __future__ import annotations

from edgecnn.errors.weights import (
    RESOLUTION_FIXED,
    RESOLUTION_TOO_LARGE,
    RESOLUTION_TOO_SMALL,
    unknown_arch,
)
from edgecnn.errors.wording import names_like, near_names
from edgecnn.installed import installed_version, require_packages
from edgecnn.models.compound import RULES, base_name, scale_arch, scale_in
from edgecnn.models.rows import (
    CLASSICS,
    DENSENETS,
    EFFICIENTNET_LITES,
    EFFICIENTNETS,
    EFFICIENTNETS_V2,
    GOOGLENETS,
    IMAGENET,
    INCEPTIONS,
    MOBILENET_V1,
    MOBILENET_V2,
    MOBILENET_V3,
    NASNETS,
    OF_TIMM,
    PLAIN,
    RECENT,
    RESNET_V2,
    RESNETS,
    RESNEXTS,
    SHUFFLENET_V1,
    SHUFFLENET_V2,
    VGGS,
)
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import LARGEST_PX, PixelRecipe, PreprocessingChoice

TIMM = "timm:"
"""Prefix of networks that are looked up in the installed timm."""
_ROWS: tuple[ArchSpec, ...] = (
    *CLASSICS, *VGGS, *GOOGLENETS, *INCEPTIONS, *PLAIN, *RESNETS, *RESNET_V2, *RESNEXTS, *OF_TIMM, *DENSENETS, *MOBILENET_V1,
    *SHUFFLENET_V1, *NASNETS, *MOBILENET_V2, *SHUFFLENET_V2, *MOBILENET_V3, *EFFICIENTNETS, *EFFICIENTNET_LITES,
    *EFFICIENTNETS_V2, *RECENT,
)  # fmt: skip


def all_archs() -> tuple[ArchSpec, ...]:
    """Return all rows in listing order: by family, in order of publication."""
    return _ROWS


def archs_like(pattern: str) -> tuple[ArchSpec, ...]:
    """Return networks that match a shell pattern, or contain a word without wildcards. Raises UnknownArch: there are none."""
    names = names_like(pattern, (spec.name for spec in _ROWS))
    if not names:
        raise unknown_arch(name=pattern, nearest=())
    return tuple(spec for spec in _ROWS if spec.name in names)


def arch_named(name: str) -> ArchSpec:
    """Return the row with this name.

    A scaled name (``efficientnet-b0-d1.2-w0.75``) gives its row with the multipliers. ``timm:NAME``, with or without the tag of
    its weights, gives a row of a timm network.

    Raises:
        UnknownArch: with the nearest names.
        ScaleInvalid, ScaleLeavesNoChannel: no network has this scale.
        MissingPackage: timm is needed and not installed.
        NOT_A_CLASSIFIER: timm's network of that name does not classify.
    """
    if name.lower().startswith(TIMM):
        require_packages(("timm",), extra="zoo", needed_for=name)
        from edgecnn.models.timm_zoo import timm_arch

        return timm_arch(name.lower())
    rows = {spec.name: spec for spec in all_archs()}
    if name in rows:
        return rows[name]
    base = rows.get(base_name(name))
    if base is not None and base.family in RULES and (scale := scale_in(name)) is not None:
        return scale_arch(base, scale, base.resolution_px).spec
    near = near_names(name.lower().replace("_", "-"), rows, most=3)
    raise unknown_arch(name=name, nearest=(*near, *_bare_name_of_timm(name)))


def _bare_name_of_timm(name: str) -> tuple[str, ...]:
    """Return the full names for a name without its prefix."""
    if "_" not in name or installed_version("timm") is None:
        return ()
    from edgecnn.models.timm_zoo import is_of_timm

    return (f"{TIMM}{name}",) if is_of_timm(name) else ()


BLOCKS = "blocks"
"""Family of the networks of random blocks."""


def timed_arch(name: str) -> ArchSpec:
    """Return the row with this name, or of a network of random blocks (``blocks-SEED``), which only latency tables use.

    Raises UnknownArch, ScaleInvalid, ScaleLeavesNoChannel: see ``arch_named``.
    """
    family, _, seed = name.partition("-")
    if family != BLOCKS or not seed.isdecimal():
        return arch_named(name)
    return ArchSpec(
        name=name, family=BLOCKS, origin="table", builder=seed, parameters=None,
        resolution_px=ImageSize.square(224), resize_px=ImageSize.square(256), interpolation="bilinear", normalization=IMAGENET,
        head="classifier.1", year=None, paper=None,
    )  # fmt: skip


def pixel_recipe(
    spec: ArchSpec, resolution_px: ImageSize | None = None, choice: PreprocessingChoice | None = None
) -> PixelRecipe:
    """How a photograph becomes this network's pixels.

    At the native resolution (or None) this is the published recipe, with its margin. At any other resolution the centre crop
    covers the whole short side, because the margin belongs to the published weights and small images have no border to spare.
    """
    size = resolution_px or spec.resolution_px
    resize_px = spec.resize_px if size == spec.resolution_px else size
    choice = choice or PreprocessingChoice()
    if spec.resize == "crop" or choice.resize is not None or choice.resize_px is not None:
        return choice.shaped(size, resize_px, spec.normalization, spec.interpolation)
    of_weights = choice.model_copy(update={"resize": spec.resize})
    made = of_weights.shaped(size, resize_px, spec.normalization, spec.interpolation)
    return made.model_copy(update={"resize_px": resize_px})  # the margin of the weights, absent from a user's own preprocessing


def libraries_of(name: str) -> tuple[str, ...]:
    """Return the packages beyond torch and torchvision that define the network. Their versions are part of the keys of its
    artifacts.

    Raises UnknownArch: no row has the name.
    """
    return ("timm",) if name.startswith(TIMM) else timed_arch(name).needs


SILU = "SiLU"
SQUEEZE_EXCITE = "squeeze-excite"


class Parts(Value):
    """Layers in a network's blocks, apart from the gates of squeeze-excite."""

    activations: tuple[str, ...]
    squeeze_excite: bool = False

    @property
    def worded(self) -> str:
        """``hard-swish and ReLU, and squeeze-excite``."""
        return f"{' and '.join(self.activations)}, {'and' if self.squeeze_excite else 'and no'} {SQUEEZE_EXCITE}"


_RELU_FAMILIES = (
    "alexnet", "zfnet", "nin", "vgg", "googlenet", "inception-v3", "plain", "resnet", "resnet-v2", "resnext", "xception",
    "inception-resnet-v2", "densenet", "mobilenet-v1", "shufflenet-v1", "shufflenet-v2", "nasnet",
)  # fmt: skip
OF_TIMM_ALONE = (TIMM.rstrip(":"), *dict.fromkeys(spec.family for spec in RECENT))
"""Families whose blocks are not described."""
_OF_FAMILY = {
    **dict.fromkeys(_RELU_FAMILIES, Parts(activations=("ReLU",))),
    "lenet": Parts(activations=("scaled tanh",)),
    "mobilenet-v2": Parts(activations=("ReLU6",)),
    "mobilenet-v3": Parts(activations=("hard-swish", "ReLU"), squeeze_excite=True),
    "efficientnet": Parts(activations=(SILU,), squeeze_excite=True),
    "efficientnet-lite": Parts(activations=("ReLU6",)),
    "efficientnet-v2": Parts(activations=(SILU,), squeeze_excite=True),
}


def parts_of(family: str) -> Parts | None:
    """Return the row of a family; None for networks of timm, whose layers are its own."""
    return None if family in OF_TIMM_ALONE else _OF_FAMILY[family]


def holds(family: str, part: str) -> bool:
    """Whether its blocks contain an activation of that name, or ``SQUEEZE_EXCITE``; False if unknown."""
    parts = parts_of(family)
    return parts is not None and (parts.squeeze_excite if part == SQUEEZE_EXCITE else part in parts.activations)


def require_size(arch: ArchSpec, resolution_px: ImageSize) -> None:
    """Check that the network can process images of this size, and be trained on them.

    Raises RESOLUTION_FIXED, RESOLUTION_TOO_LARGE, RESOLUTION_TOO_SMALL, SHAPE_NOT_TAKEN.
    """
    if arch.only_native_px and resolution_px != arch.resolution_px:
        raise RESOLUTION_FIXED(arch=arch.name, asked_px=str(resolution_px), only_px=str(arch.resolution_px))
    if resolution_px.long_px > LARGEST_PX:
        raise RESOLUTION_TOO_LARGE(arch=arch.name, asked_px=str(resolution_px), most_px=LARGEST_PX)
    if resolution_px.short_px < arch.least_px:
        taken = str(resolution_px.scaled_to_short(arch.least_px))
        raise RESOLUTION_TOO_SMALL(arch=arch.name, asked_px=str(resolution_px), least_px=arch.least_px, taken_px=taken)
    if arch.name.startswith(TIMM):
        from edgecnn.models.timm_zoo import require_shape

        require_shape(arch, resolution_px)
