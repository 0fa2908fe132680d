"""The ladder against rivals: every column in fresh processes, interleaved, batch 1, 224 px.

    python -m benchmarks.ladder.race [--networks NAME ...] [--rounds 10] [--work FOLDER] [--olive PYTHON]
        [--executorch PYTHON] [--mnn PYTHON] [--anew]

A network has three races. In the screening rounds the rivals run, and those of our rungs that may not be chosen. In the selecting
rounds our rungs inside the accuracy budget run for as long as a build's first race would, and one is chosen by the
functions that a build calls: one of the network as given, and beside it one of the changed network where ``--set surgery...``
asked for that. In the final rounds these, ONNX Runtime in fp32 and every rival inside the budget that was near run again, and
only of these rounds are the ratios: whoever wins a selection flatters itself. A network that has a result is not raced again.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.ladder.columns import FAILURES, PACKAGES, Entrant, networks_of, ours, rivals
from benchmarks.ladder.networks import (
    NETWORKS,
    SIDE_PX,
    AtSide,
    Built,
    build,
    ladder_seconds,
    make_at_side,
    residency_of,
    train_seconds,
)
from benchmarks.ladder.results import FOLDER, Column, Layer, NetworkResult, Phase, RunMedian, write
from benchmarks.ladder.rivals import BASE
from edgecnn.devices.this_machine import local_facts
from edgecnn.judging.choice import accuracy_risk
from edgecnn.judging.intervals import ratio_interval
from edgecnn.judging.regret import ENOUGH, LOOKS, lead_of, preferred
from edgecnn.render.progress import PlainLines
from edgecnn.values.stage import Progress
from edgecnn.values.verdict import Interval

SCREENING_ROUNDS = 3
NEAR = 2.0
"""Times the least of the screening rounds: beyond that no rival runs in the final ones. On a shared processor processes of one
column differed by up to 2.4 times, so that three of them cannot tell less apart."""
LAYERS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=10, help="final rounds; an interval needs 7")
    parser.add_argument("--work", type=Path, default=Path("builds/ladder"), help="where builds and rivals' files are kept")
    parser.add_argument("--results", type=Path, default=FOLDER)
    for tool, needs in (
        ("olive", "olive-ai and onnxruntime"),
        ("executorch", "executorch and Pillow"),
        ("mnn", "MNN and Pillow"),
    ):
        parser.add_argument(
            f"--{tool}", dest=f"{tool}_python", default="", metavar="PYTHON", help=f"of an environment with {needs}"
        )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the builds, as for `edgecnn build`")
    parser.add_argument("--make-only", action="store_true", help="build everything and race nothing")
    parser.add_argument("--anew", action="store_true", help="race again what has a result")
    parsed = parser.parse_args()
    tell = PlainLines()
    for arch in parsed.networks:
        file = parsed.results / f"{arch}.json"
        if file.is_file() and not (parsed.anew or parsed.make_only):
            tell.note(f"{arch}: raced already, see {file}")
            continue
        options = [word for value in parsed.set for word in ("--set", value)]
        result = one_network(arch, parsed, options, tell)
        if result is not None:
            write(result, file)
            tell.note(f"{arch}: {file}")


def one_network(arch: str, parsed: argparse.Namespace, options: Sequence[str], tell: Progress) -> NetworkResult | None:
    """Build, make every column, race. None where only making was asked for."""
    work = parsed.work.absolute()
    built = build(arch, work, *options)
    made = make_at_side(built, SIDE_PX, tell)
    trained, raced = networks_of(built, made, {name: value for name, value in vars(parsed).items() if name.endswith("_python")})
    folder = work / arch
    entrants = [*ours(built, made, folder, tell), *rivals(trained, raced, folder / "rivals", tell)]
    if parsed.make_only:
        return None
    began = time.perf_counter()
    columns = {entrant.column.id: entrant.column for entrant in entrants}
    others = [entrant for entrant in entrants if not _may_be_chosen(entrant)]
    columns = add_runs(columns, run_rounds(arch, "screen", range(SCREENING_ROUNDS), others, tell))
    taken = list[str | None]()
    for as_given in (True, False):
        mine = [entrant for entrant in entrants if _may_be_chosen(entrant) and entrant.column.as_given is as_given]
        columns = add_runs(columns, race_for_the_choice(arch, mine, tell))
        taken.append(chosen(columns.values(), as_given, built))
    won = selected(columns.values(), *taken)
    final = [entrant for entrant in entrants if entrant.column.id in won.finalists]
    columns = add_runs(columns, run_rounds(arch, "final", range(parsed.rounds), final, tell))
    tell.note(f"{arch}: raced for {time.perf_counter() - began:.0f} s")
    return described(built, made, columns, won, tell)


def run_rounds(
    arch: str, phase: Phase, rounds: range, entrants: Sequence[Entrant], tell: Progress
) -> Mapping[str, list[RunMedian] | str]:
    """Each column once a round, in an order drawn anew; a column that fails is out, with why."""
    medians: dict[str, list[RunMedian] | str] = {rival.column.id: [] for rival in entrants if rival.run is not None}
    draw = random.Random(f"{arch} {phase} {rounds.start}")
    for done, number in enumerate(rounds):
        order = draw.sample(entrants, len(entrants))
        for position, entrant in enumerate(order):
            tell.step(f"{arch}: {phase} rounds", done * len(order) + position, len(rounds) * len(order), "runs")
            runs = medians.get(entrant.column.id)
            if entrant.run is None or not isinstance(runs, list):
                continue
            try:
                median_ms = statistics.median(entrant.run()) / 1e6
            except FAILURES as error:
                medians[entrant.column.id] = " ".join(str(error).split())[-300:]
                continue
            runs.append(RunMedian(phase=phase, round=number, position=position, median_ms=round(median_ms, 5)))
    tell.step(f"{arch}: {phase} rounds", len(rounds) * len(entrants), len(rounds) * len(entrants), "runs")
    return medians


def race_for_the_choice(arch: str, entrants: Sequence[Entrant], tell: Progress) -> Mapping[str, list[RunMedian] | str]:
    """Rounds of our rungs until it is known which to ship, at the looks and by the rule of a build's first race."""
    medians: dict[str, list[RunMedian] | str] = {entrant.column.id: [] for entrant in entrants}
    racing, begin = list(entrants), 0
    for end in LOOKS:
        for name, ran in run_rounds(arch, "select", range(begin, end), racing, tell).items():
            before = medians[name]
            medians[name] = ran if isinstance(ran, str) or isinstance(before, str) else before + ran
        finished = {name: ran for name, ran in medians.items() if ran and not isinstance(ran, str)}
        begin, costs = end, {name: {run.round: run.median_ms for run in ran} for name, ran in finished.items()}
        if len(costs) < 2 or (lead := lead_of(costs)).regret <= ENOUGH:  # noqa: PLR2004 - nobody to choose among
            return medians
        racing = [entrant for entrant in racing if entrant.column.id in lead.still_in]
    return medians


