"""The request of a search: a family, budgets on a device, and limits of training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from edgecnn.errors.fit import (
    ACCURACY_IN_PERCENT,
    ACCURACY_INVALID,
    ACCURACY_TWICE,
    FAMILY_MISSING,
    FIT_BUDGET_INVALID,
    LATENCY_BUDGET_TWICE,
    NOTHING_TO_MEET,
    PERCENTILE_IN_A_SEARCH,
    fit_budget_unknown,
)
from edgecnn.errors.wording import nearest
from edgecnn.judging.metrics import budgets_in_p50, parse_budgets
from edgecnn.models.compound import RULES
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import TargetRuntime
from edgecnn.values.command import Command
from edgecnn.values.device import Device
from edgecnn.values.fit import BudgetMetric
from edgecnn.values.recipe import FitChoice, Recipe
from edgecnn.values.verdict import IMAGES_PER_S

METRICS: tuple[BudgetMetric, ...] = get_args(BudgetMetric)


class OtherTarget(NamedTuple):
    """A further device to predict latency on."""

    device: str
    runtime: TargetRuntime | None
    """None or ``all``: every runtime of its table."""

    @property
    def name(self) -> str:
        """The text that ``--target`` accepts."""
        return self.device if self.runtime is None else f"{self.device}:{self.runtime}"


class FitRequest(Value):
    """One search. Every member has this recipe, except for network, teacher and epochs."""

    choice: FitChoice
    recipe: Recipe
    device: Device
    device_file: Path | None = None
    host: HostRequest | None = None
    meter: Path | None = None
    """Log of an external power meter, for an energy budget."""
    out: Path
    table: Path | None = None
    """Latency table; None: the device's own, measured if it does not exist."""
    others: tuple[OtherTarget, ...] = ()
    """Further devices to predict the built networks on."""
    build: Command = Command()
    """Options of the command line that builds of members take too."""
    command: Command = Command()
    """The command that repeats this search."""

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.choice.family or ""

    @property
    def within(self) -> Mapping[BudgetMetric, float]:
        """The budgets; ``images_per_s`` is converted to ``p50_ms``."""
        in_ms = budgets_in_p50(self.choice.within)
        return {name: in_ms[name] for name in METRICS if name in in_ms}


def fit_choice(recipe: FitChoice, stated: Mapping[str, object]) -> FitChoice:
    """Return the recipe's choices, replaced by those of the command line.

    Raises FAMILY_MISSING: no family is named. NOTHING_TO_MEET: no budget is stated. FIT_BUDGET_INVALID, PERCENTILE_IN_A_SEARCH,
    LATENCY_BUDGET_TWICE: a budget is invalid.
    """
    choice = recipe.model_copy(update=dict(stated))
    for name in choice.within:
        _known_metric(name, f"fit.within.{name}")
    if {IMAGES_PER_S, "p50_ms"} <= choice.within.keys():
        raise LATENCY_BUDGET_TWICE()
    if choice.family is None:
        raise FAMILY_MISSING(families=tuple(RULES))
    if not choice.within and choice.accuracy_top1 is None:
        raise NOTHING_TO_MEET()
    return choice


def parse_within(texts: Iterable[str]) -> dict[str, float]:
    """Parse budgets such as ``p50_ms=5``.

    Raises FIT_BUDGET_INVALID: an unknown or repeated metric, or not a positive number. PERCENTILE_IN_A_SEARCH.
    """
    return parse_budgets(texts, _known_metric, lambda text, because: FIT_BUDGET_INVALID(text=text, because=because))


def _known_metric(metric: str, text: str) -> str:
    known = (*METRICS, IMAGES_PER_S)
    name = next((budget for budget in known if budget == metric), None)
    if name is None:
        if re.fullmatch(r"p\d+_ms", metric):
            raise PERCENTILE_IN_A_SEARCH(text=text, metric=metric)
        near = IMAGES_PER_S if metric == "fps" else nearest(metric, known, cutoff=0.5)
        raise fit_budget_unknown(text=text, name=metric, near=near)
    return name


def parse_required_top1(texts: Sequence[str]) -> float:
    """Parse ``top1=0.85``.

    Raises ACCURACY_INVALID, ACCURACY_IN_PERCENT: not a share between 0 and 1. ACCURACY_TWICE: more than one text.
    """
    text = texts[-1]
    if len(texts) > 1:
        raise ACCURACY_TWICE(text=text, times=len(texts))
    share = re.fullmatch(r"top1=(0?\.\d{1,6})", text.strip())
    if share is not None and float(share[1]) > 0:
        return float(share[1])
    percent = re.fullmatch(r"(?:top1=)?(\d{1,2}(?:\.\d{1,4})?)\s*%?", text.strip())
    if percent is not None and float(percent[1]) >= 1:
        raise ACCURACY_IN_PERCENT(text=text, percent=float(percent[1]), share=float(percent[1]) / 100)
    raise ACCURACY_INVALID(text=text)
