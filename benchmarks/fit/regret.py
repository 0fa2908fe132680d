"""What `edgecnn fit` ships against the best of a grid of networks, every one of which was trained and timed.

    python -m benchmarks.fit.regret [--family mobilenet-v2] [--epochs 3] [--budgets 0.33 0.5 0.67] [--work FOLDER]

Every network of the grid is trained as `fit` trains its members, by the same recipe and taught by the same first network, and
timed as its members are before a training, all in the same rounds. What is stored is not made again, so that it may be run in
parts. A budget is a share of the first network's p50 there. For each, `fit` searches; what it has to meet is the fastest of the
grid that is at most 0.5 pp less accurate on validation, both as taught (the shipped one may learn from labels in the end), before
anything is quantized. That one, those near it and what `fit` ships run in rounds of their own. The regret is what the paired
ratio of latencies, grid / fit, is below 1: none where `fit` found a network that is faster than any of the grid.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.fit.rivals import NEAR, interval_text, raced_against
from benchmarks.ladder.columns import Entrant, kit_run
from benchmarks.ladder.networks import run_edgecnn
from benchmarks.ladder.results import Column
from edgecnn.building.untrained_kits import KitMaker
from edgecnn.devices.check.board import BoardUse
from edgecnn.devices.files import device_named
from edgecnn.devices.machine import machine_for
from edgecnn.devices.this_machine import local_facts
from edgecnn.fit.members import Course, MemberBuilder
from edgecnn.fit.prices import prices_from_table, read_table_file, table_file
from edgecnn.fit.request import FitRequest
from edgecnn.fit.run import first_of
from edgecnn.fit.search import SearchSpace
from edgecnn.fit.timing import time_kits, timeable_candidates, untrained_kits
from edgecnn.measure.kits import KitRef
from edgecnn.planning.candidates import candidates_of
from edgecnn.render.progress import PlainLines
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.fit import FitReport, Member
from edgecnn.values.recipe import FitChoice, Recipe, TrainChoice
from edgecnn.values.stage import Progress

DEVICE, CLASSES, BASE_PX = "cpu", 10, ImageSize.square(64)
DEPTHS, WIDTHS, SIDES_PX = (0.3, 0.5, 0.7, 1.0), (0.35, 0.5, 0.65, 0.8, 1.0), (32, 48, 64)
"""Of MobileNetV2's repeats each of these depths leaves others, so that no two of the grid are one network."""
EQUAL = 0.005
"""Of top-1 on validation."""
ROUNDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="mobilenet-v2")
    parser.add_argument("--epochs", type=int, default=3, help="of every training")
    parser.add_argument("--budgets", type=float, nargs="+", default=[0.33, 0.5, 0.67], metavar="SHARE")
    parser.add_argument("--trainings", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--work", type=Path, default=Path("builds/fit-regret"))
    parser.add_argument("--train-only", action="store_true", help="train the grid, and time nothing")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.work = options.work.absolute()
    tell, store = PlainLines(), Store.open()
    space = space_of(options.family)
    members = [member for scale in itertools.product(DEPTHS, WIDTHS, SIDES_PX) if (member := space.member(*scale))]
    top1 = trained(members, options, store, tell)
    if options.train_only:
        return
    grid = timed(space, members, top1, store, tell)
    rows = [one_budget(share, grid, options, tell) for share in options.budgets]
    print(table_text(rows))
    if options.out is not None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        facts = {
            "machine": local_facts().describe(),
            "measured_at": now,
            "epochs": options.epochs,
            "rows": rows,
            "grid": grid.facts,
        }
        options.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def space_of(family: str) -> SearchSpace:
    path = table_file(DEVICE)
    if path is None:
        raise SystemExit(f"no latency table: edgecnn devices measure {DEVICE}")
    table = read_table_file(path)
    predictors = prices_from_table(path, table, table.timed).predictors
    return SearchSpace(spec=first_of(family), base_px=BASE_PX, classes=CLASSES, predictors=predictors, within={})


def trained(members: Sequence[Member], options: argparse.Namespace, store: Store, tell: Progress) -> dict[str, float]:
    """Name to top-1 on validation, as trained."""
    first = options.work / "first"
    if not (first / "report.json").is_file():
        words = ("--arch", options.family, "--target", DEVICE, "--scale", f"depth=1,width=1,resolution={BASE_PX}")
        run_edgecnn("build", *words, "--set", f"train.epochs={options.epochs}", "--out", str(first))
    recipe = Recipe(train=TrainChoice(epochs=options.epochs))
    choice = FitChoice(family=options.family)
    request = FitRequest(choice=choice, recipe=recipe, device=device_named(DEVICE), out=options.work)
    builder = MemberBuilder(request, first_of(options.family), store, tell, f"depth=1,width=1,resolution={BASE_PX}")
    top1 = {}
    for number, member in enumerate(members):
        tell.step("train the grid", number, len(members), "networks")
        top1[member.name] = builder.train(member, Course(teacher=first)).validation_top1
    return top1


@dataclass(frozen=True)
class Grid:
    members: Sequence[Member]
    top1: Mapping[str, float]
    ms: Mapping[str, float]
    kits: Mapping[str, Sequence[KitRef]]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """With the predictions, for whoever asks how good they were."""
        return [
            {
                "network": member.name,
                "top1": round(self.top1[member.name], 4),
                "ms": round(self.ms[member.name], 4),
                "predicted": member.predicted[0].model_dump(mode="json"),
            }
            for member in self.members
        ]


def timed(space: SearchSpace, members: Sequence[Member], top1: Mapping[str, float], store: Store, tell: Progress) -> Grid:
    device = device_named(DEVICE)
    with machine_for(None, BoardUse(device, "the grid"), tell) as machine:
        lab = machine.lab(store, tell, device.name)
        candidates = {
            candidate.id: candidate for candidate in timeable_candidates(candidates_of(device, Recipe(), machine.facts)[0])
        }
        maker = KitMaker(store, tell, lab.environment.conditions)
        kits, failed = untrained_kits(members, space.spec, candidates, CLASSES, maker)
        times = time_kits(kits, lab)
    if failed or times.failed:
        raise SystemExit(f"not all of the grid could be timed: {failed | times.failed}")
    return Grid(members, top1, {name: interval.estimate for name, interval in times.times.items()}, kits)


def one_budget(share: float, grid: Grid, options: argparse.Namespace, tell: Progress) -> dict[str, Any]:
    """Search inside it, and race what ships against the grid's best."""
    budget_ms = share * grid.ms[f"depth=1,width=1,resolution={BASE_PX}"]
    out = options.work / f"fit-{share:g}"
    words = ("--family", options.family, "--within", f"p50_ms={budget_ms:.4f}", "--trainings", str(options.trainings))
    if not (out / "fit.json").is_file():
        run_edgecnn("fit", *words, "--target", DEVICE, "--set", f"train.epochs={options.epochs}", "--out", str(out))
    report = FitReport.model_validate_json((out / "fit.json").read_bytes())
    inside = [grid.top1[name] for name, ms in grid.ms.items() if ms <= budget_ms]
    about = {"share": share, "budget_ms": round(budget_ms, 4), "inside": len(inside), "shipped": report.shipped}
    if report.shipped is None:
        return about
    ours = next(
        trained_member.validation_top1
        for trained_member in report.members[0].trained
        if trained_member.whole and trained_member.taught
    )  # as the grid was
    equal = {name: ms for name, ms in grid.ms.items() if grid.top1[name] >= ours - EQUAL}
    near = [
        Entrant(Column(id=f"{name} {kit.candidate.id}", title=name, whose="edgecnn", accuracy=None), kit_run(kit, out))
        for name, ms in equal.items()
        if ms <= NEAR * min(equal.values())
        for kit in grid.kits[name]
    ]
    rival, rival_ms, ratio = raced_against("grid", near, out, options.rounds, tell) if near else (None, None, None)
    return {
        **about,
        "top1": ours,
        "best_top1_of_the_grid_inside": max(inside, default=0.0),
        "grid": rival,
        "grid_ms": rival_ms,
        "ratio": None if ratio is None else ratio.model_dump(),
        "minutes": round(report.seconds / 60, 1),
    }


def table_text(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| budget | fit ships | top-1 | best of the grid inside | as accurate, fastest of the grid | grid / fit, latency |",
        f"|{' --- |' * 6}",
    ]
    for row in rows:
        if row["shipped"] is None:
            lines.append(f"| {row['share']:.2f} | nothing | – | – | – | – |")
            continue
        cells = [f"{row['share']:.2f} × = {row['budget_ms']:.2f} ms", row["shipped"], f"{row['top1']:.1%}"]
        cells += [f"{row['best_top1_of_the_grid_inside']:.1%}", str(row["grid"] or "none"), interval_text(row["ratio"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