def _may_be_chosen(entrant: Entrant) -> bool:
    return entrant.run is not None and entrant.column.whose == "edgecnn" and entrant.column.inside


def chosen(columns: Iterable[Column], as_given: bool, built: Built) -> str | None:
    """What a build would ship of these costs; None where none of ours ran."""
    ran = [column for column in columns if column.whose == "edgecnn" and column.as_given is as_given]
    costs = {column.id: of for column in ran if (of := column.of("select"))}
    paying = {row.candidate.id: accuracy_risk(row) for row in built.report.candidates}
    return preferred(costs, paying) if costs else None


def add_runs(columns: Mapping[str, Column], ran: Mapping[str, list[RunMedian] | str]) -> dict[str, Column]:
    """The columns with their runs, or with why they broke off."""
    joined = dict(columns)
    for name, runs in ran.items():
        before = joined[name]
        if isinstance(runs, str):
            joined[name] = before.model_copy(update={"runs": (), "reason": f"failed: {runs}"})
        else:
            joined[name] = before.model_copy(update={"runs": (*before.runs, *runs)})
    return joined


@dataclass(frozen=True)
class Selected:
    """Who runs in the final rounds."""

    chosen: str
    """Our fastest of the network as given."""
    changed: str | None
    """Our fastest after surgery."""
    finalists: tuple[str, ...]


