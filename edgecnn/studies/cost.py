"""Count a network's cost, and search the largest scale whose cost is inside budgets. Nothing runs.

A search first follows the compound rule to the limit of the budgets. Then depth, width and resolution vary around that point,
at most a step of φ apart. The best network has nearly the most multiply-adds inside the budgets and the smallest imbalance of
depth, width and resolution. In the rule's paper, accuracy within a family grew with multiply-adds, and most if the three grew
together (arXiv:1905.11946, figures 3 and 4). No accuracy or latency of these networks is measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from edgecnn.devices.files import target_of
from edgecnn.devices.this_machine import complete_device, local_facts
from edgecnn.errors.fit import (
    BUDGET_INVALID,
    BUDGET_OF_LATENCY,
    BUDGET_TWICE,
    SCALE_OF_A_FILE,
    ResolutionUnderStride,
    ScaleLeavesNoChannel,
    budget_too_small,
    budget_unknown,
    memory_unknown,
    unknown_layer,
)
from edgecnn.installed import require_packages
from edgecnn.models.catalogue import arch_named, require_size
from edgecnn.models.compound import ALPHA, BETA, GAMMA, RULES, imbalance_of, scale_arch, scaled_or_same
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.disk import user_path
from edgecnn.studies.facts import BudgetName, ScalePoint, ScaleSearch
from edgecnn.values.arch import ArchSpec
from edgecnn.values.layers import LayerCost, NetworkCost
from edgecnn.values.recipe import TargetChoice
from edgecnn.values.scale import CompoundScale
from edgecnn.values.verdict import IMAGES_PER_S

SUFFIX = ".onnx"


def cost_of(named: str, scale: str | None = None, resolution_px: ImageSize | None = None) -> NetworkCost:
    """Return the cost of a network of the catalogue, of a family's first network, or of an ONNX file.

    Raises for a network: UnknownArch, NOTHING_TO_SCALE, ScaleLeavesNoChannel, ResolutionUnderStride, SCALE_CONTRADICTS_RESOLUTION
    and the errors of ``require_size``. Raises for a file: MissingPackage, SCALE_OF_A_FILE and the errors of ``cost_of_file`` and
    ``call_about_file``.
    """
    if named.endswith(SUFFIX):
        if scale is not None:
            raise SCALE_OF_A_FILE(onnx=named)
        require_packages(("onnx",), extra="train", needed_for="cost")
        from edgecnn.graph.custom.trial import call_about_file

        return NetworkCost.model_validate(call_about_file(user_path(named), "edgecnn.graph.onnx_cost:cost_as_json"))
    row = network_or_family(named)
    spec, size = scaled_or_same(row, scale, resolution_px, row.resolution_px)
    require_size(spec, size)
    return cost_of_network(spec, size).model_copy(update={"scale": scale})


def network_or_family(named: str) -> ArchSpec:
    """Return a network of the catalogue, or the first network of a family. Raises UnknownArch: neither has the name."""
    return arch_named(RULES[named].first if named in RULES else named)


def cost_of_network(spec: ArchSpec, size: ImageSize) -> NetworkCost:
    """Return the cost of a network with its own classes, built from shapes alone, without memory for weights.

    Raises MissingPackage: torch is not installed.
    """
    require_packages(("torch", "torchvision"), extra="train", needed_for="cost")
    from edgecnn.graph.layer_cost import cost_of_layers
    from edgecnn.graph.torch_operations import IMAGE, operations_of
    from edgecnn.models.networks import shipped_parameter_count, shipping_shapes

    network = shipping_shapes(spec, spec.classes)
    counts = cost_of_layers(operations_of(network, size), IMAGE, (1, 3, *size))
    return NetworkCost(
        network=spec.name,
        scale=None,
        resolution_px=size,
        parameters=shipped_parameter_count(network, spec),
        macs=sum(layer.macs for layer in counts.layers),
        **counts._asdict(),
        not_counted={},
    )


def layer_of(cost: NetworkCost, name: str) -> LayerCost:
    """Return the layer of a name. Raises UNKNOWN_LAYER: no layer has the name; the error names the nearest layer."""
    layers = {layer.name: layer for layer in cost.layers}
    if name not in layers:
        raise unknown_layer(network=cost.network, layer=name, known=tuple(layers))
    return layers[name]


APART = 1.0
"""Steps of φ by which depth, width and resolution may differ: 1.2 times in depth, 1.1 in width, 1.15 in resolution."""
STEP = 0.5
"""Step of φ between the networks that are tried around the rule."""
RESOLUTION_STEP_PX = 16
LOWEST_PHI, HIGHEST_PHI = -10.0, 9.0
NEARLY = 0.95
"""Share of the most multiply-adds inside the budgets. Of the networks with this share, the nearest to the rule is best."""
RULE = (
    "best: of the networks inside every budget that were counted (on the compound rule, and around its end by half a step of φ "
    "in depth and width and by 16 px, no more than one step apart), those within 5 % of the most multiply-adds, and of these the "
    "one nearest to the rule; no accuracy and no latency was measured"
)
PRECISION = 0.05
"""Precision of φ in the search for the end of the rule."""
ENDED = f"; no budget is reached: the search ends at φ = {HIGHEST_PHI:g}"
Tell = Callable[[int], None]


def search_scale(spec: ArchSpec, budgets: Budgets, tell: Tell) -> ScaleSearch:
    """Find the largest scale inside all budgets, and the frontier around it.

    ``tell``: called with the number of counted networks.

    Raises:
        BUDGET_TOO_SMALL: the smallest network of the rule is outside.
        NOTHING_TO_SCALE: no rule scales the family.
    """
    counter = _Counter(spec, budgets.budgets, tell)
    phi = _largest_phi_inside(counter)
    rule = counter.point(counter.rule_scale(phi))
    inside = [point for scales in _scales_around_rule(spec, phi) if (point := _largest_inside(counter, scales)) is not None]
    inside = _distinct(point for point in (*inside, rule) if point is not None)
    most = max(point.macs for point in inside)
    best = min((point for point in inside if point.macs >= NEARLY * most), key=lambda point: (point.imbalance, -point.macs))
    border = {point.scale: point for point in (best, *sorted(_maximal(inside), key=lambda point: -point.macs))}
    frontier = list(border.values())
    others = [point for point in counter.counted() if point not in frontier]
    return ScaleSearch(
        arch=spec.name,
        budgets=budgets.budgets,
        from_target=budgets.from_target,
        on_rule=rule,
        on_rule_phi=round(phi, 3),
        best=best,
        frontier=tuple(frontier),
        others=tuple(others),
        rule=RULE + (ENDED if phi > HIGHEST_PHI - PRECISION else ""),
    )


class _Counter:
    """Counts each network once. Scales that round to the same network cost the same."""

    def __init__(self, spec: ArchSpec, budgets: Mapping[BudgetName, int], tell: Tell) -> None:
        self.spec = spec
        self.budgets = budgets
        self._tell = tell
        self._known: dict[CompoundScale, ScalePoint | None] = {}

    def rule_scale(self, phi: float) -> CompoundScale:
        """Return the scale of the rule at φ, with the resolution rounded to the search's step."""
        side = self.spec.resolution_px.short_px * GAMMA**phi
        return _scale(ALPHA**phi, BETA**phi, side)

    def point(self, scale: CompoundScale) -> ScalePoint | None:
        """Count the network of a scale; None if it cannot be built."""
        if scale not in self._known:
            self._known[scale] = self._count_network(scale)
            self._tell(len(self._known))
        return self._known[scale]

    def counted(self) -> Iterator[ScalePoint]:
        """Return all counted networks."""
        return (point for point in self._known.values() if point is not None)

    def _count_network(self, scale: CompoundScale) -> ScalePoint | None:
        try:
            spec, size = scale_arch(self.spec, scale, self.spec.resolution_px)
        except (ScaleLeavesNoChannel, ResolutionUnderStride):
            return None
        cost = cost_of_network(spec, size)
        used: dict[BudgetName, int] = {"macs": cost.macs, "params": cost.parameters, "memory": cost.memory_bytes}
        return ScalePoint(
            depth=scale.depth or 1,
            width=scale.width or 1,
            resolution=size.short_px,
            parameters=cost.parameters,
            macs=cost.macs,
            memory_bytes=cost.memory_bytes,
            imbalance=imbalance_of(scale, self.spec.resolution_px.short_px),
            inside=all(used[name] <= most for name, most in self.budgets.items()),
        )


