"""Faster than any rival at equal accuracy: what `edgecnn fit` ships, against the best rival's file of the reference network.

    python -m benchmarks.fit.rivals [--networks NAME ...] [--speed-up 1.7] [--rounds 10] [--work FOLDER] [--olive PYTHON]
                                    [--words "--data FOLDER --set model.resolution_px=128"]

The reference is trained here, on the demo at 64 px or as --words say; rivals get its ONNX file and its calibration images as in
``benchmarks/ladder``, and are screened for the fastest that loses at most 1 pp. Then `fit` is asked for a network that is so many
times as fast; a search that is there is not made again. What it ships and the rivals near the fastest run in rounds of their own,
of which the fastest rival counts. Accuracy is paired on the test images, of which the demo has 10,000.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ladder.columns import Entrant, kit_run, networks_of, rivals
from benchmarks.ladder.networks import Built, build, make_at_side, run_edgecnn
from benchmarks.ladder.race import add_runs, paired, run_rounds
from benchmarks.ladder.results import Column
from edgecnn.comparing.paired_answers import paired_answers
from edgecnn.devices.this_machine import local_facts
from edgecnn.judging.intervals import tango_drop_pp
from edgecnn.render.progress import PlainLines
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.store import Store
from edgecnn.values.fit import FitReport
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Interval

NETWORKS = ("efficientnet-b0", "mobilenet-v3-large", "resnet-18", "resnet-50")
SCREENING_ROUNDS = 3
NEAR = 1.5
"""Times the least of the screening rounds, within which a rival runs in the final ones too."""
LOST_PP = 1.0
"""The margin of non-inferiority."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME")
    parser.add_argument("--speed-up", type=float, default=1.7, help="of the best rival's screened p50, asked of fit")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--work", type=Path, default=Path("builds/fit-rivals"))
    parser.add_argument("--olive", default="", metavar="PYTHON")
    parser.add_argument("--words", type=shlex.split, default=[], help="of the build of the reference and of fit alike")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tell = PlainLines()
    rows = []
    for arch in options.networks:
        rows.append(one_reference(arch, options, tell))
        print(table_text(rows), flush=True)
        if options.out is not None:
            facts = {
                "machine": local_facts().describe(),
                "words": shlex.join(options.words),
                "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "rows": rows,
            }
            options.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def one_reference(arch: str, options: argparse.Namespace, tell: Progress) -> dict[str, Any]:
    """Screen rivals, ask fit, race the two."""
    work = options.work.absolute()
    built = build(arch, work, *options.words)
    side_px = built.report.build.resolution_px.short_px
    trained, raced = networks_of(built, make_at_side(built, side_px, tell), options.olive)
    folder = work / arch / "rivals"
    entrants = [rival for rival in rivals(trained, raced, folder, tell) if rival.run is not None and rival.column.inside]
    columns = add_runs(
        {entrant.column.id: entrant.column for entrant in entrants},
        run_rounds(arch, "screen", range(SCREENING_ROUNDS), entrants, tell),
    )
    screened = {name: statistics.geometric_mean(ran.values()) for name, column in columns.items() if (ran := column.of("screen"))}
    if not screened:
        raise SystemExit(f"no rival of {arch} ran inside the accuracy budget")
    best = min(screened, key=screened.__getitem__)
    out = work / arch / "fit"
    words = (
        "--family",
        arch,
        "--within",
        f"p50_ms={screened[best] / options.speed_up:.4f}",
        "--trainings",
        str(options.trainings),
    )
    if not (out / "fit.json").is_file():
        run_edgecnn("fit", *words, *options.words, "--target", "cpu", "--out", str(out))
    report = FitReport.model_validate_json((out / "fit.json").read_bytes())
    if report.shipped is None:
        return {"network": arch, "rival": best, "rival_ms": screened[best], "shipped": None, "why": report.why}
    near = [entrant for entrant in entrants if screened.get(entrant.column.id, math.inf) <= NEAR * screened[best]]
    best, rival_ms, ratio = raced_against(arch, near, out, options.rounds, tell)
    logits = next(iter((folder / best).glob("*/logits.npy")))
    drop = drop_pp(out, built, np.load(logits), np.load(Path(trained.pixels) / "test.labels.npy"))
    return {
        "network": arch,
        "rival": best,
        "rival_ms": round(rival_ms, 4),
        "shipped": report.shipped,
        "state": report.state,
        "p50_ms": report.members[0].p50_ms.model_dump() if report.members[0].p50_ms else None,
        "ratio": None if ratio is None else ratio.model_dump(),
        "drop_pp": None if drop is None else drop.model_dump(),
        "minutes": round(report.seconds / 60, 1),
        "rank_correlation": report.rank_correlation,
    }


def raced_against(
    arch: str, near: Sequence[Entrant], out: Path, rounds: int, tell: Progress
) -> tuple[str, float, Interval | None]:
    """The rival of the least median, that median, and how many times as fast what ships is, paired by round."""
    kit = shipped_kit(out).kit
    mine = Entrant(Column(id="fit", title="fit", whose="edgecnn", accuracy=None), kit_run(kit, out))
    every = {entrant.column.id: entrant.column for entrant in (mine, *near)}
    columns = add_runs(every, run_rounds(arch, "final", range(rounds), [mine, *near], tell))
    medians = {
        name: statistics.median(ran.values()) for name, column in columns.items() if name != "fit" and (ran := column.of("final"))
    }
    best = min(medians, key=medians.__getitem__)
    return best, medians[best], paired(columns[best], columns["fit"])


def drop_pp(out: Path, built: Built, theirs: Any, labels: Any) -> Interval | None:
    """What ships answers against what the rival's file answers, image by image, both of the reference's test images."""
    answers = paired_answers(shipped_kit(out), shipped_kit(built.folder), Store.open()).common_answers()
    if not np.array_equal(answers.labels, labels):
        raise SystemExit("the images of the two are not in one order")
    ours, rival = answers.head.logits.argmax(axis=1) == labels, theirs.argmax(axis=1) == labels
    return tango_drop_pp(int((rival & ~ours).sum()), int((ours & ~rival).sum()), len(labels))


def table_text(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| reference | best rival, ms | fit ships | times as fast | loses, pp | no less accurate at 1 pp | minutes |",
        f"|{' --- |' * 7}",
    ]
    for row in rows:
        if row["shipped"] is None:
            lines.append(f"| {row['network']} | {row['rival']} {row['rival_ms']:.2f} | nothing: {row['why']} | – | – | – | – |")
            continue
        shown = "yes" if row["drop_pp"] and row["drop_pp"]["high"] <= LOST_PP else "no"
        cells = [
            row["network"],
            f"{row['rival']} {row['rival_ms']:.2f}",
            row["shipped"],
            interval_text(row["ratio"]),
            interval_text(row["drop_pp"]),
        ]
        lines.append(f"| {' | '.join([*cells, shown, str(row['minutes'])])} |")
    return "\n".join(lines)


def interval_text(interval: dict[str, float] | None) -> str:
    """As the tables here have it."""
    return "–" if interval is None else f"{interval['estimate']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"


if __name__ == "__main__":
    main()
