"""Which gates hold for a call: what can be bounded, and who stated each bound.

A misspelt metric, a NaN or a bound on the wrong side is refused here, before any work: a gate that can never fail is worse
than none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from edgecnn.errors.gates import (
    BoundMissing,
    BoundOfTwoBuilds,
    BoundOnWrongSide,
    BoundOutOfRange,
    BoundTwice,
    MetricNotCompared,
    UnknownMetric,
)
from edgecnn.errors.wording import bound_text
from edgecnn.judging.metrics import COMPARED, LATENCY_RATIO, METRICS, Metric
from edgecnn.values.recipe import GateChoice
from edgecnn.values.verdict import Gate

DEFAULT_DROP_PP = 1.0
"""The accuracy budget, and the bound of the default gate."""

DEFAULT_LATENCY_RATIO = 1.03
"""What a comparison allows unless told: smaller differences are lost among layouts of memory and links."""

Side = Literal["max", "min"]
_SIDE_OF: Mapping[str, Side] = {"lower": "max", "higher": "min"}
_LARGEST = {"share": 1.0, "pp": 100.0}
"""Of units that have an end: 0.95 and not 95 is what a share is written as."""
_ON_THE_DEVICE_ALONE = ("latency", "memory", "energy")
"""Sources of figures that nothing but a run on the device itself can give."""


def parse_bounds(
    largest: Sequence[str], smallest: Sequence[str], *, require_measured: bool = False, compared: bool = False
) -> GateChoice:
    """The bounds of a command line, from the texts after ``--max`` and ``--min``; ``compared``: another build is given too.

    Raises:
        BoundMissing: for a text that is not ``name=number``.
        BoundTwice: for two different bounds of one metric.
        UnknownMetric, MetricNotCompared, BoundOfTwoBuilds, BoundOutOfRange, BoundOnWrongSide: see ``check_bounds``.
    """
    sides: tuple[tuple[Side, Sequence[str]], ...] = (("max", largest), ("min", smallest))
    parsed = {side: _parse_side(side, texts) for side, texts in sides}
    choice = GateChoice(max=parsed["max"], min=parsed["min"], require_measured=require_measured)
    check_bounds(choice, stated_by="command line", compared=compared)
    return choice


def bound_of(gate: Gate) -> str:
    """``drop_pp ≤ 1``."""
    return bound_text(gate.side, gate.metric, gate.bound)


def bound_parts(choice: GateChoice) -> tuple[tuple[str, ...], ...]:
    """The same as options of a command."""
    sides: tuple[tuple[Side, Mapping[str, float]], ...] = (("max", choice.max), ("min", choice.min))
    stated = [
        (f"--{side}", f"{name}={repr(bound).removesuffix('.0')}") for side, bounds in sides for name, bound in bounds.items()
    ]
    return (*stated, *((("--require-measured",),) if choice.require_measured else ()))


def check_bounds(choice: GateChoice, *, stated_by: Literal["recipe", "command line"] = "recipe", compared: bool = False) -> None:
    """Refuse bounds that could not be held against anything.

    Raises:
        UnknownMetric: with the nearest known name.
        MetricNotCompared: ``compared``, and the metric says nothing of two builds.
        BoundOfTwoBuilds: not ``compared``, and the metric is a ratio.
        BoundOutOfRange: for NaN, infinity, a negative number, or a share above 1.
        BoundOnWrongSide: for ``max`` of what should be large, ``min`` of what should be small.
    """
    sides: tuple[tuple[Side, Mapping[str, float]], ...] = (("max", choice.max), ("min", choice.min))
    for side, bounds in sides:
        for name, bound in bounds.items():
            _check_name(_where(side, stated_by), name, compared)
            _check_bound(_where(side, stated_by), side, name, bound)


def gates_for(
    choice: GateChoice,
    *,
    device_usually_attached: bool,
    command_line: GateChoice | None = None,
    labelled: bool = True,
    multi_label: bool = False,
) -> tuple[Gate, ...]:
    """The gates of one call: those of the command line, else those of the recipe, else the default.

    The default (a drop of at most 1 pp, of several labels an image that of mAP; without labels fp32's answer to at least 99 % of
    the images) is advisory. Stated gates are required: ``always``, save for latency, memory and energy on a device that may not
    be attached, which are required ``when-measured`` unless ``require_measured``.
    """
    asked_on_line = command_line is not None and bool(command_line.max or command_line.min)
    stated = command_line if command_line is not None and asked_on_line else choice
    stated_by: Literal["recipe", "command line"] = "command line" if asked_on_line else "recipe"
    check_bounds(stated, stated_by=stated_by)
    strict = choice.require_measured or (command_line is not None and command_line.require_measured)
    sides: tuple[tuple[Side, Mapping[str, float]], ...] = (("max", stated.max), ("min", stated.min))
    gates = tuple(
        Gate(
            metric=name,
            side=side,
            bound=bound,
            required=_required(METRICS[name], strict=strict, attached=device_usually_attached),
            stated_by=stated_by,
        )
        for side, bounds in sides
        for name, bound in sorted(bounds.items())
    )
    if gates:
        return gates
    if not labelled:
        return (Gate(metric="agreement", side="min", bound=1 - DEFAULT_DROP_PP / 100, required="advisory"),)
    lost = "map_drop_pp" if multi_label else "drop_pp"
    return (Gate(metric=lost, side="max", bound=DEFAULT_DROP_PP, required="advisory"),)


def comparison_gates(choice: GateChoice) -> tuple[Gate, ...]:
    """The gates of a comparison, ``latency_ratio`` first, with its default where none is stated. All are required.

    The bounds were checked by ``parse_bounds``.
    """
    sides: tuple[tuple[Side, Mapping[str, float]], ...] = (("max", choice.max), ("min", choice.min))
    stated = [
        Gate(metric=name, side=side, bound=bound, required="always", stated_by="command line")
        for side, bounds in sides
        for name, bound in sorted(bounds.items(), key=lambda item: (item[0] != LATENCY_RATIO, item[0]))
    ]
    if LATENCY_RATIO in choice.max:
        return tuple(stated)
    return (Gate(metric=LATENCY_RATIO, side="max", bound=DEFAULT_LATENCY_RATIO, required="always"), *stated)


def budget_pp(gates: Sequence[Gate], *, labelled: bool = True) -> float:
    """The accuracy budget of the choice: the bound of the gate on the drop of accuracy, or of mAP, else 1 pp.

    Without labels it is what a gate on agreement leaves for other answers, where there is one: no drop can be larger.
    """
    if not labelled and (bound := next((gate.bound for gate in gates if gate.metric == "agreement"), None)) is not None:
        return round(100 * (1 - bound), 6)
    return next((gate.bound for gate in gates if gate.metric in ("drop_pp", "map_drop_pp")), DEFAULT_DROP_PP)


def most_mib(gates: Sequence[Gate]) -> float | None:
    """The bound on the size of what ships; None where there is none."""
    return next((gate.bound for gate in gates if (gate.metric, gate.side) == ("size_mib", "max")), None)


def _required(metric: Metric, *, strict: bool, attached: bool) -> Literal["always", "when-measured"]:
    there = metric.source in _ON_THE_DEVICE_ALONE
    return "when-measured" if there and not attached and not strict else "always"


def _parse_side(side: Side, texts: Sequence[str]) -> dict[str, float]:
    where, bounds = f"--{side}", dict[str, float]()
    for text in texts:
        name, _, number = (part.strip() for part in text.partition("="))
        try:
            bound = float(number)
        except ValueError:
            example = "p99_ms=20" if side == "max" else "int8_mac_share=0.95"
            raise BoundMissing(where=where, text=text, example=example) from None
        if bounds.setdefault(name, bound) != bound and not math.isnan(bound):
            raise BoundTwice(where=where, metric=name, first=bounds[name], second=bound)
    return bounds


def _where(side: Side, stated_by: str) -> str:
    return f"--{side}" if stated_by == "command line" else f"[gates] {side}"


def _check_name(where: str, name: str, compared: bool) -> None:
    if compared and name in METRICS and name not in COMPARED:
        raise MetricNotCompared(where=where, name=name, known=tuple(COMPARED))
    if not compared and name == LATENCY_RATIO:
        raise BoundOfTwoBuilds(where=where, name=name)
    known = COMPARED if compared else METRICS
    if name not in known:
        raise UnknownMetric(where=where, name=name, known=tuple(known))


def _check_bound(where: str, side: Side, name: str, bound: float) -> None:
    metric = {**METRICS, **COMPARED}[name]
    largest = _LARGEST.get(metric.unit, math.inf)
    if not math.isfinite(bound) or not 0 <= bound <= largest:
        allowed = "a finite number of at least 0" if math.isinf(largest) else f"between 0 and {largest:g}"
        raise BoundOutOfRange(where=where, metric=name, bound=bound, allowed=allowed)
    right = _SIDE_OF[metric.better]
    if side != right:
        way = f"--{right} {name}={bound:g}" if where.startswith("--") else f"{name} under [gates] {right}"
        raise BoundOnWrongSide(where=where, metric=name, better=metric.better, right_way=way)
