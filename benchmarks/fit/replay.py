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
from edgecnn.fit.search import SearchSpace, are_unlike, identity_of, spread_out
from edgecnn.fit.shortlist import promised_top1, short_trainings
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
    options = parser.parse_args()
    rows = {row["network"]: row for row in json.loads(options.grid.read_text(encoding="utf-8"))["grid"]}
    space = SearchSpace(spec=first_of(options.family), base_px=BASE_PX, classes=CLASSES, predictors={}, within={})
    networks = distinct(
        [trained_member(space.scaled_to(CompoundScale.from_text(name)), row["top1"]) for name, row in rows.items()]
    )
    print("| budget, ms | inside | best | by trainings | by the stand-in | at random |\n" + f"|{' --- |' * 6}")
    bounds = sorted(rows[network.name]["ms"] for network in networks)
    lost = []
    for bound in bounds[len(bounds) // 6 :: max(1, len(bounds) // 10)]:
        inside = [network for network in networks if rows[network.name]["ms"] <= bound]
        ways = (inside, chosen_by_trainings(inside, options.trainings), chosen_by_standin(inside, options.trainings))
        best = [max(map(top1, of)) for of in ways]
        chance = chance_accuracy(inside, options.trainings)
        lost.append([best[0] - accuracy for accuracy in (*best[1:], chance)])
        print(f"| {bound:.3f} | {len(inside)} | {' | '.join(f'{accuracy:.1%}' for accuracy in (*best, chance))} |")
    print(f"lost in the mean, pp: {', '.join(f'{100 * fmean(of):.2f}' for of in zip(*lost, strict=True))}")


def trained_member(member: Member, reached: float) -> Member:
    trained = Trained(epochs=1, whole=False, taught=True, validation_top1=reached, seconds=0.0)
    return member.model_copy(update={"trained": (trained,)})


def distinct(members: Sequence[Member]) -> list[Member]:
    """Multipliers that were rounded to the same network stand once."""
    return list({identity_of(member): member for member in members}.values())


def top1(member: Member) -> float:
    return member.trained[0].validation_top1


def chosen_by_trainings(inside: Sequence[Member], trainings: int) -> list[Member]:
    first, every = short_trainings(trainings - OF_NO_MEMBER)
    known = list(spread_out(inside, first, BASE_PX))
    while len(known) < every:
        waiting = [member for member in inside if all(are_unlike(member, other) for other in known)]
        if not waiting:
            break
        promised = promised_top1(known, waiting)
        known.append(waiting[promised.index(max(promised))])
    return known


def chosen_by_standin(inside: Sequence[Member], trainings: int) -> list[Member]:
    return list(spread_out(inside, short_trainings(trainings - OF_NO_MEMBER)[1], BASE_PX))


def chance_accuracy(inside: Sequence[Member], trainings: int) -> float:
    draw, count = random.Random(0), min(len(inside), short_trainings(trainings - OF_NO_MEMBER)[1])
    return fmean(max(map(top1, draw.sample(list(inside), count))) for _ in range(DRAWS))


if __name__ == "__main__":
    main()
