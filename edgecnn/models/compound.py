"""Compound scaling (EfficientNet, arXiv:1905.11946): the multipliers of a scale for a network of the catalogue.

Nothing here imports torch, so a scale is resolved or refused before any work.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from edgecnn.errors.fit import (
    NOTHING_TO_SCALE,
    SCALE_CONTRADICTS_RESOLUTION,
    SCALE_INVALID,
    resolution_under_stride,
    scale_leaves_no_channel,
)
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.preprocessing import LARGEST_PX
from edgecnn.values.scale import DECIMALS, LARGEST_MULTIPLIER, CompoundScale, Multipliers

ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15
"""Bases of depth, width and resolution: the paper's grid search under α·β²·γ² ≈ 2, so a step of φ doubles the multiply-adds."""
LEAST_CHANNELS = 4
"""Fewer channels would round to 0, as multiples of 8."""
RESOLUTION_STEP_PX = 4
"""Step of rounded resolutions. The paper states no rule; its resolutions are multiples of 4."""


class Coefficients(NamedTuple):
    """A published member of a family, as multipliers of the family's first network."""

    width: float
    depth: float
    resolution_px: int
    """Side of the square input."""
    dropout: float

    @property
    def multipliers(self) -> Multipliers:
        """The multipliers without the resolution."""
        return Multipliers(depth=self.depth, width=self.width)


EFFICIENTNET = tuple(
    Coefficients(*row)
    for row in (
        (1.0, 1.0, 224, 0.2), (1.0, 1.1, 240, 0.2), (1.1, 1.2, 260, 0.3), (1.2, 1.4, 300, 0.3),
        (1.4, 1.8, 380, 0.4), (1.6, 2.2, 456, 0.4), (1.8, 2.6, 528, 0.5), (2.0, 3.1, 600, 0.5),
    )
)  # fmt: skip
"""B0 to B7 by φ (``efficientnet_params`` of models/official/efficientnet/efficientnet_builder.py, github.com/tensorflow/tpu).
They do not follow the formula, which gives B7 a depth of 1.2⁷ = 3.58."""
EFFICIENTNET_LITE = tuple(
    Coefficients(*row)
    for row in ((1.0, 1.0, 224, 0.2), (1.0, 1.1, 240, 0.2), (1.1, 1.2, 260, 0.3), (1.2, 1.4, 280, 0.3), (1.4, 1.8, 300, 0.3))
)
"""Lite0 to Lite4 by φ (lite/efficientnet_lite_builder.py in the same repository)."""


class Rule(NamedTuple):
    """Facts of a family that scaling needs."""

    narrowest: int
    """Channels of its narrowest scaled layer. A scaled width must leave at least some of them."""
    first: str
    """The network that the family's name refers to."""
    stride: int = 32
    """Input pixels for each position of the last feature map."""
    published: tuple[Coefficients, ...] = ()
    """Its members by whole φ, relative to ``first``."""
    residual: bool = True
    """Whether new blocks add to their input, so that they can start without changing it."""


RULES: Mapping[str, Rule] = {
    "efficientnet": Rule(narrowest=16, first="efficientnet-b0", published=EFFICIENTNET),
    "efficientnet-lite": Rule(narrowest=16, first="efficientnet-lite0", published=EFFICIENTNET_LITE),
    "mobilenet-v1": Rule(narrowest=32, first="mobilenet-v1", residual=False),
    "mobilenet-v2": Rule(narrowest=16, first="mobilenet-v2"),
    "mobilenet-v3": Rule(narrowest=16, first="mobilenet-v3-large"),
    "resnet": Rule(narrowest=64, first="resnet-50"),
}
"""Rules by family. To add one, add its builder to ``models/families/build.py``."""


class Scaled(NamedTuple):
    """A scaled network: its row, and the size of its input."""

    spec: ArchSpec
    resolution_px: ImageSize


def scale_arch(spec: ArchSpec, scale: CompoundScale, base_px: ImageSize) -> Scaled:
    """Return the row of the scaled network, and its resolution.

    Args:
        base_px: the resolution without scaling.

    Raises:
        NOTHING_TO_SCALE: no rule scales the family.
        ScaleInvalid: together with the row's own scale, the network would be too deep or too wide, or have nothing left.
        ScaleLeavesNoChannel: its narrowest layer would round to no channel.
        ResolutionUnderStride: its last feature map would have less than one position, or the input exceeds a recipe's limit.
    """
    rule = RULES.get(spec.family)
    if rule is None:
        raise NOTHING_TO_SCALE(arch=spec.name, families=tuple(RULES))
    multipliers, resolution = _scaled_to(spec, rule, scale, base_px)
    own = spec.scale or Multipliers()
    _require_bounds(spec, scale, own, multipliers)
    narrowest = rule.narrowest * coefficients_of(spec).width * own.width
    if narrowest * multipliers.width < LEAST_CHANNELS:
        raise scale_leaves_no_channel(arch=spec.name, scale=scale.text(), width=multipliers.width, narrowest=narrowest)
    if not rule.stride <= resolution.short_px <= resolution.long_px <= LARGEST_PX:
        small = resolution.short_px < rule.stride
        raise resolution_under_stride(
            arch=spec.name, scale=scale.text(), resolution_px=str(resolution), small=small, stride=rule.stride
        )
    return Scaled(scaled_row(spec, multipliers), resolution)


