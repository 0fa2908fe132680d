"""What noise leaves open: how many rounds would settle it, and whether other programs can explain it."""

from __future__ import annotations

import math
import re

from edgecnn.judging.intervals import two_sided_z
from edgecnn.judging.resolution import POWER, enough_to_tell_apart
from edgecnn.values.profile import Environment
from edgecnn.values.verdict import Interval

ROUNDS_WORTH_ASKING = 200
"""More rounds than that are no advice: a race of three kits then takes an hour, and conditions change."""

OF_A_BUILD = "--set race.rounds={}"
OF_A_COMPARISON = "--rounds {}"
OF_A_DEVICE = "python3 -m runner measure ../.. --rounds {}"
"""How the number of rounds is asked for, of whom."""


def rounds_to_settle(bound: float, seen: Interval, rounds: int) -> int | None:
    """About how many rounds of a new race bring an interval to one side of a bound in ``POWER`` of all cases, if its estimate is
    the truth; None where that is more than anybody should wait for.

    The spread of a round is taken from how far this interval of ``rounds`` reaches towards the bound. Ranks reach further than a
    normal interval, so that the number is enough in simulation though the spread is not its upper bound.
    """
    if math.isclose(bound, seen.estimate):
        return None
    reach = seen.high - seen.estimate if seen.estimate <= bound else seen.estimate - seen.low
    variance = rounds * (reach / two_sided_z(seen.confidence)) ** 2
    needed = max(enough_to_tell_apart(bound - seen.estimate, variance, variance, seen.confidence), rounds + 1)
    return needed if needed <= ROUNDS_WORTH_ASKING else None


def what_helps(rounds: int | None, spelled: str = OF_A_BUILD) -> str:
    """The end of a sentence: what would turn UNSURE into an answer, with the option as this command spells it."""
    if rounds is None:
        return "a quieter machine would tell"
    odds = f"about {rounds} rounds ({spelled.format(rounds)}) settle it in {100 * POWER:.0f} % of cases"
    return f"if the estimate is the truth, {odds}; a quieter machine needs fewer"


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
