"""Budgets as a command line writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from edgecnn.devices.files import target_of
from edgecnn.devices.this_machine import local_facts, with_local_facts
from edgecnn.errors.costing import BudgetInvalid, MemoryUnknown
from edgecnn.studies.facts import BudgetName
from edgecnn.values.recipe import TargetChoice

_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_UNITS: Mapping[BudgetName, Mapping[str, int]] = {
    "macs": _COUNTS,
    "params": _COUNTS,
    "memory": {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9},
}


class Budgets(NamedTuple):
    """Budgets, and the device that one of them is of."""

    budgets: dict[BudgetName, int]
    from_target: str | None


def asked_budgets(within: str, target: str | None) -> Budgets:
    """The budgets of ``--within``; where they leave memory open and a device is named, its main memory too.

    Raises:
        BudgetInvalid: of ``within``.
        MemoryUnknown: nobody knows how much the device has.
        UnknownTarget and others: see ``target_of``.
    """
    budgets = budgets_of(within)
    if target is None:
        return Budgets(budgets, None)
    device = target_of(TargetChoice(), target)[0]
    if "memory" in budgets:
        return Budgets(budgets, None)
    known = with_local_facts(device, local_facts()).memory
    if known is None:
        raise MemoryUnknown(device=device.name, within=within)
    return Budgets({**budgets, "memory": known.mib << 20}, device.name)


def budgets_of(text: str) -> dict[BudgetName, int]:
    """``macs=200M,params=4M,memory=64MiB``, any of the three.

    Raises:
        BudgetInvalid: an unknown or repeated name, or no number with a unit that the name has.
    """
    found: dict[BudgetName, int] = {}
    for part in text.split(","):
        given, _, amount = (piece.strip() for piece in part.partition("="))
        name = next((each for each in _UNITS if each == given), None)
        if name is None:
            near = get_close_matches(given, _UNITS, n=1, cutoff=0.5)
            raise BudgetInvalid(text=text, because=f"{given!r} is no budget" + (f", the nearest is {near[0]}" if near else ""))
        if name in found:
            raise BudgetInvalid(text=text, because=f"{name} is given twice")
        number = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?(?:e(?:1[0-2]|\d))?)\s*([a-z]*)", amount.lower())
        if number is None or number[2] not in _UNITS[name] or float(number[1]) <= 0:
            example = "64MiB" if name == "memory" else "200M"
            raise BudgetInvalid(text=text, because=f"{name} must be a positive number such as {example}, not {amount!r}")
        found[name] = int(float(number[1]) * _UNITS[name][number[2]])
    return found
