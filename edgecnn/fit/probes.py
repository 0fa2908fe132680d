"""Networks that a device's table is measured with: of random blocks, and of the catalogue's families at other scales."""

from __future__ import annotations

import random
from collections.abc import Iterable

from edgecnn.errors.studies import ResolutionUnderStride, ScaleInvalid, ScaleLeavesNoChannel
from edgecnn.fit.features import counted_of
from edgecnn.models.catalogue import BLOCKS, all_archs
from edgecnn.models.compound import RULES, scaled
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.fit import Probe
from edgecnn.values.scale import CompoundScale

DEPTHS, WIDTHS = (0.3, 1.3), (0.25, 1.3)
"""Multipliers between which members of a family are drawn, evenly by their logarithms."""
SIDES_PX = (32, 32, 48, 48, 64, 64, 96, 128, 160, 192, 224)
CLASSES = (10, 100, 1000)
SEEDS = 10_000
"""Of networks of random blocks."""
DRAWS = 20
"""For each network that is wanted, at most."""
MOST_MMACS = 1500.0
"""Of a network that is drawn: a larger one would take the time of ten."""
_UNSCALED = ("shufflenet-v1", "shufflenet-v2", "densenet", "efficientnet-v2", "resnext", "googlenet")
"""Families that no rule scales and whose blocks are of other kinds: they are drawn at other resolutions."""


_IN_TURN = tuple(name for family in (*RULES, *_UNSCALED) for name in (BLOCKS, family))


def pool(size: int, families: Iterable[str] = _IN_TURN, seed: int = 0) -> tuple[Probe, ...]:
    """So many different networks, every other one of random blocks, the families in turn; the same every time."""
    draw, names, found = random.Random(seed), list(families), dict[Probe, None]()
    for _ in range(DRAWS * size):
        if len(found) == size:
            break
        probe = _drawn(names[len(found) % len(names)], draw)  # again of the same family where it was too large, or there is none
        if probe is not None and probe not in found and _affordable(probe):
            found[probe] = None
    return tuple(found)


def _drawn(family: str, draw: random.Random) -> Probe | None:
    size, classes = ImageSize.square(draw.choice(SIDES_PX)), draw.choice(CLASSES)
    if family == BLOCKS:
        return Probe(arch=f"{BLOCKS}-{draw.randrange(SEEDS)}", resolution_px=size, classes=classes)
    spec = draw.choice([each for each in all_archs() if each.family == family])
    if family not in RULES:
        return Probe(arch=spec.name, resolution_px=size, classes=classes)
    depth, width = (round(low * (high / low) ** draw.random(), 2) for low, high in (DEPTHS, WIDTHS))
    try:
        scaled_spec = scaled(spec, CompoundScale(depth=depth, width=width), size).spec
    except (ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride):
        return None
    return Probe(arch=scaled_spec.name, resolution_px=size, classes=classes)


def _affordable(probe: Probe) -> bool:
    return counted_of(probe).macs / 1e6 <= MOST_MMACS