def scaled_or_same(spec: ArchSpec, text: str | None, stated_px: ImageSize | None, usual_px: ImageSize) -> Scaled:
    """Return the network of ``[model] scale`` and ``resolution_px`` together.

    Args:
        text: the recipe's scale, or None.
        stated_px: the recipe's resolution, or None.
        usual_px: the resolution if the recipe states none, and the base for steps of φ.

    Raises:
        SCALE_CONTRADICTS_RESOLUTION: the scale implies a resolution, and the recipe states another.
        NOTHING_TO_SCALE, ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride: see ``scale_arch``.
    """
    if text is None:
        return Scaled(spec, stated_px or usual_px)
    scale = CompoundScale.from_text(text)
    speaks = scale.phi is not None or scale.resolution is not None
    network = scale_arch(spec, scale, usual_px if speaks else stated_px or usual_px)
    if speaks and stated_px not in (None, network.resolution_px):
        raise SCALE_CONTRADICTS_RESOLUTION(scale=text, resolution_px=str(stated_px))
    return network


def scaled_row(spec: ArchSpec, multipliers: Multipliers) -> ArchSpec:
    """Return the row of a scaled network, with its own name and no parameter count; without scaling, the row itself."""
    if multipliers == Multipliers():
        return spec
    both = (spec.scale or Multipliers()).times(multipliers)
    return spec.model_copy(
        update={
            "name": base_name(spec.name) + both.suffix,
            "scale": both,
            "parameters": None,
            "macs": None,
            "depth": None,
            "accuracy": None,
        }
    )


def keeps_all(spec: ArchSpec) -> bool:
    """Whether a scaled network has every channel and block of the unscaled one, so that it starts by computing the same."""
    if spec.scale is None:
        return True
    deeper = spec.scale.depth >= 1 if RULES[spec.family].residual else spec.scale.depth == 1
    return deeper and spec.scale.width >= 1


def coefficients_of(spec: ArchSpec) -> Coefficients:
    """Return a row's multipliers relative to its family's first network, without its own scale; 1 if published unscaled."""
    rule = RULES[spec.family]
    if spec.family == "mobilenet-v1":  # the multiplier is in its name
        multiplier = base_name(spec.name).removeprefix(rule.first).removeprefix("-")
        return Coefficients(float(multiplier or 1), 1.0, spec.resolution_px.short_px, 0.001)
    stem = rule.first.rstrip("0123456789")
    number = base_name(spec.name).removeprefix(stem)
    plain = Coefficients(1.0, 1.0, spec.resolution_px.short_px, 0.2)
    return rule.published[int(number)] if rule.published and number.isdigit() else plain


def base_name(name: str) -> str:
    """Return the name without the suffix of a scale."""
    match = _SUFFIX.fullmatch(name)
    return match["base"] if match else name


def scale_in(name: str) -> CompoundScale | None:
    """Return the scale at the end of a scaled network's name. Raises ScaleInvalid: no network has it."""
    match = _SUFFIX.fullmatch(name)
    if match is None:
        return None
    text = f"depth={match['depth']},width={match['width']}"
    try:
        return CompoundScale.from_text(text)
    except ValueError as error:
        raise SCALE_INVALID(text=text, because=str(error)) from error


_SUFFIX = re.compile(r"(?P<base>.+)-d(?P<depth>\d+(\.\d+)?)-w(?P<width>\d+(\.\d+)?)")


def _scaled_to(spec: ArchSpec, rule: Rule, scale: CompoundScale, base_px: ImageSize) -> tuple[Multipliers, ImageSize]:
    phi = scale.phi
    if phi is None:
        depth, width = (round(multiplier or 1, DECIMALS) for multiplier in (scale.depth, scale.width))
        size = base_px.scaled_to_short(scale.resolution) if scale.resolution else base_px
        return Multipliers(depth=depth, width=width), size
    if spec.name == rule.first and phi == int(phi) and 0 <= phi < len(rule.published):
        row = rule.published[int(phi)]
        return row.multipliers, _rounded_to_steps(base_px, row.resolution_px / rule.published[0].resolution_px)
    return formula(phi), _rounded_to_steps(base_px, GAMMA**phi)


def _require_bounds(spec: ArchSpec, scale: CompoundScale, own: Multipliers, multipliers: Multipliers) -> None:
    for name, product in (("depth", own.depth * multipliers.depth), ("width", own.width * multipliers.width)):
        if not 10**-DECIMALS <= product <= LARGEST_MULTIPLIER:
            because = f"{spec.name} would have {name} × {product:g}, and {10**-DECIMALS:g} to {LARGEST_MULTIPLIER:g} is possible"
            raise SCALE_INVALID(text=scale.text(), because=because)


def imbalance_of(scale: CompoundScale, native_px: int) -> float:
    """Return how far depth, width and resolution diverge on the compound rule, in steps of φ: 0 on the rule itself."""
    depth, width = math.log(scale.depth or 1, ALPHA), math.log(scale.width or 1, BETA)
    side = math.log((scale.resolution or native_px) / native_px, GAMMA)
    return round(max(depth, width, side) - min(depth, width, side), 3)


def formula(phi: float) -> Multipliers:
    """Return α to the φ, and β to the φ."""
    return Multipliers(depth=round(ALPHA**phi, DECIMALS), width=round(BETA**phi, DECIMALS))


def _rounded_to_steps(size: ImageSize, factor: float) -> ImageSize:
    return ImageSize(*(round(side * factor / RESOLUTION_STEP_PX) * RESOLUTION_STEP_PX for side in size))
