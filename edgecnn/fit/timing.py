"""Members timed where they will run, before anything is learned: a latency does not depend on what weights are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from edgecnn.building.runnable import tried
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.fit.space import probe_of
from edgecnn.judging.runs.latency import disturbed, latency_when_chosen
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import Candidate
from edgecnn.values.fit import Member
from edgecnn.values.verdict import Interval

TIMED_AS = 2
"""Candidates of a member that are timed: those predicted fastest."""
ROUNDS = 3
SAMPLES, RUN_S, MAX_AGE_H = 200, 0.5, 24.0 * 30
SLOW = 1.4
"""Times as long as its latency table says, from which a machine is at another pace than when that was measured: some have two,
one half as fast as the other, and no counter that says which."""
UNRUN = "no run of it was recorded"
"""Why a kit that was raced, and did not fail, has no time."""
Kits = Mapping[str, list[KitRef]]
"""Name to the kits of its untrained network."""


class Yardstick(NamedTuple):
    """A network of the latency table, timed again among others."""

    kit: KitRef
    then_ms: float
    """What the table says."""

    def pace(self, raced: RaceResult) -> float | None:
        """How many times as long it takes now; None where it did not run."""
        found = raced.profiles.get(self.kit.entrant)
        p50 = None if found is None else latency_when_chosen(found).p50_ms
        return None if p50 is None else p50.estimate / self.then_ms


class Timed(NamedTuple):
    """What came of timing members, by their names."""

    times: dict[str, Interval]
    """The least p50 in ms of the kits of each: estimates of few rounds, all interleaved."""
    failed: dict[str, str]
    """Why there is none."""
    pace: float | None = None
    """How many times as long the machine takes as when its latency table was measured; None where nothing says."""


def untrained_kits(
    members: Iterable[Member], spec: ArchSpec, candidates: Mapping[str, Candidate], classes: int, maker: KitMaker
) -> tuple[Kits, dict[str, str]]:
    """Of each member what it is predicted to run fastest as; and why one could not be made, which is told too."""
    kits, failed = dict[str, list[KitRef]](), dict[str, str]()
    for member in members:
        wanted = [candidates[each.candidate] for each in member.predicted[:TIMED_AS]]
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
    """Short runs of kits that learned nothing, all interleaved; a stored race serves for a month.

    Where other work slowed it, it is run once more: what is timed here decides, and is kept. What is stored was, but for a
    machine that was slow by the yardstick: that may be over.
    """
    asked = RaceRequest(kits=kits, purpose="table", rounds=rounds, samples=SAMPLES, max_s=RUN_S, max_age_h=max_age_h)
    found = race(asked, lab)
    if not found.reused and any(disturbed(each.environment) for each in found.profiles.values()):
        why = "other work slowed these runs; they"
    elif yardstick is not None and (yardstick.pace(found) or 0) > SLOW:
        why = "this machine was slower than when its latency table was measured; these runs"
    else:
        return found
    lab.tell.note(f"{why} are run once more")
    return race(asked.model_copy(update={"max_age_h": 0.0}), lab)


def times_of(kits: Kits, lab: Lab, yardstick: Yardstick | None = None) -> Timed:
    """Members timed in this lab."""
    every = tuple(kit for of in kits.values() for kit in of)
    if not every:
        return Timed({}, {})
    beside = () if yardstick is None or yardstick.kit in every else (yardstick.kit,)
    raced = untrained_race((*every, *beside), ROUNDS, lab, yardstick=yardstick)
    found = raced.profiles
    times = {
        name: [p50 for kit in of if kit.entrant in found and (p50 := latency_when_chosen(found[kit.entrant]).p50_ms)]
        for name, of in kits.items()
    }
    why = {
        name: next((raced.failed[kit.entrant] for kit in of if kit.entrant in raced.failed), UNRUN) for name, of in kits.items()
    }
    least = {name: min(of, key=lambda each: each.estimate) for name, of in times.items() if of}
    pace = None if yardstick is None else yardstick.pace(raced)
    return Timed(least, {name: reason for name, reason in why.items() if name not in least}, pace)
