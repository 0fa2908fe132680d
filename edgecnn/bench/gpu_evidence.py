"""Reference networks in torch's ways on a GPU: all in one race, since opening a program takes longer than timing it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import NamedTuple

from edgecnn.bench.reference_networks import ROUNDS, Gathering, probe_of
from edgecnn.building.runnable import tried, why_not_runnable
from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceWeights
from edgecnn.judging.runs.latency import RUNS_NEEDED
from edgecnn.judging.runs.throughput import throughput
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult, race
from edgecnn.runner.runs.schedule import OPENED_AT_ONCE
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Failed
from edgecnn.values.layers import MacTable
from edgecnn.values.profile import Profile, Purpose

RUN_S = 1.0
"""Of a timed process; a GPU answers hundreds of times within it."""
OPEN_S, TURN_S = 15.0, 5.0
"""What processes take to open their programs, some at once, and each to be timed, by which rounds are planned."""
TESTED_AT_ONCE = 6


def planned_rounds(minutes: float, kits: int) -> int:
    """As many as fit, and no fewer than an interval of a median needs."""
    return max(RUNS_NEEDED, min(ROUNDS, int(60 * minutes / (OPEN_S * -(-kits // OPENED_AT_ONCE) + TURN_S * kits))))


class _Made(NamedTuple):
    """A network before it is timed."""

    spec: ArchSpec
    weights: EvidenceWeights
    macs: MacTable
    kits: dict[str, KitRef]
    failed: dict[str, str]


@dataclass
class GpuGathering(Gathering):
    """The same of a GPU. With one image a call, and then, as long as the minutes last, with the most that a call takes."""

    def run(self) -> None:
        """Every network. There is one race, so that none is left out for want of time."""
        made = self.of_each("make reference networks", self._make)
        began = monotonic()
        self._test(made)
        kits = [kit for each in made for kit in each.kits.values()]
        if not kits:
            self.networks = [self._network_of(each, None, None) for each in made]
            return
        rounds = planned_rounds(self.asked.minutes, len(kits))
        raced, took = self._race(kits, rounds)
        many: RaceResult | None = None
        if monotonic() - began + took / rounds * RUNS_NEEDED <= 60 * self.asked.minutes:
            counted = tried(partial(self._race, kits, RUNS_NEEDED, {kit.entrant: kit.batch_max for kit in kits}))
            if isinstance(counted, Failed):
                self.leave_out("images a second", counted.what)
            else:
                many = counted[0]
        else:
            self.left_out["images a second"] = self.no_time
        self.spent_s = monotonic() - began
        self.networks = [self._network_of(each, raced, many) for each in made]

    def _make(self, spec: ArchSpec) -> _Made:
        fetched, weights = self.weights(spec)
        probe = probe_of(spec)
        made = self.maker.gpu_kits(probe, self.candidates, fetched)
        return _Made(spec, weights, self.maker.mac_table(probe, fetched), dict(made.made), dict(made.failed))

    def _test(self, made: list[_Made]) -> None:
        """Each kit's own test, several at once, since none is timed; those that fail go."""
        every = [(each, name, kit) for each in made for name, kit in each.kits.items()]
        at_once = max(1, min(TESTED_AT_ONCE, (os.cpu_count() or 1) // 2))
        with ThreadPoolExecutor(at_once) as pool:
            outcomes = list(pool.map(lambda one: why_not_runnable(one[2], self.lab), every))
        for (each, name, _), failed in zip(every, outcomes, strict=True):
            if failed is not None:
                del each.kits[name]
                each.failed[name] = failed.what

    def _race(self, kits: list[KitRef], rounds: int, batches: dict[str, int] | None = None) -> tuple[RaceResult, float]:
        """And the seconds that it took."""
        began = monotonic()
        purpose: Purpose = "throughput" if batches else "evidence"
        asked = self.request(kits, purpose, rounds=rounds, max_s=RUN_S, batches=batches or {}, together=True)
        return race(asked, self.lab), monotonic() - began

    def _network_of(self, made: _Made, raced: RaceResult | None, many: RaceResult | None) -> EvidenceNetwork:
        profiles = {} if raced is None else {name: raced.profiles.get(kit.entrant) for name, kit in made.kits.items()}
        reference = profiles.get(self.candidates[0].id)
        kits = [self._kit_of(kit, found, reference, many) for name, kit in made.kits.items() if (found := profiles.get(name))]
        failed = {**made.failed, **({} if raced is None else raced.failed_of(made.kits.values()))}
        return self.network_of(made.spec, made.macs, made.weights, kits, failed)

    def _kit_of(self, kit: KitRef, profile: Profile, reference: Profile | None, many: RaceResult | None) -> EvidenceKit:
        found = self.kit_of(kit, profile, reference, None)  # what precision a layer ran in, torch does not read back
        if many is None:
            return found
        seen = many.profiles.get(kit.entrant)
        counted = throughput([seen] if seen else [], {}, (), self.lab.machine, many.failed.get(kit.entrant))
        return found.model_copy(update={"throughput": counted})