def selected(columns: Iterable[Column], baseline: str | None, changed: str | None) -> Selected:
    """Ours that were chosen, and the rivals inside the budget that were near the fastest of them by geometric means.

    Raises:
        SystemExit: no rung of ours of the network as given, or no rival, ran and is inside the budget.
    """
    theirs = [(_standing(column), column.id) for column in columns if column.whose == "rival" and column.inside and column.runs]
    if baseline is None or not theirs:
        raise SystemExit("nothing inside the accuracy budget ran")
    nearest, _ = min(theirs)
    near = [name for ms, name in theirs if ms <= NEAR * nearest]
    return Selected(baseline, changed, tuple(dict.fromkeys((baseline, *([changed] if changed else []), *near, BASE))))


def _standing(column: Column) -> float:
    return statistics.geometric_mean(column.selection_medians.values())


def described(built: Built, made: AtSide, columns: Mapping[str, Column], won: Selected, tell: Progress) -> NetworkResult:
    """The result file's content."""
    rival = best_rival(columns.values())
    residency = residency_of(made.kits[won.chosen], made, tell)
    layers = sorted(residency.layers if residency else (), key=lambda layer: -(layer.time_us or 0.0))
    total_us = sum(layer.time_us or 0.0 for layer in layers) or 1.0
    fp32 = next(row.test for row in built.report.candidates if row.is_baseline)
    if fp32 is None:
        raise ValueError("the build's report has no accuracy of its baseline")
    return NetworkResult(
        network=built.report.build.arch,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=local_facts().describe(),
        versions={"edgecnn": built.report.version, **{name: version(name) for name in PACKAGES}},
        load_average=round(os.getloadavg()[2], 2),
        trained_px=built.report.build.resolution_px.short_px,
        raced_px=SIDE_PX,
        weights=built.report.build.weights.partition(":")[0],  # why they are these names folders of one machine
        top1_fp32=fp32.top1,
        train_s=train_seconds(made),
        ladder_s=ladder_seconds(built),
        columns=tuple(columns.values()),
        chosen=won.chosen,
        best_rival=rival,
        ratio=paired(columns[rival], columns[won.chosen]),
        ratio_to_base=paired(columns[BASE], columns[won.chosen]),
        changed=won.changed,
        ratio_changed=paired(columns[rival], columns[won.changed]) if won.changed else None,
        layers=tuple(
            Layer(name=layer.name, op=layer.op, precision=layer.precision, time_share=round((layer.time_us or 0.0) / total_us, 4))
            for layer in layers[:LAYERS]
        ),
        layers_total=len(layers),
    )


def best_rival(columns: Iterable[Column]) -> str:
    """The least median of the final rounds, of rivals inside the budget.

    Raises:
        SystemExit: none of them came through the final rounds.
    """
    final = {column.id: statistics.median(column.of("final").values()) for column in columns if _competes(column)}
    if not final:
        raise SystemExit("no rival inside the accuracy budget came through the final rounds")
    return min(final, key=final.__getitem__)


def _competes(column: Column) -> bool:
    return column.whose == "rival" and column.inside and bool(column.of("final"))


def paired(slow: Column, fast: Column) -> Interval | None:
    """slow / fast of the final rounds that both ran in; None below seven."""
    theirs, mine = slow.of("final"), fast.of("final")
    both = sorted(theirs.keys() & mine.keys())
    return ratio_interval([theirs[number] for number in both], [mine[number] for number in both])


if __name__ == "__main__":
    main()