def _largest_phi_inside(counter: _Counter) -> float:
    """Return the largest φ inside the budgets, by bisection, because cost grows with φ except for rounding."""
    low, high = LOWEST_PHI, HIGHEST_PHI
    while not _is_inside(counter, low):
        low += 1  # the rule may lead to networks that are too small to exist
        if low > 0:
            limits = {str(name): most for name, most in counter.budgets.items()}
            smallest = min(counter.counted(), key=lambda point: point.macs)
            raise budget_too_small(arch=counter.spec.name, budgets=limits, smallest=smallest)
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if _is_inside(counter, middle) else (low, middle)
    return low


def _is_inside(counter: _Counter, phi: float) -> bool:
    point = counter.point(counter.rule_scale(phi))
    return point is not None and point.inside


def _largest_inside(counter: _Counter, scales: Iterable[CompoundScale]) -> ScalePoint | None:
    """Return the highest resolution inside the budgets, without counting the lower ones."""
    return next((point for scale in scales if (point := counter.point(scale)) is not None and point.inside), None)


def _scales_around_rule(spec: ArchSpec, phi: float) -> Iterator[list[CompoundScale]]:
    """Yield scales around the rule: for each depth and width the resolutions of bounded imbalance, the highest first."""
    offsets = [STEP * index for index in range(round(-APART / STEP), round(APART / STEP) + 1)]
    lowest, highest = (spec.resolution_px.short_px * GAMMA ** (phi + side) for side in (-APART, APART))
    first = math.ceil(lowest / RESOLUTION_STEP_PX) * RESOLUTION_STEP_PX
    for deep, wide in product(offsets, offsets):
        sides = range(first, int(highest) + 1, RESOLUTION_STEP_PX)
        scales = [_scale(ALPHA ** (phi + deep), BETA ** (phi + wide), side) for side in reversed(sides)]
        yield [scale for scale in scales if imbalance_of(scale, spec.resolution_px.short_px) <= APART + 0.01]


