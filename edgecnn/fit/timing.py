"""Members timed where they will run, before anything is learned: a latency does not depend on what weights are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from edgecnn.building.runnable import tried
from edgecnn.fit.probes import KitMaker
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
UNRUN = "no run of it was recorded"
"""Why a kit that was raced, and did not fail, has no time."""
Kits = Mapping[str, list[KitRef]]
"""Name to the kits of its untrained network."""


class Timed(NamedTuple):
    """What came of timing members, by their names."""

    times: dict[str, Interval]
    """The least p50 in ms of the kits of each: estimates of few rounds, all interleaved."""
    failed: dict[str, str]
    """Why there is none."""


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


def untrained_race(kits: tuple[KitRef, ...], rounds: int, lab: Lab, max_age_h: float = MAX_AGE_H) -> RaceResult:
    """Short runs of kits that learned nothing, all interleaved; a stored race serves for a month.

    Where other work slowed it, it is run once more: what is timed here decides, and is kept. What is stored was.
    """
    asked = RaceRequest(kits=kits, purpose="table", rounds=rounds, samples=SAMPLES, max_s=RUN_S, max_age_h=max_age_h)
    found = race(asked, lab)
    if not found.reused and any(disturbed(each.environment) for each in found.profiles.values()):
        lab.tell.note("other work slowed these runs; they are run once more")
        found = race(asked.model_copy(update={"max_age_h": 0.0}), lab)
    return found


def times_of(kits: Kits, lab: Lab) -> Timed:
    """Members timed in this lab."""
    every = tuple(kit for of in kits.values() for kit in of)
    if not every:
        return Timed({}, {})
    raced = untrained_race(every, ROUNDS, lab)
    found = raced.profiles
    times = {
        name: [p50 for kit in of if kit.entrant in found and (p50 := latency_when_chosen(found[kit.entrant]).p50_ms)]
        for name, of in kits.items()
    }
    why = {
        name: next((raced.failed[kit.entrant] for kit in of if kit.entrant in raced.failed), UNRUN) for name, of in kits.items()
    }
    least = {name: min(of, key=lambda each: each.estimate) for name, of in times.items() if of}
    return Timed(least, {name: reason for name, reason in why.items() if name not in least})
