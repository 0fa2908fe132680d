"""What a search is asked: a family, budgets on a device, and how much may be trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from edgecnn.errors.fit import FAMILY_MISSING, FIT_BUDGET_INVALID, NOTHING_TO_MEET
from edgecnn.errors.wording import nearest
from edgecnn.judging.metrics import IMAGES_PER_S, budgets_in_p50, parse_budgets
from edgecnn.models.compound import RULES
from edgecnn.values.base import Value
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import TargetRuntime
from edgecnn.values.command import Command
from edgecnn.values.device import Device
from edgecnn.values.fit import BudgetMetric
from edgecnn.values.recipe import FitChoice, Recipe

METRICS: tuple[BudgetMetric, ...] = get_args(BudgetMetric)


class OtherTarget(NamedTuple):
    """A device that is asked about beside the one that is searched for."""

    device: str
    runtime: TargetRuntime | None
    """None, as ``all``: every one of its table."""

    @property
    def name(self) -> str:
        """As ``--target`` takes it."""
        return self.device if self.runtime is None else f"{self.device}:{self.runtime}"


class FitRequest(Value):
    """One call. The recipe is that of every member, but for its network, its teacher and its epochs."""

    choice: FitChoice
    recipe: Recipe
    device: Device
    device_file: Path | None = None
    host: HostRequest | None = None
    meter: Path | None = None
    """An external power meter's log, for a budget of energy."""
    out: Path
    table: Path | None = None
    """None: the device's own, which is measured where there is none."""
    others: tuple[OtherTarget, ...] = ()
    """Beside it, of which the tables say what the built networks would take there."""
    build: Command = Command()
    """Of the command line: what a build of a member is asked with too."""
    command: Command = Command()
    """The command that asks this again."""

    @property
    def family(self) -> str:
        """Its name."""
        return self.choice.family or ""

    @property
    def within(self) -> Mapping[BudgetMetric, float]:
        """The budgets; images a second are the p50 that they mean."""
        stated = budgets_in_p50(self.choice.within)
        return {name: stated[name] for name in METRICS if name in stated}


def fit_choice(recipe: FitChoice, stated: Mapping[str, object]) -> FitChoice:
    """What the recipe says, and the command line's own in its place.

    Raises FAMILY_MISSING: neither names a family. NOTHING_TO_MEET: neither states a budget. FIT_BUDGET_INVALID: one is none.
    """
    found = recipe.model_copy(update=dict(stated))
    for name in found.within:
        _metric(name, f"fit.within.{name}")
    if {IMAGES_PER_S, "p50_ms"} <= found.within.keys():
        raise FIT_BUDGET_INVALID(text=IMAGES_PER_S, because=f"p50_ms is given too, and {IMAGES_PER_S} is the same budget")
    if found.family is None:
        raise FAMILY_MISSING(families=tuple(RULES))
    if not found.within and found.accuracy_top1 is None:
        raise NOTHING_TO_MEET()
    return found


def within_of(texts: Iterable[str]) -> dict[str, float]:
    """``p50_ms=5`` and others, each metric once.

    Raises FIT_BUDGET_INVALID: an unknown or repeated metric, or no positive number.
    """
    return parse_budgets(texts, _metric, lambda text, because: FIT_BUDGET_INVALID(text=text, because=because))


def _metric(given: str, text: str) -> str:
    known = (*METRICS, IMAGES_PER_S)
    name = next((each for each in known if each == given), None)
    if name is None:
        near = IMAGES_PER_S if given == "fps" else nearest(given, known, cutoff=0.5)
        because = f"{given!r} is no budget" + (f", the nearest is {near}" if near else "")
        if re.fullmatch(r"p\d+_ms", given):
            because = f"a search bounds the median, p50_ms; of what ships `edgecnn judge --max {given}=…` judges the tail"
        raise FIT_BUDGET_INVALID(text=text, because=because)
    return name


def required_top1_of(texts: Sequence[str]) -> float:
    """``top1=0.85``, once. Raises FIT_BUDGET_INVALID: nothing of that kind, between 0 and 1, or more than one."""
    text = texts[-1]
    if len(texts) > 1:
        raise FIT_BUDGET_INVALID(text=text, because=f"--accuracy is given {len(texts)} times")
    found = re.fullmatch(r"top1=(0?\.\d{1,6})", text.strip())
    if found is not None and float(found[1]) > 0:
        return float(found[1])
    percent = re.fullmatch(r"(?:top1=)?(\d{1,2}(?:\.\d{1,4})?)\s*%?", text.strip())
    meant = f", and {float(percent[1]):g} % are top1={float(percent[1]) / 100:g}" if percent and float(percent[1]) >= 1 else ""
    raise FIT_BUDGET_INVALID(text=text, because=f"--accuracy takes top1 and a share between 0 and 1{meant}")
