"""Time untrained members on their device; latency does not depend on the values of weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from edgecnn.building.untrained_kits import KitMaker
from edgecnn.fit.space import probe_of
from edgecnn.judging.latency import disturbed, latency_when_chosen
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab, tried
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import Candidate
from edgecnn.values.fit import Member
from edgecnn.values.verdict import Interval

TIMED_AS = 2
"""Number of candidates of a member to time, the fastest by prediction."""
ROUNDS = 3
SAMPLES, RUN_S, MAX_AGE_H = 200, 0.5, 24.0 * 30
SLOW = 1.4
"""Ratio to the latency table above which a machine counts as slower. Some machines have two speeds that no counter shows."""
UNRUN = "no run of it was recorded"
"""Reason for a kit that was raced and did not fail, but has no time."""
Kits = Mapping[str, list[KitRef]]
"""Name to the kits of its untrained network."""


class Yardstick(NamedTuple):
    """A network of the latency table, timed again among others."""

    kit: KitRef
    then_ms: float
    """Latency in the table."""

    def pace(self, raced: RaceResult) -> float | None:
        """Return the latency now relative to the table's; None if the network did not run."""
        profile = raced.profiles.get(self.kit.entrant)
        p50 = None if profile is None else latency_when_chosen(profile).p50_ms
        return None if p50 is None else p50.estimate / self.then_ms


class Timed(NamedTuple):
    """Times of members, by name."""

    times: dict[str, Interval]
    """The lowest p50 in ms of each member's kits, from a few interleaved rounds."""
    failed: dict[str, str]
    """Reason why a member has no time."""
    pace: float | None = None
    """Time that the machine takes now, relative to its latency table; None if unknown."""


def untrained_kits(
    members: Iterable[Member], spec: ArchSpec, candidates: Mapping[str, Candidate], classes: int, maker: KitMaker
) -> tuple[Kits, dict[str, str]]:
    """Make the kits of each member's fastest candidates; return them, and the reason of each failure by member."""
    kits, failed = dict[str, list[KitRef]](), dict[str, str]()
    for member in members:
        wanted = [candidates[predicted.candidate] for predicted in member.predicted[:TIMED_AS]]
        probe = probe_of(member, spec, classes)
        made = tried(partial(maker.kits, probe, wanted))
        if isinstance(made, Failed) or not made.made:
            failed[member.name] = made.what if isinstance(made, Failed) else "; ".join(made.failed.values())
            maker.tell.note(f"{member.name} cannot be timed: {failed[member.name]}")
        else:
            kits[member.name] = list(made.made.values())
    return kits, failed


def untrained_race(
    kits: tuple[KitRef, ...], rounds: int, lab: Lab, max_age_h: float = MAX_AGE_H, yardstick: Yardstick | None = None
) -> RaceResult:
    """Race untrained kits in short, interleaved runs, or use a stored race of the last month.

    The race is repeated once if other work slowed it, or if the machine is slow by the yardstick.
    """
    request = RaceRequest(kits=kits, purpose="table", rounds=rounds, samples=SAMPLES, max_s=RUN_S, max_age_h=max_age_h)
    result = race(request, lab)
    if not result.reused and any(disturbed(profile.environment) for profile in result.profiles.values()):
        why = "other work slowed these runs; they"
    elif yardstick is not None and (yardstick.pace(result) or 0) > SLOW:
        why = "this machine was slower than when its latency table was measured; these runs"
    else:
        return result
    lab.tell.note(f"{why} are repeated")
    return race(request.model_copy(update={"max_age_h": 0.0}), lab)


def times_of(kits: Kits, lab: Lab, yardstick: Yardstick | None = None) -> Timed:
    """Time members' kits in a lab."""
    every = tuple(kit for of in kits.values() for kit in of)
    if not every:
        return Timed({}, {})
    beside = () if yardstick is None or yardstick.kit in every else (yardstick.kit,)
    raced = untrained_race((*every, *beside), ROUNDS, lab, yardstick=yardstick)
    profiles = raced.profiles
    times = {
        name: [p50 for kit in of if kit.entrant in profiles and (p50 := latency_when_chosen(profiles[kit.entrant]).p50_ms)]
        for name, of in kits.items()
    }
    why = {
        name: next((raced.failed[kit.entrant] for kit in of if kit.entrant in raced.failed), UNRUN) for name, of in kits.items()
    }
    least = {name: min(of, key=lambda p50_ms: p50_ms.estimate) for name, of in times.items() if of}
    pace = None if yardstick is None else yardstick.pace(raced)
    return Timed(least, {name: reason for name, reason in why.items() if name not in least}, pace)
