"""What `edgecnn fit` ships against the best of a grid of networks that were all trained, built and raced.

    python -m benchmarks.fit.regret [--family mobilenet-v2] [--epochs 3] [--budgets 0.33 0.5 0.67] [--work FOLDER]

Every network of the grid is built as `fit` builds its members, by the same recipe and taught by the same first network; what is
there already is not built again, so that it may be run in parts. Then all of the grid run in the same screening rounds, of
which a budget is a share of the first network's p50. For each, `fit` searches; what it has to meet is the fastest of the grid
that is no more than 0.5 pp less accurate on validation. That one, those near it and what `fit` ships run in rounds of their
own. The regret is what the paired ratio of latencies, grid / fit, is below 1: none where `fit` found a network that is faster
than any of the grid.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fit.rivals import NEAR, interval_text, raced_against
from benchmarks.ladder.columns import Entrant, kit_run
from benchmarks.ladder.networks import read_build, run_edgecnn
from benchmarks.ladder.race import run_rounds
from benchmarks.ladder.results import Column
from edgecnn.devices.this_machine import local_facts
from edgecnn.render.progress import PlainLines
from edgecnn.results.shipped import shipped_kit
from edgecnn.values.fit import FitReport
from edgecnn.values.report import CandidateFacts
from edgecnn.values.stage import Progress

DEPTHS, WIDTHS, SIDES_PX = (0.4, 0.6, 0.8, 1.0), (0.35, 0.5, 0.65, 0.8, 1.0), (32, 48, 64)
EQUAL = 0.005
"""Of top-1 on validation."""
SCREENED, ROUNDS = 3, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="mobilenet-v2")
    parser.add_argument("--epochs", type=int, default=3, help="of every training")
    parser.add_argument("--budgets", type=float, nargs="+", default=[0.33, 0.5, 0.67], metavar="SHARE")
    parser.add_argument("--trainings", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--work", type=Path, default=Path("builds/fit-regret"))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    asked.work = asked.work.absolute()
    tell = PlainLines()
    grid = built_grid(asked, tell)
    times = screened_ms([asked.work / "first", *grid], tell)
    first_ms = times[asked.work / "first"]
    rows = [one_budget(share, share * first_ms, Grid(grid, times), asked, tell) for share in asked.budgets]
    print(table_text(rows))
    if asked.out is not None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        facts = {"machine": local_facts().describe(), "measured_at": now, "epochs": asked.epochs, "grid": len(grid), "rows": rows}
        asked.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def built_grid(asked: argparse.Namespace, tell: Progress) -> dict[Path, CandidateFacts]:
    """Folder of a build to what it ships."""
    every = list(itertools.product(DEPTHS, WIDTHS, SIDES_PX))
    recipe = ("--arch", asked.family, "--target", "cpu", "--set", f"train.epochs={asked.epochs}")
    built(asked.work / "first", *recipe, "--scale", "depth=1,width=1,resolution=64")
    found = {}
    for number, (depth, width, side) in enumerate(every):
        tell.step("build the grid", number, len(every), "networks")
        folder = asked.work / f"d{depth}-w{width}-{side}"
        scale = f"depth={depth:g},width={width:g},resolution={side}"
        built(folder, *recipe, "--scale", scale, "--teacher", str(asked.work / "first"))
        found[folder] = shipped_row(folder)
    return found


def built(folder: Path, *words: str) -> None:
    """Unless it is there."""
    if not (folder / "report.json").is_file():
        run_edgecnn("build", *words, "--out", str(folder))


def shipped_row(folder: Path) -> CandidateFacts:
    return next(each for each in read_build(folder).report.candidates if each.chosen)


def screened_ms(folders: Sequence[Path], tell: Progress) -> dict[Path, float]:
    """The kit that each build ships, in the same rounds as all the others: the median of its processes' medians."""
    ran = run_rounds("grid", "screen", range(SCREENED), [entrant_of(folder) for folder in folders], tell)
    found = {}
    for folder in folders:
        runs = ran[folder.name]
        if isinstance(runs, str):
            raise SystemExit(f"{folder} cannot be run: {runs}")
        found[folder] = statistics.median(each.median_ms for each in runs)
    return found


def entrant_of(folder: Path) -> Entrant:
    column = Column(id=folder.name, title=folder.name, whose="edgecnn", accuracy=None)
    return Entrant(column, kit_run(shipped_kit(folder).kit, folder))


def top1(row: CandidateFacts) -> float:
    return 0.0 if row.validation is None else row.validation.top1.estimate


class Grid(NamedTuple):
    rows: dict[Path, CandidateFacts]
    times: dict[Path, float]
    """In ms."""


def one_budget(share: float, budget_ms: float, grid: Grid, asked: argparse.Namespace, tell: Progress) -> dict[str, Any]:
    """Search inside it, and race what ships against the grid's best."""
    out = asked.work / f"fit-{share:g}"
    words = ("--family", asked.family, "--within", f"p50_ms={budget_ms:.4f}", "--trainings", str(asked.trainings))
    if not (out / "fit.json").is_file():
        run_edgecnn("fit", *words, "--target", "cpu", "--set", f"train.epochs={asked.epochs}", "--out", str(out))
    found = FitReport.model_validate_json((out / "fit.json").read_bytes())
    inside = [top1(row) for folder, row in grid.rows.items() if grid.times[folder] <= budget_ms]
    about = {"share": share, "budget_ms": round(budget_ms, 4), "inside": len(inside), "shipped": found.shipped}
    if found.shipped is None:
        return about
    ours = top1(shipped_row(out))
    equal = {folder: grid.times[folder] for folder, row in grid.rows.items() if top1(row) >= ours - EQUAL}
    near = [entrant_of(folder) for folder, ms in equal.items() if ms <= NEAR * min(equal.values())]
    rival, rival_ms, ratio = raced_against("grid", near, out, asked.rounds, tell) if near else (None, None, None)
    return {
        **about,
        "top1": ours,
        "best_top1_of_the_grid_inside": max(inside, default=0.0),
        "grid": rival,
        "grid_ms": rival_ms,
        "ratio": None if ratio is None else ratio.model_dump(),
        "minutes": round(found.seconds / 60, 1),
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