def _scale(depth: float, width: float, side: float) -> CompoundScale:
    resolution = max(RESOLUTION_STEP_PX, round(side / RESOLUTION_STEP_PX) * RESOLUTION_STEP_PX)
    return CompoundScale(depth=round(depth, 2), width=round(width, 2), resolution=resolution)


def _maximal(points: Iterable[ScalePoint]) -> list[ScalePoint]:
    """Return the points that no other point covers."""
    candidates = list(points)
    return [point for point in candidates if not any(other != point and _covers(other, point) for other in candidates)]


def _distinct(points: Iterable[ScalePoint]) -> list[ScalePoint]:
    """Return each network once, with the multipliers nearest to the rule."""
    nearest: dict[tuple[int, ...], ScalePoint] = {}
    for point in sorted(points, key=lambda point: point.imbalance):
        nearest.setdefault((point.resolution, point.macs, point.parameters, point.memory_bytes), point)
    return list(nearest.values())


def _covers(one: ScalePoint, other: ScalePoint) -> bool:
    return one.depth >= other.depth and one.width >= other.width and one.resolution >= other.resolution


_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_UNITS: Mapping[BudgetName, Mapping[str, int]] = {
    "macs": _COUNTS,
    "params": _COUNTS,
    "memory": {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9},
}


class Budgets(NamedTuple):
    """Budgets, and the device whose memory is one of them."""

    budgets: dict[BudgetName, int]
    from_target: str | None


def stated_budgets(within: str, target: str | None) -> Budgets:
    """Return the budgets of ``--within``, with the main memory of a named device if no memory is stated.

    Raises:
        BUDGET_INVALID, BUDGET_UNKNOWN, BUDGET_OF_LATENCY, BUDGET_TWICE: ``within`` is invalid.
        MEMORY_UNKNOWN: the device's memory is unknown.
        EdgecnnError: see ``target_of``.
    """
    budgets = budgets_of(within)
    if target is None:
        return Budgets(budgets, None)
    device = target_of(TargetChoice(), target)[0]
    if "memory" in budgets:
        return Budgets(budgets, None)
    known = complete_device(device, local_facts()).memory
    if known is None:
        raise memory_unknown(device=device.name, within=within)
    return Budgets({**budgets, "memory": known.mib << 20}, device.name)


def budgets_of(text: str) -> dict[BudgetName, int]:
    """Parse budgets such as ``macs=200M,params=4M,memory=64MiB``.

    Raises BUDGET_UNKNOWN, BUDGET_OF_LATENCY, BUDGET_TWICE: the name. BUDGET_INVALID: not a number with a unit of that name.
    """
    budgets: dict[BudgetName, int] = {}
    for part in text.split(","):
        unit, _, amount = (piece.strip() for piece in part.partition("="))
        name = next((budget for budget in _UNITS if budget == unit), None)
        if name is None:
            if unit in ("p50_ms", IMAGES_PER_S):
                raise BUDGET_OF_LATENCY(text=text, budget=part.strip())
            raise budget_unknown(text=text, name=unit, known=_UNITS)
        if name in budgets:
            raise BUDGET_TWICE(text=text, name=name)
        number = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?(?:e(?:1[0-2]|\d))?)\s*([a-z]*)", amount.lower())
        if number is None or number[2] not in _UNITS[name] or float(number[1]) <= 0:
            example = "64MiB" if name == "memory" else "200M"
            raise BUDGET_INVALID(text=text, name=name, example=example, amount=amount)
        budgets[name] = int(float(number[1]) * _UNITS[name][number[2]])
    return budgets
