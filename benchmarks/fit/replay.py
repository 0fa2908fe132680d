"""What the looks of a search find on a grid whose every network was trained and timed before: nothing is trained again.

    python -m benchmarks.fit.replay results/regret-xeon.json [--family mobilenet-v2] [--trainings 5]

At budgets along the grid, the shortlist and what trainings then make promising are drawn from the networks inside, as
`edgecnn fit` draws them, each with the grid's accuracy for its short training. Beside it: as many by the stand-in alone, and at
random.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.fit.regret import BASE_PX, CLASSES
from edgecnn.fit.run import first_of
from edgecnn.fit.search import identity_of, spread_out, unlike
from edgecnn.fit.shortlist import looks_of, promises
from edgecnn.fit.space import SearchSpace
from edgecnn.values.fit import Member, Trained
from edgecnn.values.scale import CompoundScale

OF_NO_MEMBER = 2
"""Trainings: the first network's, and what ships from labels alone."""
DRAWS = 200
"""Random looks, of which the mean is shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("--family", default="mobilenet-v2")
    parser.add_argument("--trainings", type=int, default=5)
    asked = parser.parse_args()
    rows = {each["network"]: each for each in json.loads(asked.grid.read_text(encoding="utf-8"))["grid"]}
    space = SearchSpace(spec=first_of(asked.family), base_px=BASE_PX, classes=CLASSES, predictors={}, within={})
    networks = distinct([as_trained(space.scaled_to(CompoundScale.from_text(name)), each["top1"]) for name, each in rows.items()])
    print("| budget, ms | inside | best | by trainings | by the stand-in | at random |\n" + f"|{' --- |' * 6}")
    bounds = sorted(rows[each.name]["ms"] for each in networks)
    lost = []
    for bound in bounds[len(bounds) // 6 :: max(1, len(bounds) // 10)]:
        inside = [each for each in networks if rows[each.name]["ms"] <= bound]
        ways = (inside, by_trainings(inside, asked.trainings), by_standin(inside, asked.trainings))
        found = [max(map(top1, of)) for of in ways]
        chance = by_chance(inside, asked.trainings)
        lost.append([found[0] - each for each in (*found[1:], chance)])
        print(f"| {bound:.3f} | {len(inside)} | {' | '.join(f'{each:.1%}' for each in (*found, chance))} |")
    print(f"lost in the mean, pp: {', '.join(f'{100 * fmean(of):.2f}' for of in zip(*lost, strict=True))}")


def as_trained(member: Member, reached: float) -> Member:
    trained = Trained(epochs=1, whole=False, taught=True, validation_top1=reached, seconds=0.0)
    return member.model_copy(update={"trained": (trained,)})


def distinct(members: Sequence[Member]) -> list[Member]:
    """Multipliers that were rounded to the same network stand once."""
    return list({identity_of(each): each for each in members}.values())


def top1(member: Member) -> float:
    return member.trained[0].validation_top1


def by_trainings(inside: Sequence[Member], trainings: int) -> list[Member]:
    first, every = looks_of(trainings - OF_NO_MEMBER)
    known = list(spread_out(inside, first, BASE_PX))
    while len(known) < every:
        waiting = [each for each in inside if all(unlike(each, other) for other in known)]
        if not waiting:
            break
        said = promises(known, waiting)
        known.append(waiting[said.index(max(said))])
    return known


def by_standin(inside: Sequence[Member], trainings: int) -> list[Member]:
    return list(spread_out(inside, looks_of(trainings - OF_NO_MEMBER)[1], BASE_PX))


def by_chance(inside: Sequence[Member], trainings: int) -> float:
    draw, count = random.Random(0), min(len(inside), looks_of(trainings - OF_NO_MEMBER)[1])
    return fmean(max(map(top1, draw.sample(list(inside), count))) for _ in range(DRAWS))


if __name__ == "__main__":
    main()
