"""Two kits raced against each other, whichever they are: the same kit with the same knobs on both sides races against itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RUN_MAX_S, RaceRequest
from edgecnn.values.profile import Profile, Run

SAMPLES = 300
"""Of each process: a ratio of medians needs no thousand, and more processes tell more than longer ones."""


class Pair(NamedTuple):
    """What one race of both gave; ``None`` of a side that did not finish, and then ``failed`` says why."""

    base: Profile | None
    head: Profile | None
    failed: str | None


def race_pair(base: KitRef, head: KitRef, rounds: int, lab: Lab, max_s: float = RUN_MAX_S) -> Pair:
    """Race both, interleaved, now: a stored race says nothing of this job's machine. ``max_s`` bounds each process."""
    if base.entrant == head.entrant:
        return _against_itself(_request((head,), 2 * rounds, max_s), lab)
    result = race(_request((base, head), rounds, max_s), lab)
    named = (("BASE", base), ("HEAD", head))
    failed = [f"{name} did not run: {why}" for name, kit in named if (why := result.failed.get(kit.entrant)) is not None]
    found = [result.profiles.get(kit.entrant) for kit in (base, head)]
    return Pair(base=found[0], head=found[1], failed="; ".join(failed) or None)


def _request(kits: tuple[KitRef, ...], rounds: int, max_s: float) -> RaceRequest:
    return RaceRequest(kits=kits, purpose="against", rounds=rounds, samples=SAMPLES, max_s=max_s, max_age_h=0.0)


def _against_itself(request: RaceRequest, lab: Lab) -> Pair:
    """Twice as many runs of the one kit; of each two neighbours a coin says whose they are, as the order of a race is drawn."""
    (kit,), result = request.kits, race(request, lab)
    profile = result.profiles.get(kit.entrant)
    if profile is None:
        return Pair(base=None, head=None, failed=f"it did not run: {result.failed.get(kit.entrant, 'no run of it was recorded')}")
    base, head = dealt(profile.runs, seed=result.race)
    return Pair(base=profile.model_copy(update={"runs": base}), head=profile.model_copy(update={"runs": head}), failed=None)


def dealt(runs: Sequence[Run], seed: str) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """The runs of rounds 0, 1, 2, 3… as two hands of rounds 0, 1…: of each two neighbours each hand gets one."""
    draw, hands = random.Random(seed), (list[Run](), list[Run]())
    in_order = sorted(runs, key=lambda run: run.round)
    for number, two in enumerate(zip(in_order[::2], in_order[1::2], strict=True)):
        order = draw.sample((0, 1), 2)
        for hand, position in zip(hands, order, strict=True):
            hand.append(two[position].model_copy(update={"round": number, "position": position}))
    return tuple(hands[0]), tuple(hands[1])
