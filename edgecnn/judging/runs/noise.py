"""What noise leaves open: how many rounds would settle it, and whether other programs can explain it."""

from __future__ import annotations

import math
import re

from edgecnn.values.profile import Environment
from edgecnn.values.verdict import Interval

ROUNDS_WORTH_ASKING = 200
"""More rounds than that are no advice: a race of three kits then takes an hour, and conditions change."""

OF_A_BUILD = "--set race.rounds={}"
OF_A_COMPARISON = "--rounds {}"
OF_A_DEVICE = "python3 -m runner measure ../.. --rounds {}"
"""How the number of rounds is asked for, of whom."""


def rounds_needed(rounds: int, *, seen: float, wanted: float) -> int | None:
    """About how many rounds would show what these could not; None where that is more than anybody should wait for.

    Args:
        rounds: of the race that was run.
        seen: half the width that it left open, in any unit; it shrinks with the root of the number of rounds.
        wanted: the half-width that would settle it, in the same unit.
    """
    if wanted <= 0:
        return None
    needed = math.ceil(rounds * (seen / wanted) ** 2)
    return max(needed, rounds + 1) if needed <= ROUNDS_WORTH_ASKING else None


def rounds_to_settle(bound: float, seen: Interval, rounds: int) -> int | None:
    """About how many rounds would bring an interval to one side of a bound, were its estimate to stay as it is."""
    below = seen.estimate <= bound
    reach = seen.high - seen.estimate if below else seen.estimate - seen.low
    return rounds_needed(rounds, seen=reach, wanted=abs(bound - seen.estimate))


def what_helps(rounds: int | None, spelled: str = OF_A_BUILD) -> str:
    """The end of a sentence: what would turn UNSURE into an answer, with the option as this command spells it."""
    quieter = "a quieter machine would tell"
    return quieter if rounds is None else f"about {rounds} rounds ({spelled.format(rounds)}) or {quieter}"


_LIST = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*")
"""As the kernel writes one, such as ``0-3,8`` (man 7 cpuset, "List format")."""


def had_whole_machine(environment: Environment) -> bool:
    """False too where it is not known. A system that has no affinity keeps no program from a processor by it."""
    limit, affinity = (environment.conditions.get(name) for name in ("cpu_limit", "affinity"))
    if limit not in (None, "none"):
        return False
    return affinity is None or _covers(affinity, environment.observed.get("processors_online", ""))


def _covers(allowed: str, online: str) -> bool:
    if not (_LIST.fullmatch(allowed) and _LIST.fullmatch(online)):
        return False
    return _processors(online) <= _processors(allowed)


def _processors(written: str) -> set[int]:
    ranges = [each.partition("-") for each in written.split(",")]
    return {at for first, _, last in ranges for at in range(int(first), int(last or first) + 1)}
