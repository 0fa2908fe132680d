"""What disturbed a race: time that a kit waited for a processor, other programs, throttling.

A kit is slowed by the processor time that it does not get. The load of the machine says little about that: next to one busy
program, a kit with one thread moves to another processor, and a kit with a thread on each processor loses half of its time. So
each run records how long its threads were ready to run and waited. The mean of its samples minus this time is the time of an
inference on a quiet machine. The median can be at most as much too long as it exceeds this time.

A kernel that does not count waiting leaves the load of the machine as the only indication.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence

from edgecnn.runner.runs.figures import OTHERS_PERCENT_MAX
from edgecnn.values.profile import Environment, Profile, Run
from edgecnn.values.verdict import Fidelity

LOST_PERCENT_MAX = 2.0
"""Percentage of its time that a kit may wait for a processor. A kit that waits longer may be slow for this reason."""

LOST_APART_MAX = 5.0
"""Percentage points by which the lost time of two kits may differ before their ratio says nothing. Waiting is measured, but not
what it does to caches and clocks."""

LOST_MOST = 0.99
"""Largest share that counts as lost, so that some time always remains."""

THROTTLED_PERCENT_MAX = 50.0
"""Throttled runs of a race, from which on the median over runs is that of a throttled machine."""

SOMETIMES_THROTTLED_PERCENT_MAX = THROTTLED_PERCENT_MAX / 2
"""Throttled runs of a race, up to which throttling is too rare to move a median far."""


def lost_share(run: Run) -> float | None:
    """Return the share of a run's median that the kit may have waited for a processor, 0…1; None if the run does not know.

    Threads of one kit may wait for each other, which is no disturbance, so no more is lost than other programs ran.
    """
    waiting = run.waiting
    if waiting is None or waiting.waited_ns is None or not run.samples_ns:
        return None
    waited_ns = waiting.waited_ns if waiting.others_ns is None else min(waiting.waited_ns, waiting.others_ns)
    median_ns = statistics.median(run.samples_ns)
    undisturbed_ns = (sum(run.samples_ns) - waited_ns) / len(run.samples_ns)
    return min(LOST_MOST, max(0.0, 1 - undisturbed_ns / median_ns))


def lost_percent(runs: Sequence[Run]) -> float | None:
    """Return the mean of ``lost_share`` over runs in percent; None without runs, or if one does not know."""
    shares = [lost_share(run) for run in runs]
    known = [share for share in shares if share is not None]
    return 100 * statistics.fmean(known) if known and len(known) == len(shares) else None


def disturbed(profiles: Sequence[Profile]) -> str | None:
    """Describe what may have slowed a kit in any of these races; None if nothing did, or in an emulator."""
    return disturbance(worst_of([profile.environment for profile in profiles]), [profile.runs for profile in profiles])


def disturbance(environment: Environment, runs: Sequence[Sequence[Run]]) -> str | None:
    """Describe the waiting, other work and throttling above the limits; ``runs``: those of each kit or race."""
    if environment.fidelity is Fidelity.EMULATED:
        return None
    causes = []
    if (others := observed_percent(environment, "others_percent")) > OTHERS_PERCENT_MAX:
        causes.append(f"other programs used {others:.0f} % of the CPU time")
    if (lost := most_lost_percent(runs)) > LOST_PERCENT_MAX:
        causes.append(f"the kit waited for a processor in {lost:.0f} % of its time")
    if (throttled := observed_percent(environment, "throttled_percent")) >= THROTTLED_PERCENT_MAX:
        causes.append(f"the machine throttled in {throttled:.0f} % of the runs ({environment.observed['throttled']})")
    return " and ".join(causes) or None


def most_lost_percent(runs: Sequence[Sequence[Run]]) -> float:
    """Return the largest known ``lost_percent``; 0 if none is known."""
    return max((lost for some in runs if (lost := lost_percent(some)) is not None), default=0.0)


def slowed_at_most(profiles: Sequence[Profile]) -> int | None:
    """Return the largest factor by which other work can slow a median; None without such work, or without a limit.

    If m busy threads share each processor fairly with the kit, they take m / (m + 1) of the time, and the slowest thread of
    the kit, for which the others wait, takes m + 1 times as long. Fewer threads than processors can still slow one thread of
    the kit, so the factor is at least 2. Throttling has no limit, because the drop of the clock is unknown. Tails have no limit
    either, because a single inference may wait longer than any share says. The share counts all processors, so it says nothing
    about a kit that may use only a few of them.
    """
    if not profiles:
        return None
    environment = worst_of([profile.environment for profile in profiles])
    if not had_whole_machine(environment):
        return None
    others, throttled = (observed_percent(environment, name) for name in ("others_percent", "throttled_percent"))
    lost = most_lost_percent([profile.runs for profile in profiles])
    bounded = (others > OTHERS_PERCENT_MAX or lost > LOST_PERCENT_MAX) and others < 100
    return math.ceil(100 / (100 - others)) if bounded and throttled <= SOMETIMES_THROTTLED_PERCENT_MAX else None


def worst_of(environments: Sequence[Environment]) -> Environment:
    """Return the last of several races' environments, with the most other work and the most throttling of any race.

    A disturbance of any of the races can make the kit slow.
    """
    busiest = max(environments, key=lambda environment: observed_percent(environment, "others_percent")).observed
    hottest = max(environments, key=lambda environment: observed_percent(environment, "throttled_percent")).observed
    worst = {name: busiest[name] for name in ("others_percent",) if name in busiest}
    worst |= {name: hottest[name] for name in ("throttled", "throttled_percent") if name in hottest}
    return environments[-1].model_copy(update={"observed": {**environments[-1].observed, **worst}})


def observed_percent(environment: Environment, name: str) -> float:
    """Return an observation; 0 if it is unknown."""
    return float(environment.observed.get(name, 0))


def slowdown_limit_text(times: int) -> str:
    """Return the end of a sentence about a disturbance that is too small to explain the verdict."""
    return f"which can make it at most {times} times slower"


_LIST = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*")
"""The kernel's list format, such as ``0-3,8`` (man 7 cpuset, "List format")."""


def had_whole_machine(environment: Environment) -> bool:
    """Whether the kit could use the whole machine; False if unknown. A system without affinity does not limit programs."""
    limit, affinity = (environment.conditions.get(name) for name in ("cpu_limit", "affinity"))
    if limit not in (None, "none"):
        return False
    if affinity is None:
        return True
    online = environment.observed.get("processors_online", "")
    if not (_LIST.fullmatch(affinity) and _LIST.fullmatch(online)):
        return False
    return _processors(online) <= _processors(affinity)


def _processors(written: str) -> set[int]:
    ranges = [part.partition("-") for part in written.split(",")]
    return {at for first, _, last in ranges for at in range(int(first), int(last or first) + 1)}
