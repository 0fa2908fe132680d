"""Members timed where they will run, before anything is learned: a latency does not depend on what weights are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from edgecnn.building.runnable import tried
from edgecnn.fit.probes import KitMaker
from edgecnn.fit.space import probe_of
from edgecnn.judging.runs.latency import latency_when_chosen
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
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
Kits = Mapping[str, list[KitRef]]
"""Name to the kits of its untrained network."""


def untrained_kits(
    members: Iterable[Member], spec: ArchSpec, candidates: Mapping[str, Candidate], classes: int, maker: KitMaker
) -> Kits:
    """Of each member what it is predicted to run fastest as; one that cannot be made is told and left out."""
    kits: dict[str, list[KitRef]] = {}
    for member in members:
        wanted = [candidates[each.candidate] for each in member.predicted[:TIMED_AS]]
        made = tried(partial(maker.kits, probe_of(member, spec, classes), wanted))
        if isinstance(made, Failed):
            maker.tell.note(f"{member.name} cannot be timed: {made.what}")
        else:
            kits[member.name] = list(made.values())
    return kits


def untrained_race(kits: tuple[KitRef, ...], rounds: int, max_age_h: float = MAX_AGE_H) -> RaceRequest:
    """Short runs of kits that learned nothing, all interleaved; a stored race serves for a month."""
    return RaceRequest(kits=kits, purpose="table", rounds=rounds, samples=SAMPLES, max_s=RUN_S, max_age_h=max_age_h)


def times_of(kits: Kits, lab: Lab) -> dict[str, Interval]:
    """Name to the least p50 in ms of its kits in this lab: estimates of few rounds, all interleaved."""
    every = tuple(kit for of in kits.values() for kit in of)
    if not every:
        return {}
    found = race(untrained_race(every, ROUNDS), lab).profiles
    times = {
        name: [p50 for kit in of if kit.entrant in found and (p50 := latency_when_chosen(found[kit.entrant]).p50_ms)]
        for name, of in kits.items()
    }
    return {name: min(of, key=lambda each: each.estimate) for name, of in times.items() if of}
